// SPDX-License-Identifier: Apache-2.0
#include "http/http2_callbacks.h"

#include <algorithm>
#include <array>

namespace headgate::http {
namespace {

constexpr std::size_t kMaxContinuations = 16;
/// How many times limits.max_header_bytes a block may come to when it is decoded: beyond the limit fields are only
/// counted, so that the compression's state stays right and the request gets its answer.
constexpr std::size_t kMaxExcess = 4;

Http2OptionPtr make_option() {
  auto option = new_http2_option();
  nghttp2_option_set_no_auto_window_update(option.get(), 1);
  nghttp2_option_set_no_closed_streams(option.get(), 1);
  nghttp2_option_set_builtin_recv_extension_type(option.get(), NGHTTP2_PRIORITY_UPDATE);
  nghttp2_option_set_max_continuations(option.get(), kMaxContinuations);
  // The session's own budget counts resets, also those of streams that we must break off.
  nghttp2_option_set_stream_reset_rate_limit(option.get(), 100'000, 100'000);
  return option;
}

}  // namespace

Http2SessionPtr Http2Session::Callbacks::make(Http2Session& session) {
  static const Http2CallbacksPtr callbacks = [] {
    auto made = new_http2_callbacks();
    auto* const c = made.get();
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(c, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(c, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_frame_not_sent);
    nghttp2_session_callbacks_set_data_source_read_length_callback(c, read_length);
    nghttp2_session_callbacks_set_send_data_callback(c, send_data);
    return made;
  }();
  static const Http2OptionPtr option = make_option();
  nghttp2_session* made = nullptr;
  if (nghttp2_session_server_new3(&made, callbacks.get(), &session, option.get(), http2_memory()) != 0) {
    throw std::bad_alloc();
  }
  return Http2SessionPtr(made);
}

/// Ends the connection when the peer has gone beyond what it may.
int Http2Session::Callbacks::spend(Http2Session& me, bool within, const char* reason) {
  if (within) return 0;
  me.end_with(NGHTTP2_ENHANCE_YOUR_CALM, reason);
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

// --- arriving -------------------------------------------------------------------------------------------------------

/// A head for a stream that is closed or was passed over. nghttp2 forgets closed streams and ignores it, which is right
/// only for what may have crossed our RST_STREAM (RFC 9113 section 5.1).
int Http2Session::Callbacks::check_stream(Http2Session& me, const nghttp2_frame_hd& head) {
  const std::int32_t id = head.stream_id;
  if ((id & 1) == 0 || id > nghttp2_session_get_last_proc_stream_id(me.nghttp2_.get()) ||
      nghttp2_session_find_stream(me.nghttp2_.get(), id) != nullptr) {
    return 0;
  }
  const Gone* const gone = me.find_gone(id);
  if (gone != nullptr && !gone->by_peer) {
    // Trailers end their stream; without that they are wrong, whoever closed it.
    if ((head.flags & NGHTTP2_FLAG_END_STREAM) != 0) return 0;
    nghttp2_submit_rst_stream(me.nghttp2_.get(), NGHTTP2_FLAG_NONE, id, NGHTTP2_PROTOCOL_ERROR);
    return spend(me, me.budget_.spend_reset(me.loop_.now()), "h2_too_many_resets");
  }
  me.end_with(gone != nullptr ? NGHTTP2_STREAM_CLOSED : NGHTTP2_PROTOCOL_ERROR, "h2_headers_on_closed_stream");
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

int Http2Session::Callbacks::on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* user) {
  return head->type == NGHTTP2_HEADERS ? check_stream(self(user), *head) : 0;
}

int Http2Session::Callbacks::on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  auto& me = self(user);
  me.reading_head_ = nullptr;
  me.block_deadline_ = deadline_after(me.loop_.now(), me.limits_.header_timeout);
  const std::int32_t id = frame->hd.stream_id;
  if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
    auto* const exchange = exchange_of(session, id);
    if (exchange != nullptr) exchange->trailer_reader();
    me.reading_head_ = exchange;
    return 0;
  }
  // nghttp2 counts what is open on the wire; handlers of streams that were broken off may still run.
  if (me.alive_ >= 2 * kMaxStreams) {
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    me.handler_.held_off(me.connection_, "h2_too_many_streams");
    return spend(me, me.budget_.spend_reset(me.loop_.now()), "h2_too_many_resets");
  }
  me.limits_ = me.handler_.session_limits();
  auto* const exchange = new H2Exchange(me, id);
  me.exchanges_.push_back(*exchange);
  ++me.alive_;
  ++me.open_;
  ++me.opened_;
  nghttp2_session_set_stream_user_data(session, id, exchange);
  me.reading_head_ = exchange;
  return 0;
}

int Http2Session::Callbacks::on_header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name,
                                       nghttp2_rcbuf* value, std::uint8_t, void* user) {
  auto& me = self(user);
  if (me.reading_head_ == nullptr) return 0;
  auto& exchange = *me.reading_head_;
  auto& reader = frame->headers.cat == NGHTTP2_HCAT_REQUEST ? exchange.head_reader() : exchange.trailer_reader();
  reader.add(name, value);
  return spend(me, reader.bytes() <= kMaxExcess * me.limits_.max_header_bytes, "h2_header_flood");
}

/// nghttp2 would leave out what is no field and go on.
int Http2Session::Callbacks::on_invalid_header(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf*, nghttp2_rcbuf*,
                                               std::uint8_t, void*) {
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

int Http2Session::Callbacks::head_ended(Http2Session& me, H2Exchange& exchange, const nghttp2_frame& frame) {
  const bool ended = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
    exchange.head_read(ended);
    exchange.state = H2Exchange::State::kReady;
    me.ready_.push_back(&exchange);
    return 0;
  }
  if (exchange.trailer_reader().verdict() != Http2HeadReader::Verdict::kWithin) {
    exchange.stream().reset(NGHTTP2_ENHANCE_YOUR_CALM);
    return spend(me, me.budget_.spend_reset(me.loop_.now()), "h2_too_many_resets");
  }
  if (ended) exchange.stream().receive_end();
  return 0;
}

