// SPDX-License-Identifier: Apache-2.0
// The part of units.h that reads addresses, hosts, names and paths.
#include <algorithm>
#include <array>
#include <charconv>

#include "config/units.h"

namespace headgate::config {
namespace {

constexpr std::size_t kLongestUnixPath = 107;  // sun_path with its NUL, see unix(7)
constexpr std::size_t kLongestHost = 253;      // RFC 1035 section 2.3.4, without the root's dot

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Letters, digits, dashes and underscores between dots; RFC 1123 section 2.1 with the underscore that is found in use.
bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > kLongestHost) return false;
  std::size_t label = 0;
  for (const char c : text) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      continue;
    }
    if (!is_alpha(c) && !is_digit(c) && c != '-' && c != '_') return false;
    if (++label > 63) return false;
  }
  return label > 0;
}

bool parse_port(std::string_view text, std::uint16_t& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

bool is_plain(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// host:port and unix:/path; names are for the caller to judge.
bool parse_address(std::string_view text, Address& out) {
  out.text = text;
  if (text.starts_with("unix:")) {
    const std::string_view path = text.substr(5);
    out.kind = Address::Kind::kUnix;
    out.path = path;
    return !path.empty() && !path.ends_with('/') && path.size() <= kLongestUnixPath && is_plain(path);
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || !parse_port(text.substr(colon + 1), out.port)) return false;
  const std::string_view host = text.substr(0, colon);
  if (host.empty()) {
    out.kind = Address::Kind::kAny;
    return true;
  }
  const bool bracketed = host.front() == '[';
  if (bracketed != (host.find(':') != std::string_view::npos))
    return false;  // [::1]:80, neither ::1:80 nor [1.2.3.4]:80
  if (const auto ip = IpAddress::parse(host)) {
    out.kind = Address::Kind::kIp;
    out.ip = *ip;
    return true;
  }
  out.kind = Address::Kind::kName;
  out.host = lower(host);
  // A name of digits and dots is an address with a slip in it.
  return is_host_name(host) && host.find_first_not_of("0123456789.") != std::string_view::npos;
}

bool is_token_char(char c) {
  return is_alpha(c) || is_digit(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

struct UrlScheme {
  std::string_view prefix;
  Scheme scheme;
  std::string_view port;
};
constexpr std::array<UrlScheme, 4> kSchemes = {{{"http://", Scheme::kHttp, "80"},
                                                {"https://", Scheme::kHttps, "443"},
                                                {"h2c://", Scheme::kH2c, "80"},
                                                {"h2://", Scheme::kH2, "443"}}};

}  // namespace

Parsed<Address> parse_listen_address(std::string_view text) {
  Address address;
  if (!parse_address(text, address) || address.kind == Address::Kind::kName) return expected(kListenText, text);
  return address;
}

Parsed<Address> parse_server_address(std::string_view text) {
  if (text.find("://") != std::string_view::npos) {
    return ParseError{expected(kServerText, text).message + "; the scheme is a key of the upstream (scheme: https)"};
  }
  Address address;
  const bool fits = parse_address(text, address) && address.kind != Address::Kind::kAny &&
                    (address.kind == Address::Kind::kUnix || address.port != 0);
  if (!fits) return expected(kServerText, text);
  return address;
}

Parsed<Address> parse_resolver_address(std::string_view text) {
  const bool has_port = text.rfind(':') != std::string_view::npos && !text.ends_with(']');
  const auto server = parse_server_address(std::string(text) + (has_port ? "" : ":53"));
  // A name would have to be resolved first, by whom?
  if (!server || server->kind != Address::Kind::kIp) return expected(kResolverText, text);
  return *server;
}

Parsed<Cidr> parse_network(std::string_view text) {
  const auto network = Cidr::parse(text);
  if (!network) return expected(kCidrText, text);
  return *network;
}

bool is_proxy_url(std::string_view text) {
  return text.find("://") != std::string_view::npos || text.starts_with("unix:");
}

Parsed<ProxyTarget> parse_proxy_url(std::string_view text) {
  ProxyTarget target;
  if (text.starts_with("unix:")) {
    auto server = parse_server_address(text);
    if (!server) return expected(kProxyText, text);
    target.server = *std::move(server);
    target.name = target.server.text;
    return target;
  }
  const auto scheme = std::find_if(kSchemes.begin(), kSchemes.end(),
                                   [&](const UrlScheme& known) { return text.starts_with(known.prefix); });
  if (scheme == kSchemes.end()) return expected("a URL with http://, https://, h2c:// or h2://", text);
  std::string_view authority = text.substr(scheme->prefix.size());
  const auto path = authority.find_first_of("/?#");
  if (path != std::string_view::npos && authority.substr(path) != "/") {
    return ParseError{expected("a URL without a path", text).message +
                      "; the path sent upstream is made by strip_prefix or rewrite"};
  }
  authority = authority.substr(0, path);
  if (authority.find('@') != std::string_view::npos) return expected("a URL without a user name", text);
  const bool has_port = authority.rfind(':') != std::string_view::npos && !authority.ends_with(']');
  const std::string spelled = std::string(authority) + (has_port ? "" : ":" + std::string(scheme->port));
  auto server = parse_server_address(lower(spelled));
  if (!server) return expected(kProxyText, text);
  target.scheme = scheme->scheme;
  target.server = *std::move(server);
  target.name = std::string(scheme->prefix) + target.server.text;
  return target;
}

Parsed<std::string> parse_host(std::string_view text) {
  const std::string_view name = text.starts_with("*.") ? text.substr(2) : text;
  if (text == "*") {
    return ParseError{expected("a host name", text).message + "; a site without hosts answers to every name"};
  }
  const bool literal =
      IpAddress::parse(text).has_value() && (text.find(':') == std::string_view::npos || text[0] == '[');
  if (!is_host_name(name) && !literal) {
    return expected("a host name such as example.com or \"*.example.com\", without a port", text);
  }
  return lower(text);
}

Parsed<std::string> parse_token(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_token_char)) {
    return expected("a name of letters, digits and dashes", text);
  }
  return std::string(text);
}

Parsed<std::string> parse_method(std::string_view text) {
  const bool upper = !text.empty() && std::all_of(text.begin(), text.end(),
                                                  [](char c) { return is_token_char(c) && !(c >= 'a' && c <= 'z'); });
  if (!upper) return expected("a method such as GET, in upper case", text);
  return std::string(text);
}

Parsed<std::string> parse_name(std::string_view text) {
  const bool fits = !text.empty() && text.size() <= 100 && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alpha(c) || is_digit(c) || c == '.' || c == '_' || c == '-';
  });
  if (!fits) return expected("a name of letters, digits, dots, dashes and underscores", text);
  return std::string(text);
}

Parsed<PathPattern> parse_path_pattern(std::string_view text) {
  constexpr std::string_view kText = "a path such as /healthz, or /api/* for all that begins so";
  if (!text.starts_with('/') || !is_plain(text)) return expected(kText, text);
  PathPattern pattern;
  pattern.prefix = text.ends_with('*');
  pattern.text = text.substr(0, text.size() - (pattern.prefix ? 1 : 0));
  if (pattern.text.find('*') != std::string::npos) {
    return ParseError{expected("a star only at the end of a path", text).message + "; path_regex can do more"};
  }
  if (pattern.text.find('?') != std::string::npos) {
    return ParseError{expected("a path without a query", text).message + "; conditions on the query go into query:"};
  }
  // Requests are compared after normalising, so these could never be met.
  const std::string with_end = pattern.text + (pattern.prefix ? "x" : "/");
  for (const std::string_view never : {"//", "\\", "/./", "/../"}) {
    const std::string& subject = never == "//" ? pattern.text : with_end;
    if (subject.find(never) != std::string::npos)
      return expected("a normalised path (no '//', '\\', '.' or '..')", text);
  }
  return pattern;
}

}  // namespace headgate::config
