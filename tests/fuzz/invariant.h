// SPDX-License-Identifier: Apache-2.0
// What a fuzz target demands of the code beside not crashing.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace headgate::fuzz {

/// Ends the program with the sentence that does not hold: a finding for libFuzzer, a failed test for the replay.
inline void demand(bool holds, const char* sentence) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", sentence);
  std::abort();
}

/// True when `part` lies within `whole`; an empty part may lie anywhere.
inline bool lies_within(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

/// Takes the text up to the first line feed off `input`.
inline std::string_view take_line(std::string_view& input) {
  const auto end = input.find('\n');
  const auto line = input.substr(0, end);
  input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
  return line;
}

}  // namespace headgate::fuzz
