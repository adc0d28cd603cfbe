// See fault_env.hpp.
#include "tests/unit/fault_env.hpp"

#include <algorithm>
#include <thread>

namespace kv::test {

namespace {

constexpr std::size_t block_bytes = 512;

Status failed(int error, const std::string& what) { return Status::from_errno(error, what); }

/// Is this a name in the folder itself? A folder's own name ends with a slash; "data/.." holds that
/// of data.
bool is_in(std::string_view path, const std::string& folder) {
  if (path.ends_with('/')) path.remove_suffix(1);
  if (folder.ends_with("/..")) return path.find('/') == std::string_view::npos;
  return path.starts_with(folder + "/") && path.find('/', folder.size() + 1) == path.npos;
}

class CopyMapping final : public Mapping {
 public:
  explicit CopyMapping(std::string data) : data_(std::move(data)) { bytes_ = data_; }

 private:
  std::string data_;
};

class NoLock final : public DirectoryLock {};

}  // namespace

class FaultFile final : public File {
 public:
  FaultFile(FaultEnv& env, std::string path, std::shared_ptr<FaultEnv::Node> node, bool can_write)
      : File(std::move(path)), env_(env), node_(std::move(node)), can_write_(can_write) {}

  std::int64_t write_some(const char* bytes, std::size_t size) noexcept override {
    const std::lock_guard<std::recursive_mutex> lock(env_.mutex_);
    if (env_.interrupts && env_.interrupt_turn_++ % 2 == 0) return -EINTR;
    bool half = false;
    if (const int error = env_.count("write", path(), half); error != 0 && !half) return -error;
    if (!can_write_) return -EBADF;
    if (half) size /= 2;
    size = std::min(size, env_.write_max);
    const std::uint64_t used = env_.used();
    const std::uint64_t free = env_.room > used ? env_.room - used : 0;
    if (free == 0 && size > 0) return -ENOSPC;
    size = std::min<std::size_t>(size, free);
    node_->data.append(bytes, size);
    return half ? -EIO : static_cast<std::int64_t>(size);
  }
  std::int64_t read_some(char* bytes, std::size_t size) noexcept override {
    const std::size_t n = std::min(size, node_->data.size() - std::min(at_, node_->data.size()));
    node_->data.copy(bytes, n, at_);
    at_ += n;
    return static_cast<std::int64_t>(n);
  }
  int sync_data() noexcept override {
    while (env_.sync_hangs.load()) std::this_thread::yield();
    const std::lock_guard<std::recursive_mutex> lock(env_.mutex_);
    bool half = false;
    if (const int error = env_.count("sync", path(), half); error != 0) return error;
    if (!env_.sync_lies) node_->on_disk = node_->data;
    return 0;
  }
  int truncate(std::uint64_t size) noexcept override {
    const std::lock_guard<std::recursive_mutex> lock(env_.mutex_);
    bool half = false;
    if (const int error = env_.count("truncate", path(), half); error != 0) return error;
    node_->data.resize(size);
    return 0;
  }
  int allocate(std::uint64_t, std::uint64_t) noexcept override { return 0; }
  int info(FileInfo& out) const noexcept override {
    const std::lock_guard<std::recursive_mutex> lock(env_.mutex_);
    out.size = node_->data.size();
    out.links = node_->links;
    out.inode = node_->inode;
    out.device = 1;
    out.regular = true;
    return 0;
  }

