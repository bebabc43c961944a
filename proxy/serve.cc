// SPDX-License-Identifier: Apache-2.0
#include "proxy/serve.h"

#include <algorithm>

#include "http/path.h"
#include "proxy/client_address.h"
#include "proxy/generation.h"
#include "proxy/grpc.h"
#include "proxy/handlers/answers.h"
#include "proxy/handlers/folder_choice.h"
#include "proxy/handlers/forward.h"
#include "proxy/request_id.h"

namespace headgate::proxy {
namespace {

/// Host without its port, lower case.
std::string_view host_of(std::string_view authority, Arena& arena) {
  const auto bracket = authority.starts_with('[') ? authority.find(']') : std::string_view::npos;
  const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  authority = authority.substr(0, colon);
  if (authority.ends_with('.')) authority.remove_suffix(1);
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (std::none_of(authority.begin(), authority.end(), is_upper)) return authority;
  char* const lower = arena.allocate(authority.size());
  std::transform(authority.begin(), authority.end(), lower,
                 [&](char c) { return is_upper(c) ? static_cast<char>(c | 0x20) : c; });
  return {lower, authority.size()};
}

/// Who asks, under which id, for which host.
void settle_identity(Request& request) {
  auto& exchange = request.exchange;
  const auto& connection = exchange.connection();
  const auto& config = request.generation->shared->config;
  request.peer_trusted = is_trusted(config.trusted_proxies, connection.peer);
  request.client = client_address(connection.peer, exchange.request.fields, config.trusted_proxies);
  request.client_text = request.client == connection.peer ? std::string_view(connection.peer_text)
                                                          : exchange.arena().copy(request.client.to_string());
  request.request_id = request_id(exchange.request.fields, exchange.arena());
  request.host = host_of(exchange.request.authority, exchange.arena());
}

/// Calls of gRPC, and how long they may take.
void settle_grpc(Request& request) {
  const auto& fields = request.exchange.request.fields;
  request.grpc = is_grpc(fields);
  if (!request.grpc) return;
  const auto text = fields.get("grpc-timeout");
  const auto timeout = text ? parse_grpc_timeout(*text) : std::nullopt;
  if (timeout) request.deadline = request.exchange.started_at() + *timeout;
}

/// The one path that routing and files see. False: it was refused.
bool settle_path(Request& request, http::PathError& error) {
  const auto& head = request.exchange.request;
  request.query = head.query;
  if (http::is_normal_path(head.path)) [[likely]] {
    request.path = head.path;
    return true;
  }
  std::string decoded;
  const auto notes = http::normalise_path(head.path, decoded);
  if (!notes) {
    error = notes.error();
    return false;
  }
  request.path = request.exchange.arena().copy(decoded);
  request.path_as_sent = !notes->dot_segments;
  return true;
}

/// Steps 5 and 6 of the path: the route of a request with this method, and its rewrites.
RouteWalk::End find_route(Request& request, std::size_t site, std::string_view method) {
  const auto& generation = *request.generation->shared;
  const auto& head = request.exchange.request;
  RouteWalk walk{generation.routes, *request.site->config, site, request, request.exchange.arena()};
  const auto end = walk.run({method, {}, {}, &head.fields, request.client}, request);
  if (walk.route != routing::RouteTable::kNone) request.route = &request.site->routes[walk.route];
  return end;
}

/// A preflight asks for the route of the request that it announces. False: it is an OPTIONS like any other, since CORS
/// is left to the application there.
bool is_preflight(Request& request, std::size_t site) {
  const auto& head = request.exchange.request;
  const auto announced = announced_method(head.method_name, head.fields);
  if (!announced) return false;
  const RoutePlace place = request;
  find_route(request, site, *announced);
  if (request.cors() != nullptr) return true;  // of the site, where there is no route
  static_cast<RoutePlace&>(request) = place;
  request.route = nullptr;
  return false;
}

Task<Result<>> respond_preflight(Request& request) {
  const auto& policy = *request.cors();
  const auto& asked = request.exchange.request.fields;
  http::ResponseHead head;
  head.status = 204;
  policy.answer_preflight(asked, head.fields, request.exchange.arena());
  if (!policy.allows(asked)) request.error = "cors_origin";
  return request.respond(head, {});
}

/// The answer when there is no route to take.
Task<Result<>> respond_unrouted(Request& request, RouteWalk::End end) {
  switch (end) {
    case RouteWalk::End::kGaveUp:
      return request.respond_error(500, "regex_limit");
    case RouteWalk::End::kLoop:
      return request.respond_error(500, "rewrite_loop");
    case RouteWalk::End::kBadRewrite:
      return request.respond_error(500, "bad_rewrite");
    default:
      return request.respond_error(404, "no_route");
  }
}

Task<Result<>> redirect_to_https(Request& request, int port) {
  if (request.host.empty()) return request.respond_error(400, "missing_host");
  auto& arena = request.exchange.arena();
  const auto port_text = port == 443 ? std::string_view() : arena.join({":", std::to_string(port)});
  http::ResponseHead head;
  head.status = 308;
  head.fields.add("Location", arena.join({"https://", request.host, port_text, request.exchange.request.target}));
  return request.respond(head, {});
}

/// RFC 9110 section 15.5.20: on a connection whose handshake was for another site the client should open another.
Task<Result<>> no_such_site(Request& request) {
  const auto& connection = request.exchange.connection();
  if (connection.secure && !connection.server_name.empty() && connection.server_name != request.host) {
    return request.respond_error(421, "misdirected_request");
  }
  return request.respond_error(404, "no_such_site");
}

/// Step 8: what the route says.
Task<Result<>> act(Request& request, const Surroundings& surroundings) {
  const CompiledRoute& route = *request.route;
  switch (route.action) {
    case CompiledRoute::Action::kProxy:
      return forward(request, surroundings);
    case CompiledRoute::Action::kStatic:
      request.path = strip_prefix(request.path, route.strip_prefix);
      if (route.files->pools() > 0) [[unlikely]]
        return serve_from_pools(request, surroundings.files);
      return route.files->serve(request, surroundings.files);
    case CompiledRoute::Action::kRedirect:
      return respond_redirect(request);
    case CompiledRoute::Action::kRespond:
      return respond_fixed(request);
    case CompiledRoute::Action::kNone:
      break;  // such a route only rewrites: a walk never ends there
  }
  return request.respond_error(500, "internal_error");
}

/// Null: everybody may come in.
const Gate* gate_of(const Request& request) {
  if (!request.route->gated) return nullptr;
  return request.site->gates[static_cast<std::size_t>(request.route - request.site->routes.data())];
}

/// A password or a service is asked for.
Task<Result<>> prove_and_act(Request& request, const Gate& gate, const Surroundings& surroundings) {
  auto proving = prove(request, gate, surroundings.verifier);
  const auto proven = co_await proving;
  if (!proven) co_return proven.error();
  if (!*proven) co_return Result<>();
  auto acting = act(request, surroundings);
  co_return co_await acting;
}

/// Step 8, behind the gate.
Task<Result<>> enter(Request& request, const Surroundings& surroundings) {
  const Gate* const gate = gate_of(request);
  if (gate != nullptr && gate->asks()) return prove_and_act(request, *gate, surroundings);
  return act(request, surroundings);
}

Task<Result<>> act_if(Admission admission, Request& request, const Surroundings& surroundings) {
  if (admission == Admission::kPass) return enter(request, surroundings);
  if (admission == Admission::kDenied) return request.respond_error(503, "rate_limit_store");
  return respond_limited(request);
}

/// A limit's store must be asked.
Task<Result<>> ask_and_act(Request& request, const Surroundings& surroundings) {
  auto asking = request.generation->limiter.ask(request);
  const auto admission = co_await asking;
  auto acting = act_if(admission, request, surroundings);
  co_return co_await acting;
}

/// Steps 7 and 8 for a route with rate limits.
Task<Result<>> act_within_limits(Request& request, const Surroundings& surroundings) {
  const auto admission = request.generation->limiter.check(request);
  return admission == Admission::kAsk ? ask_and_act(request, surroundings) : act_if(admission, request, surroundings);
}

}  // namespace

Task<Result<>> serve(Request& request, const Surroundings& surroundings) {
  auto& exchange = request.exchange;
  const auto& generation = *request.generation->shared;
  settle_identity(request);
  if (request.exchange.request.fields.has(http::FieldId::kContentType)) settle_grpc(request);
  if (exchange.request.target == "*") return respond_options_asterisk(request);

  const std::size_t site = generation.routes.find_site(exchange.connection().listener, request.host);
  if (site == routing::RouteTable::kNone) return no_such_site(request);
  request.site = &generation.sites[site];
  if (http::PathError error{}; !settle_path(request, error)) {
    return request.respond_error(400, "bad_path", http::to_string(error));
  }
  if (request.site->https_redirect && !exchange.connection().secure && surroundings.https_port != 0) {
    return redirect_to_https(request, surroundings.https_port);
  }

  // Before everything that a request may be refused for: a preflight comes without cookies and passwords.
  if (exchange.request.method == http::Method::kOptions && request.site->any_cors && is_preflight(request, site)) {
    return respond_preflight(request);
  }
  const Closure* closure = nullptr;
  if (surroundings.closed_sites != nullptr) closure = closure_for(*surroundings.closed_sites, request);
  const auto end = find_route(request, site, exchange.request.method_name);
  const Gate* const gate = end == RouteWalk::End::kRoute ? gate_of(request) : request.site->gate;
  if (gate != nullptr && !admits(request, *gate)) return deny(request, observe::Denial::kAddress);
  if (closure != nullptr) return respond_closed(request, *closure);
  if (end != RouteWalk::End::kRoute) return respond_unrouted(request, end);

  exchange.limit_body(request.route->max_body);
  if (request.route->limit_set != 0) return act_within_limits(request, surroundings);
  return enter(request, surroundings);
}

Task<Result<>> refuse(Request& request, const http::Rejection& rejection) {
  settle_identity(request);
  if (request.exchange.request.fields.has(http::FieldId::kContentType)) settle_grpc(request);
  const auto& generation = *request.generation->shared;
  const std::size_t site = generation.routes.find_site(request.exchange.connection().listener, request.host);
  if (site != routing::RouteTable::kNone) request.site = &generation.sites[site];
  request.exchange.close_after();
  return request.respond_error(rejection.status, rejection.reason, rejection.detail);
}

}  // namespace headgate::proxy
