// SPDX-License-Identifier: Apache-2.0
#include "compress/rules.h"

#include <algorithm>

namespace headgate::compress {
namespace {

using http::Coding;
using http::FieldId;

constexpr std::size_t kLongestType = 127;  // RFC 6838 section 4.2: twice 127, in practice under 80

/// The type without parameters, in lower case; empty when it is longer than any that is in use.
std::string_view type_of(std::string_view content_type, std::array<char, kLongestType>& room) {
  const auto type = http::trim(content_type.substr(0, content_type.find(';')));
  if (type.size() > room.size()) return {};
  std::transform(type.begin(), type.end(), room.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return {room.data(), type.size()};
}

/// Fields whose values would be wrong afterwards, and which we cannot write anew: digests of the content (RFC 9530, and
/// those before it).
bool has_digest(const http::Fields& fields) {
  return fields.get("Content-Digest") || fields.get("Repr-Digest") || fields.get("Digest") || fields.get("Content-MD5");
}

/// Whether an answer may be changed at all, whoever asks.
bool may_change(const http::RequestHead& request, const http::ResponseHead& answer) {
  const auto& fields = answer.fields;
  if (answer.status < 200 || answer.status == 204 || answer.status == 205 || answer.status == 206) return false;
  if (request.method == http::Method::kConnect) return false;
  if (fields.has(FieldId::kContentEncoding) || fields.has(FieldId::kContentRange)) return false;
  if (fields.list_contains(FieldId::kCacheControl, "no-transform")) return false;
  if (request.fields.list_contains(FieldId::kCacheControl, "no-transform")) return false;
  return !has_digest(fields);
}

/// Weak tags among those that the client has: what it keeps was encoded on its way.
bool knows_weak_tag(const http::Fields& fields, std::string_view tag) {
  for (const auto& field : fields) {
    if (field.id != FieldId::kIfNoneMatch) continue;
    for (auto at = field.value.find(tag); at != std::string_view::npos; at = field.value.find(tag, at + 1)) {
      if (field.value.substr(0, at).ends_with("W/")) return true;
    }
  }
  return false;
}

void add_vary(Arena& arena, http::Fields& fields) {
  constexpr std::string_view kName = "Accept-Encoding";
  if (fields.list_contains(FieldId::kVary, kName) || fields.list_contains(FieldId::kVary, "*")) return;
  for (auto& field : fields) {
    if (field.id != FieldId::kVary) continue;
    field.value = http::trim(field.value).empty() ? kName : arena.join({field.value, ", ", kName});
    return;
  }
  fields.add(FieldId::kVary, "Vary", kName);
}

void weaken_tags(Arena& arena, http::Fields& fields) {
  for (auto& field : fields) {
    if (field.id == FieldId::kETag && field.value.starts_with('"')) field.value = arena.join({"W/", field.value});
  }
}

}  // namespace

Rules::Rules(const config::Compress& settings) : min_size_(settings.min_size) {
  for (const auto& name : settings.encodings) {
    if (const auto coding = http::coding_of(name)) codings_.push_back(*coding);
  }
  levels_[static_cast<std::size_t>(Coding::kZstd)] = settings.level.zstd;
  levels_[static_cast<std::size_t>(Coding::kBrotli)] = settings.level.br;
  levels_[static_cast<std::size_t>(Coding::kGzip)] = settings.level.gzip;
  std::array<char, kLongestType> room;
  for (const auto& pattern : settings.types) {
    std::string type(type_of(pattern, room));
    if (type == "*/*") any_type_ = true;
    if (type.ends_with('*')) type.pop_back();
    if (!type.empty()) types_.push_back(std::move(type));
  }
}

bool Rules::covers(std::string_view content_type) const {
  std::array<char, kLongestType> room;
  const auto type = type_of(content_type, room);
  if (type.empty()) return false;
  // A call of gRPC frames and compresses its messages itself.
  if (type.starts_with("application/grpc")) return false;
  if (any_type_) return true;
  return std::any_of(types_.begin(), types_.end(),
                     [&](const std::string& one) { return one.ends_with('/') ? type.starts_with(one) : type == one; });
}

Decision decide(const Rules& rules, const http::RequestHead& request, const http::ResponseHead& answer) {
  Decision decision;
  if (!may_change(request, answer)) return decision;
  const auto type = answer.fields.get(FieldId::kContentType);
  const bool not_modified = answer.status == 304;
  // A 304 has a type and a length seldom, and then those of another answer (RFC 9110 section 15.4.5).
  if (type ? !rules.covers(*type) : !not_modified) return decision;
  if (answer.content_length && !not_modified) {
    if (*answer.content_length == 0 || *answer.content_length < rules.min_size()) return decision;
  }
  decision.varies = true;
  if (!request.fields.has(FieldId::kAcceptEncoding)) return decision;
  const auto qualities = http::CodingQualities::parse(request.fields);
  decision.coding = qualities.choose({rules.codings().data(), rules.codings().size()});
  std::array<char, kLongestType> room;
  decision.trickle = type && type_of(*type, room) == "text/event-stream";
  return decision;
}

void apply(const Decision& decision, const http::RequestHead& request, Arena& arena, http::ResponseHead& answer) {
  if (!decision.varies) return;
  add_vary(arena, answer.fields);
  if (decision.coding == Coding::kIdentity) return;
  answer.content_length.reset();
  if (answer.status == 304) {
    const auto tag = answer.fields.get(FieldId::kETag);
    if (tag && knows_weak_tag(request.fields, *tag)) weaken_tags(arena, answer.fields);
    return;
  }
  weaken_tags(arena, answer.fields);
  answer.fields.remove(FieldId::kAcceptRanges);
  answer.fields.add(FieldId::kContentEncoding, "Content-Encoding", http::to_string(decision.coding));
}

}  // namespace headgate::compress