 private:
  FaultEnv& env_;
  std::shared_ptr<FaultEnv::Node> node_;
  bool can_write_;
  std::size_t at_ = 0;
};

int FaultEnv::count(const char* what, const std::string& path, bool& half) {
  half = false;
  if (dead) return EIO;
  if (!only.empty() && only != what) return 0;
  ++calls;
  trace.push_back(std::string(what) + " " + path);
  const bool fires = calls == fault_at || (fault_stays && calls > fault_at && fault_at != 0);
  if (!fires || fault == Fault::none) return 0;
  if (fault == Fault::error) return error_number;
  dead = true;
  half = fault == Fault::die_halfway && std::string_view(what) == "write";
  return EIO;
}

void FaultEnv::make_root(const std::string& path) { put(path + "/", {}); }

std::shared_ptr<FaultEnv::Node> FaultEnv::find(const std::string& path) const {
  const auto at = entries_.find(path);
  return at == entries_.end() ? nullptr : at->second;
}

void FaultEnv::put(const std::string& path, std::string bytes) {
  auto node = std::make_shared<Node>();
  node->data = node->on_disk = std::move(bytes);
  node->inode = next_inode_++;
  entries_[path] = entries_on_disk_[path] = std::move(node);
}

std::string& FaultEnv::contents(const std::string& path) {
  const auto node = find(path);
  if (node == nullptr) put(path, {});
  return find(path)->data;
}

std::string FaultEnv::on_disk(const std::string& path) {
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  const auto node = find(path);
  return node == nullptr ? std::string() : node->on_disk;
}

void FaultEnv::settle() {
  entries_on_disk_ = entries_;
  for (auto& [path, node] : entries_) node->on_disk = node->data;
}

std::uint64_t FaultEnv::used() const {
  std::uint64_t bytes = 0;
  for (const auto& [path, node] : entries_) bytes += node->data.size();
  return bytes;
}

std::unique_ptr<FaultEnv> FaultEnv::copy() const {
  auto other = std::make_unique<FaultEnv>();
  other->entries_.clear();
  std::map<const Node*, std::shared_ptr<Node>> copies;
  for (const auto& [path, node] : entries_) {
    auto& made = copies[node.get()];
    if (made == nullptr) made = std::make_shared<Node>(*node);
    other->entries_[path] = made;
  }
  other->next_inode_ = next_inode_;
  other->settle();
  return other;
}

/// Open files of the dead process must not reach the files of the next one.
void FaultEnv::forget_processes() {
  std::map<const Node*, std::shared_ptr<Node>> copies;
  for (Entries* entries : {&entries_, &entries_on_disk_}) {
    for (auto& [path, node] : *entries) {
      auto& made = copies[node.get()];
      if (made == nullptr) made = std::make_shared<Node>(*node);
      made->links = 0;
      node = made;
    }
  }
  for (auto& [path, node] : entries_) ++node->links;
  dead = false;
  fault = Fault::none;
  room = UINT64_MAX;
  calls = 0;
  trace.clear();
}

void FaultEnv::restart() {
  forget_processes();
  settle();
}

void FaultEnv::power_failure() {
  // What is in a folder goes with the folder.
  std::erase_if(entries_on_disk_, [this](const auto& entry) {
    const std::size_t slash = entry.first.rfind('/');
    return slash != std::string::npos &&
           !entries_on_disk_.contains(entry.first.substr(0, slash + 1));
  });
  entries_ = entries_on_disk_;
  for (auto& [path, node] : entries_) node->data = node->on_disk;
  restart();
}

void FaultEnv::power_failure_with_some_blocks(std::mt19937_64& random) {
  // Names: each change that was not synced is there or not.
  Entries survived = entries_on_disk_;
  for (const auto& [path, node] : entries_) {
    if (random() % 2 == 0) survived[path] = node;
  }
  for (auto& [path, node] : survived) {
    std::string after = node->on_disk;
    if (node->data.size() > after.size() && random() % 2 == 0) {
      after.resize(after.size() + random() % (node->data.size() - after.size() + 1));
      for (std::size_t at = node->on_disk.size() / block_bytes * block_bytes; at < after.size();
           at += block_bytes) {
        if (random() % 4 == 0) continue;  // this block was not written: zeros
        const std::size_t from = std::max(at, node->on_disk.size());
        const std::size_t end = std::min(at + block_bytes, after.size());
        if (from < end) after.replace(from, end - from, node->data, from, end - from);
      }
    }
    node->data = after;
  }
  entries_ = std::move(survived);
  restart();
}

// --- Env ---

Result<std::unique_ptr<File>> FaultEnv::open(const std::string& path, Open how) {
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  std::shared_ptr<Node> node = find(path);
  if (how == Open::create_new) {
    bool half = false;
    if (const int error = count("create", path, half); error != 0) {
      return failed(error, "cannot open " + path);
    }
    if (node != nullptr) return failed(EEXIST, "cannot open " + path);
    node = std::make_shared<Node>();
    node->inode = next_inode_++;
    entries_[path] = node;
  }
  if (node == nullptr) return failed(ENOENT, "cannot open " + path);
  if (how == Open::append && node->links > 1) return Status{Code::denied, path + " has a link"};
  return std::unique_ptr<File>(std::make_unique<FaultFile>(*this, path, node, how != Open::read));
}

Result<std::unique_ptr<Mapping>> FaultEnv::map(const std::string& path) {
  const auto node = find(path);
  if (node == nullptr) return failed(ENOENT, "cannot map " + path);
  if (const auto at = unreadable.find(path); at != unreadable.end()) {
    return failed(at->second, "cannot map " + path);
  }
  return std::unique_ptr<Mapping>(std::make_unique<CopyMapping>(node->data));
}

Result<FileInfo> FaultEnv::stat(const std::string& path) {
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  FileInfo info;
  if (const auto folder = find(path + "/"); folder != nullptr) {
    info.directory = true;
    return info;
  }
  const auto node = find(path);
  if (node == nullptr) return failed(ENOENT, "cannot look at " + path);
  info.size = node->data.size();
  info.links = node->links;
  info.inode = node->inode;
  info.device = 1;
  info.modified_ns = node->modified_ns;
  info.regular = true;
  return info;
}

Result<std::vector<std::string>> FaultEnv::list(const std::string& folder) {
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [path, node] : entries_) {
    if (!path.starts_with(folder + "/") || path.size() == folder.size() + 1) continue;
    const std::string name = path.substr(folder.size() + 1);
    if (name.find('/') == std::string::npos) names.push_back(name);
  }
  return names;
}

