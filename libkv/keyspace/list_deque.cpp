// The ring of chunks. See list_deque.hpp.
#include "libkv/keyspace/list_deque.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

namespace kv {

using packed::Run;

ListDeque* ListDeque::create(Pool& owner) {
  return new (owner.allocate(sizeof(ListDeque))) ListDeque(owner);
}

void ListDeque::destroy(ListDeque* list, Pool& owner) noexcept {
  list->~ListDeque();
  owner.deallocate(list, sizeof(ListDeque));
}

ListDeque::~ListDeque() {
  for (std::size_t i = 0; i < chunks_; ++i) free_ref(ref(i));
  if (ring_ != nullptr) pool_.deallocate(ring_, ring_size_ * sizeof(Ref));
}

// --- finding ---

/// index < size(). From the nearer end of the list.
ListDeque::Position ListDeque::locate(std::size_t index) const noexcept {
  if (index < size_ / 2) {
    std::size_t i = 0;
    while (index >= ref(i).count) index -= ref(i++).count;
    return {i, index};
  }
  std::size_t from_end = size_ - index;  // >= 1
  std::size_t i = chunks_ - 1;
  while (from_end > ref(i).count) from_end -= ref(i--).count;
  return {i, ref(i).count - from_end};
}

Scalar ListDeque::at(std::size_t index) const noexcept {
  const Position p = locate(index);
  const Ref& r = ref(p.chunk);
  const Run run = r.is_cold() ? r.cold().peek() : run_of(r);
  const unsigned char* element = run.find(p.index);
  return packed::read_element(element);
}

void ListDeque::visit(std::size_t index, std::size_t count,
                      FunctionRef<bool(const Scalar&)> visit) const {
  if (count == 0 || index >= size_) return;
  Position at = locate(index);
  for (; at.chunk < chunks_; ++at.chunk, at.index = 0) {
    const Ref& r = ref(at.chunk);
    if (r.is_cold()) {
      if (!visit_cold(r.cold(), at.index, count, visit)) return;
      continue;
    }
    const Run run = run_of(r);
    for (const unsigned char* p = run.find(at.index); p != run.end;) {
      if (!visit(packed::read_list_element(p)) || --count == 0) return;
    }
  }
}

bool ListDeque::aliases(std::size_t chunk, const Scalar& element) const noexcept {
  if (chunk >= chunks_ || ref(chunk).is_cold() || element.bytes.empty()) return false;
  Chunk& c = *ref(chunk).chunk;
  const unsigned char* p = bytes_of(element.bytes);
  return p >= c.data() && p < c.data() + c.capacity;
}

// --- chunks and the ring ---

/// All of what the arena has given for that capacity is used.
ListDeque::Chunk* ListDeque::chunk_at(void* memory, std::size_t capacity) noexcept {
  capacity = Arena::rounded(sizeof(Chunk) + capacity) - sizeof(Chunk);
  return new (memory) Chunk{0, 0, static_cast<std::uint32_t>(capacity)};
}

ListDeque::Chunk* ListDeque::new_chunk(std::size_t capacity) {
  return chunk_at(pool_.allocate(sizeof(Chunk) + capacity), capacity);
}

void ListDeque::free_ref(const Ref& r) noexcept {
  if (r.is_cold()) ColdChunk::destroy(&r.cold(), pool_);
  else free_chunk(r.chunk);
}

/// The room of a new chunk for an element: the first one of a list starts small.
std::size_t ListDeque::capacity_for(std::size_t bytes) const noexcept {
  const std::size_t usual = (chunks_ == 0 ? 2048 : chunk_bytes_max) - sizeof(Chunk);
  return std::max(bytes, usual);
}

void ListDeque::reserve_refs(std::size_t more) {
  if (chunks_ + more <= ring_size_) return;
  const std::size_t size = std::max<std::size_t>(2, ring_size_ * 2);
  auto* larger = static_cast<Ref*>(pool_.allocate(size * sizeof(Ref)));
  for (std::size_t i = 0; i < size; ++i) new (larger + i) Ref(i < chunks_ ? ref(i) : Ref{});
  if (ring_ != nullptr) pool_.deallocate(ring_, ring_size_ * sizeof(Ref));
  ring_ = larger;
  ring_size_ = size;
  head_ = 0;
}

/// There must be room: reserve_refs(1).
void ListDeque::insert_ref(std::size_t at, Ref r) noexcept {
  ++chunks_;
  if (at < chunks_ / 2) {
    --head_;  // wraps: ref() masks it
    for (std::size_t i = 0; i < at; ++i) ref(i) = ref(i + 1);
  } else {
    for (std::size_t i = chunks_ - 1; i > at; --i) ref(i) = ref(i - 1);
  }
  ref(at) = r;
}

void ListDeque::remove_refs(std::size_t at, std::size_t count) noexcept {
  if (count == 0) return;
  if (at < chunks_ - at - count) {
    for (std::size_t i = at; i-- > 0;) ref(i + count) = ref(i);
    head_ += count;
  } else {
    for (std::size_t i = at; i + count < chunks_; ++i) ref(i) = ref(i + count);
  }
  chunks_ -= count;
}

// --- adding ---

void ListDeque::add_chunk(std::size_t at, const Scalar& element) {
  const std::size_t bytes = packed::list_element_bytes(element);
  reserve_refs(1);
  Chunk* c = new_chunk(capacity_for(bytes));
  // What is pushed in front fills a chunk from its end.
  if (at == 0 && chunks_ != 0) c->begin = c->end = c->capacity - static_cast<std::uint32_t>(bytes);
  packed::write_list_element(c->data() + c->begin, element);
  c->end = c->begin + static_cast<std::uint32_t>(bytes);
  insert_ref(at, {c, 1});
  ++size_;
  cool_behind(at);
}

/// Makes sure a chunk can take so many more bytes, and has spare ones beyond them; false if it
/// would grow beyond its maximum.
bool ListDeque::enlarge(std::size_t chunk, std::size_t bytes, std::size_t spare) {
  Ref& r = ref(chunk);
  const std::size_t needed = r.chunk->used() + bytes;
  // A chunk made for one huge element takes no other: it would keep the memory when that one goes.
  if (r.chunk->bytes() > chunk_bytes_max) return false;
  if (needed + spare <= r.chunk->capacity) return true;
  if (r.chunk->bytes() >= chunk_bytes_max || sizeof(Chunk) + needed > chunk_bytes_max) return false;
  Chunk* larger = new_chunk(std::min(needed + 1024, chunk_bytes_max - sizeof(Chunk)));
  std::memcpy(larger->data(), r.chunk->data() + r.chunk->begin, r.chunk->used());
  larger->end = static_cast<std::uint32_t>(r.chunk->used());
  free_chunk(r.chunk);
  r.chunk = larger;
  return true;
}

/// Moves elements apart at offset (from the first element's byte); there must be room in all.
void ListDeque::open_gap(Chunk& c, std::size_t offset, std::size_t bytes) noexcept {
  unsigned char* begin = c.data() + c.begin;
  const std::size_t behind = c.used() - offset;
  const auto n = static_cast<std::uint32_t>(bytes);
  const bool front_is_less = offset < behind;
  if (c.begin >= bytes && (front_is_less || c.capacity - c.end < bytes)) {
    std::memmove(begin - bytes, begin, offset);
    c.begin -= n;
    c.end -= n;
  } else {
    const std::size_t left = c.capacity - c.end < bytes ? c.begin : 0;  // also close up in front
    std::memmove(begin + offset + bytes - left, begin + offset, behind);
    if (left != 0) std::memmove(begin - left, begin, offset);
    c.begin -= static_cast<std::uint32_t>(left);
    c.end -= static_cast<std::uint32_t>(left);
  }
  c.end += n;
}

// An end without room gets it by moving the chunk's content to the other end, but only where a
// quarter of the chunk is free, so that the next such move is far away.

void ListDeque::push_front(const Scalar& element) {
  if (aliases(0, element)) return push_front({std::string(element.bytes), element.kind});
  const std::size_t bytes = packed::list_element_bytes(element);
  if (chunks_ == 0) return add_chunk(0, element);
  open(0);
  const bool room = ref(0).chunk->begin >= bytes;
  if (!enlarge(0, bytes, room ? 0 : ref(0).chunk->capacity / 4)) return add_chunk(0, element);
  Ref& r = ref(0);
  Chunk& c = *r.chunk;
  if (c.begin < bytes) {
    const auto used = static_cast<std::uint32_t>(c.used());
    std::memmove(c.data() + c.capacity - used, c.data() + c.begin, used);
    c.begin = c.capacity - used;
    c.end = c.capacity;
  }
  c.begin -= static_cast<std::uint32_t>(bytes);
  packed::write_list_element(c.data() + c.begin, element);
  r.state = State::raw;
  ++r.count;
  ++size_;
}

void ListDeque::push_back(const Scalar& element) {
  if (chunks_ == 0) return add_chunk(0, element);
  const std::size_t last = chunks_ - 1;
  if (aliases(last, element)) return push_back({std::string(element.bytes), element.kind});
  const std::size_t bytes = packed::list_element_bytes(element);
  open(last);
  const Chunk& old = *ref(last).chunk;
  const bool room = old.capacity - old.end >= bytes;
  if (!enlarge(last, bytes, room ? 0 : old.capacity / 4)) return add_chunk(chunks_, element);
  Ref& r = ref(last);
  const std::size_t used = r.chunk->used();
  open_gap(*r.chunk, used, bytes);
  packed::write_list_element(r.chunk->data() + r.chunk->begin + used, element);
  r.state = State::raw;
  ++r.count;
  ++size_;
}

/// Moves the elements from index on, 0 < index < count, into a chunk of their own behind it.
void ListDeque::split(std::size_t chunk, std::size_t index) {
  reserve_refs(1);
  Ref& r = ref(chunk);
  const Run run = run_of(r);
  const unsigned char* from = run.find(index);
  const auto bytes = static_cast<std::size_t>(run.end - from);
  Chunk* behind = new_chunk(std::max(bytes, chunk_bytes_max / 2));
  std::memcpy(behind->data(), from, bytes);
  behind->end = static_cast<std::uint32_t>(bytes);
  r.chunk->end -= static_cast<std::uint32_t>(bytes);
  const Ref second{behind, r.count - static_cast<std::uint32_t>(index)};
  r.count = static_cast<std::uint32_t>(index);
  r.state = State::raw;
  insert_ref(chunk + 1, second);
}

void ListDeque::insert(std::size_t index, const Scalar& element) {
  if (index == 0) return push_front(element);
  if (index == size_) return push_back(element);
  Position p = locate(index);
  open(p.chunk);
  if (aliases(p.chunk, element)) return insert(index, {std::string(element.bytes), element.kind});
  const std::size_t bytes = packed::list_element_bytes(element);
  if (!enlarge(p.chunk, bytes, 0)) {
    if (p.index != 0) split(p.chunk++, p.index);
    // Now it goes between two chunks, behind the first of them if there is room.
    const Ref& before = ref(p.chunk - 1);
    if (before.is_cold() && before.cold().raw_bytes() + bytes < chunk_bytes_max) open(p.chunk - 1);
    if (before.is_cold() || aliases(p.chunk - 1, element) || !enlarge(p.chunk - 1, bytes, 0)) {
      return add_chunk(p.chunk, element);
    }
    --p.chunk;
    p.index = ref(p.chunk).count;
  }
  Ref& r = ref(p.chunk);
  const Run run = run_of(r);
  const auto offset = static_cast<std::size_t>(run.find(p.index) - run.begin);
  open_gap(*r.chunk, offset, bytes);
  packed::write_list_element(r.chunk->data() + r.chunk->begin + offset, element);
  ++r.count;
  ++size_;
  touch(p.chunk);
}

void ListDeque::set(std::size_t index, const Scalar& element) {
  const Position p = locate(index);
  open(p.chunk);
  if (aliases(p.chunk, element)) return set(index, {std::string(element.bytes), element.kind});
  unsigned char* at = run_of(ref(p.chunk)).find(p.index);
  const unsigned char* end = at;
  if (const Scalar old = packed::read_element(end);
      packed::element_bytes(old) == packed::element_bytes(element)) {
    packed::write_element(at, element);
    touch(p.chunk);
    return;
  }
  insert(index, element);
  erase(index + 1, 1);
}

void ListDeque::append_run(const Run& run) {
  if (run.count == 0) return;
  const auto bytes = static_cast<std::size_t>(run.end - run.begin);
  reserve_refs(1);
  Chunk* c = new_chunk(capacity_for(bytes));
  std::memcpy(c->data(), run.begin, bytes);
  c->end = static_cast<std::uint32_t>(bytes);
  insert_ref(chunks_, {c, static_cast<std::uint32_t>(run.count)});
  size_ += run.count;
}

Run ListDeque::small_run(std::size_t bytes_max) const noexcept {
  if (chunks_ != 1 || ref(0).is_cold() || ref(0).chunk->used() > bytes_max) {
    return {nullptr, nullptr, 0};
  }
  return run_of(ref(0));
}

// --- removing ---

void ListDeque::erase_inside(std::size_t chunk, std::size_t index, std::size_t count) noexcept {
  Ref& r = ref(chunk);
  if (r.is_cold()) {
    r.cold().erase(index, count);
    r.count -= static_cast<std::uint32_t>(count);
    return thin(r);
  }
  const Run run = run_of(r);
  unsigned char* from = run.find(index);
  unsigned char* to = from;
  if (index + count == r.count) {
    to = run.end;
  } else {
    const unsigned char* p = from;
    for (std::size_t i = 0; i < count; ++i) packed::read_list_element(p);
    to = const_cast<unsigned char*>(p);
  }
  const auto bytes = static_cast<std::uint32_t>(to - from);
  if (from - run.begin < run.end - to) {
    std::memmove(run.begin + bytes, run.begin, static_cast<std::size_t>(from - run.begin));
    r.chunk->begin += bytes;
  } else {
    std::memmove(from, to, static_cast<std::size_t>(run.end - to));
    r.chunk->end -= bytes;
  }
  r.count -= static_cast<std::uint32_t>(count);
}

/// Moves b's elements behind a's and frees b, if both are raw and a then is not too full.
bool ListDeque::join(Ref& a, const Ref& b) noexcept {
  if (a.is_cold() || b.is_cold()) return false;
  const std::size_t together = a.chunk->used() + b.chunk->used();
  if (together > a.chunk->capacity / 4 * 3) return false;
  Chunk& c = *a.chunk;
  const std::size_t used = c.used();
  std::memmove(c.data(), c.data() + c.begin, used);
  std::memcpy(c.data() + used, b.chunk->data() + b.chunk->begin, b.chunk->used());
  c.begin = 0;
  c.end = static_cast<std::uint32_t>(together);
  a.count += b.count;
  a.state = State::raw;
  free_chunk(b.chunk);
  return true;
}

/// After a removal from many chunks: frees empty ones and joins neighbours, in one pass over the
/// ring; what that made is cooled.
void ListDeque::compact() noexcept {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < chunks_; ++i) {
    Ref r = ref(i);
    if (r.count == 0) {
      free_ref(r);
      continue;
    }
    if (r.is_cold()) thin(r);
    if (kept == 0 || !join(ref(kept - 1), r)) ref(kept++) = r;
  }
  chunks_ = kept;
  for (std::size_t i = 0; i < chunks_; ++i) {
    if (!ref(i).touched) cool(i);
  }
  open_ends();
}

