// SPDX-License-Identifier: Apache-2.0
// One request and its answer on an HTTP/1 connection. Private to http1_session.
#pragma once

#include "http/http1_output.h"
#include "http/http1_session.h"

namespace headgate::http {

class Http1Session::H1Exchange final : public Exchange {
 public:
  H1Exchange(Http1Session& session, Http1Parser& parser);

  /// Once the head has been taken.
  void begin_body();
  /// Fills what can be told of a request that was refused, for the log.
  void describe_rejected(std::string_view received);

  enum class End { kKeepAlive, kClose, kLinger, kBrokenOff };
  /// After the handler: reads away what is left of a small body and says what becomes of the connection.
  Task<End> conclude();

  // Exchange
  Task<Result<std::span<const char>>> read_body() override;
  bool has_body() const override { return kind_ != BodyKind::kNone; }
  bool body_ready() const override { return session_.begin_ < session_.end_; }
  bool body_finished() const override { return body_finished_; }
  const Fields& trailers() const override { return parser_.trailers(); }
  void cancel_read() override;
  void resume_read() override { read_cancelled_ = false; }
  Task<bool> departed() override;
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
  void close_after() override { close_ = true; }

 private:
  enum class Framing { kNone, kLength, kChunked, kUntilClose };

  struct Raw {
    char* data;
    std::size_t size;
  };
  Task<Result<std::span<const char>>> receive_body();
  Task<Result<Raw>> receive();
  Result<std::span<const char>> take_length(Raw raw);
  Result<std::span<const char>> take_chunked(Raw raw);
  Result<> send_continue();
  End concluded();
  Task<End> conclude_unread();
  Task<Result<>> await_written(Task<Result<>> writing, bool last);
  Result<> written(const Result<>& sent, bool last);
  Task<Result<>> send_file(int file, std::uint64_t offset, std::uint64_t count);
  Task<Result<>> copy_file(int file, std::uint64_t offset, std::uint64_t count);
  Result<> account(std::uint64_t size);
  Result<> broken(Error error);
  Duration idle() const { return session_.limits_.body_idle_timeout; }

  Http1Session& session_;
  Http1Parser& parser_;

  // the request's body
  BodyKind kind_ = BodyKind::kNone;
  std::uint64_t body_left_ = 0;
  bool body_finished_ = true;
  bool read_cancelled_ = false;
  bool continue_due_ = false;
  Buffer body_;                 // what is read after the head's block is used up
  std::size_t body_begin_ = 0;  // bytes of body_ behind a chunked body: the next request
  std::size_t body_end_ = 0;

  // the response
  Http1Output out_;  // buffers a head that has not been sent
  Framing framing_ = Framing::kNone;
  std::uint64_t response_left_ = 0;
  bool close_ = false;
  bool finished_ = false;
  bool aborted_ = false;
  bool tunnelled_ = false;
  bool downstream_failed_ = false;
};

}  // namespace headgate::http
