// SPDX-License-Identifier: Apache-2.0
// An Http2Client over a WireStream whose other end is nghttp2's server.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/task_group.h"
#include "http/http2_client_exchange.h"
#include "http/http2_library.h"
#include "wire_stream.h"

namespace headgate::http {

using Texts = std::vector<std::pair<std::string, std::string>>;

/// What the origin has heard of one stream.
struct Asked {
  Texts fields;
  Texts trailers;
  std::string body;
  bool ended = false;
  bool closed = false;
  std::uint32_t code = 0;  ///< of the close
};

/// One connection and the origin at its end. The loop turns only when the test says so.
class OriginPeer : private Http2Client::Owner {
 public:
  OriginPeer(Loop& loop, Http2Client::Limits limits, Texts settings = {}) : loop_(loop), group_(loop) {
    auto callbacks = new_http2_callbacks();
    auto* const c = callbacks.get();
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session* made = nullptr;
    nghttp2_session_server_new(&made, c, this);
    server_.reset(made);
    std::vector<nghttp2_settings_entry> list;
    for (const auto& [key, value] : settings) {
      list.push_back({std::stoi(key), static_cast<std::uint32_t>(std::stoul(value))});
    }
    nghttp2_submit_settings(made, NGHTTP2_FLAG_NONE, list.data(), list.size());
    auto stream = std::make_unique<WireStream>(loop, Side::kUpstream);
    stream_ = stream.get();
    Http2Client::Owner& self = *this;
    client = std::make_unique<Http2Client>(loop, std::move(stream), false, limits, self);
  }
  ~OriginPeer() {
    client->cancel();
    for (int i = 0; i < 100 && started_ && !ended_; ++i) turn();
    EXPECT_TRUE(!started_ || ended_) << "the connection does not end when it is cancelled";
  }

  void start() {
    started_ = true;
    group_.spawn(drive(*this));
    settle();
  }
  /// Lets both sides act until nothing more happens.
  void settle() {
    for (int round = 0; round < 16; ++round) {
      talk();
      turn();
    }
  }
  /// Until the connection has ended by itself. What does not end meets the test's time limit.
  void run() {
    while (!ended_) loop_.run();
  }

  // --- what the origin does -------------------------------------------------------------------------------------

  void respond(std::int32_t id, const Texts& fields, std::string body = {}, bool open = false, Texts trailers = {}) {
    auto& answer = answers_[id];
    answer = std::make_unique<Answer>(Answer{std::move(body), std::move(trailers), open});
    nghttp2_data_provider provider{};
    provider.source.ptr = answer.get();
    provider.read_callback = on_read;
    const bool content = !answer->text.empty() || open || !answer->trailers.empty();
    const auto list = block_of(fields);
    nghttp2_submit_response(server_.get(), id, list.data(), list.size(), content ? &provider : nullptr);
  }
  void interim(std::int32_t id, const Texts& fields) {
    const auto list = block_of(fields);
    nghttp2_submit_headers(server_.get(), NGHTTP2_FLAG_NONE, id, nullptr, list.data(), list.size(), nullptr);
  }
  nghttp2_session* server() { return server_.get(); }
  WireStream& stream() { return *stream_; }  ///< while the connection lives
  const Asked& asked(std::int32_t id) { return asked_[id]; }
  bool ended() const { return ended_; }
  const std::vector<std::uint32_t>& goaways() const { return goaways_; }
  bool answers = true;  ///< false: what it would say stays with it

  std::unique_ptr<Http2Client> client;

 private:
  struct Answer {
    std::string text;
    Texts trailers;
    bool open;
  };

  static std::vector<nghttp2_nv> block_of(const Texts& fields) {
    std::vector<nghttp2_nv> list;
    for (const auto& [name, value] : fields) {
      list.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                      reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
                      NGHTTP2_NV_FLAG_NONE});
    }
    return list;
  }

  void talk() {
    if (client->closed()) return;
    const std::string bytes = std::exchange(stream_->output(), {});
    ASSERT_GE(
        nghttp2_session_mem_recv(server_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()), 0);
    const std::uint8_t* data = nullptr;
    while (answers) {
      const ssize_t size = nghttp2_session_mem_send(server_.get(), &data);
      ASSERT_GE(size, 0) << nghttp2_strerror(static_cast<int>(size));
      if (size == 0) break;
      stream_->send({reinterpret_cast<const char*>(data), static_cast<std::size_t>(size)});
    }
  }
  void turn() {
    for (int i = 0; i < 8; ++i) {
      loop_.stop();
      loop_.run();
    }
  }
  void stream_ended(Http2Client&) override {}

  static OriginPeer& self(void* user) { return *static_cast<OriginPeer*>(user); }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                       const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
    auto& asked = self(user).asked_[frame->hd.stream_id];
    auto& into = frame->headers.cat == NGHTTP2_HCAT_REQUEST ? asked.fields : asked.trailers;
    into.emplace_back(std::string(reinterpret_cast<const char*>(name), name_size),
                      std::string(reinterpret_cast<const char*>(value), value_size));
    return 0;
  }
  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size,
                     void* user) {
    self(user).asked_[id].body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }
  static int on_close(nghttp2_session*, std::int32_t id, std::uint32_t code, void* user) {
    auto& asked = self(user).asked_[id];
    asked.closed = true;
    asked.code = code;
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY) self(user).goaways_.push_back(frame->goaway.error_code);
    const bool carries = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (carries && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
      self(user).asked_[frame->hd.stream_id].ended = true;
    }
    return 0;
  }
  static ssize_t on_read(nghttp2_session* session, std::int32_t id, std::uint8_t* buffer, std::size_t room,
                         std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto& answer = *static_cast<Answer*>(source->ptr);
    const auto size = std::min(room, answer.text.size());
    if (size == 0 && answer.open) return NGHTTP2_ERR_DEFERRED;
    std::memcpy(buffer, answer.text.data(), size);
    answer.text.erase(0, size);
    if (answer.text.empty() && !answer.open) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!answer.trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const auto list = block_of(answer.trailers);
        nghttp2_submit_trailer(session, id, list.data(), list.size());
      }
    }
    return static_cast<ssize_t>(size);
  }

  static Task<> drive(OriginPeer& me) {
    co_await me.client->run();
    me.ended_ = true;
    me.loop_.stop();
  }

  Loop& loop_;
  bool started_ = false;
  bool ended_ = false;
  WireStream* stream_ = nullptr;
  Http2SessionPtr server_;
  std::map<std::int32_t, Asked> asked_;
  std::map<std::int32_t, std::unique_ptr<Answer>> answers_;
  std::vector<std::uint32_t> goaways_;
  TaskGroup group_;
};

}  // namespace headgate::http
