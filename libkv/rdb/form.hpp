// What Redis's serialised values are made of, in its RDB files and in what DUMP answers. The forms
// are Redis's; its rdb.h and rdb.c describe them.
#pragma once

#include <cstdint>
#include <string_view>

namespace kv {

/// How a value is written, told by a byte before it.
enum RdbType : std::uint8_t {
  rdb_string = 0,
  rdb_list = 1,
  rdb_set = 2,
  rdb_sorted_set = 3,
  rdb_hash = 4,
  rdb_sorted_set_2 = 5,
  rdb_module = 7,
  rdb_hash_zipmap = 9,
  rdb_list_ziplist = 10,
  rdb_set_intset = 11,
  rdb_sorted_set_ziplist = 12,
  rdb_hash_ziplist = 13,
  rdb_list_quicklist = 14,
  rdb_stream = 15,
  rdb_hash_listpack = 16,
  rdb_sorted_set_listpack = 17,
  rdb_list_quicklist_2 = 18,
  rdb_stream_2 = 19,
  rdb_set_listpack = 20,
  rdb_stream_3 = 21,
};

/// The checksum of RDB files and of DUMP: CRC-64 by Jones.
std::uint64_t rdb_checksum(std::string_view bytes) noexcept;

}  // namespace kv
