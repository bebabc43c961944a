// SPDX-License-Identifier: Apache-2.0
#include "proxy/request.h"

#include <algorithm>

#include "proxy/connection.h"
#include "proxy/error_pages.h"
#include "proxy/generation.h"
#include "proxy/grpc.h"
#include "proxy/handlers/mirror.h"
#include "proxy/security_headers.h"
#include "traffic/plan.h"
#include "routing/query.h"

namespace headgate::proxy {
namespace {

bool may_stand_in_value(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

void apply(const HeaderRules& rules, Request& request, http::Fields& fields) {
  for (const auto& name : rules.remove) fields.remove(name);
  for (const auto& [name, value] : rules.set) fields.set(name, request.expand(value));
  for (const auto& [name, value] : rules.add) fields.add(name, request.expand(value));
}

void tell_limits(const LimitAnswer& limit, http::Fields& fields) {
  fields.add(http::FieldId::kOther, "RateLimit-Policy", limit.policy);
  if (!limit.state.empty()) fields.add(http::FieldId::kOther, "RateLimit", limit.state);
  if (!limit.retry_after.empty()) fields.add(http::FieldId::kRetryAfter, "Retry-After", limit.retry_after);
}

}  // namespace

Request::Request(http::Exchange& e, WorkerGeneration* g) : exchange(e), generation(g) {}

Request::~Request() = default;

std::string_view Request::expand(const routing::Template& text) {
  if (text.is_constant()) return text.constant();
  std::string value;
  text.expand(*this, value);
  std::erase_if(value, [](char c) { return !may_stand_in_value(c); });
  return exchange.arena().copy(value);
}

void Request::apply_response_headers(http::ResponseHead& head) {
  if (!split_cookie.empty()) head.fields.add(http::FieldId::kSetCookie, "Set-Cookie", split_cookie);
  if (!set_cookie.empty()) head.fields.add(http::FieldId::kSetCookie, "Set-Cookie", set_cookie);
  if (!limit.policy.empty()) tell_limits(limit, head.fields);
  if (!challenge.empty()) head.fields.add(http::FieldId::kWwwAuthenticate, "WWW-Authenticate", challenge);
  if (site == nullptr) return;
  if (site->any_cors) {
    if (const auto* const policy = cors()) policy->apply(exchange.request.fields, head.fields, exchange.arena());
  }
  if (site->security_headers) add_strict_headers(exchange.connection().secure, head.fields);
  // Last, so that they have the last word.
  if (site->response_headers) apply(*site->response_headers, *this, head.fields);
  if (route != nullptr && route->response) apply(route->response->headers, *this, head.fields);
  // Not even the site's own (RFC 6797 section 7.2). Without https: redirect something in front of it may end TLS.
  if (site->https_redirect && !exchange.connection().secure) head.fields.remove("Strict-Transport-Security");
}

const CorsPolicy* Request::cors() const {
  using Cors = ResponseRules::Cors;
  if (route != nullptr && route->response && route->response->which_cors != Cors::kOfSite) {
    return route->response->which_cors == Cors::kOwn ? &route->response->cors : nullptr;
  }
  return site != nullptr && site->cors ? &*site->cors : nullptr;
}

void Request::start(http::ResponseHead& head) {
  apply_response_headers(head);
  if (compresses()) [[unlikely]]
    return start_encoding(head);
  exchange.start(head);
}

Task<Result<>> Request::respond(http::ResponseHead& head, std::span<const char> body, compress::KeptForms* forms) {
  if (!head.content_length) head.content_length = body.size();
  apply_response_headers(head);
  if (compresses()) [[unlikely]]
    return respond_encoding(head, body, forms);
  return exchange.respond(head, body);
}

Task<Result<>> Request::respond_refusal(http::ResponseHead& head, std::span<const char> body) {
  if (site != nullptr && site->error_pages) {
    if (auto page = error_page(*this, head.status)) return respond_page(*this, head, *std::move(page));
  }
  return respond(head, body);
}

Task<Result<>> Request::respond_error(int status, const char* reason, std::string_view detail) {
  http::ResponseHead head;
  head.status = status;
  return respond_error(head, reason, detail);
}

Task<Result<>> Request::respond_error(http::ResponseHead& head, const char* reason, std::string_view detail) {
  error = reason;
  if (exchange.response_started()) {
    exchange.abort();
    return Result<>();
  }
  const int status = head.status;
  if (grpc) return respond_grpc_error(status, reason, detail);
  head.fields.add(http::FieldId::kContentType, "Content-Type", "text/plain; charset=utf-8");
  head.fields.add(http::FieldId::kCacheControl, "Cache-Control", "no-store");
  auto& arena = exchange.arena();
  const auto number = arena.copy(std::to_string(status));
  auto body = arena.join({number, " ", http::reason_phrase(status), "\n"});
  if (!detail.empty()) body = arena.join({body, detail, "\n"});
  return respond_refusal(head, body);
}

Task<Result<>> Request::respond_grpc_error(int status, const char* reason, std::string_view detail) {
  auto& arena = exchange.arena();
  const auto text = detail.empty() ? std::string_view(reason) : arena.join({reason, ": ", detail});
  http::ResponseHead head;
  head.fields.add(http::FieldId::kContentType, "Content-Type", "application/grpc");
  head.fields.add("grpc-status", grpc_status(status));
  head.fields.add("grpc-message", grpc_message(text, arena));
  apply_response_headers(head);
  return exchange.respond(head, {});
}

Task<> Request::break_off(const Error& failure, bool in_trailers) {
  error = failure.reason;
  if (!in_trailers || failure.side == Side::kDownstream) {
    exchange.abort();
    co_return;
  }
  http::Fields trailers;
  trailers.add("grpc-status", grpc_status(status_of_upstream_failure(failure)));
  trailers.add("grpc-message", grpc_message(failure.reason, exchange.arena()));
  // With less content than was declared this breaks off, too.
  co_await exchange.finish(&trailers);
}

void Request::append(const routing::Variable& variable, std::string& out) const {
  using Kind = routing::Variable::Kind;
  const auto& head = exchange.request;
  switch (variable.kind) {
    case Kind::kRemoteAddr: out += client_text; break;
    case Kind::kHost: out += host; break;
    case Kind::kScheme: out += scheme(); break;
    case Kind::kMethod: out += head.method_name; break;
    case Kind::kUri: out += path; break;
    case Kind::kRequestUri: out += head.target; break;
    case Kind::kQuery: out += query; break;
    case Kind::kArg: out += routing::find_query(query, variable.name).value_or(std::string_view()); break;
    case Kind::kHttp: out += head.fields.get(variable.name).value_or(std::string_view()); break;
    case Kind::kCookie: out += cookie(head.fields, variable.name); break;
    case Kind::kServerPort: out += std::to_string(exchange.connection().local_port); break;
    case Kind::kRequestId: out += request_id; break;
    case Kind::kTlsVersion: out += exchange.connection().tls_version; break;
    case Kind::kPool: out += pool; break;
    case Kind::kUpstreamAddr: out += server; break;
    case Kind::kStatus:
      if (exchange.status() != 0) out += std::to_string(exchange.status());
      break;
    case Kind::kRemoteUser: out += user; break;
    case Kind::kCapture: out += captures.group[variable.index]; break;
  }
}

observe::AccessRecord Request::record(TimePoint ended) const {
  using http::FieldId;
  const auto& head = exchange.request;
  // Each member in its place: one that was left out here and set later would be written twice for each request.
  return {
      .request_id = request_id,
      .client = client_text,
      .method = head.method_name,
      .host = head.authority,
      .uri = head.target,
      .protocol = http::to_string(head.version),
      .status = exchange.status(),
      .bytes_in = exchange.body_bytes(),
      .bytes_out = exchange.bytes_out(),
      .duration = ended - exchange.started_at(),
      .site = site != nullptr ? std::string_view(site->name) : std::string_view(),
      .route = route != nullptr ? std::string_view(route->name) : std::string_view(),
      .upstream = upstream,
      .pool = pool,
      .server = server,
      .upstream_time = upstream_time,
      .attempts = attempts,
      .tls_version = exchange.connection().tls_version,
      .user_agent = head.fields.get(FieldId::kUserAgent).value_or(std::string_view()),
      .referer = head.fields.get(FieldId::kReferer).value_or(std::string_view()),
      .user = user,
      .rate_limited = limit.limit,
      .encoding = encoding,
      .shielded = shielded,
      .mirrored = mirrored,
      .error = error != nullptr ? std::string_view(error) : std::string_view(),
  };
}

ProxiedEnds client_ends(const Request& request) {
  // All exchanges of a worker are those of its Connections.
  const auto& connection = static_cast<const ClientConnectionInfo&>(request.exchange.connection());
  ProxiedEnds ends = connection.ends();
  if (request.client == connection.peer) return ends;
  ends.source = request.client;
  ends.source_port = 0;  // of that connection nobody has told us more
  return ends;
}

std::string_view cookie(const http::Fields& fields, std::string_view name) {
  for (const auto& field : fields) {
    if (field.id != http::FieldId::kCookie) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const auto end = rest.find(';');
      const auto pair = http::trim(rest.substr(0, end));
      const auto equals = pair.find('=');
      if (equals != std::string_view::npos && pair.substr(0, equals) == name) return pair.substr(equals + 1);
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    }
  }
  return {};
}

}  // namespace headgate::proxy
