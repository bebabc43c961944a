// SPDX-License-Identifier: Apache-2.0
#include "http/conditional.h"

#include "http/date.h"

namespace headgate::http {
namespace {

struct EntityTag {
  std::string_view opaque;  // with its quotes
  bool weak = false;
};

/// Takes an entity tag from the front of `text`; nullopt, and `text` unchanged, when there is none.
std::optional<EntityTag> take_tag(std::string_view& text) {
  std::string_view rest = text;
  EntityTag tag;
  if (rest.starts_with("W/")) {  // case-sensitive
    tag.weak = true;
    rest.remove_prefix(2);
  }
  if (rest.empty() || rest.front() != '"') return std::nullopt;
  const auto end = rest.find('"', 1);
  if (end == std::string_view::npos) return std::nullopt;
  tag.opaque = rest.substr(0, end + 1);
  for (const char c : tag.opaque) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f) return std::nullopt;
  }
  text = rest.substr(end + 1);
  return tag;
}

bool same_tag(const EntityTag& a, const EntityTag& b, TagComparison comparison) {
  if (comparison == TagComparison::kStrong && (a.weak || b.weak)) return false;
  return a.opaque == b.opaque;
}

void skip_separators(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == ',')) text.remove_prefix(1);
}

/// The conditional fields of a request, found in one pass. For the dates: nullopt also when there are several.
struct Conditions {
  bool any = false;
  bool if_match = false;
  bool if_none_match = false;
  std::optional<std::string_view> if_modified_since;
  std::optional<std::string_view> if_unmodified_since;
};

Conditions find_conditions(const Fields& fields) {
  Conditions found;
  unsigned modified = 0;
  unsigned unmodified = 0;
  for (const auto& field : fields) {
    switch (field.id) {
      case FieldId::kIfMatch:
        found.if_match = true;
        break;
      case FieldId::kIfNoneMatch:
        found.if_none_match = true;
        break;
      case FieldId::kIfModifiedSince:
        found.if_modified_since = field.value;
        ++modified;
        break;
      case FieldId::kIfUnmodifiedSince:
        found.if_unmodified_since = field.value;
        ++unmodified;
        break;
      default:
        continue;
    }
    found.any = true;
  }
  if (modified > 1) found.if_modified_since.reset();
  if (unmodified > 1) found.if_unmodified_since.reset();
  return found;
}

bool any_field_matches(const Fields& fields, FieldId id, std::string_view etag, TagComparison comparison) {
  for (const auto& field : fields) {
    if (field.id == id && tag_list_matches(field.value, etag, comparison)) return true;
  }
  return false;
}

/// Changed after the date in `text`? nullopt: the condition does not apply.
std::optional<bool> changed_since(std::optional<std::string_view> text, const Validators& validators,
                                  std::int64_t now) {
  if (!text || !validators.last_modified) return std::nullopt;
  const auto date = parse_http_date(trim(*text), now);
  if (!date) return std::nullopt;
  return *validators.last_modified > *date;
}

}  // namespace

bool tag_list_matches(std::string_view list, std::string_view etag, TagComparison comparison) {
  if (trim(list) == "*") return true;
  std::string_view own_text = etag;
  const auto own = take_tag(own_text);
  if (!own) return false;
  for (skip_separators(list); !list.empty(); skip_separators(list)) {
    const auto tag = take_tag(list);
    if (!tag) return false;
    if (same_tag(*tag, *own, comparison)) return true;
  }
  return false;
}

Verdict check_preconditions(const Fields& fields, Method method, const Validators& validators, std::int64_t now) {
  const Conditions conditions = find_conditions(fields);
  if (!conditions.any) return Verdict::kProceed;

  if (conditions.if_match) {
    if (!any_field_matches(fields, FieldId::kIfMatch, validators.etag, TagComparison::kStrong)) return Verdict::kFailed;
  } else if (changed_since(conditions.if_unmodified_since, validators, now).value_or(false)) {
    return Verdict::kFailed;
  }

  const bool reading = method == Method::kGet || method == Method::kHead;
  if (conditions.if_none_match) {
    if (any_field_matches(fields, FieldId::kIfNoneMatch, validators.etag, TagComparison::kWeak)) {
      return reading ? Verdict::kNotModified : Verdict::kFailed;
    }
  } else if (reading && !changed_since(conditions.if_modified_since, validators, now).value_or(true)) {
    return Verdict::kNotModified;
  }
  return Verdict::kProceed;
}

bool if_range_holds(const Fields& fields, const Validators& validators, std::int64_t now) {
  const auto field = fields.get(FieldId::kIfRange);
  if (!field) return true;
  if (fields.count(FieldId::kIfRange) > 1) return false;
  std::string_view text = trim(*field);
  std::string_view own_text = validators.etag;
  if (const auto tag = take_tag(text)) {
    const auto own = take_tag(own_text);
    return own && text.empty() && same_tag(*tag, *own, TagComparison::kStrong);
  }
  const auto date = parse_http_date(text, now);
  return date && validators.last_modified && *date == *validators.last_modified;
}

}  // namespace headgate::http
