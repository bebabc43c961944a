// SPDX-License-Identifier: Apache-2.0
// What nghttp2 tells the client's connection, and how it is set up. Private to http2_client.
#pragma once

#include "http/http2_client_exchange.h"

namespace headgate::http {

/// As those of the server's session: they note what happened and let nobody run.
struct Http2Client::Callbacks {
  static Http2SessionPtr make(Http2Client& client);

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
                       std::uint8_t flags, void* user);
  static int on_invalid_header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
                               std::uint8_t flags, void* user);
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int on_data(nghttp2_session*, std::uint8_t flags, std::int32_t id, const std::uint8_t* data, std::size_t size,
                     void* user);
  static int on_stream_close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user);
  static int on_frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static ssize_t read_length(nghttp2_session*, std::uint8_t type, std::int32_t id, std::int32_t connection_window,
                             std::int32_t stream_window, std::uint32_t max_frame, void* user);
  static int send_data(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head, std::size_t size,
                       nghttp2_data_source* source, void* user);

 private:
  static Http2Client& self(void* user) { return *static_cast<Http2Client*>(user); }
  static Http2ClientExchange* exchange_of(nghttp2_session* session, std::int32_t id) {
    return static_cast<Http2ClientExchange*>(nghttp2_session_get_stream_user_data(session, id));
  }
};

}  // namespace headgate::http
