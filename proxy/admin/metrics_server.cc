// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/metrics_server.h"

#include "base/log.h"
#include "proxy/instance.h"

namespace headgate::proxy {
namespace {

/// Scrapers are few, and each may hold a piece and the list of all series.
constexpr std::size_t kMostConnections = 16;

Task<> respond_text(http::Exchange& exchange, int status, std::string_view body) {
  http::ResponseHead head;
  head.status = status;
  head.fields.add(http::FieldId::kContentType, "Content-Type", "text/plain; charset=utf-8");
  if (status == 405) head.fields.add("Allow", "GET, HEAD");
  head.content_length = body.size();
  co_await exchange.respond(head, body);
}

}  // namespace

Task<> respond_metrics(http::Exchange& exchange, observe::Exposition& exposition) {
  http::ResponseHead head;
  head.fields.add(http::FieldId::kContentType, "Content-Type", observe::Exposition::kContentType);
  head.fields.add(http::FieldId::kCacheControl, "Cache-Control", "no-store");
  exchange.start(head);
  std::string piece;
  while (exchange.request.method != http::Method::kHead && exposition.next(piece)) {
    const auto sent = co_await exchange.write(piece);
    if (!sent) co_return;
    co_await exchange.loop().yield();
  }
  co_await exchange.finish();
}

MetricsServer::MetricsServer(Loop& loop, Instance& instance)
    : loop_(loop),
      instance_(instance),
      limits_{.header_timeout = std::chrono::seconds(10),
              .body_idle_timeout = std::chrono::seconds(10),
              .keepalive_timeout = std::chrono::seconds(150),  // scrapers come back each minute or two
              .max_header_bytes = 16 * 1024},
      tasks_(loop) {}

MetricsServer::~MetricsServer() = default;

std::shared_ptr<const BoundListener> MetricsServer::bind(const std::optional<config::Address>& address,
                                                         Predecessor* predecessor) const {
  if (!address) return nullptr;
  config::Listener listener;
  listener.address = *address;
  if (predecessor != nullptr) {
    if (auto taken = predecessor->take(listener)) return taken;
  }
  // As a listener for clients: so it is told of an address that is taken, even by one of those.
  return bind_listeners({listener}, listener_ ? BoundListeners{listener_} : BoundListeners{}, 1).front();
}

void MetricsServer::adopt(std::shared_ptr<const BoundListener> listener) {
  if (listener == listener_) return;
  for (auto& acceptor : acceptors_) acceptor->cancel();
  listener_ = std::move(listener);
  if (!listener_) return;
  acceptors_.push_back(std::make_unique<Acceptor>(loop_, listener_, listener_->sockets->share_of(0, 1).front()));
  listener_->sockets->release();
  tasks_.spawn(accept_from(*acceptors_.back()));
  log::info("listening on {} (metrics)", listener_->local.to_string());
}

Task<> MetricsServer::stop() {
  stopping_ = true;
  for (auto& acceptor : acceptors_) acceptor->cancel();
  for (auto& connection : connections_) connection.cancel();
  co_await tasks_.join(kNoDeadline);
}

Task<> MetricsServer::accept_from(Acceptor& acceptor) {
  co_await acceptor.run(*this);
  std::erase_if(acceptors_, [&](const auto& one) { return one.get() == &acceptor; });
}

void MetricsServer::accepted(UniqueFd fd, const SocketAddress& peer, const Acceptor& from) {
  if (stopping_ || tasks_.size() > kMostConnections) return;
  http::Handler& handler = *this;
  auto connection = std::make_unique<Connection>(loop_, std::move(fd), peer, from.listener(), handler);
  connections_.push_back(*connection);
  tasks_.spawn(Connection::serve(std::move(connection), nullptr, limits_.header_timeout));
}

Task<> MetricsServer::refuse(http::Exchange& exchange, const http::Rejection& rejection) {
  exchange.close_after();
  co_await respond_text(exchange, rejection.status, "bad request\n");
}

Task<> MetricsServer::handle(http::Exchange& exchange) {
  const auto& request = exchange.request;
  if (request.path != instance_.generation().config.metrics.path) {
    co_await respond_text(exchange, 404, "not found\n");
  } else if (request.method != http::Method::kGet && request.method != http::Method::kHead) {
    co_await respond_text(exchange, 405, "GET or HEAD\n");
  } else {
    auto exposition = instance_.exposition();
    co_await respond_metrics(exchange, exposition);
  }
}

}  // namespace headgate::proxy
