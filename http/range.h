// SPDX-License-Identifier: Apache-2.0
// Range requests (RFC 9110 section 14): which bytes of a representation a client asked for, and how 206 says them.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/container/static_vector.hpp>

#include "http/message.h"

namespace headgate::http {

/// `count` bytes from `first`; never empty and always inside the representation.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

/// More pieces than this in one request are no video player and no download tool: the answer is the whole (200).
inline constexpr std::size_t kMaxRanges = 16;
using ByteRanges = boost::container::static_vector<ByteRange, kMaxRanges>;

enum class RangeOutcome : std::uint8_t {
  kWhole,          ///< no Range, or one to be ignored: 200
  kPartial,        ///< `out` has one range or more: 206
  kUnsatisfiable,  ///< 416 with "bytes */SIZE"
};

/// Reads the Range field for a representation of `size` bytes. Another unit, a malformed set, several fields and too
/// many pieces are ignored (section 14.2). Pieces that overlap or touch are merged (section 15.3.7.2), so that an
/// answer is never longer than the representation by more than the part heads.
RangeOutcome select_ranges(const Fields& fields, std::uint64_t size, ByteRanges& out);
RangeOutcome select_ranges(std::string_view range, std::uint64_t size, ByteRanges& out);

/// "bytes 0-99/1234"
void append_content_range(ByteRange range, std::uint64_t size, std::string& out);

/// "bytes */1234", for 416.
void append_unsatisfied_range(std::uint64_t size, std::string& out);

/// The delimiter and head of one part of multipart/byteranges (section 14.6), with the line break that ends the part
/// before it; and what closes the last part.
void append_part_head(std::string_view boundary, std::string_view content_type, ByteRange range, std::uint64_t size,
                      std::string& out);
void append_last_delimiter(std::string_view boundary, std::string& out);

}  // namespace headgate::http
