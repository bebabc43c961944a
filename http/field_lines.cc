// SPDX-License-Identifier: Apache-2.0
#include "http/field_lines.h"

#include <algorithm>

#include "http/byte_scan.h"

namespace headgate::http {
namespace {

constexpr unsigned kIdBits = 8;
constexpr std::uint32_t kIdMask = (1U << kIdBits) - 1;
static_assert(sizeof(FieldId) * 8 == kIdBits);

std::uint32_t offset(const char* from, const char* to) {
  return static_cast<std::uint32_t>(to - from);
}

/// OWS is no part of a value (RFC 9110 section 5.5). But some peers do not know "chunked" or a length with a tab behind
/// it: there it stays, and the value is a bad one.
std::string_view trim_value(std::string_view text, std::uint32_t name_size_and_id) {
  const auto trimmed = trim(text);
  const auto id = static_cast<FieldId>(name_size_and_id & kIdMask);
  if (id != FieldId::kTransferEncoding && id != FieldId::kContentLength) return trimmed;
  const auto behind = text.substr(static_cast<std::size_t>(trimmed.data() - text.data()) + trimmed.size());
  return behind.find('\t') == std::string_view::npos ? trimmed : text;
}

}  // namespace

FieldLines::Step FieldLines::fail(Fault fault) {
  fault_ = fault;
  return Step::kFault;
}

/// field-line = field-name ":" OWS field-value OWS, CRLF.
FieldLines::Step FieldLines::parse(const char* data, std::size_t size, std::size_t max_fields) {
  const char* const end = data + size;
  const char* p = data + at_;
  const char* name = data + line_.name;
  std::uint32_t name_size_and_id = line_.name_size_and_id;
  const char* value = data + line_.value;
  for (Stage stage = stage_;; stage = Stage::kName) {
    if (stage == Stage::kName) {
      const char* const colon = find_first<NameEnd>(data, p, end);
      if (colon == end) return wait_for_colon(data, p, end, name);
      if (colon == name) return end_or_fail(data, name, end);
      if (*colon != ':') return fail(Fault::kMalformed);
      if (lines_.size() >= max_fields) return fail(Fault::kTooMany);
      const std::string_view text(name, static_cast<std::size_t>(colon - name));
      const FieldId id = field_id(text);
      // The known ones are tokens.
      if (id == FieldId::kOther && !is_token(text)) return fail(Fault::kMalformed);
      name_size_and_id = static_cast<std::uint32_t>(text.size()) << kIdBits | static_cast<std::uint32_t>(id);
      value = p = colon + 1;
    }
    p = find_first<ValueEnd>(data, p, end);
    if (end - p < 2 || p[0] != '\r' || p[1] != '\n') {
      return wait_for_end(data, p, end, {offset(data, name), name_size_and_id, offset(data, value), 0});
    }
    if (*value == ' ') ++value;
    std::string_view text(value, static_cast<std::size_t>(p - value));
    if (*value <= ' ' || p[-1] <= ' ') text = trim_value(text, name_size_and_id);
    lines_.emplace_back(offset(data, name), name_size_and_id, offset(data, text.data()),
                        static_cast<std::uint32_t>(text.size()));
    name = p += 2;
  }
}

/// A line without a name: the empty one that ends them, or one that begins with what no name begins with.
FieldLines::Step FieldLines::end_or_fail(const char* data, const char* line, const char* end) {
  if (*line == '\r') {
    at_ = line_.name = offset(data, line);
    stage_ = Stage::kName;
    if (end - line < 2) return Step::kNeedMore;
    at_ += 2;
    return line[1] == '\n' ? Step::kEnd : fail(Fault::kBareCr);
  }
  if (*line == '\n') return fail(Fault::kBareLf);
  if (*line == ':') return fail(Fault::kNoName);
  // Before the first field there is nothing that could be folded (RFC 9112 section 2.2).
  return fail(is_blank(*line) && !lines_.empty() ? Fault::kFolded : Fault::kMalformed);
}

/// A name that is cut. What has come of it must be a token already.
FieldLines::Step FieldLines::wait_for_colon(const char* data, const char* from, const char* end, const char* name) {
  if (!std::all_of(from, end, is_token_char)) return fail(Fault::kMalformed);
  at_ = offset(data, end);
  line_.name = offset(data, name);
  stage_ = Stage::kName;
  return Step::kNeedMore;
}

/// A value that does not end with CRLF, or not yet.
FieldLines::Step FieldLines::wait_for_end(const char* data, const char* at, const char* end, Line line) {
  if (at != end && *at != '\r') return fail(*at == '\n' ? Fault::kBareLf : Fault::kMalformed);
  if (end - at >= 2) return fail(Fault::kBareCr);
  at_ = offset(data, at);
  line_ = line;
  stage_ = Stage::kValue;
  return Step::kNeedMore;
}

void FieldLines::append_to(const char* data, Fields& fields) const {
  fields.append(lines_.size(), [lines = lines_.data(), data](std::size_t i, Field& field) {
    const Line& line = lines[i];
    field.id = static_cast<FieldId>(line.name_size_and_id & kIdMask);
    field.name = {data + line.name, line.name_size_and_id >> kIdBits};
    field.value = {data + line.value, line.value_size};
  });
}

}  // namespace headgate::http
