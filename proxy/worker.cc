// SPDX-License-Identifier: Apache-2.0
#include "proxy/worker.h"

#include <algorithm>
#include <future>

#include "base/log.h"
#include "proxy/client_address.h"
#include "proxy/serve.h"

namespace headgate::proxy {
namespace {

constexpr Duration kLogFlush = std::chrono::milliseconds(100);
constexpr unsigned kFlushesPerSweep = 10;
constexpr Duration kBreakOffRound = std::chrono::milliseconds(50);
constexpr Duration kDrainRound = std::chrono::milliseconds(50);
/// For kept connections of a worker that retires: whoever uses one often is told on an answer, and does not find it
/// closed under a request that is on its way.
constexpr Duration kLastChance = std::chrono::seconds(5);

/// One relaxed writer: no locked instruction on the path.
void bump(std::atomic<std::uint64_t>& counter, std::uint64_t by) {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

}  // namespace

Worker::Worker(std::size_t index, Shared& shared)
    : index_(index),
      shared_(shared),
      log_(shared.access_log),
      upstreams_(loop_, index, shared.monitor),
      shared_limits_(loop_, shared.limits,
                     [this](std::string host, std::uint16_t port) { return resolve(std::move(host), port); }),
      verifier_(loop_, shared.passwords),
      accepting_(loop_),
      serving_(loop_),
      mirrors_(loop_),
      housekeeping_(loop_),
      house_alarm_(loop_),
      drain_alarm_(loop_) {}

Worker::~Worker() {
  join();
}

// --- life, from the main thread -------------------------------------------------------------------------------------

void Worker::start(std::shared_ptr<const Generation> generation, const BoundListeners& listeners) {
  housekeeping_.spawn(keep_house());
  shared_.monitor.subscribe(loop_, [this] { upstreams_.changes.happened(); });
  thread_ = std::thread([this] { loop_.run(); });
  try {
    adopt(std::move(generation), listeners);
  } catch (...) {
    stop(Clock::now());
    join();
    throw;
  }
}

void Worker::apply(std::shared_ptr<const Generation> generation, const BoundListeners& listeners) {
  adopt(std::move(generation), listeners);
}

void Worker::adopt(std::shared_ptr<const Generation> generation, const BoundListeners& listeners) {
  std::promise<void> done;
  loop_.post([&] {
    try {
      adopt_on_loop(generation, listeners);
      done.set_value();
    } catch (...) {
      done.set_exception(std::current_exception());
    }
  });
  done.get_future().get();
}

void Worker::adopt_on_loop(const std::shared_ptr<const Generation>& generation, const BoundListeners& listeners) {
  generation_ = WorkerGenerationRef(new WorkerGeneration(generation, upstreams_, shared_.tickets, shared_.metrics,
                                                         shared_.limits, shared_limits_));
  if (names_) names_->configure(generation->config.dns);
  shared_limits_.configure(generation->shares_limits() ? &*generation->config.redis : nullptr);
  https_port_ = 0;
  for (const auto& listener : listeners) {
    if (listener->config.tls && https_port_ == 0) https_port_ = listener->local.port();
  }
  if (draining_) return;
  for (auto& acceptor : acceptors_) {
    const bool wanted = std::any_of(listeners.begin(), listeners.end(), [&](const auto& listener) {
      return listener->sockets == acceptor->listener()->sockets;
    });
    if (!wanted) acceptor->cancel();  // its task takes what is queued and then frees it
  }
  for (const auto& listener : listeners) {
    bool known = false;
    for (auto& acceptor : acceptors_) {
      if (acceptor->listener()->sockets != listener->sockets || acceptor->cancelled()) continue;
      acceptor->accept_for(listener);
      known = true;
    }
    if (!known) accept_on(listener);
  }
}

void Worker::accept_on(const std::shared_ptr<const BoundListener>& listener) {
  const auto& sockets = *listener->sockets;
  const bool shared = sockets.size() < shared_.workers;
  for (auto& socket : sockets.share_of(index_, shared_.workers)) {
    acceptors_.push_back(std::make_unique<Acceptor>(loop_, listener, std::move(socket), shared));
    accepting_.spawn(accept_from(*acceptors_.back()));
  }
}

void Worker::stop(TimePoint deadline) {
  loop_.post([this, deadline] { begin_end(deadline); });
}

void Worker::retire(std::function<void(Retired)> reached) {
  loop_.post([this, reached = std::move(reached)]() mutable {
    retired_ = std::move(reached);
    begin_end(kNoDeadline);
  });
}

void Worker::begin_end(TimePoint deadline) {
  drain_deadline_ = std::min(drain_deadline_, deadline);
  if (draining_) {
    drain_alarm_.set();
    return;
  }
  draining_ = true;
  housekeeping_.spawn(wind_down());
}

void Worker::close_sites(std::shared_ptr<const Closures> closed) {
  loop_.post([this, closed = std::move(closed)] { closed_sites_ = closed; });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

Worker::Figures Worker::figures() const {
  return {requests_.load(std::memory_order_relaxed), in_flight_.load(std::memory_order_relaxed)};
}

Task<> Worker::wind_down() {
  for (auto& acceptor : acceptors_) acceptor->cancel();
  co_await accepting_.join(kNoDeadline);
  auto finishing = finish_connections();
  co_await finishing;
  if (serving_.size() > 0) log::warn("worker {}: breaking off {} connections", index_, serving_.size());
  // What is leased in the meantime (a connect that has just succeeded) is cancelled in the next round.
  while (serving_.size() > 0) {
    for (auto& connection : connections_) connection.cancel();
    upstreams_.servers.cancel_leased();
    co_await serving_.join(loop_.now() + kBreakOffRound);
  }
  // Nobody waits for the answer to a copy.
  mirrors_.stop();
  while (mirrors_.under_way() > 0) {
    upstreams_.servers.cancel_leased();
    auto joining = mirrors_.join(loop_.now() + kBreakOffRound);
    co_await joining;
  }
  co_await upstreams_.servers.stop();
  shared_.monitor.unsubscribe(loop_);
  if (names_) names_->cancel();
  co_await shared_limits_.stop();
  log_.flush();
  house_alarm_.cancel();
  loop_.stop();
}

/// A stop() meanwhile may bring the deadline forward.
Task<> Worker::finish_connections() {
  for (auto& connection : connections_) connection.announce_end();
  if (retired_) retired_(Retired::kAcceptsNoMore);
  const TimePoint last_chance = retired_ ? loop_.now() + kLastChance : loop_.now();
  bool idle_closed = false;
  while (serving_.size() > 0 && loop_.now() < drain_deadline_) {
    const bool hurry = drain_deadline_ != kNoDeadline;
    if (!idle_closed && (hurry || loop_.now() >= last_chance)) {
      for (auto& connection : connections_) connection.drain();
      idle_closed = true;
    }
    const auto busy = [](const Connection& connection) { return connection.busy(); };
    if (idle_closed && retired_ && std::all_of(connections_.begin(), connections_.end(), busy)) {
      std::exchange(retired_, nullptr)(Retired::kBeginsNoMore);
    }
    co_await drain_alarm_.wait(std::min(drain_deadline_, loop_.now() + kDrainRound));
    drain_alarm_.clear();
  }
  if (retired_) std::exchange(retired_, nullptr)(Retired::kBeginsNoMore);
}

Task<> Worker::keep_house() {
  for (unsigned rounds = 0;; ++rounds) {
    const Wake wake = co_await house_alarm_.wait(loop_.now() + kLogFlush);
    if (wake == Wake::kCancelled) co_return;
    if (!log_.empty()) log_.flush();
    if (rounds % kFlushesPerSweep != 0) continue;
    upstreams_.servers.sweep();
    files_.trim(loop_.now());
  }
}

/// For the stores of rate limits.
Task<Result<std::vector<SocketAddress>>> Worker::resolve(std::string host, std::uint16_t port) {
  if (!names_) {
    try {
      names_ = std::make_unique<upstream::NameResolver>(loop_, generation_->shared->config.dns);
    } catch (const std::exception&) {
      co_return Error{Errc::kResolve, Side::kInternal, "resolver_failed"};
    }
  }
  auto looking = names_->resolve(std::move(host));
  const auto answer = co_await looking;
  if (!answer) co_return answer.error();
  std::vector<SocketAddress> addresses;
  for (const auto& address : answer->addresses) addresses.push_back(SocketAddress::ip(address, port));
  co_return addresses;
}

// --- connections ----------------------------------------------------------------------------------------------------

Task<> Worker::accept_from(Acceptor& acceptor) {
  co_await acceptor.run(*this);
  std::erase_if(acceptors_, [&](const auto& one) { return one.get() == &acceptor; });
}

void Worker::accepted(UniqueFd fd, const SocketAddress& peer, const Acceptor& from) {
  const auto& config = generation_->shared->config;
  const auto& limits = config.limits;
  // Whose peer will tell who the client is counts for that client, once it is known.
  const bool proxied = from.listener()->config.proxy_protocol &&
                       (!peer.host().is_known() || is_trusted(config.trusted_proxies, peer.host()));
  const auto verdict =
      shared_.connections.add(peer.host(), limits.max_connections, proxied ? 0 : limits.max_connections_per_ip);
  if (verdict != ConnectionCount::Verdict::kAdmitted) {
    log::debug(
        "{}: connection of {} refused: {}", from.listener()->local.to_string(), peer.to_string(),
        verdict == ConnectionCount::Verdict::kTooMany ? "limits.max_connections" : "limits.max_connections_per_ip");
    return;
  }
  http::Handler& handler = *this;
  // Such series are never dropped: a connection may outlive every generation that names its listener.
  auto& cells = shared_.metrics.listeners.cells(index_, {from.listener()->config.address.text}, 0);
  // From here on its destructor takes it out of the count.
  auto connection =
      std::make_unique<Connection>(loop_, std::move(fd), peer, from.listener(), handler, &shared_.connections, &cells);
  tls::ServerContext* const tls = generation_->tls_of(from.listener()->config);
  if (from.listener()->config.tls && tls == nullptr) return;  // accepted while its listener was being taken away
  if (proxied) connection->expect_proxy_header(limits.max_connections_per_ip);
  connections_.push_back(*connection);
  if (draining_) connection->drain();
  // The handshake takes what it needs of the generation before its first wait: connections hold none.
  serving_.spawn(Connection::serve(std::move(connection), tls, session_limits().header_timeout));
}

/// Whoever runs this hears of attacks, but an attack does not write the log: of one reason comes one line in a while.
void Worker::held_off(const http::ConnectionInfo& connection, const char* reason) {
  // All sessions of a worker are its Connections'.
  auto* const cells = static_cast<const ClientConnectionInfo&>(connection).cells;
  const std::size_t index = cells->count_http2_held_off(reason);
  if (index >= held_off_lines_.size()) return;
  const auto untold = held_off_lines_[index].admit(loop_.now());
  if (!untold) return;
  const auto more =
      *untold == 0 ? std::string() : " (and " + std::to_string(*untold) + " more since the last such line)";
  log::warn("{}: HTTP/2 client {} held off: {}{}", connection.listener, connection.peer_text, reason, more);
}

// --- requests -------------------------------------------------------------------------------------------------------

Task<> Worker::handle(http::Exchange& exchange) {
  return answer(exchange, nullptr);
}

Task<> Worker::refuse(http::Exchange& exchange, const http::Rejection& rejection) {
  return answer(exchange, &rejection);
}

Task<> Worker::answer(http::Exchange& exchange, const http::Rejection* rejection) {
  bump(in_flight_, 1);
  const BusyConnection busy(exchange);
  Request request(exchange, generation_.get());
  request.files = &files_;
  const Surroundings surroundings{
      loop_, files_, verifier_, shared_.bodies, mirrors_, https_port_, closed_sites_.get()};
  bool failed = false;
  try {
    if (rejection == nullptr) {
      co_await serve(request, surroundings);
    } else {
      co_await proxy::refuse(request, *rejection);
    }
  } catch (const std::exception& error) {
    log::error("request {}: internal error: {}", request.request_id, error.what());
    failed = true;
  }
  if (failed) co_await request.respond_error(500, "internal");
  const TimePoint ended = Clock::now();
  log_.log(request.record(ended), ended);
  request.generation->meter.count(request, ended - exchange.started_at());
  bump(requests_, 1);
  bump(in_flight_, static_cast<std::uint64_t>(-1));
}

}  // namespace headgate::proxy
