// Removing elements from a run. See packed.hpp.
#include "libkv/keyspace/packed.hpp"

namespace kv::packed {

std::size_t count_matching(const Run& run, FunctionRef<bool(const Scalar&)> match) noexcept {
  std::size_t found = 0;
  for (const unsigned char* p = run.begin; p != run.end;) {
    if (match(read_list_element(p))) ++found;
  }
  return found;
}

std::size_t remove_matching(Run& run, std::size_t skip, std::size_t limit,
                            FunctionRef<bool(const Scalar&)> match) noexcept {
  std::size_t gone = 0;
  unsigned char* to = run.begin;
  for (const unsigned char* p = run.begin; p != run.end;) {
    const unsigned char* start = p;
    const bool hit = gone < limit && match(read_list_element(p));
    if (gone >= limit) p = run.end;  // the rest stays: one move for all of it
    if (hit && skip == 0) {
      ++gone;
      continue;
    }
    if (hit) --skip;
    const auto bytes = static_cast<std::size_t>(p - start);
    if (to != start) std::memmove(to, start, bytes);
    to += bytes;
  }
  run.end = to;
  run.count -= gone;
  return gone;
}

}  // namespace kv::packed
