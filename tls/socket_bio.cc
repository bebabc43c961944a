// SPDX-License-Identifier: Apache-2.0
#include "tls/socket_bio.h"

#include <new>

#include <openssl/bio.h>
#include <sys/uio.h>

namespace headgate::tls {
namespace {

Wire& wire_of(BIO* bio) {
  return *static_cast<Wire*>(BIO_get_data(bio));
}

void forget_sent(std::string& held, std::size_t bytes) {
  if (bytes < held.size()) {
    held.erase(0, bytes);
  } else {
    std::string().swap(held);  // an idle connection keeps no memory for it
  }
}

/// What is held, and then these bytes; the result counts these alone.
IoResult send(Wire& wire, const char* data, std::size_t size) {
  const iovec pieces[] = {{wire.held.data(), wire.held.size()}, {const_cast<char*>(data), size}};
  const std::size_t held = wire.held.size();
  if (held == 0) return wire.socket.try_write(std::span(pieces).subspan(1));
  IoResult put = wire.socket.try_write(pieces);
  if (put.kind != IoResult::Kind::kOk) return put;
  forget_sent(wire.held, put.bytes);
  return put.bytes > held ? IoResult::ok(put.bytes - held) : IoResult::would_block();
}

int fail(Wire& wire, const Error& error) {
  wire.failed = true;
  wire.error = error;
  return -1;
}

int read_bio(BIO* bio, char* into, int size) {
  BIO_clear_retry_flags(bio);
  Wire& wire = wire_of(bio);
  if (size <= 0 || wire.failed) return -1;
  if (wire.read_bytes >= wire.read_limit) {
    return fail(wire, {Errc::kBadMessage, wire.socket.side(), "tls_no_data_in_records"});
  }
  const IoResult got = wire.socket.try_read(std::span(into, static_cast<std::size_t>(size)));
  switch (got.kind) {
    case IoResult::Kind::kOk:
      wire.read_bytes += got.bytes;
      return static_cast<int>(got.bytes);
    case IoResult::Kind::kWouldBlock:
      BIO_set_retry_read(bio);
      return -1;
    case IoResult::Kind::kEof:
      wire.ended = true;
      return 0;
    case IoResult::Kind::kError:
      break;
  }
  return fail(wire, got.error);
}

int hold(Wire& wire, const char* data, std::size_t size) {
  if (wire.held.size() + size > Wire::kMaxHeld) {
    return fail(wire, {Errc::kBadMessage, wire.socket.side(), "tls_too_many_replies"});
  }
  wire.held.append(data, size);
  return static_cast<int>(size);
}

int write_bio(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  Wire& wire = wire_of(bio);
  if (size <= 0 || wire.failed) return -1;
  const auto length = static_cast<std::size_t>(size);
  if (wire.gather && wire.held.size() + length <= Wire::kMaxHeld) return hold(wire, data, length);
  if (!wire.held.empty() && wire.hold) return hold(wire, data, length);
  const IoResult put = send(wire, data, length);
  if (put.kind == IoResult::Kind::kError) return fail(wire, put.error);
  const std::size_t sent = put.kind == IoResult::Kind::kOk ? put.bytes : 0;
  if (wire.hold && sent < length) return hold(wire, data + sent, length - sent) < 0 ? -1 : size;
  if (sent > 0) return static_cast<int>(sent);
  BIO_set_retry_write(bio);
  return -1;
}

long control_bio(BIO* bio, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_EOF:
      return wire_of(bio).ended ? 1 : 0;
    default:
      return 0;
  }
}

const BIO_METHOD* method() {
  // Made once, kept for the life of the process.
  static const BIO_METHOD* const made = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "headgate socket");
    if (m == nullptr) throw std::bad_alloc();
    BIO_meth_set_read(m, read_bio);
    BIO_meth_set_write(m, write_bio);
    BIO_meth_set_ctrl(m, control_bio);
    return m;
  }();
  return made;
}

}  // namespace

Wire::Flush Wire::flush_held() {
  while (!held.empty()) {
    const iovec piece{held.data(), held.size()};
    const IoResult put = socket.try_write(std::span(&piece, 1));
    if (put.kind == IoResult::Kind::kWouldBlock) return Flush::kWouldBlock;
    if (put.kind == IoResult::Kind::kError) {
      fail(*this, put.error);
      return Flush::kFailed;
    }
    forget_sent(held, put.bytes);
  }
  return Flush::kDone;
}

BioPtr make_socket_bio(Wire& wire) {
  BioPtr bio(BIO_new(method()));
  if (!bio) throw std::bad_alloc();
  BIO_set_data(bio.get(), &wire);
  BIO_set_init(bio.get(), 1);
  return bio;
}

}  // namespace headgate::tls
