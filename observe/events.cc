// SPDX-License-Identifier: Apache-2.0
#include "observe/events.h"

#include <algorithm>

namespace headgate::observe {

void Events::add(std::string type, std::vector<std::pair<std::string, std::string>> fields) {
  const std::lock_guard lock(mutex_);
  kept_.push_back({++last_id_, std::chrono::system_clock::now(), std::move(type), std::move(fields)});
  if (kept_.size() > kKept) kept_.pop_front();
  // Under the mutex: the listener that has just been taken back is not called any more.
  if (on_added_) on_added_();
}

std::vector<Event> Events::after(std::uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto first = std::find_if(kept_.begin(), kept_.end(), [id](const Event& event) { return event.id > id; });
  return {first, kept_.end()};
}

std::uint64_t Events::last_id() const {
  const std::lock_guard lock(mutex_);
  return last_id_;
}

void Events::on_added(std::function<void()> callback) {
  const std::lock_guard lock(mutex_);
  on_added_ = std::move(callback);
}

}  // namespace headgate::observe
