// SPDX-License-Identifier: Apache-2.0
#include "http/http2_client.h"

#include <algorithm>
#include <utility>

#include "http/http2_client_callbacks.h"

namespace headgate::http {
namespace {

/// Reads in a row before what has become ready is sent and the others have their turn.
constexpr unsigned kReadsPerTurn = 8;
/// Control frames that may wait for an origin that does not read: then nothing more is read from it.
constexpr std::size_t kMaxQueued = 256;
/// How long the last bytes may take.
constexpr Duration kFarewell = std::chrono::seconds(1);
/// Servers of gRPC break a connection off that is pinged more often than once in five minutes while they have nothing
/// to say: the second PING of one silence waits for so long.
constexpr Duration kPingAgain = std::chrono::seconds(310);

}  // namespace

Http2Client::Http2Client(Loop& loop, std::unique_ptr<ByteStream> stream, bool secure, const Limits& limits,
                         Owner& owner)
    : loop_(loop),
      stream_(std::move(stream)),
      scheme_(secure ? "https" : "http"),
      limits_(limits),
      owner_(owner),
      transport_(loop, *stream_, Side::kUpstream),
      nghttp2_(Callbacks::make(*this)),
      budget_(loop.now()),
      settings_(loop),
      emptied_(loop),
      idle_since_(loop.now()),
      busy_since_(loop.now()),
      heard_at_(loop.now()) {
  transport_.attach(nghttp2_.get());
}

Http2Client::~Http2Client() {
  // Nobody has one any more; what nghttp2 still has open is only freed.
  exchanges_.clear_and_dispose([](Listed* exchange) { delete static_cast<Http2ClientExchange*>(exchange); });
}

// --- its life -------------------------------------------------------------------------------------------------------

Task<> Http2Client::run() {
  Task<> writer = transport_.run_writer();
  writer.start();
  transport_.send_now();
  co_await read_until_end();
  if (leaving_ && !transport_.failed()) co_await transport_.drained(loop_.now() + kFarewell);
  finished_ = true;
  taking_ = false;
  if (transport_.failed() && !broken_) error_ = transport_.error();
  transport_.stop();
  if (transport_.blocked()) stream_->cancel();
  co_await writer;
  if (leaving_) stream_->shutdown_write();
  close_streams();
  stream_.reset();
  settings_.set();
  while (!exchanges_.empty()) {
    emptied_.clear();
    co_await emptied_.wait(kNoDeadline);
  }
}

bool Http2Client::over() const {
  if (finished_ || transport_.failed()) return true;
  return nghttp2_session_want_read(nghttp2_.get()) == 0 && nghttp2_session_want_write(nghttp2_.get()) == 0;
}

Task<> Http2Client::read_until_end() {
  unsigned reads = 0;
  while (!over()) {
    // The block is taken for the attempt and given back before the wait: an idle connection holds no buffer.
    Buffer buffer = loop_.buffers().take(BufferPool::kLarge);
    const IoResult got = stream_->try_read({buffer.data(), buffer.size()});
    if (got.kind == IoResult::Kind::kOk) {
      heard_at_ = loop_.now();
      ping_deadline_ = kNoDeadline;
      {
        const Http2Transport::Corked corked(transport_);
        feed({buffer.data(), got.bytes});
      }
      if (++reads % kReadsPerTurn != 0) continue;
      buffer.release();
      transport_.send_now();
      co_await loop_.yield();
      continue;
    }
    if (got.kind != IoResult::Kind::kWouldBlock) {
      if (got.kind == IoResult::Kind::kError && !broken_) error_ = got.error;
      break;
    }
    buffer.release();
    transport_.send_now();
    if (over()) break;
    if (transport_.blocked() && nghttp2_session_get_outbound_queue_size(nghttp2_.get()) > kMaxQueued) {
      transport_.progress().clear();
      const Wake wake = co_await transport_.progress().wait(next_deadline());
      if (wake == Wake::kTimeout) check_deadlines();
      continue;
    }
    const Wake wake = co_await stream_->wait_read(next_deadline());
    const bool woken = std::exchange(woken_, false);
    if (wake == Wake::kCancelled && !woken && !transport_.failed()) {
      if (!broken_) error_ = stream_error(wake, Side::kUpstream);
      break;
    }
    check_deadlines();
  }
}

void Http2Client::feed(std::span<const char> bytes) {
  if (!scan_.feed(bytes, [this](const Http2FrameScan::Frame& frame) { return acceptable(frame); })) return;
  const ssize_t read =
      nghttp2_session_mem_recv(nghttp2_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (read >= 0) return;
  const bool flooded = read == NGHTTP2_ERR_FLOODED || read == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS;
  const char* const reason = flooded          ? "upstream_flood"
                             : settings_read_ ? "upstream_bad_response"
                                              : "upstream_not_http2";
  end_with(flooded ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR, {Errc::kBadMessage, Side::kUpstream, reason});
}

/// False: the connection ends. All that an origin may send without end is counted; only content earns.
bool Http2Client::acceptable(const Http2FrameScan::Frame& frame) {
  if (frame.type == NGHTTP2_DATA && !frame.is_empty_data()) return true;
  if (budget_.spend_control(loop_.now())) return true;
  end_with(NGHTTP2_ENHANCE_YOUR_CALM, {Errc::kBadMessage, Side::kUpstream, "upstream_flood"});
  return false;
}

Task<Result<>> Http2Client::ready(TimePoint deadline) {
  const Wake wake = co_await settings_.wait(deadline);
  if (wake == Wake::kTimeout) co_return Error{Errc::kTimeout, Side::kUpstream, "upstream_settings_timeout"};
  if (wake == Wake::kCancelled) co_return stream_error(wake, Side::kUpstream);
  if (settings_read_ && !finished_) co_return Result<>();
  if (error_.code == Errc::kClosed) co_return Error{Errc::kClosed, Side::kUpstream, "upstream_not_http2"};
  co_return error_;
}

// --- places ---------------------------------------------------------------------------------------------------------

bool Http2Client::has_place() const {
  if (!taking_ || !settings_read_ || streams_ >= places()) return false;
  return nghttp2_session_check_request_allowed(nghttp2_.get()) != 0;
}

std::size_t Http2Client::places() const {
  const std::size_t allowed =
      nghttp2_session_get_remote_settings(nghttp2_.get(), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  return std::min(kMaxStreams, allowed);
}

ClientExchangePtr Http2Client::begin() {
  auto* const exchange = new Http2ClientExchange(*this);
  exchanges_.push_back(*exchange);
  if (streams_++ == 0) busy_since_ = loop_.now();
  ++opened_;
  if (limits_.max_requests != 0 && opened_ >= limits_.max_requests) taking_ = false;
  return ClientExchangePtr(exchange);
}

/// Frees what neither nghttp2 nor its owner has any longer.
void Http2Client::released(Http2ClientExchange& exchange) {
  if (exchange.open_ || !exchange.let_go_) return;
  delete &exchange;
  if (--streams_ == 0) {
    idle_since_ = loop_.now();
    emptied_.set();
    if (!taking_) leave();
    if (limits_.idle_timeout < limits_.silence) wake_reader();  // who may be about to sleep for longer
  }
  owner_.stream_ended(*this);
}

void Http2Client::retire() {
  taking_ = false;
  if (streams_ == 0) leave();
}

/// Says goodbye: nothing is under way and nothing more will be.
void Http2Client::leave() {
  if (leaving_ || finished_) return;
  leaving_ = true;
  taking_ = false;
  leave_by_ = loop_.now() + kFarewell;
  nghttp2_session_terminate_session(nghttp2_.get(), NGHTTP2_NO_ERROR);
  transport_.send_soon();
  wake_reader();
}

void Http2Client::cancel() {
  taking_ = false;
  if (stream_) stream_->cancel();
}

// --- deadlines ------------------------------------------------------------------------------------------------------

/// A stream that begins while the reader sleeps does not wake it: it looks again after a while by itself.
TimePoint Http2Client::next_deadline() const {
  if (leaving_) return leave_by_;
  if (ping_deadline_ != kNoDeadline) return ping_deadline_;
  const TimePoint look_again = loop_.now() + limits_.silence;
  if (streams_ == 0) return std::min(look_again, idle_since_ + limits_.idle_timeout);
  const TimePoint suspicious = std::max({heard_at_ + limits_.silence, busy_since_ + limits_.silence, ping_again_at_});
  return std::min(look_again, std::max(suspicious, loop_.now()));
}

void Http2Client::check_deadlines() {
  const TimePoint now = loop_.now();
  if (leaving_) {
    finished_ = now >= leave_by_;
    return;
  }
  if (streams_ == 0) {
    if (now >= idle_since_ + limits_.idle_timeout) leave();
    return;
  }
  if (now >= ping_deadline_) {
    end_with(NGHTTP2_NO_ERROR, {Errc::kTimeout, Side::kUpstream, "upstream_ping_timeout"});
    finished_ = true;
    return;
  }
  const TimePoint quiet_since = std::max(heard_at_, busy_since_);
  if (ping_deadline_ != kNoDeadline || now < quiet_since + limits_.silence || now < ping_again_at_) return;
  nghttp2_submit_ping(nghttp2_.get(), NGHTTP2_FLAG_NONE, nullptr);
  transport_.send_soon();
  ping_deadline_ = now + limits_.ping_timeout;
  ping_again_at_ = now + kPingAgain;
}

// --- the end --------------------------------------------------------------------------------------------------------

/// It looks again at what there is to wait for, and until when.
void Http2Client::wake_reader() {
  woken_ = true;
  if (stream_) stream_->interrupt_read();
}

void Http2Client::end_with(std::uint32_t code, const Error& error) {
  if (!broken_) error_ = error;
  broken_ = true;
  taking_ = false;
  nghttp2_session_terminate_session(nghttp2_.get(), code);
  transport_.send_soon();
}

void Http2Client::close_streams() {
  // A stream that fails may be let go of, and vanish, only when its owner runs again; one that has no owner goes now.
  for (auto at = exchanges_.begin(); at != exchanges_.end();) {
    auto& exchange = static_cast<Http2ClientExchange&>(*at++);
    exchange.fail(error_);
    released(exchange);
  }
}

}  // namespace headgate::http
