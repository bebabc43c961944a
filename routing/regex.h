// SPDX-License-Identifier: Apache-2.0
// Regular expressions over request paths: PCRE2, compiled once, bounded in time. The only place that sees PCRE2.
//
// Patterns come from the configuration and are trusted to mean what they say; subjects come from the network. A match
// therefore runs under a step limit, and a subject that is too long is not tried: the answer is then kGaveUp, which is
// neither yes nor no. A caller that takes it for "no" lets a client walk around a rule by making its regex slow.
//
// Bytes, not characters: no UTF mode, so that a path of any bytes is a valid subject.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/system/result.hpp>

#include "routing/template.h"

namespace headgate::routing {

/// Immutable; shared by all threads. Matching allocates nothing after a thread's first match.
class Regex {
 public:
  enum class Outcome : std::uint8_t { kNoMatch, kMatch, kGaveUp };

  struct CompileError {
    std::size_t offset;  ///< in the pattern
    std::string message;
  };

  /// Bytes of a subject beyond which a match is not tried: a harmless looking pattern may cost the square of this.
  static constexpr std::size_t kMaxSubject = 8192;
  /// Steps of the matcher before it gives up: a tenth of a millisecond compiled, one millisecond without JIT.
  static constexpr unsigned kMaxSteps = 100'000;
  /// Bytes of a pattern: a bound on what compiling costs.
  static constexpr std::size_t kMaxPattern = 8192;

  static boost::system::result<Regex, CompileError> compile(std::string_view pattern);

  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  /// Searches `subject` (not anchored). Fills `captures` with views into it on kMatch and leaves them alone otherwise;
  /// a group that took no part is empty.
  Outcome search(std::string_view subject, Captures& captures) const;

  /// How many groups the pattern has; $1..$9 reach the first nine.
  std::size_t group_count() const;
  const std::string& pattern() const { return pattern_; }

 private:
  struct Code;
  explicit Regex(std::unique_ptr<Code> code, std::string_view pattern);

  std::unique_ptr<Code> code_;
  std::string pattern_;
};

/// For the configuration's reader: what is wrong with a regex, or nullopt.
std::optional<std::string> check_regex(std::string_view pattern);

/// Called by boost::system::result when value() is asked of a failure: std::invalid_argument with its message.
[[noreturn]] void throw_exception_from_error(const Regex::CompileError& error, const boost::source_location& where);

}  // namespace headgate::routing
