// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/forward.h"

#include <algorithm>

#include "http/http1_client.h"
#include "proxy/generation.h"
#include "proxy/handlers/tunnel.h"
#include "proxy/handlers/upstream_head.h"

namespace headgate::proxy {
namespace {

/// A tunnel lives on what its two ends agree upon (pings, usually): only a dead one should meet this.
constexpr Duration kTunnelIdle = std::chrono::hours(1);
/// Pieces of a body that one exchange moves before the others have their turn.
constexpr unsigned kPiecesPerTurn = 16;
/// An origin that is silent for this long has its client watched: nobody may be there any more to hear the answer. Until
/// then even a client that closes its half after the request, as simple ones do, gets it.
constexpr Duration kPatience = std::chrono::seconds(1);
/// Servers that are asked one after another while none accepts the connection.
constexpr unsigned kMaxConnectAttempts = 3;

/// One try at one server.
struct Attempt {
  Request& request;
  const config::UpstreamTimeouts& timeouts;
  http::ClientExchange& origin;
  bool uploading = false;
  Error client_error{};  ///< of the client's side, found beside the wait for the origin
  bool client_failed = false;
  Task<> watcher;  ///< watches the client while the origin is silent
};

void fail_client(Attempt& attempt, const Error& error) {
  attempt.client_failed = true;
  attempt.client_error = error;
}

enum class Verdict { kDone, kRetry, kFailed };

struct AttemptResult {
  Verdict verdict = Verdict::kDone;
  Error error{};
};

/// Whoever waits for the answer without a limit, because the request was still on its way, begins to count now.
void end_upload(Attempt& attempt) {
  attempt.uploading = false;
  attempt.origin.interrupt_read();
}

/// Copies the request's body to the origin; runs beside the reader of the answer.
Task<> upload(Attempt& attempt) {
  auto& exchange = attempt.request.exchange;
  attempt.uploading = true;
  if (!exchange.body_ready()) {
    // The origin may answer the head alone, and the client may be waiting for that before it sends more.
    const auto sent = co_await attempt.origin.write({}, false);
    if (!sent) {
      end_upload(attempt);
      co_return;
    }
  }
  for (unsigned pieces = 1;; ++pieces) {
    const auto piece = co_await exchange.read_body();
    if (!piece) {
      fail_client(attempt, piece.error());
      break;
    }
    const bool last = exchange.body_finished() && exchange.trailers().empty();
    if (!piece->empty() || last) {
      const auto sent = co_await attempt.origin.write(*piece, last);
      // The origin may have answered without wanting the rest: the reader of the answer decides.
      if (!sent) break;
    }
    if (last) break;
    if (exchange.body_finished()) {
      co_await attempt.origin.finish(&exchange.trailers());
      break;
    }
    if (pieces % kPiecesPerTurn == 0) co_await exchange.loop().yield();
  }
  end_upload(attempt);
}

Task<> watch_client(Attempt& attempt) {
  const bool gone = co_await attempt.request.exchange.departed();
  if (!gone) co_return;
  fail_client(attempt, {Errc::kClosed, Side::kDownstream, "client_closed"});
  attempt.origin.interrupt_read();
}

/// A limit for one wait on the origin: its real deadline, or sooner while the client is not watched yet.
class Silence {
 public:
  Silence(Attempt& attempt, Duration limit)
      : attempt_(attempt), limit_(limit), deadline_(deadline_after(loop().now(), limit)) {}

  /// While the request is still on its way the origin owes nothing.
  TimePoint next() const {
    if (attempt_.uploading) return kNoDeadline;
    return attempt_.watcher ? deadline_ : std::min(deadline_, loop().now() + kPatience);
  }

  /// After a wait that failed: true when it is to be tried again, with the watcher at work or the clock begun anew.
  bool goes_on(const Error& error, bool was_uploading) {
    if (attempt_.client_failed) return false;
    if (error.code == Errc::kCancelled && was_uploading && !attempt_.uploading) {
      deadline_ = deadline_after(loop().now(), limit_);
      return true;
    }
    if (error.code != Errc::kTimeout || loop().now() >= deadline_) return false;
    if (!attempt_.watcher) {
      attempt_.watcher = watch_client(attempt_);
      attempt_.watcher.start();
    }
    return !attempt_.client_failed;
  }

