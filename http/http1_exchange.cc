// SPDX-License-Identifier: Apache-2.0
#include "http/http1_exchange.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <unistd.h>

namespace headgate::http {
namespace {

/// A body that nobody wanted is read away up to this size to keep the connection.
constexpr std::uint64_t kMaxDrained = 64 * 1024;
constexpr std::uint64_t kFilePiece = 1024 * 1024;
constexpr std::string_view kCrlf = "\r\n";

iovec piece(std::string_view text) {
  return {const_cast<char*>(text.data()), text.size()};
}

}  // namespace

Http1Session::H1Exchange::H1Exchange(Http1Session& session, Http1Parser& parser)
    : Exchange(session.loop_, session.connection_),
      session_(session),
      parser_(parser),
      out_(session.loop_, session.stream_, Side::kDownstream) {}

void Http1Session::H1Exchange::begin_body() {
  kind_ = parser_.body_kind();
  body_left_ = kind_ == BodyKind::kLength ? parser_.content_length() : 0;
  body_finished_ = kind_ == BodyKind::kNone;
  continue_due_ = parser_.expects_continue();
}

void Http1Session::H1Exchange::describe_rejected(std::string_view received) {
  close_ = true;
  if (!request.method_name.empty()) return;
  received.remove_prefix(std::min(received.find_first_not_of("\r\n"), received.size()));
  auto line = received.substr(0, received.find_first_of("\r\n"));
  request.method_name = line.substr(0, std::min<std::size_t>(line.find(' '), 32));
  request.method = method_of(request.method_name);
  line.remove_prefix(
      std::min(line.find(' ') == std::string_view::npos ? line.size() : line.find(' ') + 1, line.size()));
  request.target = line.substr(0, std::min<std::size_t>(line.find(' '), 1024));
}

// --- the request's body -------------------------------------------------------------------------------------------

void Http1Session::H1Exchange::cancel_read() {
  read_cancelled_ = true;
  session_.stream_.interrupt_read();
}

Task<bool> Http1Session::H1Exchange::departed() {
  auto& s = session_;
  read_cancelled_ = false;
  while (!read_cancelled_) {
    // What a client sends ahead is its next request: it is kept, while there is room, behind this one's head.
    if (s.begin_ < s.end_ || body_begin_ < body_end_ || s.end_ == s.in_.size()) co_return false;
    const IoResult got = s.stream_.try_read({s.in_.data() + s.end_, s.in_.size() - s.end_});
    if (got.kind == IoResult::Kind::kOk) {
      s.end_ += got.bytes;
      co_return false;
    }
    if (got.kind != IoResult::Kind::kWouldBlock) co_return true;
    const Wake wake = co_await s.stream_.wait_read(kNoDeadline);
    if (wake == Wake::kCancelled) break;
  }
  co_return false;
}

/// Never waits: the reader of the body calls it, beside the writer of the answer. What the transport does not take now
/// goes out with the answer; a client that lets so much lie unread goes on by itself (RFC 9110 section 10.1.1).
Result<> Http1Session::H1Exchange::send_continue() {
  continue_due_ = false;
  if (out_.waiting() || !out_.buffered.empty()) return {};
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  const iovec pieces[] = {piece(kContinue)};
  const IoResult put = session_.stream_.try_write(pieces);
  if (put.kind == IoResult::Kind::kError) return broken(put.error);
  if (put.bytes < kContinue.size()) out_.buffered.append(kContinue.substr(put.bytes));
  return {};
}

/// The next bytes of the connection that may belong to the body: those behind the head first, then a read.
Task<Result<Http1Session::H1Exchange::Raw>> Http1Session::H1Exchange::receive() {
  auto& s = session_;
  const std::uint64_t most = kind_ == BodyKind::kLength ? body_left_ : ~std::uint64_t{0};
  if (s.begin_ < s.end_) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(s.end_ - s.begin_, most));
    char* const data = s.in_.data() + s.begin_;
    s.begin_ += size;
    co_return Raw{data, size};
  }
  if (continue_due_ && status_ == 0) {
    if (const auto sent = send_continue(); !sent) co_return sent.error();
  }
  if (!body_) {
    const bool large = kind_ == BodyKind::kChunked || body_left_ > BufferPool::kMedium;
    body_ = s.loop_.buffers().take(large ? BufferPool::kLarge : BufferPool::kMedium);
  }
  const std::span<char> into(body_.data(), static_cast<std::size_t>(std::min<std::uint64_t>(body_.size(), most)));
  for (;;) {
    if (read_cancelled_) co_return stream_error(Wake::kCancelled, Side::kDownstream);
    const IoResult got = s.stream_.try_read(into);
    if (got.kind == IoResult::Kind::kOk) co_return Raw{body_.data(), got.bytes};
    if (got.kind == IoResult::Kind::kEof) co_return Error{Errc::kReset, Side::kDownstream, "client_closed"};
    if (got.kind == IoResult::Kind::kError) co_return got.error;
    const Wake wake = co_await s.stream_.wait_read(deadline_after(s.loop_.now(), idle()));
    if (wake == Wake::kTimeout) co_return Error{Errc::kTimeout, Side::kDownstream, "body_timeout"};
    if (wake == Wake::kCancelled) co_return stream_error(wake, Side::kDownstream);
  }
}