void ListDeque::erase(std::size_t index, std::size_t count) noexcept {
  if (count == 0) return;
  Position p = locate(index);
  size_ -= count;
  if (p.index != 0) {
    const std::size_t here =
        std::min(count, static_cast<std::size_t>(ref(p.chunk).count) - p.index);
    erase_inside(p.chunk, p.index, here);
    count -= here;
    ++p.chunk;
  }
  std::size_t whole = 0;
  for (; count != 0 && count >= ref(p.chunk + whole).count; ++whole) {
    count -= static_cast<std::size_t>(ref(p.chunk + whole).count);
    free_ref(ref(p.chunk + whole));
  }
  remove_refs(p.chunk, whole);
  if (count != 0) erase_inside(p.chunk, 0, count);
  // At the ends a chunk that empties is the usual case of a queue: nothing to join there.
  if (p.chunk != 0 && p.chunk < chunks_ && join(ref(p.chunk - 1), ref(p.chunk))) {
    remove_refs(p.chunk, 1);
  }
  open_ends();
}

/// Removes matching elements of one chunk, the first ones or the last ones; its count stays.
std::size_t ListDeque::remove_inside(Ref& r, bool from_tail, std::size_t limit,
                                     FunctionRef<bool(const Scalar&)> match) noexcept {
  if (r.is_cold()) return r.cold().remove_matching(from_tail, limit, match);
  Run run = run_of(r);
  const std::size_t hits = from_tail ? packed::count_matching(run, match) : 0;
  const std::size_t skip = hits > limit ? hits - limit : 0;
  const std::size_t gone = packed::remove_matching(run, skip, limit, match);
  r.chunk->end = static_cast<std::uint32_t>(run.end - r.chunk->data());
  return gone;
}

std::size_t ListDeque::remove(std::int64_t count, FunctionRef<bool(const Scalar&)> match) noexcept {
  const bool from_tail = count < 0;
  std::uint64_t left = count == 0 ? UINT64_MAX
                                  : (from_tail ? 0 - static_cast<std::uint64_t>(count)
                                               : static_cast<std::uint64_t>(count));
  std::size_t gone = 0;
  for (std::size_t n = 0; n < chunks_ && left != 0; ++n) {
    Ref& r = ref(from_tail ? chunks_ - 1 - n : n);
    const std::size_t here = remove_inside(r, from_tail, static_cast<std::size_t>(left), match);
    r.count -= static_cast<std::uint32_t>(here);
    left -= here;
    gone += here;
  }
  size_ -= gone;
  if (gone != 0) compact();
  return gone;
}

}  // namespace kv
