// See assembly.hpp.
#include "libkv/process/assembly.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "libkv/keyspace/arena.hpp"
#include "libkv/keyspace/entry.hpp"
#include "libkv/process/bulk.hpp"
#include "libkv/process/frame.hpp"

namespace kv {
namespace {

/// Gives the block so much room; keeps what is in it.
void resize(OfferedBlock& block, std::size_t capacity) {
  void* const data = block.data == nullptr
                         ? arena().try_allocate(capacity)
                         : arena().try_reallocate(block.data, block.capacity, capacity);
  if (data == nullptr) throw std::bad_alloc();
  block.data = static_cast<unsigned char*>(data);
  block.capacity = capacity;
}

}  // namespace

Assembly::~Assembly() { clear(); }

void Assembly::clear() noexcept {
  for (const OfferedBlock& block : blocks_) {
    if (!block.taken && block.data != nullptr) arena().deallocate(block.data, block.capacity);
  }
  blocks_.clear();
  places_.clear();
  std::string().swap(words_);
  bytes_ = 0;
}

void Assembly::add(std::string_view piece) {
  words_.append(piece);
  bytes_ += piece.size();
}

void Assembly::add_to_argument(std::string_view piece) {
  if (places_.empty() || places_.back() != words_.size()) {
    if (piece.size() < bulk_worth_bytes) return add(piece);  // not worth a block
    blocks_.emplace_back();
    places_.push_back(words_.size());
  }
  OfferedBlock& block = blocks_.back();
  const std::size_t wanted = block.size + piece.size();
  // Mostly the first piece is all of it.
  if (wanted > block.capacity) resize(block, std::max(wanted, 2 * block.size));
  std::memcpy(block.data + block.size, piece.data(), piece.size());
  block.size = wanted;
  bytes_ += piece.size();
}

bool Assembly::read(std::vector<Scalar>& args) {
  std::vector<Elsewhere> elsewhere;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    OfferedBlock& block = blocks_[i];
    if (block.capacity > block.size) resize(block, block.size);  // it may be kept
    elsewhere.push_back({places_[i], text_of(block.data, block.size)});
  }
  return read_arguments(words_, args, elsewhere);
}

}  // namespace kv
