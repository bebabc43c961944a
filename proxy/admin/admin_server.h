// SPDX-License-Identifier: Apache-2.0
// The control API on its own listener (docs/operations.md): what the commands `reload`, `status`, `drain` and
// `events` talk to. It runs on the main thread, away from traffic; a slow or broken caller costs no request anything.
// Here is who may ask, and which resource answers; the resources have files of their own.
#pragma once

#include <memory>
#include <string>

#include "base/task_group.h"
#include "proxy/acceptor.h"
#include "proxy/admin/events_stream.h"
#include "proxy/connection.h"
#include "proxy/upgrade.h"

namespace headgate::proxy {

class Instance;

/// Main thread only; outlived by the instance.
class AdminServer final : private http::Handler, private Acceptor::Sink {
 public:
  /// Binds, or takes its socket from `predecessor`, and begins to serve. Throws what binding throws, and
  /// std::runtime_error for a token file that cannot be read.
  AdminServer(Loop& loop, Instance& instance, const config::Admin& settings, Predecessor& predecessor);
  ~AdminServer();

  const std::shared_ptr<const BoundListener>& listener() const { return listener_; }
  /// Who connects from now on waits, for resume() or for whoever serves here after this one.
  void hold() { acceptor_.hold(); }
  void resume() { acceptor_.resume(); }

  /// Takes no more connections, tells readers of events the last ones, and ends. Awaited before the loop ends.
  Task<> stop();

 private:
  Task<> handle(http::Exchange& exchange) override;
  Task<> refuse(http::Exchange& exchange, const http::Rejection& rejection) override;
  const http::SessionLimits& session_limits() const override { return limits_; }
  void accepted(UniqueFd fd, const SocketAddress& peer, const Acceptor& from) override;

  bool authorised(const http::Exchange& exchange) const;
  bool from_a_web_page(const http::Exchange& exchange) const;
  Task<> reload(http::Exchange& exchange);

  Loop& loop_;
  Instance& instance_;
  std::shared_ptr<const BoundListener> listener_;
  std::string token_;
  http::SessionLimits limits_;
  Acceptor acceptor_;
  TaskGroup tasks_;
  ConnectionList connections_;
  EventsStream events_;
};

}  // namespace headgate::proxy
