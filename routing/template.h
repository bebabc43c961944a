// SPDX-License-Identifier: Apache-2.0
// Templates: "https://$host/new$uri" compiled once, filled in per request.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/system/result.hpp>

namespace headgate::routing {

/// One variable of a template. The names are those of the configuration contract.
struct Variable {
  enum class Kind : std::uint8_t {
    kRemoteAddr,
    kHost,
    kScheme,
    kMethod,
    kUri,
    kRequestUri,
    kQuery,
    kArg,     // name: of the query parameter
    kHttp,    // name: field name with dashes, lower case (x-api-key for $http_x_api_key)
    kCookie,  // name
    kServerPort,
    kRequestId,
    kTlsVersion,
    kPool,
    kUpstreamAddr,
    kStatus,
    kRemoteUser,
    kCapture,  // index 1..9
  };
  Kind kind;
  std::string name;
  std::uint8_t index = 0;
};

/// What gives variables their values for one request. An unknown value is the empty string.
class Variables {
 public:
  virtual void append(const Variable& variable, std::string& out) const = 0;

 protected:
  ~Variables() = default;
};

/// $1..$9 of the last regex that matched; views into the path that was matched.
struct Captures {
  std::array<std::string_view, 10> group;  // [0] is the whole match
};

/// Immutable; shared by all threads.
class Template {
 public:
  Template() = default;

  /// "${name}" and "$name" are variables, "$$" is a dollar sign. A name takes all the letters, digits and underscores
  /// that follow; only $1..$9 are one digit, as in nginx ("$1_old" is $1 and "_old"). The error says which name is
  /// unknown and which is nearest, with the offset in `text`.
  struct ParseError {
    std::size_t offset;
    std::string message;
  };
  static boost::system::result<Template, ParseError> parse(std::string_view text);

  bool is_constant() const { return parts_.empty() || (parts_.size() == 1 && !parts_[0].is_variable); }
  bool empty() const { return parts_.empty(); }
  const std::string& source() const { return source_; }
  /// What a constant one stands for: its source with "$$" read as a dollar sign.
  const std::string& constant() const { return parts_.empty() ? source_ : parts_[0].literal; }

  /// Appends the text with the variables filled in.
  void expand(const Variables& values, std::string& out) const;
  std::string expand(const Variables& values) const;

 private:
  struct Part {
    bool is_variable = false;
    std::string literal;
    Variable variable{};
  };
  std::vector<Part> parts_;
  std::string source_;
};

/// For the configuration's reader: what is wrong with a template, or nullopt.
std::optional<std::string> check_template(std::string_view text);

/// Called by boost::system::result when value() is asked of a failure: std::invalid_argument with its message.
[[noreturn]] void throw_exception_from_error(const Template::ParseError& error, const boost::source_location& where);

}  // namespace headgate::routing
