// SPDX-License-Identifier: Apache-2.0
#include "http/range.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace headgate::http {
namespace {

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

/// Digits from the front; a number beyond 64 bits becomes the greatest, which is beyond any file as well.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::size_t digits = 0;
  std::uint64_t value = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    const auto digit = static_cast<std::uint64_t>(text[digits] - '0');
    value = value > (kHuge - digit) / 10 ? kHuge : value * 10 + digit;
    ++digits;
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

enum class Spec { kMalformed, kOutside, kInside };

/// One int-range or suffix-range. `out` is set for kInside.
Spec read_spec(std::string_view spec, std::uint64_t size, ByteRange& out) {
  const auto first = take_number(spec);
  if (spec.empty() || spec.front() != '-') return Spec::kMalformed;
  spec.remove_prefix(1);
  const auto last = take_number(spec);
  if (!spec.empty() || (!first && !last)) return Spec::kMalformed;
  if (!first) {
    if (*last == 0) return Spec::kOutside;
    const auto count = std::min(*last, size);
    out = {size - count, count};
    return Spec::kInside;
  }
  if (last && *last < *first) return Spec::kMalformed;
  if (*first >= size) return Spec::kOutside;
  const auto end = last && *last < size - 1 ? *last + 1 : size;
  out = {*first, end - *first};
  return Spec::kInside;
}

bool touches(const ByteRange& a, const ByteRange& b) {
  return a.first <= b.first + b.count && b.first <= a.first + a.count;
}

/// Adds a range in the order of the request, swallowing every earlier one that it overlaps or touches.
void merge_into(ByteRanges& ranges, ByteRange added) {
  std::size_t place = ranges.size();
  for (std::size_t i = 0; i < ranges.size();) {
    if (!touches(ranges[i], added)) {
      ++i;
      continue;
    }
    const auto first = std::min(ranges[i].first, added.first);
    const auto end = std::max(ranges[i].first + ranges[i].count, added.first + added.count);
    added = {first, end - first};
    ranges.erase(ranges.begin() + static_cast<std::ptrdiff_t>(i));
    place = std::min(place, i);
    i = 0;  // grown: what did not touch before may touch now
  }
  place = std::min(place, ranges.size());
  ranges.insert(ranges.begin() + static_cast<std::ptrdiff_t>(place), added);
}

void append_number(std::uint64_t number, std::string& out) {
  out += std::to_string(number);
}

}  // namespace

RangeOutcome select_ranges(const Fields& fields, std::uint64_t size, ByteRanges& out) {
  const auto field = fields.get(FieldId::kRange);
  if (!field || fields.count(FieldId::kRange) > 1) return RangeOutcome::kWhole;
  return select_ranges(*field, size, out);
}

RangeOutcome select_ranges(std::string_view range, std::uint64_t size, ByteRanges& out) {
  out.clear();
  const auto equals = range.find('=');
  if (equals == std::string_view::npos || !iequals(trim(range.substr(0, equals)), "bytes")) return RangeOutcome::kWhole;
  std::string_view set = range.substr(equals + 1);
  std::size_t specs = 0;
  bool inside = false;
  while (true) {
    const auto comma = set.find(',');
    const auto spec = trim(set.substr(0, comma));
    if (!spec.empty()) {  // empty members of a list are allowed (section 5.6.1.2)
      ByteRange one;
      const Spec kind = read_spec(spec, size, one);
      if (kind == Spec::kMalformed || ++specs > kMaxRanges) {
        out.clear();
        return RangeOutcome::kWhole;
      }
      if (kind == Spec::kInside) {
        inside = true;
        if (one.count > 0) merge_into(out, one);
      }
    }
    if (comma == std::string_view::npos) break;
    set.remove_prefix(comma + 1);
  }
  if (specs == 0) return RangeOutcome::kWhole;
  if (!inside) return RangeOutcome::kUnsatisfiable;
  // The last N bytes of nothing: satisfiable by section 14.1.2, but no Content-Range can say it.
  return out.empty() ? RangeOutcome::kWhole : RangeOutcome::kPartial;
}

void append_content_range(ByteRange range, std::uint64_t size, std::string& out) {
  out += "bytes ";
  append_number(range.first, out);
  out += '-';
  append_number(range.first + range.count - 1, out);
  out += '/';
  append_number(size, out);
}

void append_unsatisfied_range(std::uint64_t size, std::string& out) {
  out += "bytes */";
  append_number(size, out);
}

void append_part_head(std::string_view boundary, std::string_view content_type, ByteRange range, std::uint64_t size,
                      std::string& out) {
  out += "\r\n--";
  out += boundary;
  out += "\r\nContent-Type: ";
  out += content_type;
  out += "\r\nContent-Range: ";
  append_content_range(range, size, out);
  out += "\r\n\r\n";
}

void append_last_delimiter(std::string_view boundary, std::string& out) {
  out += "\r\n--";
  out += boundary;
  out += "--\r\n";
}

}  // namespace headgate::http
