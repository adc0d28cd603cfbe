// See gpgme_data.hpp.
#include "crypto/gpgme_data.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace kv::crypto {
namespace {

// GPGME takes the table without const and writes to none of it.
gpgme_data_cbs callbacks{};

}  // namespace

Result<std::unique_ptr<Data>> Data::attach(std::unique_ptr<Data> data) {
  static const bool filled = [] {
    callbacks.read = &Data::read;
    callbacks.write = &Data::write;
    return true;
  }();
  (void)filled;
  const Gpgme& gpgme = *data->gpgme_;
  if (const auto error = gpgme.gpgme_data_new_from_cbs(&data->data_, &callbacks, data.get())) {
    return Status{Code::crypto, std::string("GPGME has no room: ") + gpgme.gpgme_strerror(error)};
  }
  // Its own buffers are wiped as well; best effort, so the result does not matter.
  (void)gpgme.gpgme_data_set_flag(data->data_, "sensitive", "1");
  return data;
}

Result<std::unique_ptr<Data>> Data::source(const Gpgme& gpgme, std::string_view first,
                                           std::string_view second) {
  std::unique_ptr<Data> data(new Data(gpgme));
  data->first_ = first;
  data->second_ = second;
  return attach(std::move(data));
}

Result<std::unique_ptr<Data>> Data::sink(const Gpgme& gpgme, std::string& out,
                                         std::size_t bytes_max) {
  std::unique_ptr<Data> data(new Data(gpgme));
  data->text_ = &out;
  data->bytes_left_ = bytes_max;
  return attach(std::move(data));
}

Result<std::unique_ptr<Data>> Data::sink(const Gpgme& gpgme, SecretString& out,
                                         std::size_t bytes_max) {
  std::unique_ptr<Data> data(new Data(gpgme));
  data->secret_ = &out;
  data->bytes_left_ = bytes_max;
  return attach(std::move(data));
}

Data::~Data() {
  if (data_ != nullptr) gpgme_->gpgme_data_release(data_);
}

ssize_t Data::read(void* self, void* buffer, std::size_t bytes) noexcept {
  auto& data = *static_cast<Data*>(self);
  std::string_view& part = data.first_.empty() ? data.second_ : data.first_;
  const std::size_t taken = std::min(bytes, part.size());
  if (taken > 0) std::memcpy(buffer, part.data(), taken);
  part.remove_prefix(taken);
  return static_cast<ssize_t>(taken);
}

ssize_t Data::write(void* self, const void* buffer, std::size_t bytes) noexcept {
  auto& data = *static_cast<Data*>(self);
  if (bytes > data.bytes_left_) {
    data.overflowed_ = true;
    errno = EFBIG;
    return -1;
  }
  const std::string_view text(static_cast<const char*>(buffer), bytes);
  try {
    if (data.secret_ != nullptr) data.secret_->append(text);
    if (data.text_ != nullptr) data.text_->append(text);
  } catch (...) {  // bad_alloc or length_error: must not travel through GPGME
    errno = ENOMEM;
    return -1;
  }
  data.bytes_left_ -= bytes;
  return static_cast<ssize_t>(bytes);
}

}  // namespace kv::crypto
