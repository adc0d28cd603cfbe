// libkv/base/digits: the digits are those of std::to_chars, and no byte beyond the room is touched.
#include <catch2/catch.hpp>
#include <charconv>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <string_view>

#include "libkv/base/digits.hpp"

namespace kv {
namespace {

template <class Number>
std::string by_library(Number n) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, n).ptr};
}

template <class Number>
std::string ours(Number n) {
  std::string room(decimal_bytes_max + 8, '#');
  const char* const end = put_decimal(room.data(), n);
  CHECK(room.substr(decimal_bytes_max) == "########");
  return room.substr(0, static_cast<std::size_t>(end - room.data()));
}

/// Around every power of two and of ten, where digits are gained.
template <class Visit>
void for_each_edge(Visit visit) {
  for (unsigned bit = 0; bit < 64; ++bit) visit(std::uint64_t{1} << bit);
  std::uint64_t power = 1;
  for (int i = 0; i < 20; ++i, power *= 10) visit(power);
  visit(0);
}

}  // namespace

TEST_CASE("base/digits: 64 bits, with and without sign, at every edge and at random") {
  const auto check = [](std::uint64_t n) {
    if (ours(n) != by_library(n)) FAIL(n);
    const auto with_sign = static_cast<std::int64_t>(n);
    if (ours(with_sign) != by_library(with_sign)) FAIL(with_sign);
  };
  for_each_edge([&](std::uint64_t n) { check(n - 1), check(n), check(n + 1), check(-n); });
  std::mt19937_64 random(20261128);
  for (int i = 0; i < 100'000; ++i) check(random() >> (random() % 64));
  CHECK(ours(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(ours(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
}

TEST_CASE("base/digits: exactly eight, zeros in front included") {
  for (std::uint64_t n = 0; n < eight_digits_end; n += n < 20'000 ? 1 : 9'973) {
    char text[9] = "########";
    put_eight_digits(text, n);
    const std::string digits = by_library(n);
    if (std::string_view(text) != std::string(8 - digits.size(), '0') + digits) FAIL(n);
  }
  char last[9] = "########";
  put_eight_digits(last, eight_digits_end - 1);
  CHECK(std::string_view(last) == "99999999");
}

}  // namespace kv
