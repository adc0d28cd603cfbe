// See offline.hpp.
#include "libkv/engine/offline.hpp"

namespace kv {

Offline::Offline(unsigned databases) : engine_(*this, *this) {
  for (unsigned i = 0; i < databases; ++i) databases_.push_back(std::make_unique<Keyspace>());
}

}  // namespace kv
