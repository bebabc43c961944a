// SPDX-License-Identifier: Apache-2.0
#include "base/task_group.h"

#include "base/log.h"

namespace headgate {

/// The outermost frame of a spawned task: starts at once and frees itself at the end.
struct TaskGroup::Root {
  struct promise_type {
    Root get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
  };
};

void TaskGroup::spawn(Task<> task) {
  ++running_;
  idle_.clear();
  run(*this, std::move(task));
}

TaskGroup::Root TaskGroup::run(TaskGroup& group, Task<> task) {
  try {
    co_await task;
  } catch (const std::exception& e) {
    log::error("internal error, one task ended: {}", e.what());
  }
  task = {};
  group.ended();
}

void TaskGroup::ended() {
  if (--running_ == 0) idle_.set();
}

Task<Wake> TaskGroup::join(TimePoint deadline) {
  if (running_ == 0) co_return Wake::kReady;
  co_return co_await idle_.wait(deadline);
}

}  // namespace headgate
