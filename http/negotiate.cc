// SPDX-License-Identifier: Apache-2.0
#include "http/negotiate.h"

namespace headgate::http {
namespace {

constexpr unsigned kFull = 1000;

/// The weight among the parameters of a list member ("; q=0.5"); full when there is none.
unsigned weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto next = parameters.find(';');
    const auto parameter = trim(parameters.substr(0, next));
    if (parameter.size() >= 2 && (parameter[0] == 'q' || parameter[0] == 'Q') && parameter[1] == '=') {
      return parse_weight(parameter.substr(2)).value_or(0);
    }
    if (next == std::string_view::npos) break;
    parameters.remove_prefix(next + 1);
  }
  return kFull;
}

}  // namespace

std::string_view to_string(Coding coding) {
  switch (coding) {
    case Coding::kIdentity:
      return "identity";
    case Coding::kGzip:
      return "gzip";
    case Coding::kBrotli:
      return "br";
    case Coding::kZstd:
      return "zstd";
  }
  return "";
}

std::optional<Coding> coding_of(std::string_view name) {
  if (iequals(name, "gzip") || iequals(name, "x-gzip")) return Coding::kGzip;
  if (iequals(name, "br")) return Coding::kBrotli;
  if (iequals(name, "zstd")) return Coding::kZstd;
  if (iequals(name, "identity")) return Coding::kIdentity;
  return std::nullopt;
}

std::optional<unsigned> parse_weight(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1') || text.size() > 5) return std::nullopt;
  unsigned weight = text[0] == '1' ? kFull : 0;
  if (text.size() == 1) return weight;
  if (text[1] != '.') return std::nullopt;
  unsigned place = 100;
  for (const char c : text.substr(2)) {
    if (c < '0' || c > '9') return std::nullopt;
    weight += static_cast<unsigned>(c - '0') * place;
    place /= 10;
  }
  if (weight > kFull) return std::nullopt;
  return weight;
}

CodingQualities CodingQualities::parse(const Fields& fields) {
  CodingQualities result;
  std::array<bool, kCodingCount> named{};
  std::optional<unsigned> others;  // "*"
  for (const auto& field : fields) {
    if (field.id != FieldId::kAcceptEncoding) continue;
    std::string_view list = field.value;
    while (!list.empty()) {
      const auto comma = list.find(',');
      const auto member = list.substr(0, comma);
      list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
      const auto semicolon = member.find(';');
      const auto name = trim(member.substr(0, semicolon));
      if (name.empty()) continue;
      const unsigned weight = semicolon == std::string_view::npos ? kFull : weight_of(member.substr(semicolon + 1));
      if (name == "*") {
        others = weight;
      } else if (const auto coding = coding_of(name)) {
        const auto index = static_cast<std::size_t>(*coding);
        if (named[index]) continue;  // the first mention counts
        named[index] = true;
        result.quality_[index] = static_cast<std::uint16_t>(weight);
      }
    }
  }
  constexpr auto kIdentityIndex = static_cast<std::size_t>(Coding::kIdentity);
  result.identity_named_ = named[kIdentityIndex] || others.value_or(0) > 0;
  for (std::size_t i = 0; i < kCodingCount; ++i) {
    // Identity is acceptable unless forbidden by name or by "*;q=0" (section 12.5.3).
    if (!named[i]) result.quality_[i] = static_cast<std::uint16_t>(others.value_or(i == kIdentityIndex ? kFull : 0));
  }
  return result;
}

bool CodingQualities::wants_any() const {
  return of(Coding::kGzip) > 0 || of(Coding::kBrotli) > 0 || of(Coding::kZstd) > 0;
}

Coding CodingQualities::choose(std::span<const Coding> available) const {
  Coding best = Coding::kIdentity;
  // Identity that nobody asked for gives way to any coding that was asked for, however small its weight.
  unsigned best_quality = identity_named_ ? of(Coding::kIdentity) : 0;
  for (const Coding coding : available) {
    if (coding == Coding::kIdentity) continue;
    const unsigned quality = of(coding);
    const bool better = quality > best_quality || (quality == best_quality && best == Coding::kIdentity);
    if (quality == 0 || !better) continue;
    best = coding;
    best_quality = quality;
  }
  return best;
}

}  // namespace headgate::http
