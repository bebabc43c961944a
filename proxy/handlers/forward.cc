// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/forward.h"

#include <algorithm>

#include "proxy/generation.h"
#include "proxy/handlers/attempt.h"

namespace headgate::proxy {
namespace {

/// How many times a request is sent again that an origin has refused to look at.
constexpr unsigned kMaxRefusals = 3;

/// What the client is told of a failure before the answer has begun.
Task<Result<>> respond_failure(Request& request, const Error& error) {
  if (error.side == Side::kDownstream) {
    switch (error.code) {
      case Errc::kTooLarge: {
        const auto limit = std::to_string(request.exchange.body_limit());
        const auto detail = request.exchange.arena().join({"the limit is ", limit, " bytes (max_body)"});
        return request.respond_error(413, error.reason, detail);
      }
      case Errc::kBadMessage:
        return request.respond_error(400, error.reason);
      case Errc::kTimeout:
        return request.respond_error(408, error.reason);
      default:
        request.error = error.reason;
        return Result<>(error);  // the client is gone
    }
  }
  const int status = status_of_upstream_failure(error);
  return request.respond_error(status, status == 503 ? "stopping" : error.reason);
}

/// To one server after another until one has answered, or nothing is left that would be safe to try.
Task<Result<>> try_servers(Request& request, upstream::Upstream& upstream) {
  const auto& timeouts = request.route->timeouts;
  std::uint64_t tried = 0;
  unsigned failed_connects = 0;
  unsigned retries = 0;
  BodyCopy copy(request.exchange.loop().buffers());
  std::size_t index = upstream.pick(tried);
  for (;;) {
    auto& server = upstream.server(index);
    request.server = server.name();
    AttemptMeter meter(request.generation->meter.target(request.route->upstream, index));
    if (request.attempts++ > 0) meter.is_retry();
    const TimePoint now = request.exchange.loop().now();
    const TimePoint connect_by = std::min(deadline_after(now, timeouts.connect), request.deadline);
    auto lease = co_await server.lease(connect_by, retries > 0);
    Error error{};
    if (lease) {
      Attempt attempt(request, timeouts, *lease, copy);
      const auto result = co_await attempt.run();
      if (result.verdict == Attempt::Verdict::kDone) {
        meter.answered(request.exchange.status(), request.upstream_time);
        co_return Result<>();
      }
      error = result.error;
      // The server has closed an idle connection, or refused a stream: nothing came of it, and nothing failed.
      if (result.verdict == Attempt::Verdict::kRetry && retries++ < kMaxRefusals) continue;
      meter.failed(error);
    } else if (request.exchange.loop().now() >= request.deadline) {
      error = {Errc::kTimeout, Side::kInternal, "grpc_timeout"};
      meter.failed(error);
    } else {
      // Nothing has been sent: another server may take it.
      error = lease.error();
      meter.failed(error);
      if (index < 64) tried |= std::uint64_t{1} << index;
      ++failed_connects;
      if (failed_connects < upstream.size() && failed_connects <= upstream.config().retry.attempts) {
        index = upstream.pick(tried);
        continue;
      }
    }
    co_return co_await respond_failure(request, error);
  }
}

}  // namespace

Task<Result<>> forward(Request& request) {
  const auto& route = *request.route;
  auto& upstream = *request.generation->upstreams[route.upstream];
  request.upstream = upstream.config().name;
  request.pool = upstream.pool_name();
  const auto& head = request.exchange.request;
  if (head.body == http::BodyKind::kLength && route.max_body != 0 && head.content_length > route.max_body) {
    return respond_failure(request, {Errc::kTooLarge, Side::kDownstream, "body_too_large"});
  }
  return try_servers(request, upstream);
}

}  // namespace headgate::proxy
