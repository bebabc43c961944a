// SPDX-License-Identifier: Apache-2.0
// The listening sockets of the process: one for each worker and address (SO_REUSEPORT: the kernel spreads connections
// and nobody contends), kept over reloads by identity.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/unique_fd.h"
#include "config/model.h"

namespace headgate::proxy {

/// One listener of the configuration, bound. Connections refer to it for its name, so it may outlive its sockets.
struct BoundListener {
  config::Listener config;
  SocketAddress local;  ///< with the real port
  /// Names the sockets. Two listeners with one number are the same sockets with another meaning (`tls`, `http2`,
  /// `h2c`, `proxy_protocol`), one after a reload that changed it and one before: whoever accepts from them goes on, for
  /// the new one.
  std::uint64_t sockets = 0;

  /// One for each worker; a unix path has one, which all share. Each worker takes a share while the main thread waits;
  /// then the main thread lets go, so that a socket closes with the last worker that accepts from it; with a unix socket
  /// its file goes. (Not with this object, which connections hold: the path may be another listener's by then.)
  mutable std::vector<std::shared_ptr<UniqueFd>> fds;

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

}  // namespace headgate::proxy
