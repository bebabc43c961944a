// SPDX-License-Identifier: Apache-2.0
// The content of one HTTP/2 stream in both directions (RFC 9113 sections 5.2 and 6.1), the same at a server's and a
// client's end: what has arrived waits in blocks, as much as the window allows that we announced; what goes out is
// read from its writer's own memory or file when nghttp2 has room and window for it, and never kept.
//
// Loop thread only. Lives until nghttp2 has closed the stream and nobody waits in it. One reader and one writer at a
// time, which may be different tasks.
#pragma once

#include <optional>
#include <span>

#include <boost/container/small_vector.hpp>

#include "base/byte_stream.h"
#include "http/fields.h"
#include "http/http2_transport.h"

namespace headgate::http {

class Http2Stream {
 public:
  Http2Stream(Http2Transport& transport, Side side);
  Http2Stream(const Http2Stream&) = delete;
  Http2Stream& operator=(const Http2Stream&) = delete;

  void set_id(std::int32_t id) { id_ = id; }
  std::int32_t id() const { return id_; }
  Http2Transport& transport() { return transport_; }

  // --- what arrives: from nghttp2's callbacks -----------------------------------------------------------------------

  void receive(const std::uint8_t* data, std::size_t size);
  void receive_end();
  /// The stream or its connection is over: waits end, now and later, with this error. What has arrived can be read.
  void close(const Error& error);

  // --- reading ------------------------------------------------------------------------------------------------------

  /// Waits for the next piece; empty at the end. Valid until the next call: then its window is given back.
  Task<Result<std::span<const char>>> read(TimePoint deadline);
  bool at_hand() const { return !blocks_.empty(); }
  /// All has been read, and there will be no more.
  bool read_finished() const { return receive_ended_ && blocks_.empty(); }
  bool receive_ended() const { return receive_ended_; }
  /// Ends a wait in read() or departed(), and later ones until resume_read() or departed() is called.
  void cancel_read();
  void resume_read() { read_cancelled_ = false; }
  /// Waits until the stream is over (true), or cancel_read() (false).
  Task<bool> departed();
  /// Nobody will read what has arrived and what comes: its window goes back to the connection.
  void discard_input();

  // --- writing ------------------------------------------------------------------------------------------------------

  /// For nghttp2_submit_response and the like: where it reads the content from.
  nghttp2_data_provider provider();

  /// Offers content; `last`: and then the end. The bytes must stay until sent() or withdraw(). Not while an earlier
  /// offer is open. The head must have been submitted with provider().
  void offer(std::span<const char> data, bool last);
  void offer_file(int file, std::uint64_t offset, std::uint64_t count);
  /// The end, with trailers (an array that lives as long as the stream) or none.
  void offer_end(std::span<const nghttp2_nv> trailers);
  /// How much of the offer is still to be taken.
  std::uint64_t offered() const { return file_ < 0 ? data_.size() : file_left_; }
  /// Waits until the offer has been taken; on failure it is withdrawn. Each wait without any progress has `idle`.
  Task<Result<>> sent(Duration idle);
  void withdraw();
  /// Sends RST_STREAM. Nothing when the stream is already over.
  void reset(std::uint32_t code);

  bool closed() const { return closed_; }
  const Error& error() const { return error_; }
  bool end_offered() const { return end_; }
  /// Our END_STREAM has been packed.
  bool end_sent() const { return end_sent_; }
  void note_end_sent() { end_sent_ = true; }
  std::uint64_t bytes_sent() const { return bytes_sent_; }

  // --- for a tunnel: its waits --------------------------------------------------------------------------------------

  Event& readable() { return readable_; }
  Event& writable() { return writable_; }
  /// Copies out what has arrived, without waiting; gives the window back.
  std::size_t take(std::span<char> into);

  // --- nghttp2's callbacks ------------------------------------------------------------------------------------------

  /// send_data_callback: frame head and content go straight into the transport's block.
  int send_data(const std::uint8_t* frame_head, std::size_t size);

 private:
  static ssize_t read_callback(nghttp2_session* session, std::int32_t id, std::uint8_t* buffer, std::size_t room,
                               std::uint32_t* flags, nghttp2_data_source* source, void* user);
  ssize_t next_length(std::size_t room, std::uint32_t* flags);
  bool copy_content(char* out, std::size_t size);
  void offered_more(bool at_once);
  void give_back(std::size_t size);
  std::optional<Result<std::span<const char>>> next_piece();
  Task<Result<std::span<const char>>> wait_piece(TimePoint deadline);

  struct Block {
    Buffer buffer;
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  using Blocks = boost::container::small_vector<Block, 1>;

  Http2Transport& transport_;
  const Side side_;
  std::int32_t id_ = 0;

  // arriving
  Blocks blocks_;
  Buffer given_;  // what the last read() gave out
  std::size_t given_size_ = 0;
  bool receive_ended_ = false;
  bool read_cancelled_ = false;
  bool discarding_ = false;

  // leaving
  std::span<const char> data_;
  int file_ = -1;
  std::uint64_t file_offset_ = 0;
  std::uint64_t file_left_ = 0;
  std::span<const nghttp2_nv> trailers_;
  std::uint64_t bytes_sent_ = 0;
  bool end_ = false;  // after the offer comes the end
  bool end_sent_ = false;
  bool deferred_ = false;  // nghttp2 has asked for content in vain and must be told of more
  bool file_failed_ = false;

  bool closed_ = false;
  Error error_{};
  Event readable_;
  Event writable_;  // the offer has been taken, or nghttp2 asks for more
  Event gone_;
};

}  // namespace headgate::http
