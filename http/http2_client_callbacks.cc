// SPDX-License-Identifier: Apache-2.0
#include "http/http2_client_callbacks.h"

#include <array>
#include <new>

namespace headgate::http {
namespace {

constexpr std::size_t kMaxContinuations = 16;
/// What one header block may come to when it is decoded: beyond its limit fields are only counted, so that the
/// compression's state stays right for the other streams.
constexpr std::size_t kMaxBlock = 4 * kMaxOriginHead;

Http2OptionPtr make_option() {
  auto option = new_http2_option();
  nghttp2_option_set_no_auto_window_update(option.get(), 1);
  nghttp2_option_set_no_closed_streams(option.get(), 1);
  nghttp2_option_set_max_continuations(option.get(), kMaxContinuations);
  // Until its SETTINGS have been read nothing is sent.
  nghttp2_option_set_peer_max_concurrent_streams(option.get(), Http2Client::kMaxStreams);
  return option;
}

}  // namespace

Http2SessionPtr Http2Client::Callbacks::make(Http2Client& client) {
  static const Http2CallbacksPtr callbacks = [] {
    auto made = new_http2_callbacks();
    auto* const c = made.get();
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(c, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(c, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
    nghttp2_session_callbacks_set_data_source_read_length_callback(c, read_length);
    nghttp2_session_callbacks_set_send_data_callback(c, send_data);
    return made;
  }();
  static const Http2OptionPtr option = make_option();
  nghttp2_session* made = nullptr;
  if (nghttp2_session_client_new3(&made, callbacks.get(), &client, option.get(), http2_memory()) != 0) {
    throw std::bad_alloc();
  }
  Http2SessionPtr session(made);
  const std::array<nghttp2_settings_entry, 3> settings{{
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<std::uint32_t>(kStreamWindow)},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(kMaxOriginHead)},
  }};
  nghttp2_submit_settings(made, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(made, NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
  return session;
}

// --- arriving -------------------------------------------------------------------------------------------------------

int Http2Client::Callbacks::on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  auto& me = self(user);
  me.reading_head_ = exchange_of(session, frame->hd.stream_id);
  if (me.reading_head_ != nullptr) me.reading_head_->begin_block();
  return 0;
}

int Http2Client::Callbacks::on_header(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
                                      std::uint8_t, void* user) {
  auto& me = self(user);
  if (me.reading_head_ == nullptr) return 0;
  auto& reader = me.reading_head_->block_reader();
  reader.add(name, value);
  if (reader.bytes() <= kMaxBlock) return 0;
  me.end_with(NGHTTP2_ENHANCE_YOUR_CALM, {Errc::kTooLarge, Side::kUpstream, "upstream_header_too_large"});
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/// nghttp2 would leave out what is no field and go on.
int Http2Client::Callbacks::on_invalid_header(nghttp2_session*, const nghttp2_frame*, nghttp2_rcbuf*, nghttp2_rcbuf*,
                                              std::uint8_t, void*) {
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

int Http2Client::Callbacks::on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  auto& me = self(user);
  const bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS: {
      me.ping_again_at_ = {};
      auto* const exchange = std::exchange(me.reading_head_, nullptr);
      if (exchange != nullptr) exchange->block_ended(last);
      return 0;
    }
    case NGHTTP2_DATA: {
      me.ping_again_at_ = {};
      auto* const exchange = last ? exchange_of(session, frame->hd.stream_id) : nullptr;
      if (exchange != nullptr) exchange->stream_.receive_end();
      return 0;
    }
    case NGHTTP2_RST_STREAM: {
      auto* const exchange = exchange_of(session, frame->hd.stream_id);
      if (exchange != nullptr) exchange->reset_by_peer_ = true;
      return 0;
    }
    case NGHTTP2_SETTINGS:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) return 0;
      me.settings_read_ = true;
      me.settings_.set();
      return 0;
    case NGHTTP2_GOAWAY:
      // Streams above the last that it has looked at have been closed by now, as refused.
      me.taking_ = false;
      if (frame->goaway.error_code != NGHTTP2_NO_ERROR) me.goaway_ = http2_error_name(frame->goaway.error_code);
      return 0;
    default:
      return 0;
  }
}

int Http2Client::Callbacks::on_data(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                                    std::size_t size, void* user) {
  auto* const exchange = exchange_of(session, id);
  if (exchange != nullptr) {
    exchange->stream_.receive(data, size);
  } else {
    nghttp2_session_consume(self(user).nghttp2_.get(), id, size);
  }
  return 0;
}

int Http2Client::Callbacks::on_stream_close(nghttp2_session* session, std::int32_t id, std::uint32_t code, void* user) {
  auto& me = self(user);
  auto* const exchange = exchange_of(session, id);
  if (exchange == nullptr) return 0;
  if (me.reading_head_ == exchange) me.reading_head_ = nullptr;
  if (exchange->stream_.receive_ended()) me.budget_.earn_answer();
  exchange->stream_closed(code);
  me.released(*exchange);
  return 0;
}

// --- leaving --------------------------------------------------------------------------------------------------------

int Http2Client::Callbacks::on_frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  auto& me = self(user);
  switch (frame->hd.type) {
    case NGHTTP2_DATA:
      me.budget_.earn_data();
      [[fallthrough]];
    case NGHTTP2_HEADERS: {
      auto* const exchange = exchange_of(session, frame->hd.stream_id);
      if (exchange == nullptr) return 0;
      exchange->head_sent_ = true;
      if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) exchange->stream_.note_end_sent();
      return 0;
    }
    case NGHTTP2_GOAWAY:
      if (frame->goaway.error_code == NGHTTP2_NO_ERROR) return 0;
      me.goaway_ = http2_error_name(frame->goaway.error_code);
      if (me.broken_) return 0;
      // nghttp2 has found a mistake that concerns the whole connection.
      me.broken_ = true;
      me.error_ = {Errc::kBadMessage, Side::kUpstream,
                   me.settings_read_ ? "upstream_bad_response" : "upstream_not_http2"};
      me.taking_ = false;
      return 0;
    default:
      return 0;
  }
}

ssize_t Http2Client::Callbacks::read_length(nghttp2_session*, std::uint8_t, std::int32_t, std::int32_t, std::int32_t,
                                            std::uint32_t, void* user) {
  return static_cast<ssize_t>(self(user).transport_.data_room());
}

int Http2Client::Callbacks::send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* head, std::size_t size,
                                      nghttp2_data_source* source, void*) {
  return static_cast<Http2Stream*>(source->ptr)->send_data(head, size);
}

}  // namespace headgate::http
