// SPDX-License-Identifier: Apache-2.0
#include "http/http2_client_exchange.h"

#include <algorithm>

namespace headgate::http {
namespace {

const Fields kNoFields;

}  // namespace

Http2ClientExchange::Http2ClientExchange(Http2Client& client)
    : client_(client),
      arena_(client.loop_.buffers()),
      stream_(client.transport_, Side::kUpstream),
      begun_at_(client.loop_.now()) {}

// --- the request ----------------------------------------------------------------------------------------------------

void Http2ClientExchange::start(const RequestHead& head) {
  block_ = request_block(head, client_.scheme_, arena_);
}

/// Hands the head to nghttp2 if that has not been done; `ended`: the request has no content. False: there is no stream.
bool Http2ClientExchange::submit(bool ended) {
  if (stream_.closed()) return false;
  if (submitted_) return true;
  submitted_ = true;
  const nghttp2_data_provider provider = stream_.provider();
  const std::int32_t id = nghttp2_submit_request(client_.nghttp2_.get(), nullptr, block_.data(), block_.size(),
                                                 ended ? nullptr : &provider, this);
  if (id < 0) {
    refused_ = true;
    stream_.close({Errc::kReset, Side::kUpstream, "upstream_refused_stream"});
    client_.retire();
    return false;
  }
  stream_.set_id(id);
  open_ = true;
  return true;
}

/// Nearly always all of it is taken at once.
Task<Result<>> Http2ClientExchange::write(std::span<const char> data, bool last) {
  const bool fresh = !submitted_;
  const bool headers_only = fresh && last && data.empty();
  if (!submit(headers_only)) return stream_.error();
  if (headers_only || (data.empty() && !last)) {
    if (fresh) client_.transport_.send_soon();
    return Result<>();
  }
  stream_.offer(data, last);
  if (stream_.offered() == 0) return Result<>();
  return stream_.sent(idle_);
}

Task<Result<>> Http2ClientExchange::finish(const Fields* trailers) {
  if (trailers == nullptr || trailers->empty()) return write({}, true);
  const auto block = trailer_block(*trailers, arena_);
  if (block.empty()) return write({}, true);
  if (!submit(false)) return stream_.error();
  stream_.offer_end(block);
  return Result<>();
}

// --- the answer, as it arrives --------------------------------------------------------------------------------------

Http2HeadReader& Http2ClientExchange::begin_block() {
  answered_ = true;
  if (final_read_) {
    if (!trailers_) trailers_ = std::make_unique<Http2Trailers>(arena_, kMaxOriginHead, kMaxOriginFields);
    return trailers_->reader;
  }
  head_.fields.clear();
  return reader_.emplace(arena_, head_.fields, kMaxOriginHead - std::min(head_bytes_, kMaxOriginHead),
                         kMaxOriginFields);
}

void Http2ClientExchange::block_ended(bool last) {
  if (stream_.closed()) return;
  if (block_reader().verdict() != Http2HeadReader::Verdict::kWithin) {
    const char* const reason = final_read_ ? "upstream_trailers_too_large" : "upstream_header_too_large";
    break_off(NGHTTP2_CANCEL, {Errc::kTooLarge, Side::kUpstream, reason});
  } else if (final_read_) {
    if (last) stream_.receive_end();
  } else {
    head_ended(last);
  }
}

void Http2ClientExchange::head_ended(bool last) {
  constexpr Error kBad{Errc::kBadMessage, Side::kUpstream, "upstream_bad_response"};
  head_bytes_ += reader_->bytes();
  if (!check_response(*reader_, head_)) return break_off(NGHTTP2_PROTOCOL_ERROR, kBad);
  if (head_.status < 200) {
    if (interim_.size() >= kMaxInterim) return break_off(NGHTTP2_ENHANCE_YOUR_CALM, kBad);
    interim_.push_back(std::make_unique<ResponseHead>(head_));
  } else {
    final_read_ = true;
    if (last) stream_.receive_end();
  }
  stream_.readable().set();
}

void Http2ClientExchange::break_off(std::uint32_t code, const Error& error) {
  stream_.reset(code);
  stream_.close(error);
}

void Http2ClientExchange::stream_closed(std::uint32_t code) {
  open_ = false;
  if (stream_.closed()) return;
  if (stream_.receive_ended()) {
    // RFC 9113 section 8.1: the answer is whole, and the rest of the request is not wanted.
    stream_.close({Errc::kClosed, Side::kUpstream, "upstream_closed"});
  } else if (!answered_ && (code == NGHTTP2_REFUSED_STREAM || !head_sent_)) {
    refused_ = true;
    stream_.close({Errc::kReset, Side::kUpstream, "upstream_refused_stream"});
    client_.retire();
  } else if (reset_by_peer_) {
    stream_.close({Errc::kReset, Side::kUpstream, "upstream_reset_stream"});
  } else {
    stream_.close({Errc::kBadMessage, Side::kUpstream, "upstream_bad_response"});  // nghttp2 found it malformed
  }
}

void Http2ClientExchange::fail(const Error& error) {
  open_ = false;
  const bool ended = error.code == Errc::kClosed || error.code == Errc::kReset;
  connection_lost_ = ended;
  refused_ = refused_ || (ended && !head_sent_);
  if (ended && final_read_) {
    stream_.close({Errc::kReset, Side::kUpstream, "upstream_truncated"});
  } else {
    stream_.close(error);
  }
}

// --- the answer, as it is read --------------------------------------------------------------------------------------

ResponseHead* Http2ClientExchange::next_head() {
  if (interim_given_ < interim_.size()) return interim_[interim_given_++].get();
  if (!final_read_ || final_given_) return nullptr;
  final_given_ = true;
  return &head_;
}

Task<Result<ResponseHead*>> Http2ClientExchange::read_head(TimePoint deadline) {
  if (auto* const head = next_head()) return head;
  return wait_head(deadline);
}

Task<Result<ResponseHead*>> Http2ClientExchange::wait_head(TimePoint deadline) {
  for (;;) {
    if (stream_.closed()) co_return stream_.error();
    stream_.readable().clear();
    const Wake wake = co_await stream_.readable().wait(deadline);
    if (wake == Wake::kTimeout) co_return Error{Errc::kTimeout, Side::kUpstream, "upstream_timeout"};
    if (wake == Wake::kCancelled) co_return stream_error(wake, Side::kUpstream);
    if (auto* const head = next_head()) co_return head;
  }
}

Task<Result<std::span<const char>>> Http2ClientExchange::read_body(TimePoint deadline) {
  return stream_.read(deadline);
}

const Fields& Http2ClientExchange::trailers() const {
  return trailers_ ? trailers_->fields : kNoFields;
}

// --- the end --------------------------------------------------------------------------------------------------------

ClientExchange::Fate Http2ClientExchange::fate(const Error& error) const {
  if (error.side != Side::kUpstream || answered_) return Fate::kUnknown;
  if (refused_) return Fate::kUntouched;
  return connection_lost_ ? Fate::kLost : Fate::kUnknown;
}

void Http2ClientExchange::cancel() {
  break_off(NGHTTP2_CANCEL, stream_error(Wake::kCancelled, Side::kUpstream));
}

void Http2ClientExchange::let_go() {
  let_go_ = true;
  // Also of a stream that is closed: its bytes still count against the connection's window.
  stream_.discard_input();
  if (open_) {
    stream_.reset(NGHTTP2_CANCEL);
    stream_.withdraw();
    // Silence since before the request, for so long that a PING would have been sent: the connection may be dead, and
    // those who come next should not be the ones to find out.
    const bool silent =
        !answered_ && client_.heard_at_ < begun_at_ && client_.loop_.now() - begun_at_ >= client_.limits_.silence;
    if (silent) client_.retire();
  }
  client_.released(*this);
}

}  // namespace headgate::http
