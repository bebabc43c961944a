// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/forward.h"

#include "proxy/generation.h"
#include "proxy/handlers/attempt.h"

namespace headgate::proxy {
namespace {

/// What the client is told of a failure before the answer has begun.
Task<> respond_failure(Request& request, const Error& error) {
  if (error.side == Side::kDownstream) {
    switch (error.code) {
      case Errc::kTooLarge: {
        const auto limit = std::to_string(request.exchange.body_limit());
        const auto detail = request.exchange.arena().join({"the limit is ", limit, " bytes (max_body)"});
        co_await request.respond_error(413, error.reason, detail);
        break;
      }
      case Errc::kBadMessage:
        co_await request.respond_error(400, error.reason);
        break;
      case Errc::kTimeout:
        co_await request.respond_error(408, error.reason);
        break;
      default:
        request.error = error.reason;
        break;  // the client is gone
    }
    co_return;
  }
  if (error.code == Errc::kCancelled) {
    // Only the end of shutdown_grace cancels what waits for an origin.
    co_await request.respond_error(503, "stopping");
    co_return;
  }
  const bool timeout = error.code == Errc::kTimeout;
  co_await request.respond_error(timeout ? 504 : 502, error.reason);
}

}  // namespace

Task<> forward(Request& request) {
  auto& exchange = request.exchange;
  const auto& route = *request.route;
  auto& upstream = *request.generation->upstreams[route.upstream];
  request.upstream = upstream.config().name;
  request.pool = upstream.pool_name();
  const auto& head = exchange.request;
  if (head.body == http::BodyKind::kLength && route.max_body != 0 && head.content_length > route.max_body) {
    co_await respond_failure(request, {Errc::kTooLarge, Side::kDownstream, "body_too_large"});
    co_return;
  }
  std::uint64_t tried = 0;
  unsigned failed_connects = 0;
  bool fresh = false;
  std::size_t index = upstream.pick(tried);
  for (;;) {
    auto& server = upstream.server(index);
    request.server = server.name();
    ++request.attempts;
    const TimePoint connect_by = deadline_after(exchange.loop().now(), route.timeouts.connect);
    auto lease = co_await server.lease(connect_by, fresh);
    Error error{};
    if (lease) {
      Attempt attempt(request, route.timeouts, *lease);
      const auto result = co_await attempt.run();
      if (result.verdict == Attempt::Verdict::kDone) co_return;
      error = result.error;
      if (result.verdict == Attempt::Verdict::kRetry) {
        fresh = true;
        continue;
      }
    } else {
      // Nothing has been sent: another server may take it.
      error = lease.error();
      if (index < 64) tried |= std::uint64_t{1} << index;
      ++failed_connects;
      if (failed_connects < upstream.size() && failed_connects <= upstream.config().retry.attempts) {
        index = upstream.pick(tried);
        continue;
      }
    }
    co_await respond_failure(request, error);
    co_return;
  }
}

}  // namespace headgate::proxy
