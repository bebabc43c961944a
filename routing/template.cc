// SPDX-License-Identifier: Apache-2.0
#include "routing/template.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "config/nearest.h"

namespace headgate::routing {
namespace {

using Kind = Variable::Kind;

struct NamedVariable {
  std::string_view name;
  Kind kind;
};

constexpr NamedVariable kPlainVariables[] = {
    {"remote_addr", Kind::kRemoteAddr},
    {"host", Kind::kHost},
    {"scheme", Kind::kScheme},
    {"method", Kind::kMethod},
    {"uri", Kind::kUri},
    {"request_uri", Kind::kRequestUri},
    {"query", Kind::kQuery},
    {"server_port", Kind::kServerPort},
    {"request_id", Kind::kRequestId},
    {"tls_version", Kind::kTlsVersion},
    {"pool", Kind::kPool},
    {"upstream_addr", Kind::kUpstreamAddr},
    {"status", Kind::kStatus},
    {"remote_user", Kind::kRemoteUser},
};

constexpr NamedVariable kFamilies[] = {
    {"arg_", Kind::kArg},
    {"http_", Kind::kHttp},
    {"cookie_", Kind::kCookie},
};

/// What people type who come from nginx, and the name it has here: no edit distance would find it.
constexpr std::pair<std::string_view, std::string_view> kNamesElsewhere[] = {
    {"args", "query"},
    {"query_string", "query"},
    {"request_method", "method"},
    {"document_uri", "uri"},
    {"request_path", "uri"},
    {"path", "uri"},
    {"binary_remote_addr", "remote_addr"},
    {"server_name", "host"},
    {"ssl_protocol", "tls_version"},
};

constexpr bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

/// The known variable that was most likely meant; empty when none is near.
std::string nearest_name(std::string_view name) {
  for (const auto& [there, here] : kNamesElsewhere) {
    if (name == there) return std::string(here);
  }
  // A bound on the edit distances; no name of ours is half as long.
  name = name.substr(0, 64);
  std::vector<std::string> names;
  for (const auto& variable : kPlainVariables) names.emplace_back(variable.name);
  // A misspelt family is compared with the name that follows it: "htpp_x_user" is near "http_x_user".
  if (const auto underscore = name.find('_'); underscore != std::string_view::npos) {
    for (const auto& family : kFamilies)
      names.push_back(std::string(family.name) + std::string(name.substr(underscore + 1)));
  }
  const std::vector<std::string_view> known(names.begin(), names.end());
  return std::string(config::nearest(name, known));
}

std::string all_names() {
  std::string out;
  for (const auto& variable : kPlainVariables) out += "$" + std::string(variable.name) + ", ";
  for (const auto& family : kFamilies) out += "$" + std::string(family.name) + "NAME, ";
  return out + "$1 to $9";
}

Template::ParseError unknown_name(std::size_t offset, std::string_view name) {
  const std::string unknown = "unknown variable $" + std::string(name);
  const bool digits = name.find_first_not_of("0123456789") == std::string_view::npos;
  if (digits) return {offset, unknown + "; the groups of a regex are $1 to $9"};
  const auto near = nearest_name(name);
  if (!near.empty()) return {offset, unknown + "; did you mean $" + near + "?"};
  return {offset, unknown + "; known are " + all_names()};
}

using ParsedVariable = boost::system::result<Variable, Template::ParseError>;

ParsedVariable variable_named(std::string_view name, std::size_t offset) {
  if (name.size() == 1 && name[0] >= '1' && name[0] <= '9') {
    return Variable{Kind::kCapture, {}, static_cast<std::uint8_t>(name[0] - '0')};
  }
  for (const auto& variable : kPlainVariables) {
    if (name == variable.name) return Variable{variable.kind, {}, 0};
  }
  for (const auto& family : kFamilies) {
    if (!name.starts_with(family.name)) continue;
    std::string rest(name.substr(family.name.size()));
    if (rest.empty())
      return Template::ParseError{offset, "$" + std::string(name) + " needs a name after the underscore"};
    if (family.kind == Kind::kHttp) {
      for (char& c : rest) c = c == '_' ? '-' : lower(c);
    }
    return Variable{family.kind, std::move(rest), 0};
  }
  return unknown_name(offset, name);
}

/// The length of the name that begins `text`, right behind "$".
std::size_t name_length(std::string_view text) {
  if (!text.empty() && text[0] >= '1' && text[0] <= '9') return 1;
  std::size_t size = 0;
  while (size < text.size() && is_name_byte(text[size])) ++size;
  return size;
}

}  // namespace

boost::system::result<Template, Template::ParseError> Template::parse(std::string_view text) {
  Template result;
  result.source_ = text;
  std::string literal;
  const auto end_literal = [&] {
    if (literal.empty()) return;
    result.parts_.push_back({false, std::exchange(literal, {}), {}});
  };
  for (std::size_t at = 0; at < text.size();) {
    const auto dollar = std::min(text.find('$', at), text.size());
    literal.append(text, at, dollar - at);
    if (dollar == text.size()) break;
    const auto rest = text.substr(dollar + 1);
    if (rest.starts_with('$')) {
      literal.push_back('$');
      at = dollar + 2;
      continue;
    }
    std::string_view name;
    if (rest.starts_with('{')) {
      const auto close = rest.find('}');
      if (close == std::string_view::npos) return ParseError{dollar, "\"${\" without a closing \"}\""};
      name = rest.substr(1, close - 1);
      at = dollar + 1 + close + 1;
    } else {
      name = rest.substr(0, name_length(rest));
      at = dollar + 1 + name.size();
    }
    if (name.empty()) return ParseError{dollar, "a name is expected after \"$\"; \"$$\" stands for a dollar sign"};
    auto variable = variable_named(name, dollar);
    if (!variable) return variable.error();
    end_literal();
    result.parts_.push_back({true, {}, std::move(*variable)});
  }
  end_literal();
  return result;
}

void Template::expand(const Variables& values, std::string& out) const {
  for (const auto& part : parts_) {
    if (part.is_variable) {
      values.append(part.variable, out);
    } else {
      out.append(part.literal);
    }
  }
}

std::string Template::expand(const Variables& values) const {
  std::string out;
  expand(values, out);
  return out;
}

std::optional<std::string> check_template(std::string_view text) {
  auto parsed = Template::parse(text);
  if (parsed) return std::nullopt;
  return parsed.error().message;
}

void throw_exception_from_error(const Template::ParseError& error, const boost::source_location&) {
  throw std::invalid_argument(error.message);
}

}  // namespace headgate::routing
