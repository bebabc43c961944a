// SPDX-License-Identifier: Apache-2.0
// A worker: one thread, one loop, and everything that a request touches: its listeners' sockets, connections, kept
// connections to servers, cached files, log buffer. Workers share nothing on the path of a request.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "auth/verifier.h"
#include "base/line_limit.h"
#include "base/loop.h"
#include "base/task_group.h"
#include "observe/access_log.h"
#include "observe/metrics.h"
#include "proxy/acceptor.h"
#include "proxy/body_budget.h"
#include "proxy/connection.h"
#include "proxy/connection_count.h"
#include "proxy/generation.h"
#include "proxy/handlers/file_cache.h"
#include "proxy/handlers/mirror.h"
#include "proxy/listener_sockets.h"
#include "proxy/maintenance.h"
#include "upstream/name_resolver.h"
#include "upstream/worker_side.h"

namespace headgate::proxy {

/// What all workers of a process share, none of it on the path of a request. Outlives them.
struct Shared {
  std::size_t workers;
  observe::AccessLog& access_log;
  observe::Metrics& metrics;
  upstream::Monitor& monitor;
  ConnectionCount& connections;
  std::shared_ptr<tls::TicketKeys> tickets;
  ratelimit::Stores& limits;
  auth::PasswordThreads& passwords;
  BodyBudget& bodies;
};

class Worker final : private http::Handler, private Acceptor::Sink {
 public:
  Worker(std::size_t index, Shared& shared);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // --- from the main thread ---------------------------------------------------------------------------------------

  /// Starts the thread with its first generation; returns when it accepts connections. Throws what building the
  /// worker's part of the generation throws.
  void start(std::shared_ptr<const Generation> generation, const BoundListeners& listeners);

  /// Puts a new generation in the old one's place: new requests use it, those under way keep theirs. Returns when it is
  /// done; throws as start(), and the old one goes on.
  void apply(std::shared_ptr<const Generation> generation, const BoundListeners& listeners);

  /// Takes what waits in the accept queues, accepts no more, finishes what is under way until `deadline`, then breaks
  /// off; the thread ends by itself. A second call with an earlier deadline hastens it. Does not wait.
  void stop(TimePoint deadline);

  /// Another process has taken this one's place. As stop(), without a deadline, and a kept connection that idles has a
  /// while to ask once more before it is closed. `reached` is called on the worker's thread with one stage after the
  /// other. Does not wait.
  enum class Retired {
    kAcceptsNoMore,  ///< no connection
    kBeginsNoMore,   ///< no request; some may be under way
  };
  void retire(std::function<void(Retired)> reached);

  /// From now on these sites are closed; null: none. As post().
  void close_sites(std::shared_ptr<const Closures> closed);

  /// Has the worker's thread call it, after everything that it was told before. Never, once the thread has ended.
  void post(std::function<void()> function) { loop_.post(std::move(function)); }

  /// Waits for the thread.
  void join();

  /// Any thread; figures for `status`, a moment old.
  struct Figures {
    std::uint64_t requests = 0;
    std::uint64_t in_flight = 0;
  };
  Figures figures() const;

 private:
  // http::Handler
  Task<> handle(http::Exchange& exchange) override;
  Task<> refuse(http::Exchange& exchange, const http::Rejection& rejection) override;
  const http::SessionLimits& session_limits() const override { return generation_->shared->session_limits; }
  void held_off(const http::ConnectionInfo& connection, const char* reason) override;

  // Acceptor::Sink
  void accepted(UniqueFd fd, const SocketAddress& peer, const Acceptor& from) override;

  void adopt(std::shared_ptr<const Generation> generation, const BoundListeners& listeners);
  void adopt_on_loop(const std::shared_ptr<const Generation>& generation, const BoundListeners& listeners);
  void accept_on(const std::shared_ptr<const BoundListener>& listener);
  Task<> accept_from(Acceptor& acceptor);
  Task<> keep_house();
  Task<Result<std::vector<SocketAddress>>> resolve(std::string host, std::uint16_t port);
  void begin_end(TimePoint deadline);
  Task<> wind_down();
  Task<> finish_connections();
  Task<> answer(http::Exchange& exchange, const http::Rejection* rejection);

  const std::size_t index_;
  Shared& shared_;
  Loop loop_;
  observe::AccessLog::Writer log_;
  FileCache files_;
  upstream::WorkerSide upstreams_;
  std::unique_ptr<upstream::NameResolver> names_;  // of the stores of rate limits; null until one has a name
  ratelimit::SharedStore shared_limits_;
  auth::Verifier verifier_;
  WorkerGenerationRef generation_;
  int https_port_ = 0;
  std::shared_ptr<const Closures> closed_sites_;

  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  ConnectionList connections_;
  TaskGroup accepting_;
  TaskGroup serving_;
  Mirrors mirrors_;
  TaskGroup housekeeping_;
  Event house_alarm_;
  Event drain_alarm_;
  bool draining_ = false;
  TimePoint drain_deadline_ = kNoDeadline;
  std::function<void(Retired)> retired_;  // null: it does not retire, or has reached the last stage

  std::array<LineLimit, observe::ListenerCells::kHttp2Patience> held_off_lines_;  // by reason

  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::uint64_t> in_flight_{0};
  std::thread thread_;
};

}  // namespace headgate::proxy
