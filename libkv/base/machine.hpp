// What the machine says about itself and about this process: for INFO and MEMORY.
//
// Read-only and cheap (a few microseconds); fields that the system does not tell are 0 or empty.
#pragma once

#include <cstdint>
#include <string>

namespace kv {

struct Machine {
  std::string system;  // "Linux 6.1.0 x86_64": name, release, hardware, as uname -srm
  std::uint64_t memory_bytes = 0;
};

struct ProcessUse {
  std::uint64_t allocated_bytes = 0;  // asked of the allocator and not given back
  std::uint64_t heap_bytes = 0;       // what the allocator holds for that
  std::uint64_t resident_bytes = 0;   // in memory now, code and shared pages included
  double user_s = 0, system_s = 0;    // processor time of this process
  double children_user_s = 0, children_system_s = 0;  // of its ended children
};

Machine machine();
ProcessUse process_use();
/// Gives free heap pages back to the system.
void trim_heap() noexcept;

}  // namespace kv
