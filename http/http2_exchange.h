// SPDX-License-Identifier: Apache-2.0
// One request and its answer on an HTTP/2 connection. Private to http2_session.
#pragma once

#include <memory>
#include <optional>

#include "base/frame_allocator.h"
#include "http/http2_head.h"
#include "http/http2_session.h"
#include "http/http2_stream.h"
#include "http/http2_tunnel.h"

namespace headgate::http {

/// Made when its header block begins. Freed when its handler has returned (or was never called) and nghttp2 has closed
/// the stream.
class Http2Session::H2Exchange final : public Exchange, public Listed {
 public:
  enum class State : std::uint8_t { kReadingHead, kReady, kServed, kDone };

  H2Exchange(Http2Session& session, std::int32_t id);

  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* memory, std::size_t size) noexcept { free_frame(memory, size); }

  State state = State::kReadingHead;
  bool open = true;            ///< nghttp2 has it
  bool reset_by_peer = false;  ///< its RST_STREAM has been read

  Http2Stream& stream() { return stream_; }
  Http2HeadReader& head_reader() { return *head_; }
  /// The trailers' reader, made when their block begins.
  Http2HeadReader& trailer_reader();

  /// Once the head has been read; `ended`: nothing follows it.
  void head_read(bool ended);
  const std::optional<Rejection>& rejection() const { return rejection_; }
  /// After the handler: ends the stream as what was sent deserves.
  void conclude();
  /// The answer has been given in full.
  bool answered() const { return finished_ && !aborted_; }
  /// The stream or its connection is over.
  void close(const Error& error);
  /// What is to be done once our end has been sent: the client need not go on with its upload.
  void end_sent();

  // Exchange
  Task<Result<std::span<const char>>> read_body() override;
  bool has_body() const override { return has_body_; }
  bool body_ready() const override { return stream_.at_hand(); }
  bool body_finished() const override { return !has_body_ || stream_.read_finished(); }
  const Fields& trailers() const override;
  void cancel_read() override { stream_.cancel_read(); }
  void resume_read() override { stream_.resume_read(); }
  Task<bool> departed() override { return stream_.departed(); }
  bool watch(Onlooker* who) override;
  Task<Result<>> send_interim(const ResponseHead& head) override;
  void start(const ResponseHead& head) override;
  using Exchange::write;
  Task<Result<>> write(std::span<const char> data, bool last) override;
  Task<Result<>> write_file(int file, std::uint64_t offset, std::uint64_t count) override;
  Task<Result<>> flush() override;
  Task<Result<>> finish(const Fields* trailers) override;
  Task<Result<>> respond(const ResponseHead& head, std::span<const char> body) override;
  void abort() override;
  Task<Result<Tunnel>> upgrade(const ResponseHead& head) override;
  void close_after() override;

 private:
  void add_websocket_key();
  /// Hands the head to nghttp2 if that has not been done; `ended`: the answer has no content.
  void submit_head(bool ended);
  Task<Result<>> sent();
  Task<Result<>> write_cut(std::span<const char> data);
  Result<> account(std::uint64_t size);
  Result<> broken(const Error& error);
  Duration idle() const { return session_.limits_.body_idle_timeout; }

  Http2Session& session_;
  Http2Stream stream_;
  std::optional<Http2HeadReader> head_;
  std::optional<Rejection> rejection_;

  // the request's body
  bool has_body_ = false;
  bool continue_due_ = false;
  std::unique_ptr<Http2Trailers> trailers_;

  Onlooker* onlooker_ = nullptr;

  // the response
  std::span<nghttp2_nv> block_;        // a head that has not been submitted
  std::optional<std::uint64_t> left_;  // of the declared length
  bool submitted_ = false;
  bool no_content_ = false;
  bool finished_ = false;
  bool aborted_ = false;
  bool connect_ = false;  // an extended CONNECT
  std::optional<Http2Tunnel> tunnel_;
};

}  // namespace headgate::http
