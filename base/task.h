// SPDX-License-Identifier: Apache-2.0
// Task<T>: a coroutine of one event loop, awaited by its one owner.
//
// A Task starts when it is awaited (or by start(), to run beside its owner) and belongs to whoever holds it: destroying
// a Task that has not finished is a bug, so an owner that gives up cancels the waits inside (Event::cancel,
// Socket::cancel) and then awaits the end. Tasks never change threads. An exception leaves through co_await.
//
// A child that finishes without waiting costs a function call and no trip through the loop: await_suspend runs it on
// the caller's stack and the caller goes straight on. (Symmetric transfer would need tail calls, which unoptimised and
// sanitizer builds do not make; a loop over ready children would then grow the stack.)
//
// What is nearly always ready need not be a coroutine at all: a plain function does the work and returns its value as a
// Task that is done already, without a frame, or else the Task of a coroutine that waits. Such a function works when it
// is called, not when its Task is awaited.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/frame_allocator.h"

namespace headgate {

namespace detail {

struct TaskPromiseBase {
  std::coroutine_handle<> continuation;  // set once the owner really sleeps on us
  std::exception_ptr exception;
  bool started = false;

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      auto next = self.promise().continuation;
      return next ? next : std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }

  [[gnu::always_inline]] static void* operator new(std::size_t size) { return allocate_frame(size); }
  [[gnu::always_inline]] static void operator delete(void* frame, std::size_t size) noexcept {
    free_frame(frame, size);
  }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
  std::optional<T> value;
  template <class U>
  void return_value(U&& u) {
    value.emplace(std::forward<U>(u));
  }
  T take() {
    if (exception) std::rethrow_exception(exception);
    return std::move(*value);
  }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
  void return_void() const noexcept {}
  void take() const {
    if (exception) std::rethrow_exception(exception);
  }
};

/// What a Task that never was a coroutine holds in place of a frame.
template <class T>
using Ready = std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>>;

}  // namespace detail

template <class T = void>
class [[nodiscard]] Task {
 public:
  struct promise_type : detail::TaskPromise<T> {
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
  };

  /// Empty: to be assigned to.
  Task() noexcept = default;
  /// Done, with this value.
  template <class U>
  requires(!std::is_void_v<T> && std::is_constructible_v<T, U&&> && !std::is_same_v<std::remove_cvref_t<U>, Task>)
      Task(U&& value)
      : ready_(std::in_place, std::forward<U>(value)) {}
  static Task ready() requires std::is_void_v<T> {
    Task task;
    task.ready_.emplace();
    return task;
  }

  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, {})), ready_(std::exchange(other.ready_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (frame_) frame_.destroy();
      frame_ = std::exchange(other.frame_, {});
      ready_ = std::exchange(other.ready_, {});
    }
    return *this;
  }
  ~Task() {
    if (frame_) frame_.destroy();
  }

  explicit operator bool() const noexcept { return frame_ || ready_; }
  bool done() const noexcept { return frame_ ? frame_.done() : ready_.has_value(); }

  /// Once it is done(): what co_await would give, once.
  T take() {
    if (frame_) return frame_.promise().take();
    if constexpr (!std::is_void_v<T>) return std::move(*ready_);
  }

  /// Runs it up to its first wait, beside its owner, who must co_await it later.
  void start() {
    if (!frame_) return;
    frame_.promise().started = true;
    frame_.resume();
  }

  auto operator co_await() noexcept {
    struct Awaiter {
      Task& task;
      bool await_ready() const noexcept { return task.done(); }
      bool await_suspend(std::coroutine_handle<> owner) const {
        auto& promise = task.frame_.promise();
        if (!promise.started) {
          promise.started = true;
          task.frame_.resume();
          if (task.frame_.done()) return false;
        }
        promise.continuation = owner;
        return true;
      }
      T await_resume() const { return task.take(); }
    };
    return Awaiter{*this};
  }

 private:
  explicit Task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
  detail::Ready<T> ready_;
};

}  // namespace headgate
