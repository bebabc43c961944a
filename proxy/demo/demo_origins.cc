// SPDX-License-Identifier: Apache-2.0
#include "proxy/demo/demo_origins.h"

#include <chrono>
#include <nlohmann/json.hpp>

namespace headgate::proxy {
namespace {

constexpr Duration kTickOfClock = std::chrono::seconds(1);

std::string wall_time() {
  const auto now = std::chrono::system_clock::now();
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
  return std::to_string(since.count());
}

}  // namespace

/// One server: GET /api/hello says who it is, GET /api/events is a clock, anything else is echoed as a description.
class DemoOrigins::Origin final : private http::Handler, private Acceptor::Sink {
 public:
  Origin(Loop& loop, Event& closing, Name name)
      : loop_(loop),
        closing_(closing),
        name_(std::move(name)),
        listener_(bind()),
        limits_{.header_timeout = std::chrono::seconds(10),
                .body_idle_timeout = std::chrono::seconds(30),
                .keepalive_timeout = std::chrono::seconds(120)},
        acceptor_(loop, listener_, listener_->sockets->share_of(0, 1).front()),
        tasks_(loop) {
    listener_->sockets->release();
    tasks_.spawn(acceptor_.run(*this));
  }

  std::string address() const { return listener_->local.to_string(); }

  Task<> stop() {
    acceptor_.cancel();
    for (auto& connection : connections_) connection.cancel();
    co_await tasks_.join(kNoDeadline);
  }

 private:
  static std::shared_ptr<const BoundListener> bind() {
    config::Listener listener;
    listener.address.kind = config::Address::Kind::kIp;
    listener.address.ip = *IpAddress::parse("127.0.0.1");
    listener.address.text = "127.0.0.1:0";
    return bind_listener(listener, 1);
  }

  void accepted(UniqueFd fd, const SocketAddress& peer, const Acceptor&) override {
    http::Handler& handler = *this;
    auto connection = std::make_unique<Connection>(loop_, std::move(fd), peer, listener_, handler);
    connections_.push_back(*connection);
    tasks_.spawn(Connection::serve(std::move(connection), nullptr, limits_.header_timeout));
  }

  const http::SessionLimits& session_limits() const override { return limits_; }

  Task<> handle(http::Exchange& exchange) override {
    return exchange.request.path == "/api/events" ? tell_time(exchange) : say_hello(exchange);
  }

  Task<> refuse(http::Exchange& exchange, const http::Rejection& rejection) override {
    http::ResponseHead head;
    head.status = rejection.status;
    head.content_length = 0;
    exchange.close_after();
    co_await exchange.respond(head, {});
  }

  Task<> say_hello(http::Exchange& exchange) {
    const auto& request = exchange.request;
    const nlohmann::json answer = {
        {"message", "hello from " + name_.pool},
        {"pool", name_.pool},
        {"server", name_.server},
        {"method", request.method_name},
        {"path", request.target},
        {"forwarded_for", request.fields.get(http::FieldId::kXForwardedFor).value_or(std::string_view())},
        {"request_id", request.fields.get(http::FieldId::kXRequestId).value_or(std::string_view())},
    };
    const std::string body = answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    http::ResponseHead head;
    head.fields.add(http::FieldId::kContentType, "Content-Type", "application/json");
    head.fields.add(http::FieldId::kCacheControl, "Cache-Control", "no-store");
    head.content_length = body.size();
    co_await exchange.respond(head, body);
  }

  Task<> tell_time(http::Exchange& exchange) {
    http::ResponseHead head;
    head.fields.add(http::FieldId::kContentType, "Content-Type", "text/event-stream");
    head.fields.add(http::FieldId::kCacheControl, "Cache-Control", "no-store");
    exchange.start(head);
    Event tick(loop_);
    while (!closing_.is_set()) {
      const std::string event = "data: {\"time\": " + wall_time() + ", \"server\": \"" + name_.server + "\"}\n\n";
      const auto sent = co_await exchange.write(event);
      if (!sent) co_return;
      co_await tick.wait(loop_.now() + kTickOfClock);
    }
    co_await exchange.finish();
  }

  Loop& loop_;
  Event& closing_;
  const Name name_;
  const std::shared_ptr<const BoundListener> listener_;
  http::SessionLimits limits_;
  Acceptor acceptor_;
  TaskGroup tasks_;
  ConnectionList connections_;
};

DemoOrigins::DemoOrigins(const std::vector<Name>& names) : closing_(loop_), ending_(loop_) {
  for (const auto& name : names) origins_.push_back(std::make_unique<Origin>(loop_, closing_, name));
  thread_ = std::thread([this] { loop_.run(); });
}

DemoOrigins::~DemoOrigins() {
  loop_.post([this] { ending_.spawn(stop()); });
  thread_.join();
}

Task<> DemoOrigins::stop() {
  closing_.set();
  for (auto& origin : origins_) co_await origin->stop();
  loop_.stop();
}

std::vector<std::string> DemoOrigins::addresses() const {
  std::vector<std::string> result;
  for (const auto& origin : origins_) result.push_back(origin->address());
  return result;
}

}  // namespace headgate::proxy