 private:
  Loop& loop() const { return attempt_.request.exchange.loop(); }
  Attempt& attempt_;
  Duration limit_;
  TimePoint deadline_;
};

Error reason_of(const Attempt& attempt, const Error& error) {
  return attempt.client_failed ? attempt.client_error : error;
}

/// The final head, with interim ones passed on.
Task<Result<const http::ResponseHead*>> await_answer(Attempt& attempt) {
  auto& exchange = attempt.request.exchange;
  Silence silence(attempt, attempt.timeouts.first_byte);
  for (;;) {
    if (attempt.client_failed) co_return attempt.client_error;  // found before there was a wait to interrupt
    const bool was_uploading = attempt.uploading;
    const auto head = co_await attempt.origin.read_head(silence.next());
    if (!head) {
      if (silence.goes_on(head.error(), was_uploading)) continue;
      co_return reason_of(attempt, head.error());
    }
    const int status = (*head)->status;
    if (status >= 200 || status == 101) co_return *head;
    if (status == 100) continue;  // ours was sent when the body was first read
    http::ResponseHead interim;
    interim.status = status;
    interim.fields = (*head)->fields;
    remove_hop_by_hop(interim.fields, false);
    const auto sent = co_await exchange.send_interim(interim);
    if (!sent) co_return sent.error();
  }
}

/// The next piece of the content, or why there is none.
Task<Result<std::span<const char>>> next_piece(Attempt& attempt) {
  Silence silence(attempt, attempt.timeouts.idle);
  for (;;) {
    if (attempt.client_failed) co_return attempt.client_error;  // found before there was a wait to interrupt
    const bool was_uploading = attempt.uploading;
    const auto piece = co_await attempt.origin.read_body(silence.next());
    if (piece) co_return *piece;
    if (!silence.goes_on(piece.error(), was_uploading)) co_return reason_of(attempt, piece.error());
  }
}

/// The head goes out with the first bytes of the content when these are there, else at once.
Task<Result<>> download(Attempt& attempt) {
  auto& exchange = attempt.request.exchange;
  auto& origin = attempt.origin;
  if (!origin.body_ready()) {
    const auto flushed = co_await exchange.flush();
    if (!flushed) co_return flushed.error();
  }
  for (unsigned pieces = 1;; ++pieces) {
    const auto piece = co_await next_piece(attempt);
    if (!piece) co_return piece.error();
    const bool last = origin.body_finished() && origin.trailers().empty();
    const auto sent = co_await exchange.write(*piece, last);
    if (!sent) co_return sent.error();
    if (last) co_return Result<>();
    if (origin.body_finished()) co_return co_await exchange.finish(&origin.trailers());
    if (pieces % kPiecesPerTurn == 0) co_await exchange.loop().yield();
  }
}

Task<Result<>> tunnel(Attempt& attempt, const http::ResponseHead& head) {
  auto& exchange = attempt.request.exchange;
  http::ResponseHead out;
  out.status = head.status;
  out.fields = head.fields;
  remove_hop_by_hop(out.fields, true);
  const auto client = co_await exchange.upgrade(out);
  if (!client) co_return client.error();
  const auto origin = attempt.origin.upgrade();
  TunnelEnd client_end{*client->stream, client->early};
  TunnelEnd origin_end{*origin.stream, origin.early};
  const auto result = co_await run_tunnel(exchange.loop(), client_end, origin_end, kTunnelIdle);
  if (result.error != nullptr) attempt.request.error = result.error;
  co_return Result<>();
}

/// Passes the answer on. Failures after its head are broken off here; nothing is left to answer then.
Task<> answer(Attempt& attempt, const http::ResponseHead& head) {
  auto& request = attempt.request;
  if (head.status == 101) {
    if (attempt.watcher) {
      attempt.request.exchange.cancel_read();
      co_await attempt.watcher;
      attempt.watcher = {};
    }
    if (request.exchange.request.upgrade.empty()) {
      co_await request.respond_error(502, "upstream_unasked_upgrade");
      co_return;
    }
    const auto ended = co_await tunnel(attempt, head);
    if (!ended) request.error = ended.error().reason;
    co_return;
  }
  {
    http::ResponseHead out;
    out.status = head.status;
    out.fields = head.fields;
    out.content_length = head.content_length;
    remove_hop_by_hop(out.fields, false);
    request.start(out);
  }
  const auto sent = co_await download(attempt);
  if (sent) co_return;
  request.error = sent.error().reason;
  request.exchange.abort();
}

/// Sends the request over the lease and answers the client.
Task<AttemptResult> attempt_once(Request& request, upstream::Lease& lease) {
  auto& exchange = request.exchange;
  const auto& timeouts = request.route->timeouts;
  http::Http1ClientExchange origin(exchange.loop(), lease.stream(), timeouts.idle);
  Attempt attempt{.request = request, .timeouts = timeouts, .origin = origin, .watcher = {}};
  const TimePoint sent_at = exchange.loop().now();
  const bool body_untouched = exchange.body_bytes() == 0;
  origin.start(upstream_request(request));

  Task<> uploader;
  Error send_error{};
  bool sending_failed = false;
  if (exchange.has_body()) {
    uploader = upload(attempt);
    uploader.start();
  } else {
    const auto sent = co_await origin.finish(nullptr);
    if (!sent) {
      sending_failed = true;
      send_error = sent.error();
    }
  }

  AttemptResult result;
  const auto head = co_await await_answer(attempt);
  request.upstream_time = exchange.loop().now() - sent_at;
  if (head) {
    co_await answer(attempt, **head);
  } else {
    const Error error = sending_failed && head.error().code == Errc::kClosed ? send_error : head.error();
    // A kept connection that ended without a byte was most likely closed by the origin while the request was on its
    // way: it is sent again over a new one where twice would do no harm and all of it is still at hand.
    const bool stale = lease.reused() && !origin.answered() && error.side == Side::kUpstream &&
                       (error.code == Errc::kClosed || error.code == Errc::kReset);
    const bool repeatable =
        http::is_idempotent(exchange.request.method) && body_untouched && exchange.body_bytes() == 0;
    result = {stale && repeatable ? Verdict::kRetry : Verdict::kFailed, error};
  }
  if (uploader) {
    if (!uploader.done()) {
      exchange.cancel_read();
      origin.cancel();
    }
    co_await uploader;
  }
  if (attempt.watcher) {
    if (!attempt.watcher.done()) exchange.cancel_read();
    co_await attempt.watcher;
  }
  if (result.verdict == Verdict::kDone && origin.reusable()) lease.give_back();
  co_return result;
}

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
      const auto result = co_await attempt_once(request, *lease);
      if (result.verdict == Verdict::kDone) co_return;
      error = result.error;
      if (result.verdict == Verdict::kRetry) {
        fresh = true;
        continue;
      }
    } else {
      // Nothing has been sent: another server may take it.
      error = lease.error();
      if (index < 64) tried |= std::uint64_t{1} << index;
      if (request.attempts < upstream.size() && request.attempts < kMaxConnectAttempts) {
        index = upstream.pick(tried);
        continue;
      }
    }
    co_await respond_failure(request, error);
    co_return;
  }
}

}  // namespace headgate::proxy
