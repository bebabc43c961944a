// SPDX-License-Identifier: Apache-2.0
// The applications behind `headgate demo`: small HTTP servers on loopback ports, all on one thread of their own.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/loop.h"
#include "base/task_group.h"
#include "proxy/acceptor.h"
#include "proxy/connection.h"

namespace headgate::proxy {

/// Start it, use the addresses, destroy it: all its connections end then. Made and destroyed on the main thread.
class DemoOrigins {
 public:
  struct Name {
    std::string pool;
    std::string server;
  };

  /// One server for each name, listening when this returns. Throws std::system_error.
  explicit DemoOrigins(const std::vector<Name>& names);
  ~DemoOrigins();
  DemoOrigins(const DemoOrigins&) = delete;
  DemoOrigins& operator=(const DemoOrigins&) = delete;

  /// "127.0.0.1:40001", in the order of the names.
  std::vector<std::string> addresses() const;

 private:
  class Origin;
  Task<> stop();

  Loop loop_;
  Event closing_;  // what event streams sleep on
  std::vector<std::unique_ptr<Origin>> origins_;
  TaskGroup ending_;
  std::thread thread_;
};

}  // namespace headgate::proxy
