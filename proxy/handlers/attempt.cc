// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/attempt.h"

#include <algorithm>

#include "proxy/grpc.h"
#include "proxy/handlers/mirror.h"
#include "proxy/handlers/stored_body.h"
#include "proxy/handlers/tunnel.h"
#include "proxy/handlers/upstream_head.h"

namespace headgate::proxy {
namespace {

/// A tunnel lives on what its two ends agree upon (pings, usually): only a dead one should meet this.
constexpr Duration kTunnelIdle = std::chrono::hours(1);
/// Pieces of a body that one exchange moves before the others have their turn.
constexpr unsigned kPiecesPerTurn = 16;
/// Of the content of an answer that a page of ours stands for.
constexpr std::size_t kMostDropped = 64 * 1024;
/// An origin that is silent for this long has its client watched: nobody may be there any more to hear the answer.
/// Until then even a client that closes its half after the request, as simple ones do, gets it. HTTP/2 tells the two
/// apart: there its reset is heard at once.
constexpr Duration kPatience = std::chrono::seconds(1);

/// A server of gRPC has begun to answer over HTTP/2, where trailers can still say what became of it.
bool is_answered_call(const Request& request, const http::ResponseHead& head) {
  return request.grpc && request.exchange.request.version == http::Version::kHttp2 && head.status == 200 &&
         is_grpc(head.fields);
}

/// Neither a failure nor one of the heads that come before.
bool is_final(const headgate::Result<http::ResponseHead*>& head) {
  return head && ((*head)->status >= 200 || (*head)->status == 101);
}

}  // namespace

/// A limit for waiting on the origin: its real deadline, or sooner while the client is not watched yet.
class Attempt::Silence {
 public:
  Silence(Attempt& attempt, Duration limit) : attempt_(attempt), limit_(limit), whole_(attempt.request_.deadline) {
    begin();
  }

  /// For the next wait. While the request is still on its way the origin owes nothing; yet the wait is short, since the
  /// end of the upload interrupts only a reader that sleeps at that moment.
  TimePoint next() {
    was_uploading_ = attempt_.uploading_;
    if (was_uploading_) return std::min(loop().now() + kPatience, whole_);
    return attempt_.watcher_ || attempt_.watched_ ? deadline_ : std::min(deadline_, loop().now() + kPatience);
  }

  /// After a wait that failed: true when it is to be tried again, the clock begun anew or the watcher set to work.
  bool goes_on(const Error& error) {
    if (attempt_.client_failed_ || loop().now() >= whole_) return false;
    const bool upload_ended = error.code == Errc::kCancelled && !attempt_.uploading_;
    if (was_uploading_ && (upload_ended || error.code == Errc::kTimeout)) {
      begin();
      return true;
    }
    if (error.code != Errc::kTimeout || loop().now() >= deadline_) return false;
    if (!attempt_.watcher_ && !attempt_.watched_) {
      attempt_.watcher_ = attempt_.watch_client();
      attempt_.watcher_.start();
    }
    return !attempt_.client_failed_;
  }

 private:
  Loop& loop() const { return attempt_.exchange_.loop(); }
  void begin() { deadline_ = std::min(deadline_after(loop().now(), limit_), whole_); }

