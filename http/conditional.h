// SPDX-License-Identifier: Apache-2.0
// Conditional requests (RFC 9110 section 13): does the client's copy still hold, and may the request go on? Pure; any
// thread. Nothing here allocates.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "http/message.h"

namespace headgate::http {

/// What is known of the representation that would be sent. It exists: for a missing one there is nothing to compare.
struct Validators {
  std::string_view etag;                      ///< as it is sent: quotes and W/ included; empty: none
  std::optional<std::int64_t> last_modified;  ///< Unix seconds
};

enum class Verdict : std::uint8_t {
  kProceed,
  kNotModified,  ///< 304
  kFailed,       ///< 412
};

/// Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since in the order of section 13.2.2. Several
/// fields of a list-based name count as one list; a date that cannot be read, or comes twice, is ignored.
/// `now` (Unix seconds) is needed only for two-digit years.
Verdict check_preconditions(const Fields& fields, Method method, const Validators& validators, std::int64_t now);

/// If-Range (section 13.1.5): true when the request has none, or names exactly this representation by a strong tag or
/// by its date. When false, Range is to be ignored.
bool if_range_holds(const Fields& fields, const Validators& validators, std::int64_t now);

/// True when a list of entity tags (section 8.8.3), or "*", holds `etag`. Weak comparison ignores W/ on both sides;
/// strong comparison fails when either side has it. What comes behind a malformed member is not looked at.
enum class TagComparison : std::uint8_t { kStrong, kWeak };
bool tag_list_matches(std::string_view list, std::string_view etag, TagComparison comparison);

}  // namespace headgate::http
