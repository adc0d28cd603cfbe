// Deflating, inflating and the buffers. See cold_chunk.hpp.
#include "libkv/keyspace/cold_chunk.hpp"

#include <zlib.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace kv {

using packed::Run;

namespace {

// --- zlib ---

// From the arena, so that the tests' failing allocations show that reading needs none. zlib frees
// without the size, so it is in front.
constexpr std::size_t size_bytes = 16;
voidpf allocate(voidpf, uInt items, uInt size) {
  const std::size_t bytes = std::size_t{items} * size + size_bytes;
  auto* p = static_cast<unsigned char*>(arena().try_allocate(bytes));
  if (p == nullptr) return Z_NULL;
  store(p, bytes);
  return p + size_bytes;
}
void deallocate(voidpf, voidpf memory) {
  unsigned char* p = static_cast<unsigned char*>(memory) - size_bytes;
  arena().deallocate(p, load<std::size_t>(p));
}

struct Zlib {
  z_stream deflater, inflater;
  bool ready = false;
  unsigned char out[ColdChunk::raw_bytes_max];

  /// False without memory; the next call tries again.
  bool prepare() noexcept {
    if (ready) return true;
    // Raw; 8 KiB are all there is, so more places for them than 16 KiB would only be cleared each
    // time.
    constexpr int level = 1, window_bits = 13, memory_level = 6;
    deflater = inflater = z_stream{};
    deflater.zalloc = inflater.zalloc = allocate;
    deflater.zfree = inflater.zfree = deallocate;
    if (::deflateInit2(&deflater, level, Z_DEFLATED, -window_bits, memory_level,
                       Z_DEFAULT_STRATEGY) != Z_OK) {
      return false;
    }
    ready = ::inflateInit2(&inflater, -window_bits) == Z_OK;
    if (!ready) ::deflateEnd(&deflater);
    return ready;
  }
  /// Bytes in out, or 0 if they would be more than max.
  std::size_t deflate(const Run& run, std::size_t max) noexcept {
    ::deflateReset(&deflater);
    deflater.next_in = run.begin;
    deflater.avail_in = static_cast<uInt>(run.end - run.begin);
    deflater.next_out = out;
    deflater.avail_out = static_cast<uInt>(max);
    return ::deflate(&deflater, Z_FINISH) == Z_STREAM_END ? max - deflater.avail_out : 0;
  }
  void inflate(const unsigned char* from, std::size_t bytes, unsigned char* to,
               std::size_t raw_bytes) noexcept {
    ::inflateReset(&inflater);
    inflater.next_in = const_cast<unsigned char*>(from);
    inflater.avail_in = static_cast<uInt>(bytes);
    inflater.next_out = to;
    inflater.avail_out = static_cast<uInt>(raw_bytes);
    // Nobody else has written the block: if it cannot be read, memory is damaged.
    if (::inflate(&inflater, Z_FINISH) != Z_STREAM_END || inflater.avail_out != 0) std::abort();
  }
};
Zlib zlib;

// --- the blocks opened last ---

struct Buffer {
  const ColdChunk* chunk = nullptr;  // whose elements it holds
  Run run{};
  std::uint64_t used = 0;   // when, counted in uses
  std::size_t readers = 0;  // of type Reading
  unsigned char bytes[ColdChunk::raw_bytes_max];
};
constexpr std::size_t pinned_max = 3, buffer_count = pinned_max + 3;
Buffer buffers[buffer_count];
std::uint64_t uses = 0;
std::size_t pinned = 0;

Buffer& buffer_of(const ColdChunk& chunk) noexcept {
  Buffer* oldest = nullptr;
  for (Buffer& b : buffers) {
    if (b.chunk == &chunk) {
      b.used = ++uses;
      return b;
    }
    if (b.readers == 0 && (oldest == nullptr || b.used < oldest->used)) oldest = &b;
  }
  oldest->run = chunk.inflate(oldest->bytes);
  oldest->chunk = &chunk;
  oldest->used = ++uses;
  return *oldest;
}

void forget(const ColdChunk& chunk) noexcept {
  for (Buffer& b : buffers) {
    if (b.chunk == &chunk) b.chunk = nullptr;
  }
}

}  // namespace

