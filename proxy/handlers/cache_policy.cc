// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/cache_policy.h"

#include <algorithm>
#include <array>

#include "http/content_type.h"
#include "http/fields.h"

namespace headgate::proxy {
namespace {

constexpr std::string_view kRevalidate = "no-cache";
constexpr std::string_view kImmutable = "public, max-age=31536000, immutable";
constexpr std::size_t kShortestHash = 8;
constexpr std::size_t kLongestHash = 64;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f');
}

std::string_view last_segment(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

/// 20240131, also with a time behind it: a date, whatever else it may be.
bool is_date(std::string_view digits) {
  if (digits.size() != 8 && digits.size() != 12 && digits.size() != 14) return false;
  const auto century = digits.substr(0, 2);
  const auto month = digits.substr(4, 2);
  const auto day = digits.substr(6, 2);
  return (century == "19" || century == "20") && month >= "01" && month <= "12" && day >= "01" && day <= "31";
}

/// "background2": letters, then digits.
bool is_numbered_word(std::string_view text) {
  const auto end_of_digits = text.find_last_not_of("0123456789");
  const auto word = text.substr(0, end_of_digits + 1);
  if (word.size() == text.size()) return false;
  return std::all_of(word.begin() + 1, word.end(), [](char c) { return is_lower(c) || c == '_' || c == '-'; });
}

bool is_hex_hash(std::string_view text) {
  if (text.size() < kShortestHash || text.size() > kLongestHash) return false;
  if (!std::all_of(text.begin(), text.end(), is_hex)) return false;
  return !std::all_of(text.begin(), text.end(), is_digit) || !is_date(text);
}

/// Base64url, base32 or base36 of at least 8 characters, as Vite, Rollup and esbuild write it behind a dash.
bool is_mixed_hash(std::string_view text) {
  if (is_hex_hash(text)) return true;
  if (text.size() < kShortestHash || text.size() > kLongestHash) return false;
  const auto allowed = [](char c) { return is_digit(c) || is_lower(c) || is_upper(c) || c == '_' || c == '-'; };
  if (!std::all_of(text.begin(), text.end(), allowed)) return false;
  const bool digit = std::any_of(text.begin(), text.end(), is_digit);
  const bool inner_upper = std::any_of(text.begin() + 1, text.end(), is_upper);
  const bool letters = std::any_of(text.begin(), text.end(), [](char c) { return is_lower(c) || is_upper(c); });
  if (!letters) return false;  // a date, or a number
  // Without a digit only the usual length counts: "DiwrgTda" yes, "UserProfile" no.
  if (!digit) return inner_upper && text.size() == kShortestHash;
  return !is_numbered_word(text);
}

/// One part of a name between dots: does a hash stand behind one of its dashes?
bool ends_in_hash(std::string_view part) {
  const auto dash = part.rfind('-');
  if (dash != std::string_view::npos && dash > 0 && is_mixed_hash(part.substr(dash + 1))) return true;
  // Base64url has dashes of its own: then the usual length, and both cases, must tell.
  if (part.size() < kShortestHash + 2 || part[part.size() - kShortestHash - 1] != '-') return false;
  const auto tail = part.substr(part.size() - kShortestHash);
  return tail.find('-') != std::string_view::npos && std::any_of(tail.begin(), tail.end(), is_upper) &&
         std::any_of(tail.begin(), tail.end(), is_lower) && is_mixed_hash(tail);
}

std::size_t literal_length(std::string_view pattern) {
  return pattern.size() - static_cast<std::size_t>(std::count(pattern.begin(), pattern.end(), '*'));
}

}  // namespace

bool has_content_hash(std::string_view path) {
  const auto name = last_segment(path);
  std::size_t begin = 0;
  for (auto dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', begin)) {
    const auto part = name.substr(begin, dot - begin);
    if (ends_in_hash(part)) return true;
    // A name that is nothing but a hash needs more of it: "deadbeef.js" may be a word.
    if (is_hex_hash(part) && (begin > 0 || part.size() >= 2 * kShortestHash)) return true;
    begin = dot + 1;
  }
  return false;
}

bool must_revalidate(std::string_view path) {
  static constexpr std::array<std::string_view, 7> kNames = {"sw.js",          "service-worker.js", "serviceworker.js",
                                                             "ngsw-worker.js", "ngsw.json",         "registerSW.js",
                                                             "manifest.json"};
  const auto name = last_segment(path);
  if (std::find(kNames.begin(), kNames.end(), name) != kNames.end()) return true;
  if (name.ends_with("-sw.js") || name.ends_with(".webmanifest")) return true;
  return is_page(name);
}

bool is_page(std::string_view path) {
  const auto extension = http::extension_of(path);
  return http::iequals(extension, "html") || http::iequals(extension, "htm");
}

bool path_matches(std::string_view pattern, std::string_view path) {
  if (pattern.find('/') == std::string_view::npos) path = last_segment(path);
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;  // the last star, and how much of the text it has taken
  std::size_t taken = 0;
  while (t < path.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = t;
    } else if (p < pattern.size() && pattern[p] == path[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

CachePolicy::CachePolicy(std::vector<std::pair<std::string, std::string>> patterns, bool spa, bool several_builds)
    : spa_(spa), several_builds_(several_builds) {
  for (auto& [pattern, value] : patterns) rules_.push_back({std::move(pattern), std::move(value)});
  // A name without a star beats every pattern; among patterns the one that says more; then the order of the file.
  std::stable_sort(rules_.begin(), rules_.end(), [](const Rule& a, const Rule& b) {
    const bool a_exact = a.pattern.find('*') == std::string::npos;
    const bool b_exact = b.pattern.find('*') == std::string::npos;
    if (a_exact != b_exact) return a_exact;
    return literal_length(a.pattern) > literal_length(b.pattern);
  });
}

std::string_view CachePolicy::of(std::string_view path) const {
  for (const auto& rule : rules_) {
    if (path_matches(rule.pattern, path)) return rule.value;
  }
  if (!spa_ && !several_builds_) return {};
  if (must_revalidate(path)) return kRevalidate;
  return spa_ && has_content_hash(path) ? kImmutable : std::string_view{};
}

}  // namespace headgate::proxy