Task<Result<std::span<const char>>> Http1Session::H1Exchange::read_body() {
  if (body_finished_) return std::span<const char>();
  return receive_body();
}

Task<Result<std::span<const char>>> Http1Session::H1Exchange::receive_body() {
  constexpr Error kTooLarge{Errc::kTooLarge, Side::kDownstream, "body_too_large"};
  if (body_limit_ != 0 && kind_ == BodyKind::kLength && parser_.content_length() > body_limit_) co_return kTooLarge;
  for (;;) {
    const auto raw = co_await receive();
    if (!raw) co_return raw.error();
    const auto content = kind_ == BodyKind::kLength ? take_length(*raw) : take_chunked(*raw);
    if (!content) co_return content.error();
    if (content->empty() && !body_finished_) continue;
    body_bytes_ += content->size();
    if (body_limit_ != 0 && body_bytes_ > body_limit_) co_return kTooLarge;
    co_return *content;
  }
}

Result<std::span<const char>> Http1Session::H1Exchange::take_length(Raw raw) {
  body_left_ -= raw.size;
  body_finished_ = body_left_ == 0;
  return std::span<const char>(raw.data, raw.size);
}

Result<std::span<const char>> Http1Session::H1Exchange::take_chunked(Raw raw) {
  const auto decoded = parser_.decode_chunked(raw.data, raw.size);
  if (!decoded.ok) {
    close_ = true;
    return Error{Errc::kBadMessage, Side::kDownstream, parser_.rejection().reason};
  }
  if (decoded.finished) {
    body_finished_ = true;
    // What follows the body is the next request: it stays where it is until conclude().
    const std::size_t rest = raw.size - decoded.consumed;
    if (body_ && raw.data == body_.data()) {
      body_begin_ = decoded.consumed;
      body_end_ = raw.size;
    } else {
      session_.begin_ -= rest;
    }
  }
  return std::span<const char>(raw.data, decoded.produced);
}

Task<Http1Session::H1Exchange::End> Http1Session::H1Exchange::conclude() {
  if (tunnelled_) return End::kClose;
  if (aborted_ || downstream_failed_ || !finished_) return End::kBrokenOff;
  if (!body_finished_) return conclude_unread();
  return concluded();
}

/// The body's end has been read: what becomes of the connection.
Http1Session::H1Exchange::End Http1Session::H1Exchange::concluded() {
  if (close_) {
    // Closing on bytes that nobody has read would reset the connection, and the answer with it.
    const bool more =
        body_begin_ < body_end_ || session_.begin_ < session_.end_ || session_.stream_.has_pending_input();
    return more ? End::kLinger : End::kClose;
  }
  if (body_begin_ < body_end_) session_.adopt(std::move(body_), body_begin_, body_end_);
  return End::kKeepAlive;
}

