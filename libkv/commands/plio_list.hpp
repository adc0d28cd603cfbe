// The elements of a stored PicoLisp list (Kind::list), decoded from its PLIO bytes.
//
// Such bytes were checked when they came in; reading them again is bounded all the same, and what
// is malformed is simply not a list.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libkv/value/scalar.hpp"

namespace kv {

struct PlioItem {
  std::string bytes;
  Kind kind = Kind::string;
  Scalar scalar() const noexcept { return {bytes, kind}; }
};

struct PlioList {
  std::vector<PlioItem> items;
  bool dotted = false;  // (a b . c): the last item is the tail
};

/// False if bytes are not exactly one list, or nested deeper than limits::nesting_max.
bool read_plio_list(std::string_view bytes, PlioList& list);

/// (field . value) or (field v1 v2 ...), the forms of one pair; (field) has the value NIL.
bool read_plio_pair(const Scalar& element, PlioItem& field, PlioItem& value);

}  // namespace kv
