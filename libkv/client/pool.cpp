// Connections for threads. One mutex guards the list of idle ones; nobody waits for a network while
// holding it.
#include <condition_variable>
#include <mutex>

#include "libkv/client/address.hpp"
#include "libkv/client/connection_impl.hpp"
#include "libkv/client/kv/client.hpp"

namespace kv::client {

struct Pool::Impl {
  Impl(Options o, std::size_t n) : options(std::move(o)), connections_max(n == 0 ? 1 : n) {}

  void give_back(std::optional<Connection> connection) noexcept;
  Result<Connection> open_one();

  const Options options;
  const std::size_t connections_max;
  mutable std::mutex mutex;
  std::condition_variable freed;
  std::vector<Connection> idle;
  std::size_t open = 0;  // idle and lent ones
};

void Pool::Impl::give_back(std::optional<Connection> connection) noexcept {
  // Nothing of one thread's session may show up in the next one's.
  const auto fit = [](Connection& c) {
    if (!c.connected()) return false;  // lost, or moved away with all that is inside
    const Access::Impl& inside = Access::of(c);
    return !inside.in_multi && !inside.watching && !inside.subscribed &&
           inside.handshake_replies == 0 && !inside.changed_session;
  };
  if (connection && !fit(*connection)) connection.reset();
  if (connection) connection->set_timeout(options.timeout);
  const std::lock_guard lock(mutex);
  if (connection) idle.push_back(std::move(*connection));
  else --open;
  freed.notify_one();
}

/// A connection for a place that is counted already, and free again however this fails.
Result<Connection> Pool::Impl::open_one() {
  struct Place {
    Impl& pool;
    bool taken = false;
    ~Place() {
      if (!taken) pool.give_back(std::nullopt);
    }
  } place{*this};
  auto connection = Connection::open(options);
  place.taken = connection.ok();
  return connection;
}

Pool::Pool(Options options, std::size_t connections_max)
    : impl_(std::make_unique<Impl>(std::move(options), connections_max)) {}
Pool::~Pool() = default;

Result<Pool::Lease> Pool::lease() {
  const Deadline deadline = deadline_after(impl_->options.timeout);
  {
    std::unique_lock lock(impl_->mutex);
    const auto available = [this] {
      return !impl_->idle.empty() || impl_->open < impl_->connections_max;
    };
    if (deadline == Deadline::max()) {
      impl_->freed.wait(lock, available);
    } else if (!impl_->freed.wait_until(lock, deadline, available)) {
      return Error{ErrorCode::timeout, "all connections of the pool are in use"};
    }
    if (!impl_->idle.empty()) {
      Connection connection = std::move(impl_->idle.back());
      impl_->idle.pop_back();
      return Lease(this, std::move(connection));
    }
    impl_->idle.reserve(impl_->open + 1);  // giving it back must not need memory
    ++impl_->open;
  }
  auto connection = impl_->open_one();
  if (!connection) return connection.error();
  return Lease(this, *std::move(connection));
}

Result<Value> Pool::call(Arguments arguments) {
  auto connection = lease();
  if (!connection) return connection.error();
  return (*connection)->call(arguments);
}

Result<Value> Pool::call(std::initializer_list<std::string_view> arguments) {
  return call(Arguments(arguments.begin(), arguments.size()));
}

std::size_t Pool::open_connections() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->open;
}

Pool::Lease::Lease(Pool* pool, Connection connection) noexcept
    : pool_(pool), connection_(std::move(connection)) {}

Pool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), connection_(std::move(other.connection_)) {
  other.connection_.reset();
}

Pool::Lease& Pool::Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  if (pool_ != nullptr) pool_->impl_->give_back(std::move(connection_));
  pool_ = std::exchange(other.pool_, nullptr);
  connection_ = std::move(other.connection_);
  other.connection_.reset();
  return *this;
}

Pool::Lease::~Lease() {
  if (pool_ != nullptr) pool_->impl_->give_back(std::move(connection_));
}

}  // namespace kv::client
