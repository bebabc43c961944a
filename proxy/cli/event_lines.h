// SPDX-License-Identifier: Apache-2.0
// Server-sent events made lines of text.
#pragma once

#include <string>
#include <string_view>

namespace headgate::cli {

/// Takes the stream in pieces of any size. Bounded: a line of a stream that is longer than it may be is dropped.
class EventLines {
 public:
  static constexpr std::size_t kLongestLine = 256 * 1024;

  /// `json`: the data as they are; else "TIME TYPE NAME=VALUE...".
  explicit EventLines(bool json) : json_(json) {}

  /// The lines of the events that end in this piece, each with its newline.
  std::string read(std::string_view piece);

 private:
  std::string line_of(std::string_view data) const;

  const bool json_;
  std::string line_;  // as far as it has come
  bool dropping_ = false;
};

}  // namespace headgate::cli