int Http2Session::Callbacks::on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  auto& me = self(user);
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS: {
      me.block_deadline_ = kNoDeadline;
      auto* const exchange = std::exchange(me.reading_head_, nullptr);
      return exchange == nullptr ? 0 : head_ended(me, *exchange, *frame);
    }
    case NGHTTP2_DATA: {
      if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
      auto* const exchange = exchange_of(session, frame->hd.stream_id);
      if (exchange != nullptr) exchange->stream().receive_end();
      return 0;
    }
    case NGHTTP2_RST_STREAM: {
      auto* const exchange = exchange_of(session, frame->hd.stream_id);
      if (exchange != nullptr) exchange->reset_by_peer = true;
      if (exchange != nullptr && exchange->answered()) return 0;
      return spend(me, me.budget_.spend_reset(me.loop_.now()), "h2_too_many_resets");
    }
    case NGHTTP2_SETTINGS:
      me.preface_read_ = true;
      return 0;
    case NGHTTP2_PING:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0 && me.goaway_begun_) me.notice_deadline_ = me.loop_.now();
      return 0;
    case NGHTTP2_GOAWAY:
      me.peer_leaving_ = true;
      return 0;
    default:
      return 0;
  }
}

int Http2Session::Callbacks::on_invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
  auto& me = self(user);
  if (frame->hd.type == NGHTTP2_HEADERS) {
    me.block_deadline_ = kNoDeadline;
    me.reading_head_ = nullptr;
    // A head too many; nghttp2 names it like any other mistake.
    const bool request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    if (request && error == NGHTTP2_ERR_PROTO && me.open_ >= kMaxStreams) {
      me.end_with(NGHTTP2_PROTOCOL_ERROR, "h2_too_many_streams");
    }
    if (request && error == NGHTTP2_ERR_REFUSED_STREAM) me.handler_.held_off(me.connection_, "h2_too_many_streams");
  }
  return spend(me, me.budget_.spend_reset(me.loop_.now()), "h2_too_many_resets");
}

int Http2Session::Callbacks::on_data(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                                     std::size_t size, void* user) {
  auto* const exchange = exchange_of(session, id);
  if (exchange != nullptr) {
    exchange->stream().receive(data, size);
  } else {
    nghttp2_session_consume(self(user).nghttp2_.get(), id, size);
  }
  return 0;
}

int Http2Session::Callbacks::on_stream_close(nghttp2_session* session, std::int32_t id, std::uint32_t code,
                                             void* user) {
  auto& me = self(user);
  if (me.goaway_begun_ || me.peer_leaving_) me.wake_reader();  // it may have been the last
  auto* const exchange = exchange_of(session, id);
  if (exchange == nullptr) return 0;
  me.gone_[me.next_gone_++ % me.gone_.size()] = {id, exchange->stream().receive_ended() || exchange->reset_by_peer};
  if (me.reading_head_ == exchange) {
    me.reading_head_ = nullptr;
    me.block_deadline_ = kNoDeadline;
  }
  exchange->open = false;
  --me.open_;
  const bool whole = code == NGHTTP2_NO_ERROR && exchange->answered();
  exchange->close({whole ? Errc::kClosed : Errc::kReset, Side::kDownstream,
                   me.ended_because_ != nullptr ? me.ended_because_
                   : whole                      ? "client_closed"
                                                : "client_reset"});
  me.release(*exchange);
  return 0;
}

// --- leaving --------------------------------------------------------------------------------------------------------

int Http2Session::Callbacks::on_frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  auto& me = self(user);
  switch (frame->hd.type) {
    case NGHTTP2_DATA:
      me.budget_.earn_data();
      [[fallthrough]];
    case NGHTTP2_HEADERS: {
      if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
      me.budget_.earn_answer();
      auto* const exchange = exchange_of(session, frame->hd.stream_id);
      if (exchange == nullptr) return 0;
      exchange->stream().note_end_sent();
      exchange->end_sent();
      return 0;
    }
    case NGHTTP2_GOAWAY:
      if (frame->goaway.error_code != NGHTTP2_NO_ERROR) {
        me.clean_ = false;
        me.ends_because(http2_error_name(frame->goaway.error_code));
      }
      return 0;
    default:
      return 0;
  }
}

/// A head that is too large for the peer or for nghttp2: its stream would wait for ever.
int Http2Session::Callbacks::on_frame_not_sent(nghttp2_session* session, const nghttp2_frame* frame, int error, void*) {
  if (frame->hd.type != NGHTTP2_HEADERS || error == NGHTTP2_ERR_STREAM_CLOSING || error == NGHTTP2_ERR_STREAM_CLOSED ||
      error == NGHTTP2_ERR_SESSION_CLOSING) {
    return 0;
  }
  nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_INTERNAL_ERROR);
  return 0;
}

ssize_t Http2Session::Callbacks::read_length(nghttp2_session*, std::uint8_t, std::int32_t, std::int32_t, std::int32_t,
                                             std::uint32_t, void* user) {
  return static_cast<ssize_t>(self(user).transport_.data_room());
}

int Http2Session::Callbacks::send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* head, std::size_t size,
                                       nghttp2_data_source* source, void*) {
  return static_cast<Http2Stream*>(source->ptr)->send_data(head, size);
}

}  // namespace headgate::http