// --- making ---

ColdChunk::Outcome ColdChunk::create(Pool& pool, const Run& run, std::size_t held,
                                     ColdChunk*& made) noexcept {
  const std::size_t marks = (run.count + 7) / 8;
  const std::size_t max = Arena::rounded(held) / 4 * 3;
  if (max <= sizeof(ColdChunk) + marks) return Outcome::too_large;
  if (!zlib.prepare()) return Outcome::no_memory;
  const std::size_t deflated = zlib.deflate(run, max - sizeof(ColdChunk) - marks);
  const std::size_t bytes = sizeof(ColdChunk) + deflated + marks;
  if (deflated == 0 || Arena::rounded(bytes) > max) return Outcome::too_large;
  void* memory = pool.try_allocate(bytes);
  if (memory == nullptr) return Outcome::no_memory;
  made = new (memory) ColdChunk;
  made->raw_bytes_ = static_cast<std::uint32_t>(run.end - run.begin);
  made->deflated_bytes_ = static_cast<std::uint32_t>(deflated);
  made->elements_ = static_cast<std::uint32_t>(run.count);
  made->removed_ = 0;
  std::memcpy(made->data(), zlib.out, deflated);
  std::memset(made->data() + deflated, 0, marks);
  return Outcome::made;
}

void ColdChunk::destroy(ColdChunk* chunk, Pool& pool) noexcept {
  forget(*chunk);
  pool.deallocate(chunk, chunk->bytes());
}

// --- reading ---

Run ColdChunk::inflate(unsigned char* to) const noexcept {
  zlib.inflate(data(), deflated_bytes_, to, raw_bytes_);
  Run run{to, to + raw_bytes_, elements_};
  if (removed_ == 0) return run;
  std::size_t i = 0;
  packed::remove_matching(run, 0, removed_, [this, &i](const Scalar&) { return removed(i++); });
  return run;
}

Run ColdChunk::peek() const noexcept { return buffer_of(*this).run; }

ColdChunk::Reading::Reading(const ColdChunk& chunk) noexcept : pinned_(nullptr) {
  // Some buffers stay free for peek(), however deeply walks are nested.
  if (pinned == pinned_max) {
    run_ = chunk.inflate(own_);
    return;
  }
  Buffer& b = buffer_of(chunk);
  ++b.readers;
  ++pinned;
  pinned_ = &b;
  run_ = b.run;
}

ColdChunk::Reading::~Reading() {
  if (pinned_ == nullptr) return;
  --static_cast<Buffer*>(pinned_)->readers;
  --pinned;
}

// --- removing ---

void ColdChunk::mark(std::size_t i) noexcept {
  unsigned char& byte = data()[deflated_bytes_ + i / 8];
  byte = static_cast<unsigned char>(byte | 1u << (i % 8));
  ++removed_;
}

void ColdChunk::erase(std::size_t index, std::size_t count) noexcept {
  forget(*this);
  for (std::size_t i = 0; count != 0; ++i) {
    if (removed(i)) continue;
    if (index != 0) {
      --index;
    } else {
      mark(i);
      --count;
    }
  }
}

std::size_t ColdChunk::remove_matching(bool from_tail, std::size_t limit,
                                       FunctionRef<bool(const Scalar&)> match) noexcept {
  const Reading reading(*this);
  const Run& run = reading.run();
  const std::size_t hits = from_tail ? packed::count_matching(run, match) : 0;
  std::size_t skip = hits > limit ? hits - limit : 0, gone = 0, i = 0;
  for (const unsigned char* p = run.begin; p != run.end && gone < limit; ++i) {
    while (removed(i)) ++i;
    // What was marked a moment ago is behind: the run is as it was before.
    if (!match(packed::read_list_element(p))) continue;
    if (skip != 0) {
      --skip;
    } else {
      mark(i);
      ++gone;
    }
  }
  if (gone != 0) forget(*this);
  return gone;
}

}  // namespace kv
