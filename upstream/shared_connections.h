// SPDX-License-Identifier: Apache-2.0
// The HTTP/2 connections of one worker to one server, and the places on them that requests share.
//
// Requests that find no place wait while a connection is being opened: one for as many of them as the origin is known
// to take at a time, so that a burst does not become a storm of handshakes.
#pragma once

#include <list>
#include <memory>

#include <boost/intrusive/list.hpp>

#include "base/task_group.h"
#include "http/http2_client.h"

namespace headgate::upstream {

class Server;

/// Loop thread only. Part of its Server, which must not be destroyed while busy().
class SharedConnections final : private http::Http2Client::Owner {
 public:
  explicit SharedConnections(Server& server);

  struct Place {
    http::ClientExchangePtr exchange;  ///< null: there is none
    bool reused = false;               ///< its connection has carried a request before
  };

  /// A place on a connection that is open and has room.
  Place take();
  /// Waits for one, with a new connection where that is needed. Errors: those of connecting, connect_timeout.
  Task<Result<Place>> wait(TimePoint deadline);

  /// A connection is open, or being opened.
  bool busy() const { return lives_.size() > 0; }
  std::size_t size() const { return connections_.size(); }

  /// Ends the connections that have requests under way, which fail.
  void cancel();
  /// Ends all of them.
  Task<> stop();

 private:
  struct Waiter : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    explicit Waiter(Loop& loop) : woken(loop) {}
    Event woken;
    bool failed = false;
    Error error{};
  };
  using Connections = std::list<std::unique_ptr<http::Http2Client>>;

  void stream_ended(http::Http2Client& client) override;
  void open_if_needed(TimePoint deadline);
  Task<> open(TimePoint deadline);
  Task<> live(http::Http2Client& client, TimePoint deadline);
  void wake_waiters();
  void opening_failed(const Error& error);

  Server& server_;
  Connections connections_;
  boost::intrusive::list<Waiter, boost::intrusive::constant_time_size<false>> waiters_;
  std::size_t waiting_ = 0;
  std::size_t opening_ = 0;
  std::size_t places_;  // that a new connection is expected to have
  TaskGroup lives_;     // a task for each connection, from its opening to its end
};

}  // namespace headgate::upstream