/// Reading on is cheaper than a new connection, while little is left.
Task<Http1Session::H1Exchange::End> Http1Session::H1Exchange::conclude_unread() {
  const bool little = kind_ == BodyKind::kChunked || body_left_ <= kMaxDrained;
  if (!close_ && !continue_due_ && little) {
    const std::uint64_t limit = body_bytes_ + kMaxDrained;
    read_cancelled_ = false;
    body_limit_ = 0;
    while (!body_finished_ && body_bytes_ < limit) {
      const auto got = co_await read_body();
      if (!got) co_return got.error().code == Errc::kBadMessage ? End::kLinger : End::kClose;
    }
  }
  co_return body_finished_ ? concluded() : End::kLinger;
}

// --- the response -------------------------------------------------------------------------------------------------

Result<> Http1Session::H1Exchange::broken(Error error) {
  downstream_failed_ = true;
  return error;
}

Task<Result<>> Http1Session::H1Exchange::send_interim(const ResponseHead& head) {
  if (request.version != Version::kHttp11 || status_ != 0) return Result<>();
  if (head.status == 100) continue_due_ = false;
  write_response_head(head, out_.buffered);
  out_.buffered.append(kCrlf);
  return flush();
}

void Http1Session::H1Exchange::start(const ResponseHead& head) {
  status_ = head.status;
  ByteWriter& out = out_.buffered;
  write_response_head(head, out);
  if (!head.fields.has(FieldId::kDate)) out.append(date_field());
  if (head.content_length && head.status >= 200 && head.status != 204) {
    out.append("Content-Length: ");
    out.append_number(*head.content_length);
    out.append(kCrlf);
  }
  if (has_no_content(head.status, request.method)) {
    framing_ = Framing::kNone;
  } else if (head.content_length) {
    framing_ = Framing::kLength;
    response_left_ = *head.content_length;
  } else if (request.version == Version::kHttp11) {
    framing_ = Framing::kChunked;
    out.append("Transfer-Encoding: chunked\r\n");
  } else {
    framing_ = Framing::kUntilClose;
    close_ = true;
  }
  const auto& limits = session_.limits_;
  const bool last = limits.keepalive_requests != 0 && session_.served_ + 1 >= limits.keepalive_requests;
  // A client that waits for 100, or whose upload was refused, may or may not send its body now: nobody can tell.
  const bool unread = !body_finished_ && (continue_due_ || head.status >= 400);
  close_ = close_ || !parser_.keep_alive() || session_.ending_ || last || unread;
  if (close_) {
    out.append("Connection: close\r\n\r\n");
  } else if (request.version == Version::kHttp10) {
    out.append("Connection: keep-alive\r\n\r\n");
  } else {
    out.append(kCrlf);
  }
}

/// Books content against the declared length.
Result<> Http1Session::H1Exchange::account(std::uint64_t size) {
  if (framing_ == Framing::kLength) {
    if (size > response_left_) {
      abort();
      return Error{Errc::kInternal, Side::kInternal, "response_longer_than_declared"};
    }
    response_left_ -= size;
  }
  return {};
}

Task<Result<>> Http1Session::H1Exchange::write(std::span<const char> data, bool last) {
  if (framing_ == Framing::kNone) data = {};
  if (const auto booked = account(data.size()); !booked) return booked;
  bytes_out_ += data.size();
  if (downstream_failed_) return Error{Errc::kClosed, Side::kDownstream, "client_closed"};
  const auto framing = framing_ == Framing::kChunked ? Http1Output::Framing::kChunked : Http1Output::Framing::kPlain;
  if (last && close_ && (framing_ != Framing::kLength || response_left_ == 0)) session_.stream_.end_after_write();
  auto writing = out_.write(data, framing, last, idle());
  if (writing.done()) return written(writing.take(), last);
  return await_written(std::move(writing), last);
}

Task<Result<>> Http1Session::H1Exchange::await_written(Task<Result<>> writing, bool last) {
  const auto sent = co_await writing;
  co_return written(sent, last);
}

Result<> Http1Session::H1Exchange::written(const Result<>& sent, bool last) {
  if (!sent) return broken(sent.error());
  if (!last) return {};
  if (framing_ == Framing::kLength && response_left_ > 0) {
    abort();
  } else {
    finished_ = true;
  }
  return {};
}

