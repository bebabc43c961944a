// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/event.h"
#include "base/loop.h"
#include "base/unique_fd.h"

namespace headgate::proxy {

/// Leaves the signals that an instance handles to it, and ignores SIGPIPE. Must run before the process starts any
/// thread.
void block_signals();

/// The signals of the process as events of a loop. Loop thread; before any other thread, which would get them, too.
class Signals final : private Readiness {
 public:
  /// Throws std::system_error.
  explicit Signals(Loop& loop);

  /// The next one that came, or 0: then `ready` tells of more.
  int take();

  Event ready;

 private:
  void on_events(std::uint32_t) override { ready.set(); }

  UniqueFd fd_;
};

}  // namespace headgate::proxy
