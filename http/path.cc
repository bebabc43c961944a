// SPDX-License-Identifier: Apache-2.0
#include "http/path.h"

#include <array>
#include <stdexcept>

namespace headgate::http {
namespace {

/// Bytes after which the one-pass copy is no longer right, or may not be.
enum ByteClass : std::uint8_t { kPlain = 0, kSlash = 1, kSpecial = 2 };

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> table{};
  for (std::size_t byte = 0; byte < 0x20; ++byte) table[byte] = kSpecial;
  table[0x7f] = kSpecial;
  table['%'] = kSpecial;
  table['\\'] = kSpecial;
  table['/'] = kSlash;
  return table;
}
constexpr auto kClasses = make_classes();

constexpr std::array<std::int8_t, 256> make_hex() {
  std::array<std::int8_t, 256> table{};
  for (auto& value : table) value = -1;
  for (int digit = 0; digit < 10; ++digit)
    table[static_cast<std::size_t>('0' + digit)] = static_cast<std::int8_t>(digit);
  for (int letter = 0; letter < 6; ++letter) {
    table[static_cast<std::size_t>('a' + letter)] = static_cast<std::int8_t>(10 + letter);
    table[static_cast<std::size_t>('A' + letter)] = static_cast<std::int8_t>(10 + letter);
  }
  return table;
}
constexpr auto kHex = make_hex();

/// pchar and "/" of RFC 3986 section 3.3: what may stand in a path as it is.
constexpr std::array<bool, 256> make_path_bytes() {
  std::array<bool, 256> table{};
  for (std::size_t byte = '0'; byte <= '9'; ++byte) table[byte] = true;
  for (std::size_t byte = 'a'; byte <= 'z'; ++byte) table[byte] = true;
  for (std::size_t byte = 'A'; byte <= 'Z'; ++byte) table[byte] = true;
  for (const char byte : std::string_view("-._~!$&'()*+,;=:@/")) table[static_cast<std::size_t>(byte)] = true;
  return table;
}
constexpr auto kPathBytes = make_path_bytes();

constexpr std::uint8_t byte_of(char c) {
  return static_cast<std::uint8_t>(c);
}

/// Builds the normalised path segment by segment. The path so far always ends right behind a separator followed by
/// the segment that is being read.
class Normaliser {
 public:
  Normaliser(std::string& out, PathNotes& notes) : out_(out), notes_(notes) {
    out_.assign(1, '/');
    segment_ = 1;
  }

  void byte(char c) { out_.push_back(c); }

  /// A separator after the current segment. False: above the root.
  bool separator() {
    if (out_.size() == segment_) {
      notes_.merged_slashes = true;
      return true;
    }
    switch (resolve_dots()) {
      case Dots::kAboveRoot:
        return false;
      case Dots::kResolved:
        return true;
      case Dots::kNone:
        break;
    }
    out_.push_back('/');
    segment_ = out_.size();
    return true;
  }

  bool finish() { return resolve_dots() != Dots::kAboveRoot; }

 private:
  enum class Dots { kNone, kResolved, kAboveRoot };

  Dots resolve_dots() {
    const auto segment = std::string_view(out_).substr(segment_);
    if (segment == ".") {
      notes_.dot_segments = true;
      out_.resize(segment_);
      return Dots::kResolved;
    }
    if (segment != "..") return Dots::kNone;
    notes_.dot_segments = true;
    if (segment_ == 1) return Dots::kAboveRoot;
    // What is scanned here is removed at once, so that the whole stays linear.
    segment_ = out_.rfind('/', segment_ - 2) + 1;
    out_.resize(segment_);
    return Dots::kResolved;
  }

  std::string& out_;
  PathNotes& notes_;
  std::size_t segment_;
};

boost::system::result<PathNotes, PathError> normalise_slowly(std::string_view encoded, std::string& out) {
  PathNotes notes;
  out.reserve(encoded.size());
  Normaliser normaliser(out, notes);
  for (std::size_t i = 1; i < encoded.size(); ++i) {
    char c = encoded[i];
    bool escaped = false;
    if (c == '%') {
      if (encoded.size() - i < 3) return PathError::kBadEscape;
      const int high = kHex[byte_of(encoded[i + 1])];
      const int low = kHex[byte_of(encoded[i + 2])];
      if (high < 0 || low < 0) return PathError::kBadEscape;
      c = static_cast<char>(high * 16 + low);
      escaped = true;
      i += 2;
    }
    if (c == '\0') return PathError::kNul;
    if (byte_of(c) < 0x20 || c == 0x7f) return PathError::kControl;
    if (c == '/' || c == '\\') {
      if (escaped || c == '\\') notes.encoded_separator = true;
      if (!normaliser.separator()) return PathError::kAboveRoot;
    } else {
      normaliser.byte(c);
    }
  }
  if (!normaliser.finish()) return PathError::kAboveRoot;
  return notes;
}

}  // namespace

bool is_normal_path(std::string_view encoded) {
  if (!encoded.starts_with('/')) return false;
  const char* at = encoded.data();
  const char* const end = at + encoded.size();
  for (; at != end; ++at) {
    const auto kind = kClasses[byte_of(*at)];
    if (kind == kPlain) continue;
    if (kind == kSpecial) return false;
    // Any segment that begins with a dot takes the slow way; ".well-known" and hidden files are rare enough.
    if (at + 1 != end && (at[1] == '/' || at[1] == '.')) return false;
  }
  return true;
}

boost::system::result<PathNotes, PathError> normalise_path(std::string_view encoded, std::string& out) {
  if (encoded.empty() || encoded.front() != '/') {
    out.clear();
    return PathError::kNotAbsolute;
  }
  if (is_normal_path(encoded)) [[likely]] {
    out.assign(encoded);
    return PathNotes{};
  }
  auto notes = normalise_slowly(encoded, out);
  if (!notes) out.clear();
  return notes;
}

void append_encoded_path(std::string_view path, std::string& out) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::size_t run = 0;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const auto byte = byte_of(path[i]);
    if (kPathBytes[byte]) continue;
    out.append(path, run, i - run);
    const char escape[] = {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    out.append(escape, sizeof escape);
    run = i + 1;
  }
  out.append(path, run, path.size() - run);
}

std::string_view to_string(PathError error) {
  switch (error) {
    case PathError::kNotAbsolute:
      return "the path does not begin with a slash";
    case PathError::kBadEscape:
      return "the path has a % that two hexadecimal digits do not follow";
    case PathError::kNul:
      return "the path has a NUL byte";
    case PathError::kControl:
      return "the path has a control character";
    case PathError::kAboveRoot:
      return "the path leads above the root";
  }
  return "the path is malformed";
}

void throw_exception_from_error(PathError error, const boost::source_location&) {
  throw std::invalid_argument(std::string(to_string(error)));
}

}  // namespace headgate::http