Task<Result<>> Http1Session::H1Exchange::flush() {
  return write({}, false);
}

Task<Result<>> Http1Session::H1Exchange::finish(const Fields* trailers) {
  if (trailers == nullptr || trailers->empty() || framing_ != Framing::kChunked) return write({}, true);
  finished_ = true;
  write_last_chunk(trailers, out_.buffered);
  framing_ = Framing::kNone;
  return write({}, true);
}

Task<Result<>> Http1Session::H1Exchange::respond(const ResponseHead& head, std::span<const char> body) {
  start(head);
  return write(body, true);
}

void Http1Session::H1Exchange::abort() {
  aborted_ = true;
  // A missing last chunk or byte tells the client by itself; without framing only a reset does.
  if (framing_ == Framing::kUntilClose) session_.stream_.abort_on_close();
}

Task<Result<>> Http1Session::H1Exchange::write_file(int file, std::uint64_t offset, std::uint64_t count) {
  if (framing_ == Framing::kNone) co_return co_await flush();
  if (framing_ == Framing::kChunked || !session_.stream_.can_send_file()) {
    co_return co_await copy_file(file, offset, count);
  }
  const auto head_sent = co_await flush();
  if (!head_sent) co_return head_sent.error();
  if (const auto booked = account(count); !booked) co_return booked;
  co_return co_await send_file(file, offset, count);
}

Task<Result<>> Http1Session::H1Exchange::send_file(int file, std::uint64_t offset, std::uint64_t count) {
  auto& stream = session_.stream_;
  auto position = static_cast<off_t>(offset);
  const auto end = static_cast<off_t>(offset + count);
  while (position < end) {
    const auto want =
        static_cast<std::size_t>(std::min<std::uint64_t>(static_cast<std::uint64_t>(end - position), kFilePiece));
    const IoResult put = stream.try_send_file(file, position, want);
    if (put.kind == IoResult::Kind::kError) {
      if (put.error.side == Side::kInternal) abort();
      co_return broken(put.error);
    }
    if (put.kind == IoResult::Kind::kOk) {
      bytes_out_ += put.bytes;
      // The kernel may go on for ever with a fast reader: the others are let in between.
      if (put.bytes == want && position < end) co_await session_.loop_.yield();
      continue;
    }
    const Wake wake = co_await stream.wait_write(deadline_after(session_.loop_.now(), idle()));
    if (wake != Wake::kReady) co_return broken(stream_error(wake, Side::kDownstream));
  }
  co_return Result<>();
}

Task<Result<>> Http1Session::H1Exchange::copy_file(int file, std::uint64_t offset, std::uint64_t count) {
  Buffer buffer = session_.loop_.buffers().take(BufferPool::kLarge);
  while (count > 0) {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), count));
    const ssize_t got = ::pread(file, buffer.data(), want, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      abort();
      co_return Error{Errc::kInternal, Side::kInternal, "file_truncated", got < 0 ? errno : 0};
    }
    const std::span<const char> data(buffer.data(), static_cast<std::size_t>(got));
    const auto sent = co_await write(data, false);
    if (!sent) co_return sent.error();
    offset += static_cast<std::uint64_t>(got);
    count -= static_cast<std::uint64_t>(got);
    co_await session_.loop_.yield();
  }
  co_return Result<>();
}

Task<Result<Exchange::Tunnel>> Http1Session::H1Exchange::upgrade(const ResponseHead& head) {
  status_ = head.status;
  tunnelled_ = true;
  write_response_head(head, out_.buffered);
  out_.buffered.append("Connection: upgrade\r\n\r\n");
  const auto sent = co_await flush();
  if (!sent) co_return sent.error();
  // Behind a chunked body that did not end with the head's block, the rest lies in the body's.
  std::span<const char> early(body_.data() + body_begin_, body_end_ - body_begin_);
  if (early.empty()) early = {session_.in_.data() + session_.begin_, session_.end_ - session_.begin_};
  body_begin_ = body_end_;
  session_.begin_ = session_.end_;
  co_return Tunnel{&session_.stream_, early};
}

}  // namespace headgate::http
