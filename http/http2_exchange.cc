// SPDX-License-Identifier: Apache-2.0
#include "http/http2_exchange.h"

#include <array>

#include <sys/random.h>

namespace headgate::http {
namespace {

constexpr std::size_t kMaxTrailers = 8 * 1024;

const Fields kNoFields;

}  // namespace

Http2Session::H2Exchange::H2Exchange(Http2Session& session, std::int32_t id)
    : Exchange(session.loop_, session.connection_), session_(session), stream_(session.transport_, Side::kDownstream) {
  stream_.set_id(id);
  head_.emplace(arena_, request.fields, session.limits_.max_header_bytes, session.limits_.max_headers);
}

Http2HeadReader& Http2Session::H2Exchange::trailer_reader() {
  if (!trailers_) trailers_ = std::make_unique<Http2Trailers>(arena_, kMaxTrailers, session_.limits_.max_headers);
  return trailers_->reader;
}

void Http2Session::H2Exchange::head_read(bool ended) {
  connect_ = head_->pseudo().protocol.data() != nullptr;
  rejection_ = check_request(*head_, ended, request, arena_);
  if (ended) stream_.receive_end();
  has_body_ = request.body != BodyKind::kNone;
  continue_due_ = has_body_ && request.fields.has(FieldId::kExpect);
  if (connect_ && !rejection_ && iequals(request.upgrade, "websocket")) add_websocket_key();
}

/// HTTP/1's handshake has a nonce, RFC 8441 none: whoever speaks HTTP/1 to the origin gets one.
void Http2Session::H2Exchange::add_websocket_key() {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<unsigned char, 18> nonce{};
  // Fewer bytes than wanted would do no harm: it is no secret (RFC 6455 section 10.8).
  [[maybe_unused]] const auto got = ::getrandom(nonce.data(), 16, 0);
  char* const text = arena_.allocate(24);
  for (std::size_t i = 0; i < 6; ++i) {
    const std::uint32_t bits = static_cast<std::uint32_t>(nonce[3 * i]) << 16 |
                               static_cast<std::uint32_t>(nonce[3 * i + 1]) << 8 | nonce[3 * i + 2];
    for (std::size_t digit = 0; digit < 4; ++digit) text[4 * i + digit] = kDigits[(bits >> (18 - 6 * digit)) & 63];
  }
  text[22] = text[23] = '=';
  request.fields.remove("sec-websocket-key");
  request.fields.add("sec-websocket-key", {text, 24});
}

// --- the request's body ---------------------------------------------------------------------------------------------

const Fields& Http2Session::H2Exchange::trailers() const {
  return trailers_ ? trailers_->fields : kNoFields;
}

Task<Result<std::span<const char>>> Http2Session::H2Exchange::read_body() {
  constexpr Error kTooLarge{Errc::kTooLarge, Side::kDownstream, "body_too_large"};
  if (!has_body_) co_return std::span<const char>();
  if (body_limit_ != 0 && request.body == BodyKind::kLength && request.content_length > body_limit_) {
    co_return kTooLarge;
  }
  if (continue_due_ && status_ == 0 && !stream_.at_hand() && !stream_.receive_ended()) {
    ResponseHead head;
    head.status = 100;
    const auto told = co_await send_interim(head);
    if (!told) co_return told.error();
  }
  const auto piece = co_await stream_.read(deadline_after(loop_.now(), idle()));
  if (!piece) co_return piece.error();
  body_bytes_ += piece->size();
  if (body_limit_ != 0 && body_bytes_ > body_limit_) co_return kTooLarge;
  co_return *piece;
}

/// A half of a stream that has been closed says nothing; RST_STREAM says it all (RFC 9113 section 5.4.2).
bool Http2Session::H2Exchange::watch(Onlooker* who) {
  onlooker_ = who;
  if (who != nullptr && stream_.closed() && !answered()) who->client_departed(stream_.error());
  return true;
}

void Http2Session::H2Exchange::close(const Error& error) {
  if (stream_.closed()) return;
  stream_.close(error);
  if (onlooker_ != nullptr && !answered()) onlooker_->client_departed(error);
}

// --- the response ---------------------------------------------------------------------------------------------------

Result<> Http2Session::H2Exchange::broken(const Error& error) {
  // Whoever takes nothing for too long holds no memory of ours any longer. When the whole connection takes nothing it
  // is told of once, at its end.
  const bool stalled = error.code == Errc::kTimeout && error.side == Side::kDownstream;
  if (stalled && !session_.transport_.blocked()) session_.handler_.held_off(session_.connection_, error.reason);
  stream_.reset(error.side == Side::kInternal ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL);
  aborted_ = true;
  return error;
}

Task<Result<>> Http2Session::H2Exchange::send_interim(const ResponseHead& head) {
  if (status_ != 0 || head.status == 101) co_return Result<>();
  if (stream_.closed()) co_return stream_.error();
  if (head.status == 100) continue_due_ = false;
  const auto block = response_block(head, head.status, arena_);
  nghttp2_submit_headers(session_.nghttp2_.get(), NGHTTP2_FLAG_NONE, stream_.id(), nullptr, block.data(), block.size(),
                         nullptr);
  session_.transport_.push();
  co_return Result<>();
}

void Http2Session::H2Exchange::start(const ResponseHead& head) {
  status_ = head.status;
  // To an extended CONNECT 2xx says that the tunnel stands (RFC 8441 section 5). This one does not.
  if (connect_ && !tunnel_ && status_ < 300) status_ = 501;
  no_content_ = has_no_content(status_, request.method);
  if (!no_content_) left_ = head.content_length;
  block_ = response_block(head, status_, arena_);
}

void Http2Session::H2Exchange::submit_head(bool ended) {
  if (submitted_) return;
  submitted_ = true;
  if (stream_.closed()) return;
  const nghttp2_data_provider provider = stream_.provider();
  nghttp2_submit_response(session_.nghttp2_.get(), stream_.id(), block_.data(), block_.size(),
                          ended ? nullptr : &provider);
}

/// Books content against the declared length.
Result<> Http2Session::H2Exchange::account(std::uint64_t size) {
  bytes_out_ += size;
  if (!left_) return {};
  if (size > *left_) {
    abort();
    return Error{Errc::kInternal, Side::kInternal, "response_longer_than_declared"};
  }
  *left_ -= size;
  return {};
}

/// Nearly always all of it is taken at once.
Task<Result<>> Http2Session::H2Exchange::write(std::span<const char> data, bool last) {
  if (no_content_) data = {};
  if (stream_.closed()) return stream_.error();
  if (const auto booked = account(data.size()); !booked) return booked;
  const bool cut = last && left_.value_or(0) > 0;
  const bool headers_only = !submitted_ && (no_content_ || (last && data.empty() && !cut));
  const bool fresh = !submitted_;
  submit_head(headers_only);
  if (headers_only || no_content_) {
    finished_ = true;
    if (fresh) session_.transport_.push();
    return Result<>();
  }
  if (cut) return write_cut(data);
  if (data.empty() && !last) {
    if (fresh) session_.transport_.push();
    return Result<>();
  }
  finished_ = last;
  stream_.offer(data, last);
  if (stream_.offered() == 0) return Result<>();
  return sent();
}

Task<Result<>> Http2Session::H2Exchange::sent() {
  const auto sent = co_await stream_.sent(idle());
  if (!sent) co_return broken(sent.error());
  co_return Result<>();
}

/// Less than was declared: the client must not take it for the whole. What there is goes out, and then the stream
/// breaks.
Task<Result<>> Http2Session::H2Exchange::write_cut(std::span<const char> data) {
  stream_.offer(data, false);
  const auto sent = co_await stream_.sent(idle());
  abort();
  co_return sent;
}

Task<Result<>> Http2Session::H2Exchange::write_file(int file, std::uint64_t offset, std::uint64_t count) {
  if (no_content_ || count == 0) return flush();
  if (stream_.closed()) return stream_.error();
  if (const auto booked = account(count); !booked) return booked;
  submit_head(false);
  stream_.offer_file(file, offset, count);
  return sent();
}

Task<Result<>> Http2Session::H2Exchange::flush() {
  return write({}, false);
}

Task<Result<>> Http2Session::H2Exchange::finish(const Fields* trailers) {
  if (trailers == nullptr || trailers->empty() || no_content_ || left_.value_or(0) > 0) return write({}, true);
  const auto block = trailer_block(*trailers, arena_);
  if (block.empty()) return write({}, true);
  if (stream_.closed()) return stream_.error();
  submit_head(false);
  finished_ = true;
  stream_.offer_end(block);
  return Result<>();
}

Task<Result<>> Http2Session::H2Exchange::respond(const ResponseHead& head, std::span<const char> body) {
  start(head);
  return write(body, true);
}

void Http2Session::H2Exchange::abort() {
  if (aborted_) return;
  aborted_ = true;
  stream_.reset(NGHTTP2_INTERNAL_ERROR);
}

Task<Result<Exchange::Tunnel>> Http2Session::H2Exchange::upgrade(const ResponseHead& head) {
  if (stream_.closed()) co_return stream_.error();
  tunnel_.emplace(stream_);
  ResponseHead accepted;
  accepted.status = 200;
  accepted.fields = head.fields;
  // Of the handshake of HTTP/1 (RFC 8441 section 5).
  accepted.fields.remove("Sec-WebSocket-Accept");
  start(accepted);
  no_content_ = false;
  submit_head(false);
  session_.transport_.push();
  co_return Tunnel{&*tunnel_, {}};
}

void Http2Session::H2Exchange::close_after() {
  // A request that was refused says nothing of the others on its connection.
  if (!rejection_) session_.begin_goaway();
}

void Http2Session::H2Exchange::conclude() {
  // Also of a stream that is closed: its bytes still count against the connection's window.
  stream_.discard_input();
  if (stream_.closed()) return;
  if (tunnel_) {
    const bool whole = stream_.end_offered() && stream_.receive_ended() && !tunnel_->aborted();
    if (!whole) stream_.reset(NGHTTP2_CANCEL);
  } else if (aborted_ || !finished_) {
    stream_.reset(NGHTTP2_INTERNAL_ERROR);
  } else if (stream_.end_sent()) {
    end_sent();
  }
}

void Http2Session::H2Exchange::end_sent() {
  // RFC 9113 section 8.1: a complete answer makes the rest of an upload pointless.
  if (state == State::kDone && !stream_.receive_ended()) stream_.reset(NGHTTP2_NO_ERROR);
}

}  // namespace headgate::http
