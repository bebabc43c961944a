// SPDX-License-Identifier: Apache-2.0
#include "config/environment.h"

#include <cstdlib>

namespace headgate::config {
namespace {

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}

bool is_name(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (const char c : text) {
    const bool fits = is_lower(c) || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!fits) return false;
  }
  return true;
}

// One "${...}": what stands between the braces.
struct Reference {
  std::string_view name;
  std::optional<std::string_view> fallback;
};

Reference split_reference(std::string_view inside) {
  const auto colon = inside.find(":-");
  if (colon == std::string_view::npos) return {inside, std::nullopt};
  return {inside.substr(0, colon), inside.substr(colon + 2)};
}

Parsed<std::string> look_up(std::string_view inside, const Environment& environment) {
  const Reference reference = split_reference(inside);
  const std::string name(reference.name);
  if (!is_name(name)) {
    return ParseError{"expected the name of an environment variable in ${...}, got '" + name +
                      "'; \"$${\" is a plain \"${\""};
  }
  auto value = environment ? environment(name) : std::nullopt;
  if (reference.fallback && (!value || value->empty())) return std::string(*reference.fallback);
  if (!value) {
    return ParseError{"the environment variable " + name + " is not set; ${" + name + ":-default} gives a default"};
  }
  return *std::move(value);
}

}  // namespace

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

Parsed<std::string> substitute(std::string_view text, const Environment& environment, Substitute mode) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto dollar = text.find('$', at);
    out += text.substr(at, dollar - at);
    if (dollar == std::string_view::npos) break;
    const std::string_view rest = text.substr(dollar);
    if (mode == Substitute::kTemplate && rest.starts_with("$$")) {  // the template's own way to write a dollar sign
      out += "$$";
      at = dollar + 2;
      continue;
    }
    if (rest.starts_with("$${")) {
      out += "${";
      at = dollar + 3;
      continue;
    }
    if (!rest.starts_with("${")) {
      out += '$';
      at = dollar + 1;
      continue;
    }
    const auto close = rest.find('}');
    if (close == std::string_view::npos) return ParseError{"a \"${\" without its closing brace"};
    at = dollar + close + 1;
    if (mode == Substitute::kTemplate && is_lower(rest[2])) {
      out += rest.substr(0, close + 1);
      continue;
    }
    auto value = look_up(rest.substr(2, close - 2), environment);
    if (!value) return value.error();
    out += *value;
  }
  return out;
}

std::string escape_variables(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '$' && text.substr(i).starts_with("${")) out += '$';
    out += text[i];
  }
  return out;
}

}  // namespace headgate::config
