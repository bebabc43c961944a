// SPDX-License-Identifier: Apache-2.0
// Input: a line with a regex, then a subject.
#include <string>

#include "routing/regex.h"
#include "tests/fuzz/invariant.h"

using headgate::fuzz::demand;
using headgate::routing::Regex;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto pattern = headgate::fuzz::take_line(input);
  // Compiling is start-up work of a trusted file; long patterns only make the fuzzer slow.
  if (pattern.size() > 200) return 0;
  const auto regex = Regex::compile(pattern);
  if (!regex) {
    demand(regex.error().offset <= pattern.size(), "an error stands in the pattern");
    return 0;
  }
  headgate::routing::Captures captures;
  constexpr std::string_view kBefore = "before";
  captures.group.fill(kBefore);
  const auto outcome = regex->search(input, captures);
  for (const auto group : captures.group) {
    if (outcome == Regex::Outcome::kMatch) {
      demand(headgate::fuzz::lies_within(group, input), "a group is a part of the subject");
    } else {
      demand(group.data() == kBefore.data(), "captures stay without a match");
    }
  }
  demand(input.size() <= Regex::kMaxSubject || outcome == Regex::Outcome::kGaveUp, "a long subject is not tried");
  return 0;
}
