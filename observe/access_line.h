// SPDX-License-Identifier: Apache-2.0
// One line of the access log as text: the JSON object of the contract, or the combined format that every log tool
// reads. Values come from clients: nothing in them can end a string or a line.
#pragma once

#include <chrono>
#include <cstddef>
#include <string_view>

#include "observe/access_log.h"

namespace headgate::observe {

/// Longer strings are cut to this many bytes before they are written.
inline constexpr std::size_t kMaxLoggedString = 8 * 1024;

/// The moment of a line in both formats; the text of a second is made once. One thread.
class LineTime {
 public:
  /// Brings the texts up to `now`.
  void set(std::chrono::system_clock::time_point now);

  std::string_view rfc3339() const { return {rfc3339_, sizeof rfc3339_}; }     ///< 2026-11-20T05:29:29.123Z
  std::string_view combined() const { return {combined_, sizeof combined_}; }  ///< 20/Nov/2026:05:29:29 +0000

 private:
  void set_second(std::chrono::sys_seconds second);

  std::chrono::sys_seconds second_ = std::chrono::sys_seconds::min();
  char rfc3339_[24] = {};
  char combined_[26] = {};
};

/// An upper bound of what either writer needs for this record.
std::size_t line_bound(const AccessRecord& record);

/// Writes one line with its newline from `out` on, which has line_bound() bytes; returns its end. Bytes that are not
/// UTF-8 stand in JSON as the code point of the same number (\u0080 to \u00ff), control characters as \u00XX.
char* write_json_line(char* out, const AccessRecord& record, const LineTime& time);

/// Here quotes, backslashes, control characters and bytes above 126 stand as \xHH; an empty value as "-".
char* write_combined_line(char* out, const AccessRecord& record, const LineTime& time);

}  // namespace headgate::observe