Status FaultEnv::rename(const std::string& from, const std::string& to) {
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  bool half = false;
  if (const int error = count("rename", from, half); error != 0) return failed(error, from);
  const auto node = find(from);
  if (node == nullptr) return failed(ENOENT, "cannot rename " + from);
  if (const auto old = find(to); old == node) return {};
  else if (old != nullptr) --old->links;
  entries_[to] = node;
  entries_.erase(from);
  return {};
}

Status FaultEnv::link(const std::string& from, const std::string& to) {
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  bool half = false;
  if (const int error = count("link", from, half); error != 0) return failed(error, from);
  const auto node = find(from);
  if (node == nullptr) return failed(ENOENT, "cannot link " + from);
  if (find(to) != nullptr) return failed(EEXIST, "cannot link " + from);
  ++node->links;
  entries_[to] = node;
  return {};
}

Status FaultEnv::remove(const std::string& path) {
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  const auto node = find(path);
  if (node == nullptr) return failed(ENOENT, "cannot remove " + path);
  bool half = false;
  if (const int error = count("remove", path, half); error != 0) return failed(error, path);
  --node->links;
  entries_.erase(path);
  return {};
}

Status FaultEnv::make_directory(const std::string& path) {
  if (find(path + "/") != nullptr) return failed(EEXIST, "cannot make " + path);
  bool half = false;
  if (const int error = count("make_directory", path, half); error != 0) return failed(error, path);
  auto node = std::make_shared<Node>();
  node->inode = next_inode_++;
  entries_[path + "/"] = std::move(node);
  return {};
}

Status FaultEnv::sync_directory(const std::string& folder) {
  const std::lock_guard<std::recursive_mutex> lock(mutex_);
  bool half = false;
  if (const int error = count("sync_directory", folder, half); error != 0) {
    return failed(error, "cannot sync " + folder);
  }
  std::erase_if(entries_on_disk_, [&](const auto& entry) { return is_in(entry.first, folder); });
  for (const auto& [path, node] : entries_) {
    if (is_in(path, folder)) entries_on_disk_[path] = node;
  }
  return {};
}

Result<std::unique_ptr<DirectoryLock>> FaultEnv::lock_directory(const std::string&) {
  return std::unique_ptr<DirectoryLock>(std::make_unique<NoLock>());
}

}  // namespace kv::test
