// SPDX-License-Identifier: Apache-2.0
// One request to an origin and its answer as a stream of an HTTP/2 connection. Made by Http2Client::begin().
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/arena.h"
#include "base/frame_allocator.h"
#include "http/http2_client.h"
#include "http/http2_head.h"
#include "http/http2_stream.h"

namespace headgate::http {

/// Its owner lets it go; it is freed when nghttp2 has closed the stream as well. Loop thread only.
class Http2ClientExchange final : public ClientExchange, public Http2Client::Listed {
 public:
  explicit Http2ClientExchange(Http2Client& client);

  /// How long the origin may take nothing of the request; zero: no limit.
  void set_idle(Duration idle) { idle_ = idle; }

  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* memory, std::size_t size) noexcept { free_frame(memory, size); }

  // ClientExchange
  void start(const RequestHead& head) override;
  Task<Result<>> write(std::span<const char> data, bool last) override;
  Task<Result<>> finish(const Fields* trailers) override;
  Task<Result<ResponseHead*>> read_head(TimePoint deadline) override;
  Task<Result<std::span<const char>>> read_body(TimePoint deadline) override;
  bool body_finished() const override { return stream_.read_finished(); }
  bool body_ready() override { return stream_.at_hand() || stream_.receive_ended() || stream_.closed(); }
  const Fields& trailers() const override;
  Fate fate(const Error& error) const override;
  bool reusable() const override { return stream_.end_sent() && body_finished(); }
  void interrupt_read() override { stream_.readable().interrupt(); }
  void cancel() override;
  void let_go() override;
  /// There is no 101 in HTTP/2 (RFC 9113 section 8.6), and so nobody to ask for this: no stream.
  Tunnel upgrade() override { return {nullptr, {}}; }

 private:
  friend class Http2Client;
  friend struct Http2Client::Callbacks;

  // from nghttp2's callbacks
  Http2HeadReader& begin_block();
  Http2HeadReader& block_reader() { return final_read_ ? trailers_->reader : *reader_; }
  void block_ended(bool last);
  void head_ended(bool last);
  void stream_closed(std::uint32_t code);
  void break_off(std::uint32_t code, const Error& error);
  /// The connection is over.
  void fail(const Error& error);

  bool submit(bool ended);
  ResponseHead* next_head();
  Task<Result<ResponseHead*>> wait_head(TimePoint deadline);

  Http2Client& client_;
  Arena arena_;
  Http2Stream stream_;
  Duration idle_{};
  const TimePoint begun_at_;

  // the request
  std::span<nghttp2_nv> block_;
  bool submitted_ = false;
  bool open_ = false;       // nghttp2 has it
  bool head_sent_ = false;  // its HEADERS have been packed
  bool let_go_ = false;

  // the answer
  ResponseHead head_;  // the one that is being read, and in the end the final one
  std::optional<Http2HeadReader> reader_;
  std::vector<std::unique_ptr<ResponseHead>> interim_;
  std::size_t interim_given_ = 0;
  std::size_t head_bytes_ = 0;  // of all heads so far
  std::unique_ptr<Http2Trailers> trailers_;
  bool answered_ = false;    // a head has begun
  bool final_read_ = false;  // the final head is whole
  bool final_given_ = false;
  bool reset_by_peer_ = false;
  bool refused_ = false;
  bool connection_lost_ = false;
};

}  // namespace headgate::http
