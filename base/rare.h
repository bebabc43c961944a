// SPDX-License-Identifier: Apache-2.0
// A value that hardly ever differs from its default: what one of a hundred thousand routes sets should cost the others
// a pointer. Copies are deep. As thread-safe as the value itself.
#pragma once

#include <memory>
#include <utility>

namespace headgate {

template <class T>
class Rare {
 public:
  Rare() = default;
  Rare(T value) : own_(std::make_unique<T>(std::move(value))) {}
  Rare(const Rare& other) : own_(other.own_ ? std::make_unique<T>(*other.own_) : nullptr) {}
  Rare(Rare&&) noexcept = default;
  Rare& operator=(const Rare& other) { return *this = Rare(other); }
  Rare& operator=(Rare&&) noexcept = default;
  ~Rare() = default;

  /// Whether it was ever set; reading works either way.
  explicit operator bool() const { return own_ != nullptr; }
  const T& operator*() const { return own_ ? *own_ : default_value(); }
  const T* operator->() const { return &**this; }

  /// For writing; from now on it has memory of its own.
  T& change() {
    if (!own_) own_ = std::make_unique<T>();
    return *own_;
  }

 private:
  static const T& default_value() {
    static const T value{};
    return value;
  }

  std::unique_ptr<T> own_;
};

}  // namespace headgate