  Attempt& attempt_;
  const Duration limit_;
  const TimePoint whole_;  // of the request
  TimePoint deadline_;
  bool was_uploading_ = false;
};

Attempt::Attempt(Request& request, const config::UpstreamTimeouts& timeouts, upstream::Lease& lease, Retrying& retrying,
                 AttemptMeter& meter)
    : request_(request),
      exchange_(request.exchange),
      timeouts_(timeouts),
      lease_(lease),
      origin_(lease.exchange(exchange_.loop(), own_, timeouts.idle)),
      retrying_(retrying),
      meter_(meter) {}

Task<Attempt::Result> Attempt::run() {
  const TimePoint begun = exchange_.loop().now();
  watched_ = exchange_.watch(this);
  begin_request();
  if (exchange_.has_body()) {
    uploader_ = upload();
    uploader_.start();
  } else {
    // A failure shows itself to the reader, too, who knows whether an answer came before it.
    co_await origin_.finish(nullptr);
  }
  Result result;
  Silence silence(*this, timeouts_.first_byte);
  HeadResult head = client_error_;
  if (!client_failed_) {
    auto reading = origin_.read_head(silence.next());
    head = co_await reading;
  }
  if (!is_final(head)) {
    auto waiting = await_final(silence, head);
    head = co_await waiting;
  }
  request_.upstream_time = exchange_.loop().now() - begun;
  if (!head) {
    if (uploader_) co_await end_upload();
    if (watcher_) co_await stop_watching();
    result = judge(head.error());
  } else if (declined((*head)->status)) {
    if (uploader_) co_await end_upload();
    if (watcher_) co_await stop_watching();
    exchange_.resume_read();
    result.verdict = Verdict::kDeclined;
    result.status = (*head)->status;
  } else if ((*head)->status == 101) {
    forget_body();
    co_await switch_protocols(**head);
  } else if (auto page = error_page_for_upstream(request_, (*head)->status)) {
    auto replacing = replace(**head, *std::move(page));
    co_await replacing;
  } else {
    // Failures after the head are broken off here: nothing is left to answer then.
    forget_body();
    if (const auto kept = (*head)->fields.get(http::FieldId::kKeepAlive)) lease_.told_keep_alive(*kept);
    remove_hop_by_hop((*head)->fields, false);
    const bool call = is_answered_call(request_, **head);
    if (request_.grpc) result.call_failed = failed_call((*head)->fields);  // of an answer that has only trailers
    request_.start(**head);
    const auto sent = co_await download();
    if (sent) {
      if (request_.grpc && result.call_failed == 0) result.call_failed = failed_call(origin_.trailers());
    } else {
      result.broken = sent.error().side == Side::kUpstream;
      result.client_left = sent.error().side == Side::kDownstream;
      co_await request_.break_off(sent.error(), call);
    }
  }
  const bool cut_off = uploader_ && !uploader_.done();  // its connection has been cancelled, whatever it says then
  if (uploader_) co_await end_upload();
  if (watcher_) co_await stop_watching();
  if (result.verdict == Verdict::kDone && !cut_off && origin_.reusable()) lease_.give_back();
  co_return result;
}

void Attempt::begin_request() {
  const auto head = upstream_request(request_);
  upgrade_asked_ = !head.upgrade.empty();
  origin_.start(head);
}

/// Nothing of the request is missing that would have to be sent again.
bool Attempt::is_whole() const {
  if (request_.stored != nullptr) return true;
  return !exchange_.has_body() || exchange_.body_bytes() == retrying_.body.size();
}

/// It has its answer, and will not be sent again.
void Attempt::forget_body() {
  retrying_.body.drop();
  if (request_.stored != nullptr && !uploading_) request_.stored->drop();
}

/// A client that is still sending has not said all yet: what the origin says to the first part is its answer.
bool Attempt::declined(int status) {
  const bool all_read = !exchange_.has_body() || exchange_.body_finished();
  return retrying_.declines(status, request_.upstream_time, all_read && is_whole() && !client_failed_);
}

/// What the origin says it has not looked at is sent again, whatever the method. A kept connection that ended without a
/// byte was most likely closed by the origin while the request was on its way: it is sent again where twice would do no
/// harm. Either only while all of it is still at hand. After the upload's end.
Attempt::Result Attempt::judge(const Error& error) {
  using Fate = http::ClientExchange::Fate;
  const auto fate = origin_.fate(error);
  const bool whole = is_whole();
  const bool lost = fate == Fate::kLost;
  const bool raced = lost && lease_.reused();
  if (raced) lease_.lost();
  const bool stale = raced && http::is_idempotent(exchange_.request.method);
  if (whole) exchange_.resume_read();
  Result result;
  result.verdict = whole && (stale || fate == Fate::kUntouched) ? Verdict::kStale : Verdict::kFailed;
  result.whole = whole;
  result.lost = lost;
  result.error = error;
  return result;
}

// --- the request's body -------------------------------------------------------------------------------------------

Task<> Attempt::upload() {
  uploading_ = true;
  // The origin may have answered without wanting the rest: a failure of its side is the reader's to judge.
  auto sending = request_.stored == nullptr ? send_body() : send_stored();
  co_await sending;
  uploading_ = false;
  if (request_.shadow && exchange_.body_finished()) Mirrors::send(request_);
  // Who waits for the answer without a limit, because the request was still on its way, begins to count now.
  origin_.interrupt_read();
}

Task<headgate::Result<>> Attempt::send_body() {
  if (retrying_.body.size() > 0) {
    const bool last = exchange_.body_finished() && exchange_.trailers().empty();
    const auto sent = co_await origin_.write(retrying_.body.bytes(), last);
    if (!sent) co_return sent.error();
    if (last) co_return headgate::Result<>();
    if (exchange_.body_finished()) co_return co_await origin_.finish(&exchange_.trailers());
  } else if (!exchange_.body_ready()) {
    // The origin may answer the head alone, and the client may be waiting for that before it sends more.
    const auto sent = co_await origin_.write({}, false);
    if (!sent) co_return sent.error();
  }
  for (unsigned pieces = 1;; ++pieces) {
    const auto piece = co_await exchange_.read_body();
    if (!piece) {
      fail_client(piece.error());
      co_return piece.error();
    }
    if (lease_.shared() || retrying_.keep_body) retrying_.body.add(*piece);
    if (request_.shadow) request_.shadow->add(*piece);
    const bool last = exchange_.body_finished() && exchange_.trailers().empty();
    if (!piece->empty() || last) {
      const auto sent = co_await origin_.write(*piece, last);
      if (!sent) co_return sent.error();
    }
    if (last) co_return headgate::Result<>();
    if (exchange_.body_finished()) co_return co_await origin_.finish(&exchange_.trailers());
    if (pieces % kPiecesPerTurn == 0) co_await exchange_.loop().yield();
  }
}

Task<headgate::Result<>> Attempt::send_stored() {
  StoredBody& body = *request_.stored;
  if (!body.in_file()) {
    auto writing = origin_.write(body.bytes(), true);
    co_return co_await writing;
  }
  const Buffer block = exchange_.loop().buffers().take(BufferPool::kLarge);
  std::uint64_t offset = 0;
  for (unsigned pieces = 1; offset < body.size(); ++pieces) {
    const auto piece = body.read(offset, {block.data(), block.size()});
    if (!piece) {
      fail_client(piece.error());  // not its fault, but its request cannot be sent
      co_return piece.error();
    }
    offset += piece->size();
    auto writing = origin_.write(*piece, offset == body.size());
    const auto sent = co_await writing;
    if (!sent) co_return sent.error();
    if (pieces % kPiecesPerTurn == 0) co_await exchange_.loop().yield();
  }
  co_return headgate::Result<>();
}

Task<> Attempt::end_upload() {
  if (!uploader_.done()) {
    exchange_.cancel_read();
    origin_.cancel();
  }
  co_await uploader_;
  uploader_ = {};
}

// --- the client, while the origin is silent -----------------------------------------------------------------------

Error Attempt::blame(const Error& error) const {
  if (client_failed_) return client_error_;
  const bool waited = error.code == Errc::kTimeout || error.code == Errc::kCancelled;
  const bool late = waited && exchange_.loop().now() >= request_.deadline;
  return late ? Error{Errc::kTimeout, Side::kInternal, "grpc_timeout"} : error;
}

void Attempt::fail_client(const Error& error) {
  client_failed_ = true;
  client_error_ = error;
}

void Attempt::client_departed(const Error& error) {
  // Whatever it did to be sent away, there is nobody left to answer.
  if (!client_failed_) fail_client({Errc::kClosed, Side::kDownstream, error.reason});
  origin_.interrupt_read();
}

Task<> Attempt::watch_client() {
  const bool gone = co_await exchange_.departed();
  if (!gone) co_return;
  fail_client({Errc::kClosed, Side::kDownstream, "client_closed"});
  origin_.interrupt_read();
}

Task<> Attempt::stop_watching() {
  if (!watcher_.done()) exchange_.cancel_read();
  co_await watcher_;
  watcher_ = {};
}

// --- the answer ---------------------------------------------------------------------------------------------------

/// The final head, where the first read did not give it; interim ones are passed on.
Task<Attempt::HeadResult> Attempt::await_final(Silence& silence, HeadResult head) {
  while (!is_final(head)) {
    if (!head) {
      if (!silence.goes_on(head.error())) co_return blame(head.error());
    } else if ((*head)->status != 100) {  // ours was sent when the body was first read
      remove_hop_by_hop((*head)->fields, false);
      const auto sent = co_await exchange_.send_interim(**head);
      if (!sent) co_return sent.error();
    }
    if (client_failed_) co_return client_error_;  // found while nobody waited who could have been interrupted
    auto reading = origin_.read_head(silence.next());
    head = co_await reading;
  }
  co_return head;
}

/// What a call's own status says of its server; 0: nothing bad, or nothing.
int Attempt::failed_call(const http::Fields& fields) const {
  const auto status = fields.get("grpc-status");
  return status ? status_of_failed_call(*status) : 0;
}

/// The piece that was read is the last of the answer.
bool Attempt::was_last() const {
  return origin_.body_finished() && origin_.trailers().empty();
}

/// The head goes out with the first bytes of the content when these are there, else at once. Most short answers are
/// there as a whole: passing one on needs no frame.
Task<headgate::Result<>> Attempt::download() {
  if (client_failed_ || request_.encodes() || !origin_.body_ready()) return download_waiting();
  auto reading = origin_.read_body(kNoDeadline);
  if (!reading.done()) return pass_on(std::move(reading));
  const PieceResult piece = reading.take();
  if (!piece) return piece.error();
  if (was_last()) return request_.write(*piece, true);
  return pass_on(piece);
}

Task<headgate::Result<>> Attempt::download_waiting() {
  if (!origin_.body_ready()) {
    const auto flushed = co_await request_.flush();
    if (!flushed) co_return flushed.error();
  }
  auto passing = request_.encodes() ? download_encoded() : pass_on(next_piece());
  co_return co_await passing;
}

/// The content, from the piece that is being read on.
Task<headgate::Result<>> Attempt::pass_on(Task<PieceResult> reading) {
  for (unsigned pieces = 1;; ++pieces) {
    const auto piece = co_await reading;
    if (!piece) co_return piece.error();
    const bool last = was_last();
    const auto sent = co_await request_.write(*piece, last);
    if (!sent) co_return sent.error();
    if (last) co_return headgate::Result<>();
    if (origin_.body_finished()) co_return co_await request_.finish(&origin_.trailers());
    if (pieces % kPiecesPerTurn == 0) co_await exchange_.loop().yield();
    reading = next_piece();
  }
}

/// Through an encoder: what is at hand goes there together, since small steps cost more, and what is whole least.
Task<headgate::Result<>> Attempt::download_encoded() {
  ByteWriter gathered(exchange_.loop().buffers());
  for (unsigned pieces = 1;; ++pieces) {
    const auto piece = co_await next_piece();
    if (!piece) co_return piece.error();
    const bool finished = origin_.body_finished();
    const bool fits = gathered.size() + piece->size() <= compress::EncoderStore::kWhole;
    if (!fits && !gathered.empty()) {
      const std::span<const char> earlier(gathered.data(), gathered.size());
      const auto sent = co_await request_.write(earlier, false);
      if (!sent) co_return sent.error();
      gathered.clear();
    }
    std::span<const char> data = *piece;
    if (fits && !(finished && gathered.empty())) {
      // Asking for more takes the piece away, so it is copied before.
      gathered.append({piece->data(), piece->size()});
      data = {gathered.data(), gathered.size()};
      if (!finished && pieces % kPiecesPerTurn != 0 && origin_.body_ready()) continue;
    }
    const bool last = finished && origin_.trailers().empty();
    const auto sent = co_await request_.write(data, last);
    if (!sent) co_return sent.error();
    if (last) co_return headgate::Result<>();
    if (finished) co_return co_await request_.finish(&origin_.trailers());
    gathered.clear();
    if (pieces % kPiecesPerTurn == 0) co_await exchange_.loop().yield();
  }
}

/// The site's page in place of an error's own content, of which what has come already is read, so that the connection
/// can be used again.
Task<> Attempt::replace(http::ResponseHead& head, ErrorPage page) {
  retrying_.body.drop();
  if (const auto kept = head.fields.get(http::FieldId::kKeepAlive)) lease_.told_keep_alive(*kept);
  remove_hop_by_hop(head.fields, false);
  auto sending = respond_page(request_, head, std::move(page));
  co_await sending;
  std::size_t dropped = 0;
  while (!origin_.body_finished() && origin_.body_ready() && dropped < kMostDropped) {
    const auto piece = co_await origin_.read_body(kNoDeadline);
    if (!piece) break;
    dropped += piece->size();
  }
}

/// What has come already is taken as it is; only waiting for more needs a watch.
Task<Attempt::PieceResult> Attempt::next_piece() {
  if (client_failed_ || !origin_.body_ready()) return request_.encodes() ? flush_and_await() : await_piece();
  return origin_.read_body(kNoDeadline);
}

/// While the origin pauses, nothing that it has said waits in the encoder.
Task<Attempt::PieceResult> Attempt::flush_and_await() {
  auto waiting = await_piece();
  waiting.start();
  if (!waiting.done()) {
    auto flushing = request_.flush();
    const auto flushed = co_await flushing;
    if (!flushed && !client_failed_) {
      fail_client(flushed.error());
      origin_.interrupt_read();
    }
  }
  co_return co_await waiting;
}

Task<Attempt::PieceResult> Attempt::await_piece() {
  Silence silence(*this, timeouts_.idle);
  for (;;) {
    if (client_failed_) co_return client_error_;  // found while nobody waited who could have been interrupted
    const auto piece = co_await origin_.read_body(silence.next());
    if (piece) co_return *piece;
    if (!silence.goes_on(piece.error())) co_return blame(piece.error());
  }
}

/// A 101, which only who has asked for it gets. Failures are broken off, as above.
Task<> Attempt::switch_protocols(http::ResponseHead& head) {
  // While the body is still on its way the client's bytes have a reader, who would fight with the tunnel's.
  if (!upgrade_asked_ || uploading_) {
    co_await request_.respond_error(502, "upstream_unasked_upgrade");
    co_return;
  }
  if (watcher_) co_await stop_watching();
  exchange_.watch(nullptr);  // the tunnel sees it for itself
  const auto ended = co_await tunnel(head);
  if (!ended) request_.error = ended.error().reason;
}

Task<headgate::Result<>> Attempt::tunnel(http::ResponseHead& head) {
  remove_hop_by_hop(head.fields, true);
  const auto client = co_await exchange_.upgrade(head);
  if (!client) co_return client.error();
  meter_.became_tunnel();
  const auto origin = origin_.upgrade();
  TunnelEnd client_end{*client->stream, client->early};
  TunnelEnd origin_end{*origin.stream, origin.early};
  const auto result = co_await run_tunnel(exchange_.loop(), client_end, origin_end, kTunnelIdle);
  if (result.error != nullptr) request_.error = result.error;
  co_return headgate::Result<>();
}

}  // namespace headgate::proxy
