// SPDX-License-Identifier: Apache-2.0
#include "routing/regex.h"

#include <algorithm>
#include <new>
#include <stdexcept>

#include <pcre2.h>

namespace headgate::routing {
namespace {

constexpr std::uint32_t kGroups = 10;  // the whole match and $1..$9

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeCompile {
  void operator()(pcre2_compile_context* settings) const { pcre2_compile_context_free(settings); }
};
struct FreeMatch {
  void operator()(pcre2_match_context* settings) const { pcre2_match_context_free(settings); }
};
struct FreeData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeStack {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};

/// What a thread needs to match, made at its first match. The limits bound the compiled and the interpreted matcher
/// alike: where the system forbids writable and executable memory there is no JIT.
struct Matcher {
  static constexpr std::size_t kJitStackStart = std::size_t{32} * 1024;
  static constexpr std::size_t kJitStackMax = std::size_t{512} * 1024;
  static constexpr std::uint32_t kHeapLimitKiB = 4096;

  Matcher() {
    if (!data || !settings) throw std::bad_alloc();
    pcre2_set_match_limit(settings.get(), Regex::kMaxSteps);
    pcre2_set_depth_limit(settings.get(), Regex::kMaxSteps);
    pcre2_set_heap_limit(settings.get(), kHeapLimitKiB);
    // Without a stack of its own the JIT uses 32 KiB of the thread's; that is correct too, only smaller.
    if (stack) pcre2_jit_stack_assign(settings.get(), nullptr, stack.get());
  }

  std::unique_ptr<pcre2_match_data, FreeData> data{pcre2_match_data_create(kGroups, nullptr)};
  std::unique_ptr<pcre2_match_context, FreeMatch> settings{pcre2_match_context_create(nullptr)};
  std::unique_ptr<pcre2_jit_stack, FreeStack> stack{pcre2_jit_stack_create(kJitStackStart, kJitStackMax, nullptr)};
};

Matcher& this_threads_matcher() {
  thread_local Matcher matcher;
  return matcher;
}

std::string message_of(int code) {
  PCRE2_UCHAR8 text[256];
  if (pcre2_get_error_message(code, text, sizeof text) < 0) return "error " + std::to_string(code);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

struct Regex::Code {
  std::unique_ptr<pcre2_code, FreeCode> code;
  std::uint32_t groups = 0;
};

Regex::Regex(std::unique_ptr<Code> code, std::string_view pattern) : code_(std::move(code)), pattern_(pattern) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

boost::system::result<Regex, Regex::CompileError> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPattern) {
    return CompileError{kMaxPattern, "the regex is longer than " + std::to_string(kMaxPattern) + " bytes"};
  }
  std::unique_ptr<pcre2_compile_context, FreeCompile> settings(pcre2_compile_context_create(nullptr));
  if (!settings) throw std::bad_alloc();
  // Paths have no line ends; "$" means the end, never "before a last newline".
  constexpr std::uint32_t kOptions = PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP;
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto code = std::make_unique<Code>();
  code->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR8>(pattern.data()), pattern.size(), kOptions, &error,
                                 &offset, settings.get()));
  if (!code->code) {
    return CompileError{offset, message_of(error) + " (at offset " + std::to_string(offset) + ")"};
  }
  // Without JIT the interpreter matches, under the same limits.
  pcre2_jit_compile(code->code.get(), PCRE2_JIT_COMPLETE);
  pcre2_pattern_info(code->code.get(), PCRE2_INFO_CAPTURECOUNT, &code->groups);
  return Regex(std::move(code), pattern);
}

Regex::Outcome Regex::search(std::string_view subject, Captures& captures) const {
  if (subject.size() > kMaxSubject) return Outcome::kGaveUp;
  if (subject.data() == nullptr) subject = std::string_view("", 0);
  auto& matcher = this_threads_matcher();
  const int found = pcre2_match(code_->code.get(), reinterpret_cast<PCRE2_SPTR8>(subject.data()), subject.size(), 0, 0,
                                matcher.data.get(), matcher.settings.get());
  if (found == PCRE2_ERROR_NOMATCH) return Outcome::kNoMatch;
  if (found < 0) return Outcome::kGaveUp;
  // Zero: more groups than asked for, and those asked for are there.
  const auto count = found == 0 ? kGroups : static_cast<std::uint32_t>(found);
  const PCRE2_SIZE* const bounds = pcre2_get_ovector_pointer(matcher.data.get());
  for (std::uint32_t i = 0; i < kGroups; ++i) {
    const auto begin = i < count ? bounds[2 * i] : PCRE2_UNSET;
    const bool set = begin != PCRE2_UNSET && begin <= bounds[2 * i + 1];
    captures.group[i] = set ? subject.substr(begin, bounds[2 * i + 1] - begin) : std::string_view{};
  }
  return Outcome::kMatch;
}

std::size_t Regex::group_count() const {
  return code_->groups;
}

std::optional<std::string> check_regex(std::string_view pattern) {
  auto compiled = Regex::compile(pattern);
  if (compiled) return std::nullopt;
  return compiled.error().message;
}

void throw_exception_from_error(const Regex::CompileError& error, const boost::source_location&) {
  throw std::invalid_argument(error.message);
}

}  // namespace headgate::routing
