// SPDX-License-Identifier: Apache-2.0
// What happened that an operator would want to know of: ejections, drains, reloads, and what later features decide. The
// last of them are kept, for `GET /v1/events`.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace headgate::observe {

struct Event {
  std::uint64_t id = 0;  ///< from 1, in the order of time
  std::chrono::system_clock::time_point at;
  std::string type;  ///< one word: "ejected"
  std::vector<std::pair<std::string, std::string>> fields;
};

/// Any thread. Process-wide.
class Events {
 public:
  static constexpr std::size_t kKept = 1000;

  void add(std::string type, std::vector<std::pair<std::string, std::string>> fields);

  /// Those kept that came after `id`, oldest first.
  std::vector<Event> after(std::uint64_t id) const;
  /// The id of the latest; 0: none yet.
  std::uint64_t last_id() const;

  /// Called after each event, on the thread that added it; null: nobody any more. One listener.
  void on_added(std::function<void()> callback);

 private:
  mutable std::mutex mutex_;
  std::deque<Event> kept_;
  std::uint64_t last_id_ = 0;
  std::function<void()> on_added_;
};

}  // namespace headgate::observe
