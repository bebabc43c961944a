// SPDX-License-Identifier: Apache-2.0
// What reading one text comes to: a value, or why there is none. (boost::system::result cannot tell a value that is a
// text from an error that is made of one.)
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace headgate::config {

struct ParseError {
  std::string message;
};

template <class T>
class Parsed {
 public:
  Parsed(T value) : state_(std::in_place_index<0>, std::move(value)) {}           // NOLINT: meant to convert
  Parsed(ParseError error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: meant to convert

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  /// Only with a value.
  const T& operator*() const& { return *std::get_if<0>(&state_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
  const T* operator->() const { return std::get_if<0>(&state_); }
  /// Only without one.
  const ParseError& error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, ParseError> state_;
};

}  // namespace headgate::config
