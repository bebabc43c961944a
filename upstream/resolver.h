// SPDX-License-Identifier: Apache-2.0
// Host names to addresses through the system's resolver, off the loops: getaddrinfo blocks, so it has a thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/ip.h"
#include "base/loop.h"
#include "base/result.h"
#include "base/task.h"

namespace headgate::upstream {

/// Process-wide. resolve() may be called on any loop that ends before the Resolver does.
class Resolver {
 public:
  Resolver();
  ~Resolver();  ///< waits for a lookup that is under way
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// All addresses of `host`, with `port`, in the system's order. Errors: kResolve, kTimeout. The queue is bounded:
  /// when it is full the lookup fails at once.
  Task<Result<std::vector<SocketAddress>>> resolve(Loop& loop, std::string host, std::uint16_t port,
                                                   TimePoint deadline);

 private:
  struct Job;
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace headgate::upstream
