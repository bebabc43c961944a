// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/question.h"

#include <algorithm>

#include "http/path.h"
#include "proxy/client_address.h"
#include "proxy/request.h"
#include "routing/query.h"
#include "routing/template.h"

namespace headgate::cli {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return text;
}

// "[::1]:80" -> "[::1]" and "80".
std::pair<std::string, std::string> split_port(const std::string& authority) {
  const auto bracket = authority.rfind(']');
  const auto colon = authority.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon == std::string::npos) return {authority, ""};
  return {authority.substr(0, colon), authority.substr(colon + 1)};
}

}  // namespace

Question::Question(const config::Config& config, const Options& options, std::string& problem)
    : method(options.method) {
  if (!http::is_token(method)) {
    problem = "'" + method + "' is not a method";
    return;
  }
  if (!read_url(options.url, problem) || !read_headers(options, problem)) return;
  std::tie(host, std::ignore) = split_port(lower(authority));
  if (host.ends_with('.')) host.pop_back();
  if (!choose_listener(config, options, problem)) return;
  const auto address = IpAddress::parse(options.client);
  if (!address) {
    problem = "--client: expected an IP address, got '" + options.client + "'";
    return;
  }
  peer = *address;
  client = proxy::client_address(peer, fields, config.trusted_proxies);
  client_text = client.to_string();
}

bool Question::read_url(const std::string& url, std::string& problem) {
  std::string rest = url.substr(0, url.find('#'));
  for (const char* scheme : {"http://", "https://"}) {
    if (!lower(rest).starts_with(scheme)) continue;
    has_scheme_ = true;
    secure = std::string_view(scheme) == "https://";
    rest.erase(0, std::string_view(scheme).size());
    const auto end = rest.find_first_of("/?");
    authority = rest.substr(0, end);
    target = end == std::string::npos ? "/" : rest.substr(end);
    if (target.front() == '?') target.insert(0, 1, '/');
    std::tie(std::ignore, port_) = split_port(authority);
    break;
  }
  if (!has_scheme_) target = rest;
  if (target.empty() || target.front() != '/' || (has_scheme_ && authority.empty())) {
    problem = "expected http://host/path, https://host/path or /path, got '" + url + "'";
    return false;
  }
  const auto question = target.find('?');
  sent_path = std::string_view(target).substr(0, question);
  query = question == std::string::npos ? std::string_view() : std::string_view(target).substr(question + 1);
  return true;
}

bool Question::read_headers(const Options& options, std::string& problem) {
  for (const std::string& header : options.headers) {
    const auto colon = header.find(':');
    const std::string_view name = std::string_view(header).substr(0, colon);
    const std::string_view value =
        colon == std::string::npos ? std::string_view() : http::trim(std::string_view(header).substr(colon + 1));
    if (colon == std::string::npos || !http::is_token(name) || !http::is_field_value(value)) {
      problem = "-H: expected 'Name: value', got '" + header + "'";
      return false;
    }
    fields.add(keep(std::string(name)), keep(std::string(value)));
  }
  if (const auto given = fields.get(http::FieldId::kHost)) {
    authority = *given;
  } else if (!authority.empty()) {
    fields.add("Host", authority);
  }
  return true;
}

bool Question::choose_listener(const config::Config& config, const Options& options, std::string& problem) {
  const std::string port = port_.empty() ? (secure ? "443" : "80") : port_;
  for (const config::Listener& each : config.listeners) {
    if (!options.listener.empty()) {
      if (each.address.text == options.listener) listener = &each;
    } else if (!has_scheme_ || each.tls == secure) {
      // The one on the URL's port, else the first of its kind: behind a container's port mapping they differ.
      if (listener == nullptr ||
          (std::to_string(listener->address.port) != port && std::to_string(each.address.port) == port)) {
        listener = &each;
      }
    }
  }
  if (listener == nullptr) {
    problem = options.listener.empty() ? std::string("no listener has tls: ") + (secure ? "true" : "false")
                                       : "no listener has the address '" + options.listener + "'";
    return false;
  }
  secure = listener->tls;
  return true;
}

void Question::append(const routing::Variable& variable, std::string& out) const {
  using Kind = routing::Variable::Kind;
  switch (variable.kind) {
    case Kind::kRemoteAddr:
      out += client_text;
      break;
    case Kind::kHost:
      out += host;
      break;
    case Kind::kScheme:
      out += scheme();
      break;
    case Kind::kMethod:
      out += method;
      break;
    case Kind::kUri:
      out += path;
      break;
    case Kind::kRequestUri:
      out += target;
      break;
    case Kind::kQuery:
      out += query;
      break;
    case Kind::kArg:
      out += routing::find_query(query, variable.name).value_or(std::string_view());
      break;
    case Kind::kHttp:
      out += fields.get(variable.name).value_or(std::string_view());
      break;
    case Kind::kCookie:
      out += proxy::cookie(fields, variable.name);
      break;
    case Kind::kServerPort:
      out += std::to_string(listener->address.port);
      break;
    case Kind::kCapture:
      out += captures.group[variable.index];
      break;
    // Known only when a request is served.
    case Kind::kRemoteUser:
      out += "$remote_user";
      break;
    case Kind::kRequestId:
      out += "$request_id";
      break;
    case Kind::kTlsVersion:
      out += "$tls_version";
      break;
    case Kind::kPool:
      out += "$pool";
      break;
    case Kind::kUpstreamAddr:
      out += "$upstream_addr";
      break;
    case Kind::kStatus:
      out += "$status";
      break;
  }
}

std::string Question::expand_url(const std::string& text) const {
  struct Encoded final : routing::Variables {
    explicit Encoded(const Question& from) : question(from) {}
    void append(const routing::Variable& variable, std::string& out) const override {
      using Kind = routing::Variable::Kind;
      std::string plain;
      question.append(variable, plain);
      if (variable.kind == Kind::kUri || variable.kind == Kind::kCapture) {
        http::append_encoded_path(plain, out);
      } else {
        out += plain;
      }
    }
    const Question& question;
  };
  const auto parsed = routing::Template::parse(text);
  return parsed ? parsed->expand(Encoded(*this)) : text;
}

std::string Question::expand(const std::string& text) const {
  const auto parsed = routing::Template::parse(text);
  return parsed ? parsed->expand(*this) : text;
}

}  // namespace headgate::cli
