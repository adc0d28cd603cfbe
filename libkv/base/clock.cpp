// See clock.hpp. Text to time by hand for the digits, by libc for the zone.
#include "libkv/base/clock.hpp"

#include <cstdio>
#include <ctime>

namespace kv {
namespace {

std::int64_t read_clock(clockid_t id) noexcept {
  timespec now{};
  ::clock_gettime(id, &now);
  return static_cast<std::int64_t>(now.tv_sec) * ns_per_second + now.tv_nsec;
}

/// Seconds rounded down, so that times before 1970 work too.
std::int64_t floor_seconds(std::int64_t ns) noexcept {
  return ns / ns_per_second - (ns % ns_per_second < 0 ? 1 : 0);
}

std::string format_fields(const tm& fields, std::int64_t fraction_ns) {
  char text[64];
  int n = std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", fields.tm_year + 1900,
                        fields.tm_mon + 1, fields.tm_mday, fields.tm_hour, fields.tm_min,
                        fields.tm_sec);
  std::string out(text, static_cast<std::size_t>(n));
  if (fraction_ns != 0) {
    n = std::snprintf(text, sizeof text, ".%09lld", static_cast<long long>(fraction_ns));
    out.append(text, static_cast<std::size_t>(n));
  }
  return out;
}

/// What is left of the text while its parts are taken off the front.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}
  bool done() const { return text_.empty(); }
  char peek() const { return text_.empty() ? '\0' : text_.front(); }
  bool take(char c) {
    if (peek() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  /// Between digits_min and digits_max digits.
  bool number(std::size_t digits_min, std::size_t digits_max, std::int64_t& n) {
    std::size_t digits = 0;
    n = 0;
    while (digits < digits_max && peek() >= '0' && peek() <= '9') {
      n = n * 10 + (text_.front() - '0');
      text_.remove_prefix(1);
      ++digits;
    }
    return digits >= digits_min;
  }
  /// Up to nine digits as a fraction of a second.
  bool fraction(std::int64_t& ns) {
    std::int64_t scale = ns_per_second / 10;
    ns = 0;
    if (!(peek() >= '0' && peek() <= '9')) return false;
    while (scale > 0 && peek() >= '0' && peek() <= '9') {
      ns += (text_.front() - '0') * scale;
      scale /= 10;
      text_.remove_prefix(1);
    }
    return true;
  }

 private:
  std::string_view text_;
};

struct DateTime {
  std::int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ns = 0;
};

bool in_range(const DateTime& t) {
  return t.month >= 1 && t.month <= 12 && t.day >= 1 && t.day <= 31 && t.hour <= 23 &&
         t.minute <= 59 && t.second <= 60 && t.year >= 1970 && t.year <= 2261;
}

bool parse_clock(Cursor& in, DateTime& t) {
  if (!in.number(1, 2, t.hour) || !in.take(':') || !in.number(2, 2, t.minute)) return false;
  if (!in.take(':')) return true;
  if (!in.number(2, 2, t.second)) return false;
  return !in.take('.') || in.fraction(t.ns);
}

/// Z, +hh:mm, +hhmm or nothing. zone_s is the offset east of UTC.
bool parse_zone(Cursor& in, bool& local, std::int64_t& zone_s) {
  local = in.done();
  if (local || in.take('Z')) return in.done();
  const bool west = in.peek() == '-';
  std::int64_t hours = 0, minutes = 0;
  if (!in.take('-') && !in.take('+')) return false;
  if (!in.number(2, 2, hours)) return false;
  in.take(':');
  if (!in.done() && !in.number(2, 2, minutes)) return false;
  zone_s = (hours * 60 + minutes) * 60 * (west ? -1 : 1);
  return in.done() && hours <= 14 && minutes <= 59;
}

bool parse_seconds(std::string_view text, std::int64_t& ns) {
  Cursor in(text);
  std::int64_t seconds = 0, fraction = 0;
  if (!in.number(1, 10, seconds)) return false;
  if (in.take('.') && !in.fraction(fraction)) return false;
  if (!in.done() || seconds > INT64_MAX / ns_per_second - 1) return false;
  ns = seconds * ns_per_second + fraction;
  return true;
}

}  // namespace

std::int64_t wall_ns() noexcept { return read_clock(CLOCK_REALTIME); }
std::int64_t wall_ms() noexcept { return wall_ns() / 1'000'000; }
std::int64_t monotonic_ns() noexcept { return read_clock(CLOCK_MONOTONIC); }
std::int64_t monotonic_coarse_ns() noexcept { return read_clock(CLOCK_MONOTONIC_COARSE); }

std::string format_utc(std::int64_t ns) {
  const time_t seconds = floor_seconds(ns);
  tm fields{};
  ::gmtime_r(&seconds, &fields);
  return format_fields(fields, ns - seconds * ns_per_second) + 'Z';
}

std::string format_local(std::int64_t ns) {
  const time_t seconds = floor_seconds(ns);
  tm fields{};
  ::localtime_r(&seconds, &fields);
  const long offset = fields.tm_gmtoff < 0 ? -fields.tm_gmtoff : fields.tm_gmtoff;
  char zone[16];
  std::snprintf(zone, sizeof zone, "%c%02ld:%02ld", fields.tm_gmtoff < 0 ? '-' : '+',
                offset / 3600 % 100, offset / 60 % 60);
  return format_fields(fields, ns - seconds * ns_per_second) + zone;
}

std::string format_seconds(std::int64_t ns) {
  char text[40];
  const int n =
      std::snprintf(text, sizeof text, "%010lld.%09lld", static_cast<long long>(ns / ns_per_second),
                    static_cast<long long>(ns % ns_per_second));
  return {text, static_cast<std::size_t>(n)};
}

Result<std::int64_t> parse_time(std::string_view text) {
  std::int64_t ns = 0;
  if (parse_seconds(text, ns)) return ns;
  const Status bad{Code::usage, "not a time: '" + std::string(text) +
                                    "' (write it like 2026-11-20T10:00:00 or ...Z or ...+01:00)"};
  Cursor in(text);
  DateTime t;
  if (!in.number(4, 4, t.year) || !in.take('-') || !in.number(2, 2, t.month) || !in.take('-') ||
      !in.number(2, 2, t.day)) {
    return bad;
  }
  if ((in.take('T') || in.take(' ')) && !parse_clock(in, t)) return bad;
  bool local = false;
  std::int64_t zone_s = 0;
  if (!parse_zone(in, local, zone_s) || !in_range(t)) return bad;
  tm fields{};
  fields.tm_year = static_cast<int>(t.year - 1900);
  fields.tm_mon = static_cast<int>(t.month - 1);
  fields.tm_mday = static_cast<int>(t.day);
  fields.tm_hour = static_cast<int>(t.hour);
  fields.tm_min = static_cast<int>(t.minute);
  fields.tm_sec = static_cast<int>(t.second);
  fields.tm_isdst = -1;
  const time_t seconds = local ? ::mktime(&fields) : ::timegm(&fields) - zone_s;
  // libc turns 31 November into 1 December; a person who typed that meant something else.
  if (fields.tm_mday != t.day || seconds < 0) return bad;
  return static_cast<std::int64_t>(seconds) * ns_per_second + t.ns;
}

}  // namespace kv
