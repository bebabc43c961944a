// SPDX-License-Identifier: Apache-2.0
// The owner of tasks that run on their own (a connection, a watcher): starts them, counts them, waits for their end.
#pragma once

#include <cstddef>

#include "base/event.h"
#include "base/task.h"

namespace headgate {

/// One loop's thread only. Must outlive its tasks: the owner cancels what they wait for and then awaits join().
class TaskGroup {
 public:
  explicit TaskGroup(Loop& loop) : idle_(loop) {}
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// Runs the task up to its first wait. An exception that leaves it is logged and ends that task alone.
  void spawn(Task<> task);

  std::size_t size() const { return running_; }

  /// Returns when no task is running. One waiter at a time.
  Task<Wake> join(TimePoint deadline);

 private:
  struct Root;
  static Root run(TaskGroup& group, Task<> task);
  void ended();

  std::size_t running_ = 0;
  Event idle_;
};

}  // namespace headgate
