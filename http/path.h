// SPDX-License-Identifier: Apache-2.0
// One normalised path for routing and files: decoded once, so that no spelling of a path walks around a rule.
// Pure functions, any thread. They allocate only what `out` needs to grow.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/system/result.hpp>

namespace headgate::http {

enum class PathError : std::uint8_t {
  kNotAbsolute,  ///< does not begin with a slash
  kBadEscape,    ///< % without two hex digits
  kNul,          ///< %00 or a NUL byte
  kControl,      ///< another control character, encoded or not
  kAboveRoot,    ///< .. beyond the first segment
};

/// What normalising had to do: a path with dot segments is not passed on as it was sent.
struct PathNotes {
  bool dot_segments = false;       ///< "." or ".." in any spelling
  bool merged_slashes = false;     ///< "//"
  bool encoded_separator = false;  ///< %2f, %5c or a plain backslash
};

/// True when normalising would change nothing, and would note nothing: most paths are so.
bool is_normal_path(std::string_view encoded);

/// Decodes and normalises the path of a request target (RFC 3986 sections 2.1, 5.2.4, 6.2.2): escapes are decoded
/// exactly once, "//" becomes "/", "." and ".." segments are resolved after decoding, "\" counts as a separator, an
/// encoded slash or backslash as the separator it decodes to. A trailing slash stays. Bytes above 0x7f stay as they
/// are. `out` is replaced, and is empty after an error. `encoded` must not point into it.
boost::system::result<PathNotes, PathError> normalise_path(std::string_view encoded, std::string& out);

/// The other way: a decoded path as it may stand in a request target; everything but unreserved, sub-delims, ":", "@"
/// and "/" is escaped.
void append_encoded_path(std::string_view path, std::string& out);

/// A sentence without a full stop, for logs and answers.
std::string_view to_string(PathError error);

/// Called by boost::system::result when value() is asked of a failure: a bug of the caller.
[[noreturn]] void throw_exception_from_error(PathError error, const boost::source_location& where);

}  // namespace headgate::http
