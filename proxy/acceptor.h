// SPDX-License-Identifier: Apache-2.0
// Takes new connections from one listener's socket on one loop.
#pragma once

#include <memory>
#include <utility>

#include "base/loop.h"
#include "base/task.h"
#include "proxy/listener_sockets.h"

namespace headgate::proxy {

/// Loop thread only. At its end the socket closes, if nobody else accepts from it.
class Acceptor final : private Readiness {
 public:
  class Sink {
   public:
    /// A new, non-blocking connection. Must not wait.
    virtual void accepted(UniqueFd fd, const SocketAddress& peer, const Acceptor& from) = 0;

   protected:
    ~Sink() = default;
  };

  /// `socket` is the listener's. `shared`: other loops of the process accept from it, too, and one of them is woken for
  /// a connection.
  Acceptor(Loop& loop, std::shared_ptr<const BoundListener> listener, std::shared_ptr<ListeningSocket> socket,
           bool shared = false);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  /// Accepts until cancel(), and then once more what the kernel has already taken for us: nobody is turned away. When
  /// descriptors run out it pauses, with a line in the log.
  Task<> run(Sink& sink);
  void cancel();
  /// Leaves connections where they are, for now: they wait in the kernel. Not even cancel() takes them then.
  void hold() { held_ = true; }
  void resume();
  bool cancelled() const { return ready_.cancelled(); }

  const std::shared_ptr<const BoundListener>& listener() const { return listener_; }
  /// What is accepted from now on is for this listener, whose sockets are the same.
  void accept_for(std::shared_ptr<const BoundListener> listener) { listener_ = std::move(listener); }

 private:
  void on_events(std::uint32_t events) override;
  UniqueFd accept(SocketAddress& peer);

  Loop& loop_;
  std::shared_ptr<const BoundListener> listener_;
  const std::shared_ptr<ListeningSocket> socket_;
  Event ready_;
  Event pause_;
  bool held_ = false;
};

}  // namespace headgate::proxy
