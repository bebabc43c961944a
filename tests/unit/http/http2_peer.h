// SPDX-License-Identifier: Apache-2.0
// An Http2Session over a WireStream whose other end is nghttp2's client.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nghttp2/nghttp2.h>

#include "http/http2_library.h"
#include "http/http2_session.h"
#include "session_fixture.h"
#include "wire_stream.h"

namespace headgate::http {

/// What the client has heard of one stream.
struct Heard2 {
  std::vector<std::pair<std::string, std::string>> fields;
  std::vector<std::pair<std::string, std::string>> trailers;
  std::string body;
  bool closed = false;
  std::uint32_t code = 0;  ///< of the close

  std::string field(std::string_view name) const {
    for (const auto& [key, value] : fields) {
      if (key == name) return value;
    }
    return "";
  }
  std::string status() const { return field(":status"); }
};

using Texts = std::vector<std::pair<std::string, std::string>>;

inline Texts get2(std::string_view path, Texts more = {}) {
  Texts fields{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", std::string(path)}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

inline Texts post2(std::string_view path, Texts more = {}) {
  Texts fields = get2(path, std::move(more));
  fields[0].second = "POST";
  return fields;
}

/// One connection. The loop turns only when the test says so.
class Connection2 {
 public:
  Connection2(Loop& loop, TestHandler& handler, std::uint32_t window = 65535)
      : loop_(loop), stream(loop), session(loop, stream, info, handler), group_(loop) {
    auto callbacks = new_http2_callbacks();
    auto* const c = callbacks.get();
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session* made = nullptr;
    nghttp2_session_client_new(&made, c, this);
    client_.reset(made);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};
    nghttp2_submit_settings(client_.get(), NGHTTP2_FLAG_NONE, settings, 1);
  }
  ~Connection2() {
    stream.cancel();
    for (int i = 0; i < 100 && started_ && !ended_; ++i) turn();
    EXPECT_TRUE(!started_ || ended_) << "the session does not end when its stream is cancelled";
  }

  void start() {
    started_ = true;
    group_.spawn(drive(*this));
    settle();
  }

  /// Hands over what the client has to say, and lets both sides act until nothing more happens.
  void settle() {
    for (int round = 0; round < 16; ++round) {
      talk();
      turn();
    }
  }
  /// Until the session has ended. What does not end meets the test's time limit.
  void run() {
    while (!ended_) {
      loop_.run();
      hear();
    }
  }

  /// A request; `body` is sent at once where the window allows it; with `open` the stream stays open.
  std::int32_t request(const Texts& fields, std::string body = {}, bool open = false) {
    std::vector<nghttp2_nv> list;
    for (const auto& [name, value] : fields) {
      list.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                      reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
                      NGHTTP2_NV_FLAG_NONE});
    }
    const bool content = !body.empty() || open;
    auto upload = std::make_unique<Upload>(Upload{std::move(body), open});
    nghttp2_data_provider provider{};
    provider.source.ptr = upload.get();
    provider.read_callback = on_read;
    const auto id = nghttp2_submit_request(client_.get(), nullptr, list.data(), list.size(),
                                           content ? &provider : nullptr, nullptr);
    uploads_[id] = std::move(upload);
    return id;
  }
  void more(std::int32_t id, std::string_view body, bool last) {
    uploads_[id]->text += body;
    uploads_[id]->open = !last;
    nghttp2_session_resume_data(client_.get(), id);
  }

  nghttp2_session* client() { return client_.get(); }
  const Heard2& heard(std::int32_t id) { return heard_[id]; }
  const std::vector<std::pair<std::int32_t, std::uint32_t>>& goaways() const { return goaways_; }
  std::size_t received() const { return received_; }
  bool ended() const { return ended_; }
  bool orderly() const { return orderly_; }

  /// The client reads what has been written and says what it has to say.
  void talk() {
    hear();
    const std::uint8_t* data = nullptr;
    for (;;) {
      const ssize_t size = nghttp2_session_mem_send(client_.get(), &data);
      ASSERT_GE(size, 0) << nghttp2_strerror(static_cast<int>(size));
      if (size == 0) break;
      stream.send({reinterpret_cast<const char*>(data), static_cast<std::size_t>(size)});
    }
  }

 private:
  struct Upload {
    std::string text;
    bool open;
  };

  void hear() {
    const std::string bytes = std::exchange(stream.output(), {});
    received_ += bytes.size();
    const ssize_t read =
        nghttp2_session_mem_recv(client_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    ASSERT_GE(read, 0) << nghttp2_strerror(static_cast<int>(read));
  }
  void turn() {
    for (int i = 0; i < 8; ++i) {
      loop_.stop();
      loop_.run();
    }
  }

  static Connection2& self(void* user) { return *static_cast<Connection2*>(user); }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                       const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
    auto& heard = self(user).heard_[frame->hd.stream_id];
    auto& into = frame->headers.cat == NGHTTP2_HCAT_HEADERS ? heard.trailers : heard.fields;
    into.emplace_back(std::string(reinterpret_cast<const char*>(name), name_size),
                      std::string(reinterpret_cast<const char*>(value), value_size));
    return 0;
  }
  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size,
                     void* user) {
    self(user).heard_[id].body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }
  static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
    auto& heard = self(user).heard_[id];
    heard.closed = true;
    heard.code = code;
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      self(user).goaways_.emplace_back(frame->goaway.last_stream_id, frame->goaway.error_code);
    }
    return 0;
  }
  static ssize_t on_read(nghttp2_session*, std::int32_t, std::uint8_t* buffer, std::size_t room, std::uint32_t* flags,
                         nghttp2_data_source* source, void*) {
    auto& upload = *static_cast<Upload*>(source->ptr);
    const auto size = std::min(room, upload.text.size());
    if (size == 0 && upload.open) return NGHTTP2_ERR_DEFERRED;
    std::memcpy(buffer, upload.text.data(), size);
    upload.text.erase(0, size);
    if (upload.text.empty() && !upload.open) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }

  static Task<> drive(Connection2& me) {
    me.orderly_ = co_await me.session.run();
    me.ended_ = true;
    me.loop_.stop();
  }

  Loop& loop_;
  bool started_ = false;
  bool ended_ = false;
  bool orderly_ = false;
  std::size_t received_ = 0;
  Http2SessionPtr client_;
  std::map<std::int32_t, std::unique_ptr<Upload>> uploads_;
  std::map<std::int32_t, Heard2> heard_;
  std::vector<std::pair<std::int32_t, std::uint32_t>> goaways_;

 public:
  ConnectionInfo info;
  WireStream stream;
  Http2Session session;

 private:
  TaskGroup group_;
};

}  // namespace headgate::http
