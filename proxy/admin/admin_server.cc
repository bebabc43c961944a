// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/admin_server.h"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "base/log.h"
#include "proxy/admin/answer.h"
#include "proxy/admin/maintenance_resource.h"
#include "proxy/admin/metrics_server.h"
#include "proxy/admin/rollout_resource.h"
#include "proxy/admin/server_resource.h"
#include "proxy/admin/traffic_resource.h"
#include "proxy/admin/status_json.h"
#include "proxy/instance.h"
#include "proxy/state_file.h"

namespace headgate::proxy {
namespace {

using nlohmann::json;

constexpr std::size_t kMostConnections = 64;
/// At the end readers of events are given this long to take the last ones.
constexpr Duration kLastWords = std::chrono::seconds(1);

/// What is made meanwhile belongs to its owner alone. Only at start, while no other thread makes files.
struct OwnerAlone {
  mode_t before = ::umask(0177);
  ~OwnerAlone() { ::umask(before); }
};

std::shared_ptr<const BoundListener> bind(const config::Admin& settings, Predecessor& predecessor) {
  config::Listener listener;
  listener.address = settings.listen;
  if (auto taken = predecessor.take(listener)) return taken;
  if (settings.listen.kind == config::Address::Kind::kUnix) {
    std::error_code ignored;  // binding says what is wrong
    std::filesystem::create_directories(std::filesystem::path(settings.listen.path).parent_path(), ignored);
  }
  const OwnerAlone owner_alone;
  return bind_listener(listener, 1);
}

std::string read_token(const std::string& file) {
  if (file.empty()) return {};
  const auto text = load_file(file);
  if (!text) throw std::runtime_error("admin.token_file: cannot read " + file);
  const auto token = http::trim(std::string_view(*text).substr(0, text->find_first_of("\r\n")));
  if (token.empty()) throw std::runtime_error("admin.token_file: " + file + " is empty");
  return std::string(token);
}

/// In a time that does not tell how much of it was right.
bool equal_secrets(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b.empty() ? 0 : b[i % b.size()]);
  }
  return difference == 0;
}

}  // namespace

AdminServer::AdminServer(Loop& loop, Instance& instance, const config::Admin& settings, Predecessor& predecessor)
    : loop_(loop),
      instance_(instance),
      listener_(bind(settings, predecessor)),
      token_(read_token(settings.token_file)),
      limits_{.header_timeout = std::chrono::seconds(10),
              .body_idle_timeout = std::chrono::seconds(10),
              .keepalive_timeout = std::chrono::seconds(30)},
      acceptor_(loop, listener_, listener_->sockets->share_of(0, 1).front()),
      tasks_(loop),
      events_(loop, instance.events(), instance.started_at_wall_clock()) {
  listener_->sockets->release();
  tasks_.spawn(acceptor_.run(*this));
  log::info("listening on {} (admin)", listener_->local.to_string());
}

AdminServer::~AdminServer() = default;

Task<> AdminServer::stop() {
  acceptor_.cancel();
  events_.close();
  for (auto& connection : connections_) connection.drain();
  co_await tasks_.join(deadline_after(loop_.now(), kLastWords));
  for (auto& connection : connections_) connection.cancel();
  co_await tasks_.join(kNoDeadline);
}

void AdminServer::accepted(UniqueFd fd, const SocketAddress& peer, const Acceptor&) {
  if (tasks_.size() > kMostConnections || acceptor_.cancelled()) return;
  http::Handler& handler = *this;
  auto connection = std::make_unique<Connection>(loop_, std::move(fd), peer, listener_, handler);
  connections_.push_back(*connection);
  tasks_.spawn(Connection::serve(std::move(connection), nullptr, limits_.header_timeout));
}

/// A web page can make a browser on this machine send requests to loopback addresses. It cannot leave Origin away, and
/// a name of its own that points here shows in Host.
bool AdminServer::from_a_web_page(const http::Exchange& exchange) const {
  const auto& request = exchange.request;
  if (request.fields.has(http::FieldId::kOrigin)) return true;
  const auto colon = request.authority.rfind(':');
  const auto host = request.authority.ends_with(']') ? request.authority : request.authority.substr(0, colon);
  const bool known = listener_->config.address.kind == config::Address::Kind::kUnix || host.empty() ||
                     http::iequals(host, "localhost") || IpAddress::parse(host).has_value();
  return !known;
}

bool AdminServer::authorised(const http::Exchange& exchange) const {
  if (token_.empty()) return !from_a_web_page(exchange);
  const auto given = exchange.request.fields.get(http::FieldId::kAuthorization).value_or(std::string_view());
  constexpr std::string_view kScheme = "Bearer ";
  return given.size() > kScheme.size() && http::iequals(given.substr(0, kScheme.size()), kScheme) &&
         equal_secrets(given.substr(kScheme.size()), token_);
}

Task<> AdminServer::refuse(http::Exchange& exchange, const http::Rejection& rejection) {
  exchange.close_after();
  co_await respond(exchange, rejection.status, error_json(rejection.reason, rejection.detail));
}

Task<> AdminServer::handle(http::Exchange& exchange) {
  const auto& request = exchange.request;
  const auto path = request.path;
  const bool reads = request.method == http::Method::kGet || request.method == http::Method::kHead;
  if (path == "/healthz" && reads) {
    co_await respond(exchange, 200, "ok");
  } else if (path == "/readyz" && reads) {
    const bool ready = !instance_.draining();
    co_await respond(exchange, ready ? 200 : 503, ready ? "ready" : "draining");
  } else if (!authorised(exchange)) {
    co_await respond(
        exchange, 401,
        error_json("unauthorised", token_.empty() ? "requests of web pages are not answered without admin.token_file"
                                                  : "send Authorization: Bearer with the token of admin.token_file"));
  } else if (path == "/v1/status" && reads) {
    co_await respond(exchange, 200, status_json(instance_.status()));
  } else if (path == "/v1/events" && reads) {
    co_await events_.respond(exchange);
  } else if (path == "/metrics" && reads) {
    auto exposition = instance_.exposition();
    co_await respond_metrics(exchange, exposition);
  } else if (path == "/v1/config" && reads) {
    const auto& generation = instance_.generation();
    const json answer = {{"generation", generation.number}, {"yaml", config::dump(generation.config)}};
    co_await respond(exchange, 200, to_text(answer));
  } else if (path == "/v1/reload" && request.method == http::Method::kPost) {
    co_await reload(exchange);
  } else if (const auto server = parse_server_path(path)) {
    co_await respond_server(exchange, instance_, *server);
  } else if (const auto upstream = parse_upstream_path(path)) {
    if (upstream->action == UpstreamPath::Action::kRollout) {
      co_await respond_rollout(exchange, instance_, *upstream);
    } else {
      co_await respond_traffic(exchange, instance_, *upstream);
    }
  } else if (auto site = parse_site_path(path)) {
    co_await respond_maintenance(exchange, instance_, *std::move(site));
  } else {
    co_await respond(exchange, 404, error_json("not_found", "no such resource: see docs/operations.md"));
  }
}

Task<> AdminServer::reload(http::Exchange& exchange) {
  const auto outcome = instance_.reload();
  std::string lines;
  for (const auto& line : outcome.messages) (lines += lines.empty() ? "" : "\n") += line;
  if (!outcome.applied) {
    co_await respond(exchange, 400, error_json("reload_refused", lines));
    co_return;
  }
  const json answer = {
      {"applied", true}, {"generation", instance_.generation().number}, {"warnings", outcome.messages}};
  co_await respond(exchange, 200, to_text(answer));
}

}  // namespace headgate::proxy
