// See auth.hpp. The digest is SHA-1 over a random salt and the password: the salt never leaves this
// process, so what matters is only that equal-length digests are compared, in constant time.
#include "libkv/process/auth.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>

#include <algorithm>
#include <boost/uuid/detail/sha1.hpp>

#include "libkv/base/text.hpp"
#include "libkv/wire/plio.hpp"

namespace kv {
namespace {

constexpr unsigned free_failures = 5;       // typing mistakes cost nothing
constexpr std::int64_t step_ms = 250;       // then one login a quarter of a second
constexpr std::int64_t memory_ms = 60'000;  // for a minute after the last failure
constexpr std::size_t sources_max = 65'536;

constexpr std::string_view loopback = "loopback";

/// "127.0.0.1:40312" without the port, "[::1]:40312" without the brackets too; a Unix socket's
/// address stays whole.
std::string host_of(std::string_view address) {
  return std::string(without_brackets(address.substr(0, address.rfind(':'))));
}

}  // namespace

Gatekeeper::Gatekeeper(std::string_view password) : plio_hash_(plio_hash(Scalar(password))) {
  if (::getrandom(salt_.data(), salt_.size(), 0) != static_cast<ssize_t>(salt_.size())) salt_ = {};
  digest_ = digest(password);
}

Gatekeeper::Digest Gatekeeper::digest(std::string_view password) const {
  boost::uuids::detail::sha1 sha;
  sha.process_bytes(salt_.data(), salt_.size());
  sha.process_bytes(password.data(), password.size());
  Digest result;
  unsigned int words[5];
  sha.get_digest(words);
  std::copy(std::begin(words), std::end(words), result.begin());
  return result;
}

bool Gatekeeper::password_fits(std::string_view password) const {
  const Digest given = digest(password);
  std::uint32_t difference = 0;
  for (std::size_t i = 0; i < given.size(); ++i) difference |= given[i] ^ digest_[i];
  return difference == 0;
}

bool Gatekeeper::plio_hash_fits(std::uint32_t hash) const noexcept { return hash == plio_hash_; }

void Gatekeeper::note_failure(std::string_view address, std::int64_t now_ms) {
  if (sources_.size() >= sources_max) forget_old(now_ms);
  Source& source = sources_[source_of(address)];
  if (now_ms - source.last_failure_ms > memory_ms) source.failures = 0;
  ++source.failures;
  source.last_failure_ms = now_ms;
}

bool Gatekeeper::slowed(const std::string& source, std::int64_t now_ms) {
  const auto found = sources_.find(source);
  if (found == sources_.end()) return false;
  if (now_ms - found->second.last_failure_ms > memory_ms) {
    sources_.erase(found);
    return false;
  }
  return found->second.failures >= free_failures;
}

bool Gatekeeper::must_queue(std::string_view address, std::uint64_t connection,
                            std::int64_t now_ms) {
  const std::string source = source_of(address);
  if (!slowed(source, now_ms)) return false;
  const auto [line, is_new] = lines_.try_emplace(source);
  if (is_new) line->second.next_turn_ms = now_ms + step_ms;
  line->second.connections.push_back(connection);
  return true;
}

void Gatekeeper::step_back(std::string_view address, std::uint64_t connection) {
  const auto found = lines_.find(source_of(address));
  if (found == lines_.end() || std::erase(found->second.connections, connection) == 0) return;
  found->second.ended.push_back(connection);
}

std::vector<std::uint64_t> Gatekeeper::turns(std::int64_t now_ms) {
  std::vector<std::uint64_t> due;
  for (auto entry = lines_.begin(); entry != lines_.end();) {
    Line& line = entry->second;
    const bool slow = slowed(entry->first, now_ms);
    for (auto* waiting : {&line.connections, &line.ended}) {
      while (!waiting->empty() && (!slow || line.next_turn_ms <= now_ms)) {
        due.push_back(waiting->front());
        waiting->pop_front();
        line.next_turn_ms = now_ms + step_ms;
      }
    }
    entry = line.connections.empty() && line.ended.empty() ? lines_.erase(entry) : std::next(entry);
  }
  return due;
}

void Gatekeeper::leave(std::string_view address, std::uint64_t connection) {
  const auto found = lines_.find(source_of(address));
  if (found == lines_.end()) return;
  Line& line = found->second;
  std::erase(line.connections, connection);
  std::erase(line.ended, connection);
  if (line.connections.empty() && line.ended.empty()) lines_.erase(found);
}

void Gatekeeper::forget_old(std::int64_t now_ms) {
  std::erase_if(sources_, [now_ms](const auto& entry) {
    return now_ms - entry.second.last_failure_ms > memory_ms;
  });
  if (sources_.size() >= sources_max) sources_.clear();
}

void wipe(std::string& secret) noexcept {
  ::explicit_bzero(secret.data(), secret.size());
  secret.clear();
}

std::string source_of(std::string_view address) {
  const std::string host = host_of(address);
  in6_addr v6{};
  in_addr v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1)
    return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET ? std::string(loopback) : host;
  if (::inet_pton(AF_INET6, host.c_str(), &v6) != 1) return host;
  if (IN6_IS_ADDR_LOOPBACK(&v6)) return std::string(loopback);
  char text[INET6_ADDRSTRLEN] = "";
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    return source_of(::inet_ntop(AF_INET, v6.s6_addr + 12, text, sizeof text));
  }
  std::fill(v6.s6_addr + 8, v6.s6_addr + 16, std::uint8_t{0});
  return std::string(::inet_ntop(AF_INET6, &v6, text, sizeof text)) + "/64";
}

}  // namespace kv
