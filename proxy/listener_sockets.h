// SPDX-License-Identifier: Apache-2.0
// The listening sockets of the process: one for each worker and address (SO_REUSEPORT: the kernel spreads connections
// and nobody contends), kept over reloads by identity, and over binary upgrades by inheritance.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/unique_fd.h"
#include "config/model.h"

namespace headgate::proxy {

/// Closes with whoever accepts from it last; with a unix socket its file goes.
class ListeningSocket {
 public:
  /// `file`: of a unix socket, else empty.
  explicit ListeningSocket(UniqueFd fd, std::string file = {}) : fd_(std::move(fd)), file_(std::move(file)) {}
  ~ListeningSocket();
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;

  int fd() const { return fd_.get(); }
  /// The file is another process's to remove, which listens on it as well; and ours again. Any thread.
  void hand_over() { handed_over_.store(true, std::memory_order_relaxed); }
  void take_over() { handed_over_.store(false, std::memory_order_relaxed); }

 private:
  const UniqueFd fd_;
  const std::string file_;
  std::atomic<bool> handed_over_{false};
};

/// The sockets of one address: one for each worker, but for a unix path, which has one, and for what was inherited from
/// a process with another number of workers. Main thread, but for share_of().
class ListeningSockets {
 public:
  using List = std::vector<std::shared_ptr<ListeningSocket>>;

  explicit ListeningSockets(List sockets);

  /// Of so many workers, what this one accepts from; with fewer sockets than workers, others do as well. While the main
  /// thread waits, and before release().
  List share_of(std::size_t worker, std::size_t workers) const;
  std::size_t size() const { return all_.size(); }
  /// Every worker has its share: from now on a socket closes with the last one that accepts from it.
  void release() { held_.clear(); }
  /// Those that have not closed.
  List open() const;

 private:
  List held_;
  std::vector<std::weak_ptr<ListeningSocket>> all_;
};

/// One listener of the configuration, bound. Connections refer to it for its name, so it may outlive its sockets.
struct BoundListener {
  config::Listener config;
  SocketAddress local;  ///< with the real port
  /// Two listeners may have the same ones with another meaning (`tls`, `http2`, `h2c`, `proxy_protocol`), one after a
  /// reload that changed it and one before: whoever accepts from them goes on, for the new one.
  std::shared_ptr<ListeningSockets> sockets;

  BoundListener() = default;
  BoundListener(const BoundListener&) = delete;
  BoundListener& operator=(const BoundListener&) = delete;
};

using BoundListeners = std::vector<std::shared_ptr<const BoundListener>>;

/// Binds what `listeners` name, taking over from `current` what is the same, and the sockets of what has the same
/// address. Main thread. Throws std::system_error naming the address; nothing has changed then.
BoundListeners bind_listeners(const std::vector<config::Listener>& listeners, const BoundListeners& current,
                              std::size_t workers);

/// One listener. A unix socket's stale file is replaced; a living one is an error.
std::shared_ptr<const BoundListener> bind_listener(const config::Listener& listener, std::size_t workers);

/// One listener on sockets that another process has bound for it: non-blocking, at least one.
std::shared_ptr<const BoundListener> adopt_listener(const config::Listener& listener, std::vector<UniqueFd> sockets);

}  // namespace headgate::proxy
