// See lines.hpp.
#include "libkv/client/console/lines.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "libkv/base/limits.hpp"

namespace kv {

LineReader::~LineReader() { explicit_bzero(buffer_.data(), buffer_.size()); }

LineReader::State LineReader::next(std::string_view& line) {
  for (;;) {
    if (take(line)) return State::line;
    if (ended_) return State::end;
    if (!fill()) return State::wait;
  }
}

bool LineReader::take(std::string_view& line) {
  const std::size_t end = buffer_.find('\n', searched_);
  if (end == buffer_.npos) {
    searched_ = buffer_.size();
    if (!ended_ || start_ == buffer_.size()) return false;
    line = std::string_view(buffer_).substr(start_);
    start_ = buffer_.size();
  } else {
    line = std::string_view(buffer_).substr(start_, end - start_);
    start_ = searched_ = end + 1;
  }
  if (line.ends_with('\r')) line.remove_suffix(1);
  ++number_;
  return true;
}

bool LineReader::fill() {
  pollfd item{fd_, POLLIN, 0};
  if (poll(&item, 1, 0) <= 0) return false;
  buffer_.erase(0, start_);
  searched_ -= start_;
  start_ = 0;
  if (buffer_.size() > limits::request_bytes_max) {
    status_ = {Code::usage, "line " + std::to_string(number_ + 1) + " is too long"};
    buffer_.clear();
    searched_ = 0;
    ended_ = true;
    return true;
  }
  constexpr std::size_t read_bytes = 256 * 1024;
  const std::size_t had = buffer_.size();
  buffer_.resize(had + read_bytes);
  const ssize_t n = read(fd_, buffer_.data() + had, read_bytes);
  const int error = errno;
  buffer_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  if (n > 0) bytes_ += static_cast<std::uint64_t>(n);
  if (n == 0) ended_ = true;
  if (n < 0 && error != EINTR && error != EAGAIN) {
    status_ = Status::from_errno(error, "cannot read standard input");
    ended_ = true;
  }
  return n >= 0 || ended_;
}

}  // namespace kv
