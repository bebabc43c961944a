// SPDX-License-Identifier: Apache-2.0
// The client's side of one HTTP/1 exchange with an origin (RFC 9112).
#pragma once

#include <optional>

#include "base/loop.h"
#include "http/client_exchange.h"
#include "http/http1_output.h"
#include "http/http1_parser.h"

namespace headgate::http {

/// The stream outlives it and is used by it alone. `idle` bounds each wait for the origin to take bytes.
class Http1ClientExchange final : public ClientExchange {
 public:
  Http1ClientExchange(Loop& loop, ByteStream& stream, Duration idle);

  void start(const RequestHead& head) override;
  Task<Result<>> write(std::span<const char> data, bool last) override;
  Task<Result<>> finish(const Fields* trailers) override;
  Task<Result<ResponseHead*>> read_head(TimePoint deadline) override;
  Task<Result<std::span<const char>>> read_body(TimePoint deadline) override;
  bool body_finished() const override { return body_finished_; }
  bool body_ready() override;
  const Fields& trailers() const override { return parser_.trailers(); }
  bool answered() const { return answered_; }  ///< a byte of the answer has arrived
  Fate fate(const Error& error) const override;
  bool reusable() const override;
  void interrupt_read() override { stream_.interrupt_read(); }
  void cancel() override { stream_.cancel(); }
  void let_go() override { delete this; }
  Tunnel upgrade() override;

  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* memory, std::size_t size) noexcept { free_frame(memory, size); }

 private:
  Task<Result<>> await_end(Task<Result<>> writing);

  enum class Filled { kBytes, kNothing, kEnd, kFailed };
  Filled fill(std::size_t block);
  Filled fill_for_body();
  static std::optional<Error> failed_wait(Wake wake);
  Result<bool> take_head();
  bool begin_response();
  Task<Result<std::span<const char>>> receive_body(TimePoint deadline);
  Result<std::span<const char>> take_body();
  Result<std::span<const char>> end_of_stream();

  Loop& loop_;
  ByteStream& stream_;
  Duration idle_;
  Method method_ = Method::kGet;

  Http1Output out_;
  bool chunked_ = false;
  bool sent_ = false;

  Http1Parser parser_;
  ResponseHead head_;
  Buffer in_;
  std::size_t begin_ = 0;  // [begin_, end_) of in_ has been received and not been used
  std::size_t end_ = 0;
  std::optional<Result<std::span<const char>>> ready_;  // a piece that body_ready has taken ahead
  Error failure_{};
  bool failed_ = false;  // reading has failed, with failure_
  unsigned interim_ = 0;
  bool answered_ = false;
  bool filled_up_ = false;  // the latest read left no room in the block
  bool head_taken_ = false;
  bool body_finished_ = false;
  bool connection_over_ = false;
  std::uint64_t body_left_ = 0;
};

}  // namespace headgate::http
