// SPDX-License-Identifier: Apache-2.0
#include "upstream/shared_connections.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "upstream/server.h"

namespace headgate::upstream {
namespace {

/// What an opening has at least, however little time the request has that began it: others wait for it, too.
constexpr Duration kOpening = std::chrono::seconds(3);

}  // namespace

SharedConnections::SharedConnections(Server& server)
    : server_(server), places_(http::Http2Client::kMaxStreams), lives_(server.loop_) {}

// --- places ---------------------------------------------------------------------------------------------------------

/// The first connection that has one: so that of several, which a burst has left behind, the last fall idle.
SharedConnections::Place SharedConnections::take() {
  for (const auto& client : connections_) {
    if (!client->has_place()) continue;
    const bool used = client->used();
    return {client->begin(), used};
  }
  return {};
}

Task<Result<SharedConnections::Place>> SharedConnections::wait(TimePoint deadline) {
  for (;;) {
    auto place = take();
    if (place.exchange) co_return std::move(place);
    Waiter waiter(server_.loop_);
    waiters_.push_back(waiter);
    ++waiting_;
    open_if_needed(deadline);
    const Wake wake = co_await waiter.woken.wait(deadline);
    --waiting_;
    waiter.unlink();
    if (waiter.failed) co_return waiter.error;
    if (wake == Wake::kTimeout) co_return Error{Errc::kTimeout, Side::kUpstream, "connect_timeout"};
    if (wake == Wake::kCancelled) co_return stream_error(wake, Side::kUpstream);
  }
}

void SharedConnections::wake_waiters() {
  for (auto& waiter : waiters_) waiter.woken.set();
}

/// They fail when nothing is left that could give them a place.
void SharedConnections::opening_failed(const Error& error) {
  if (opening_ > 0) return;
  for (auto& waiter : waiters_) {
    waiter.failed = true;
    waiter.error = error;
    waiter.woken.set();
  }
}

void SharedConnections::stream_ended(http::Http2Client& client) {
  if (!waiters_.empty() && client.has_place()) waiters_.front().woken.set();
  if (client.streams() > 0) return;
  const auto idle = std::count_if(connections_.begin(), connections_.end(),
                                  [](const auto& one) { return one->streams() == 0 && one->used(); });
  if (static_cast<std::uint64_t>(idle) > server_.settings_.keepalive.idle_connections) client.retire();
}

// --- connections ----------------------------------------------------------------------------------------------------

void SharedConnections::open_if_needed(TimePoint deadline) {
  if (waiting_ <= opening_ * places_) return;
  ++opening_;
  lives_.spawn(open(std::max(deadline, server_.loop_.now() + kOpening)));
}

/// Beside the requests that wait for it: one that gives up does not end it for the others.
Task<> SharedConnections::open(TimePoint deadline) {
  auto stream = co_await server_.open(deadline, {});
  if (!stream) {
    --opening_;
    opening_failed(stream.error());
    co_return;
  }
  const auto& keepalive = server_.settings_.keepalive;
  http::Http2Client::Limits limits;
  limits.idle_timeout = keepalive.idle_timeout;
  limits.max_requests = keepalive.max_requests;
  const bool secure = server_.settings_.scheme == config::Scheme::kH2;
  http::Http2Client::Owner& self = *this;
  connections_.push_back(std::make_unique<http::Http2Client>(server_.loop_, std::move(*stream), secure, limits, self));
  const auto at = std::prev(connections_.end());
  co_await live(**at, deadline);
  log::debug("{}: HTTP/2 connection ended: {}", server_.name(), (*at)->end_reason());
  connections_.erase(at);
}

Task<> SharedConnections::live(http::Http2Client& client, TimePoint deadline) {
  Task<> life = client.run();
  life.start();
  const auto ready = co_await client.ready(deadline);
  --opening_;
  if (!ready) {
    client.cancel();
    opening_failed(ready.error());
  } else if (!client.has_place()) {
    client.retire();
    opening_failed({Errc::kRefused, Side::kUpstream, "upstream_takes_no_streams"});
  } else {
    places_ = client.places();
    wake_waiters();
  }
  co_await life;
}

void SharedConnections::cancel() {
  for (const auto& client : connections_) {
    if (client->streams() > 0) client->cancel();
  }
}

Task<> SharedConnections::stop() {
  cancel();
  for (const auto& client : connections_) client->retire();
  co_await lives_.join(kNoDeadline);
}

}  // namespace headgate::upstream
