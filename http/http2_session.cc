// SPDX-License-Identifier: Apache-2.0
#include "http/http2_session.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "base/log.h"
#include "http/http2_callbacks.h"
#include "http/http2_exchange.h"

namespace headgate::http {
namespace {

/// Reads in a row before what has become ready is sent and the others have their turn.
constexpr unsigned kReadsPerTurn = 8;
/// Control frames that may wait for a client that does not read: then nothing more is read from it.
constexpr std::size_t kMaxQueued = 256;
/// How long the second GOAWAY waits for a sign that the first has arrived.
constexpr Duration kNotice = std::chrono::seconds(1);
/// How long the last bytes may take, and how long a client is listened to that goes on sending after them.
constexpr Duration kFarewell = std::chrono::seconds(5);
constexpr Duration kLinger = std::chrono::seconds(2);

}  // namespace

Http2Session::Http2Session(Loop& loop, ByteStream& stream, const ConnectionInfo& connection, Handler& handler)
    : loop_(loop),
      stream_(stream),
      connection_(connection),
      handler_(handler),
      limits_(handler.session_limits()),
      transport_(loop, stream, Side::kDownstream),
      nghttp2_(Callbacks::make(*this)),
      budget_(loop.now()),
      streams_(loop),
      idle_since_(loop.now()) {
  transport_.attach(nghttp2_.get());
  transport_.set_stall_limit(limits_.body_idle_timeout);
  const auto max_list = static_cast<std::uint32_t>(
      std::min<std::size_t>(limits_.max_header_bytes, std::numeric_limits<std::int32_t>::max()));
  const std::array<nghttp2_settings_entry, 5> settings{{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, kMaxStreams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<std::uint32_t>(kStreamWindow)},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, max_list},
      {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  }};
  nghttp2_submit_settings(nghttp2_.get(), NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(nghttp2_.get(), NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

Http2Session::~Http2Session() {
  // Nothing runs any more; what nghttp2 still has open is only freed.
  exchanges_.clear_and_dispose([](Listed* exchange) { delete static_cast<H2Exchange*>(exchange); });
}

Task<bool> Http2Session::run() {
  Task<> writer = transport_.run_writer();
  writer.start();
  transport_.send_now();
  co_await read_until_end();
  co_await wind_up();
  transport_.stop();
  if (transport_.blocked()) stream_.cancel();
  co_await writer;
  if (ended_because_ != nullptr) {
    log::debug("{}: HTTP/2 connection of {} ended: {}", connection_.listener, connection_.peer_text, ended_because_);
  }
  co_return clean_;
}

// --- reading --------------------------------------------------------------------------------------------------------

bool Http2Session::over() const {
  if (peer_finished_ || transport_.failed()) return true;
  return nghttp2_session_want_read(nghttp2_.get()) == 0 && nghttp2_session_want_write(nghttp2_.get()) == 0;
}

Task<> Http2Session::read_until_end() {
  unsigned reads = 0;
  while (!over()) {
    // The block is taken for the attempt and given back before the wait: an idle connection holds no buffer.
    Buffer buffer = loop_.buffers().take(BufferPool::kMedium);
    const IoResult got = stream_.try_read({buffer.data(), buffer.size()});
    if (got.kind == IoResult::Kind::kOk) {
      {
        const Http2Transport::Corked corked(transport_);
        feed({buffer.data(), got.bytes});
        start_streams();
      }
      check_deadlines();
      if (++reads % kReadsPerTurn != 0) continue;
      buffer.release();
      transport_.send_now();
      co_await loop_.yield();
      continue;
    }
    if (got.kind != IoResult::Kind::kWouldBlock) {
      peer_finished_ = true;
      // An end in the middle of what we owe is the client's affair: nothing is broken off by us.
      break;
    }
    buffer.release();
    transport_.send_now();
    if (over()) break;
    if (transport_.blocked() && nghttp2_session_get_outbound_queue_size(nghttp2_.get()) > kMaxQueued) {
      transport_.progress().clear();
      co_await transport_.progress().wait(kNoDeadline);
      continue;
    }
    const Wake wake = co_await stream_.wait_read(next_deadline());
    const bool woken = std::exchange(woken_, false);
    if (wake == Wake::kCancelled && !woken && !transport_.failed()) break;
    check_deadlines();
  }
}

void Http2Session::feed(std::span<const char> bytes) {
  if (!scan_.feed(bytes, [this](const Http2FrameScan::Frame& frame) { return acceptable(frame); })) return;
  const ssize_t read =
      nghttp2_session_mem_recv(nghttp2_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (read >= 0) return;
  if (ended_because_ != nullptr) return;
  // Of the errors that nghttp2 tells us, and not the client by a GOAWAY, only these are the client's fault.
  switch (read) {
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
      return end_with(NGHTTP2_ENHANCE_YOUR_CALM, "h2_continuation_flood");
    case NGHTTP2_ERR_FLOODED:
      return end_with(NGHTTP2_ENHANCE_YOUR_CALM, "h2_control_flood");
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
      return end_with(NGHTTP2_PROTOCOL_ERROR, "h2_bad_preface");
    default:
      return end_with(NGHTTP2_INTERNAL_ERROR, nghttp2_strerror(static_cast<int>(read)));
  }
}

/// False: the connection ends. Counts what nghttp2 would answer or ignore without end, and finds what it ignores though
/// RFC 9113 sections 5.1, 6.3 and 6.9 (for a stream that depends on itself RFC 7540 section 5.3.1) do not allow it.
/// Streams are judged as they were when the bytes came.
bool Http2Session::acceptable(const Http2FrameScan::Frame& frame) {
  constexpr std::uint32_t kWithoutFirstBit = 0x7fffffff;
  const std::uint32_t field = frame.field & kWithoutFirstBit;
  const char* flood = "h2_control_flood";
  switch (frame.type) {
    case NGHTTP2_HEADERS:
      return true;
    case NGHTTP2_RST_STREAM:
      last_reset_ = frame.stream;
      return true;
    case NGHTTP2_DATA:
      if (const Gone* gone = find_gone(frame.stream);
          frame.stream == last_reset_ || (gone != nullptr && gone->by_peer)) {
        end_with(NGHTTP2_STREAM_CLOSED, "h2_data_on_closed_stream");
        return false;
      }
      if (!frame.is_empty_data()) return true;
      flood = "h2_empty_data_flood";
      break;
    case NGHTTP2_PRIORITY:
      if (frame.stream != 0 && (!frame.has_field || field != static_cast<std::uint32_t>(frame.stream))) break;
      end_with(NGHTTP2_PROTOCOL_ERROR, "h2_bad_priority");
      return false;
    case NGHTTP2_WINDOW_UPDATE:
      if (!frame.has_field || field != 0) break;
      end_with(NGHTTP2_PROTOCOL_ERROR, "h2_bad_window_update");
      return false;
    default:
      break;
  }
  if (budget_.spend_control(loop_.now())) return true;
  end_with(NGHTTP2_ENHANCE_YOUR_CALM, flood);
  return false;
}

/// Null for a stream that is open, was never opened, or was closed long ago.
const Http2Session::Gone* Http2Session::find_gone(std::int32_t id) const {
  if (nghttp2_session_find_stream(nghttp2_.get(), id) != nullptr) return nullptr;
  const auto found = std::find_if(gone_.begin(), gone_.end(), [&](const Gone& one) { return one.id == id; });
  return found == gone_.end() ? nullptr : &*found;
}

void Http2Session::start_streams() {
  for (std::size_t i = 0; i < ready_.size(); ++i) {
    H2Exchange& exchange = *ready_[i];
    exchange.state = H2Exchange::State::kServed;
    if (exchange.open) {
      streams_.spawn(serve(exchange));
    } else {
      finished(exchange);  // broken off before it began
    }
  }
  ready_.clear();
  if (limits_.keepalive_requests != 0 && opened_ >= limits_.keepalive_requests) begin_goaway();
  if (draining_ && opened_ > 0) begin_goaway();
}

Task<> Http2Session::serve(H2Exchange& exchange) {
  struct Ending {
    Http2Session& session;
    H2Exchange& exchange;
    ~Ending() { session.finished(exchange); }
  };
  const Ending ending{*this, exchange};
  if (exchange.rejection()) {
    co_await handler_.refuse(exchange, *exchange.rejection());
  } else {
    co_await handler_.handle(exchange);
  }
}

void Http2Session::finished(H2Exchange& exchange) {
  exchange.state = H2Exchange::State::kDone;
  exchange.conclude();
  transport_.send_soon();
  release(exchange);
}

/// Frees what neither nghttp2 nor a handler has any longer.
void Http2Session::release(H2Exchange& exchange) {
  const bool unseen = exchange.state == H2Exchange::State::kReadingHead;
  if (exchange.open || (!unseen && exchange.state != H2Exchange::State::kDone)) return;
  delete &exchange;
  if (--alive_ == 0) idle_since_ = loop_.now();
}

// --- deadlines ------------------------------------------------------------------------------------------------------

Duration Http2Session::patience() const {
  return preface_read_ && !draining_ ? limits_.keepalive_timeout : limits_.header_timeout;
}

TimePoint Http2Session::next_deadline() const {
  TimePoint next = std::min(block_deadline_, notice_deadline_);
  if (alive_ > 0) {
    // Looked at again after this long: then it is known since when there is nothing to do.
    return std::min(next, deadline_after(loop_.now(), limits_.keepalive_timeout));
  }
  return std::min(next, deadline_after(idle_since_, patience()));
}

void Http2Session::check_deadlines() {
  const TimePoint now = loop_.now();
  if (now >= block_deadline_) return end_with(NGHTTP2_ENHANCE_YOUR_CALM, "header_timeout");
  if (now >= notice_deadline_) finish_goaway();
  if (alive_ > 0 || goaway_finished_) return;
  if (now < deadline_after(idle_since_, patience())) return;
  goaway_begun_ = goaway_finished_ = true;
  nghttp2_session_terminate_session(nghttp2_.get(), NGHTTP2_NO_ERROR);
}

// --- the end --------------------------------------------------------------------------------------------------------

void Http2Session::drain() {
  draining_ = true;
  if (opened_ > 0) begin_goaway();
}

/// RFC 9113 section 6.8: the first GOAWAY asks for no more streams, the second, when the client must have seen it, says
/// which was the last.
void Http2Session::begin_goaway() {
  if (goaway_begun_) return;
  goaway_begun_ = true;
  nghttp2_submit_shutdown_notice(nghttp2_.get());
  nghttp2_submit_ping(nghttp2_.get(), NGHTTP2_FLAG_NONE, nullptr);
  notice_deadline_ = loop_.now() + kNotice;
  transport_.send_soon();
  wake_reader();
}

/// It looks again at what there is to wait for, and until when.
void Http2Session::wake_reader() {
  woken_ = true;
  stream_.interrupt_read();
}

void Http2Session::finish_goaway() {
  notice_deadline_ = kNoDeadline;
  if (goaway_finished_) return;
  goaway_finished_ = true;
  const std::int32_t last = nghttp2_session_get_last_proc_stream_id(nghttp2_.get());
  nghttp2_submit_goaway(nghttp2_.get(), NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, nullptr, 0);
  transport_.send_soon();
}

void Http2Session::end_with(std::uint32_t code, const char* reason) {
  ends_because(reason);
  clean_ = false;
  block_deadline_ = kNoDeadline;
  nghttp2_session_terminate_session(nghttp2_.get(), code);
  transport_.send_soon();
}

void Http2Session::ends_because(const char* reason) {
  if (ended_because_ != nullptr) return;
  ended_because_ = reason;
  handler_.held_off(connection_, reason);
}

void Http2Session::close_streams(const Error& error) {
  for (auto& exchange : exchanges_) static_cast<H2Exchange&>(exchange).close(error);
}

/// Nothing is read any more. What has been packed goes out, streams that are left break off.
Task<> Http2Session::wind_up() {
  const bool told = !peer_finished_ && !transport_.failed();
  if (told) co_await transport_.drained(loop_.now() + kFarewell);
  Error error{Errc::kClosed, Side::kDownstream, "client_closed"};
  if (transport_.failed()) error = transport_.error();
  if (transport_.failed() && error.code == Errc::kTimeout) handler_.held_off(connection_, error.reason);
  if (ended_because_ != nullptr) error = {Errc::kBadMessage, Side::kDownstream, ended_because_};
  close_streams(error);
  co_await streams_.join(kNoDeadline);
  if (transport_.failed()) clean_ = false;
  if (told && !transport_.failed()) co_await linger();
}

/// A client that still sends is listened to for a while, so that our last words are not lost to a reset.
Task<> Http2Session::linger() {
  stream_.shutdown_write();
  const TimePoint latest = loop_.now() + kLinger;
  Buffer sink = loop_.buffers().take(BufferPool::kMedium);
  while (loop_.now() < latest) {
    const auto got = co_await read_some(stream_, {sink.data(), sink.size()}, latest, Side::kDownstream);
    if (!got || *got == 0) co_return;
    co_await loop_.yield();
  }
}

}  // namespace headgate::http
