// Decimal numbers as INCRBYFLOAT and HINCRBYFLOAT read and write them: Redis's long double rules.
#pragma once

#include <string>
#include <string_view>

namespace kv {

/// The whole text, as strtold reads it (also hexadecimal and "inf"), but no leading blank, no NaN,
/// nothing too large or too small for the type.
bool parse_long_decimal(std::string_view text, long double& value);

/// 17 decimals at most, trailing zeros dropped, never an exponent. False for infinity and NaN.
bool format_long_decimal(long double value, std::string& text);

}  // namespace kv
