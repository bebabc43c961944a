// SPDX-License-Identifier: Apache-2.0
// The listener of `metrics.listen`: GET and HEAD of `metrics.path`, for a scraper and nothing else. It runs on the main
// thread, away from traffic, and sends in pieces, so that a scrape of any size holds up neither.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/task_group.h"
#include "observe/exposition.h"
#include "proxy/acceptor.h"
#include "proxy/connection.h"
#include "proxy/upgrade.h"

namespace headgate::proxy {

class Instance;

/// Sends the exposition as the whole answer. On the exchange's loop; the other tasks of it have their turn after each
/// piece. Also what the admin listener answers with.
Task<> respond_metrics(http::Exchange& exchange, observe::Exposition& exposition);

/// Main thread only; outlived by the instance.
class MetricsServer final : private http::Handler, private Acceptor::Sink {
 public:
  /// Without an address as yet.
  MetricsServer(Loop& loop, Instance& instance);
  ~MetricsServer();

  /// The listener for `address`: the present one when it is for that, or the predecessor's; null for none. Nothing has
  /// changed then; throws std::system_error naming an address that cannot be bound.
  std::shared_ptr<const BoundListener> bind(const std::optional<config::Address>& address,
                                            Predecessor* predecessor = nullptr) const;

  const std::shared_ptr<const BoundListener>& listener() const { return listener_; }

  /// Serves there from now on, and accepts nowhere else any more. Connections that there are go on.
  void adopt(std::shared_ptr<const BoundListener> listener);

  /// Takes no more connections and ends those there are. Awaited before the loop ends.
  Task<> stop();

 private:
  Task<> handle(http::Exchange& exchange) override;
  Task<> refuse(http::Exchange& exchange, const http::Rejection& rejection) override;
  const http::SessionLimits& session_limits() const override { return limits_; }
  void accepted(UniqueFd fd, const SocketAddress& peer, const Acceptor& from) override;

  Task<> accept_from(Acceptor& acceptor);

  Loop& loop_;
  Instance& instance_;
  std::shared_ptr<const BoundListener> listener_;
  http::SessionLimits limits_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;  // the present one, and those that are ending
  TaskGroup tasks_;
  ConnectionList connections_;
  bool stopping_ = false;
};

}  // namespace headgate::proxy
