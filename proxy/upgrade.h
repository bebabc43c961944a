// SPDX-License-Identifier: Apache-2.0
// A binary upgrade: SIGUSR2 starts the program's file anew, as the successor of the process that runs, on the same
// listening sockets. Both accept until the successor serves; then the one before it retires. docs/operations.md.
//
// What the two need of each other goes two ways: sockets by inheritance, named in the environment, and a line between
// them, on which the successor says that it serves, and which the one before it closes when it begins no request any
// more. Whatever becomes of one of them, the other learns of it by that line.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/socket.h"
#include "base/task.h"
#include "proxy/listener_sockets.h"

namespace headgate::proxy {

/// Sockets by the address that the configuration gives them.
struct HandedSockets {
  std::string address;
  std::vector<UniqueFd> sockets;
};

/// What a process finds of the one before it.
class Predecessor {
 public:
  /// There is none.
  Predecessor() = default;

  /// What the environment names, which is taken out of there. None: an ordinary start. Throws std::runtime_error when
  /// what it names is not there. Before threads.
  static Predecessor from_environment();

  bool exists() const { return static_cast<bool>(line_); }

  /// Its sockets for this listener; null: it had none. Their files stay its own until retire(): if this process ends
  /// before that, the other one goes on.
  std::shared_ptr<const BoundListener> take(const config::Listener& listener);
  /// Those of all listeners for which there are some.
  BoundListeners take(const std::vector<config::Listener>& listeners);

  /// Tells it that this process serves. Sockets that nobody has taken are closed, and their files removed.
  void retire();
  /// Returns when it begins no request any more, or has ended, or at forget(). Once, after retire().
  Task<> quiet(Loop& loop);
  void forget();

 private:
  UniqueFd line_;
  std::unique_ptr<Socket> watched_;     // the same
  std::vector<HandedSockets> sockets_;  // that nobody has taken
  std::vector<std::weak_ptr<ListeningSocket>> taken_;
};

/// The process that is to take this one's place. Loop thread.
class Successor {
 public:
  /// Starts it: this process's command line and environment, and these listeners' sockets as far as they are open.
  /// Throws std::system_error.
  Successor(Loop& loop, const BoundListeners& listeners);
  Successor(const Successor&) = delete;
  Successor& operator=(const Successor&) = delete;

  pid_t pid() const { return pid_; }
  const std::string& program() const { return program_; }

  /// Returns when it serves, with nothing; or why it does not: it has ended, or is ended because the deadline has come.
  Task<std::optional<std::string>> serves(TimePoint deadline);

  /// Asks it to end: this process ends itself, before the other one serves.
  void end();

 private:
  Task<std::string> reap();

  Loop& loop_;
  std::string program_;
  pid_t pid_ = -1;
  std::optional<Socket> line_;
  Event pause_;
};

}  // namespace headgate::proxy
