// See bulk.hpp. Boost.Interprocess's names are opened with explicit permissions (its default is
// 0644) and never with open_or_create (it would take a stale, smaller segment in silence).
#include "libkv/process/bulk.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/interprocess/shared_memory_object.hpp>
#include <cerrno>
#include <cstring>
#include <limits>

namespace kv {
namespace {

namespace ipc = boost::interprocess;

/// Lets mapped_region take a descriptor that came over a socket.
struct DescriptorMapping {
  int fd;
  ipc::mapping_handle_t get_mapping_handle() const {
    return ipc::ipcdetail::mapping_handle_from_file_handle(fd);
  }
};

bool has_right_size(int fd) noexcept {
  struct stat facts {};
  return ::fstat(fd, &facts) == 0 && facts.st_size == static_cast<off_t>(bulk_segment_bytes);
}

}  // namespace

void append_bulk_frame(std::string& out, FrameKind kind, std::uint32_t connection,
                       std::uint8_t flags, std::uint64_t offset, std::size_t bytes) {
  append_header(out, {bulk_reference_bytes, connection, kind, flags, 0});
  const auto narrow = static_cast<std::uint32_t>(bytes);
  out.append(reinterpret_cast<const char*>(&offset), sizeof offset);
  out.append(reinterpret_cast<const char*>(&narrow), sizeof narrow);
}

bool read_bulk_reference(std::string_view payload, std::uint64_t& offset,
                         std::uint32_t& bytes) noexcept {
  if (payload.size() != bulk_reference_bytes) return false;
  std::memcpy(&offset, payload.data(), sizeof offset);
  std::memcpy(&bytes, payload.data() + sizeof offset, sizeof bytes);
  return true;
}

Result<Fd> BulkSegment::create(const std::string& name) {
  try {
    const ipc::permissions mode(0600);
    ipc::shared_memory_object memory(ipc::create_only, name.c_str(), ipc::read_write, mode);
    const int descriptor = memory.get_mapping_handle().handle;
    // All its room now: a page that is not there when it is first written ends the process that
    // writes (SIGBUS), be it the sibling.
    if (const int error = ::posix_fallocate(descriptor, 0, bulk_segment_bytes); error != 0) {
      remove(name);
      return Status::from_errno(error, "no room for shared memory, large values take the pipe");
    }
    // A child gets this descriptor and may write(), though not seek. Behind the last place there is
    // no room, so that whoever has taken it over cannot make the file grow.
    ::lseek(descriptor, std::numeric_limits<off_t>::max(), SEEK_SET);
    return Fd(::fcntl(descriptor, F_DUPFD_CLOEXEC, 3));
  } catch (const ipc::interprocess_exception& error) {
    return Status(Code::no_space, "cannot make shared memory " + name + ": " + error.what());
  }
}

void BulkSegment::remove(const std::string& name) noexcept {
  ipc::shared_memory_object::remove(name.c_str());
}

Result<std::unique_ptr<BulkSegment>> BulkSegment::map(Fd fd, bool child_side) {
  if (!has_right_size(fd.get())) return Status(Code::protocol, "shared memory of a wrong size");
  try {
    ipc::mapped_region region(DescriptorMapping{fd.get()}, ipc::read_write, 0, bulk_segment_bytes);
    return std::unique_ptr<BulkSegment>(new BulkSegment(std::move(region), child_side));
  } catch (const ipc::interprocess_exception& error) {
    return Status(Code::no_space, std::string("cannot map shared memory: ") + error.what());
  }
}

Result<std::unique_ptr<BulkSegment>> BulkSegment::open(const std::string& name) {
  try {
    ipc::shared_memory_object memory(ipc::open_only, name.c_str(), ipc::read_write);
    remove(name);
    return map(Fd(::fcntl(memory.get_mapping_handle().handle, F_DUPFD_CLOEXEC, 3)), false);
  } catch (const ipc::interprocess_exception& error) {
    return Status(Code::not_found, "cannot open shared memory " + name + ": " + error.what());
  }
}

std::optional<std::uint64_t> BulkSegment::take(std::size_t bytes) noexcept {
  for (std::size_t i = 0; i < own_.size(); ++i) {
    Slot& slot = own_[i];
    if (bulk_slot_bytes - slot.used < bytes) continue;
    const std::size_t offset = (first_slot(child_side_) + i) * bulk_slot_bytes + slot.used;
    slot.used += bytes;
    ++slot.pieces;
    return offset;
  }
  return std::nullopt;
}

bool BulkSegment::has_room(std::size_t bytes) const noexcept {
  return std::any_of(own_.begin(), own_.end(),
                     [bytes](const Slot& slot) { return bulk_slot_bytes - slot.used >= bytes; });
}

std::optional<std::uint64_t> BulkSegment::keep() noexcept {
  const auto kept = std::count_if(own_.begin(), own_.end(), [](const Slot& s) { return s.kept; });
  if (static_cast<std::size_t>(kept) + 1 >= own_.size()) return std::nullopt;
  const auto offset = take(bulk_slot_bytes);
  if (offset) own_[*slot_of(*offset, child_side_)].kept = true;
  return offset;
}

void BulkSegment::hand_over(std::uint64_t offset) noexcept {
  own_[*slot_of(offset, child_side_)].kept = false;
}

char* BulkSegment::at(std::uint64_t offset) noexcept {
  return static_cast<char*>(region_.get_address()) + offset;
}

std::optional<std::size_t> BulkSegment::slot_of(std::uint64_t offset, bool of_child) noexcept {
  const std::size_t slot = offset / bulk_slot_bytes, first = first_slot(of_child);
  if (slot < first || slot - first >= slots(of_child)) return std::nullopt;
  return slot - first;
}

bool BulkSegment::give_back(std::uint64_t offset) noexcept {
  const auto slot = slot_of(offset, child_side_);
  if (!slot || own_[*slot].pieces == 0) return false;
  if (--own_[*slot].pieces == 0) own_[*slot] = {};
  return true;
}

std::optional<std::string_view> BulkSegment::view(std::uint64_t offset,
                                                  std::size_t bytes) const noexcept {
  if (!slot_of(offset, !child_side_)) return std::nullopt;
  if (bytes > bulk_slot_bytes - offset % bulk_slot_bytes) return std::nullopt;
  return std::string_view(static_cast<const char*>(region_.get_address()) + offset, bytes);
}

}  // namespace kv
