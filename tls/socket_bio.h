// SPDX-License-Identifier: Apache-2.0
// OpenSSL's way to the descriptor: a BIO that reads and writes through a Socket, so that records go straight between
// OpenSSL's buffers and the kernel, SIGPIPE never rises, and the socket's own memory of what its edges said saves the
// system calls that would only learn EAGAIN. Internal to this folder.
#pragma once

#include <cstdint>
#include <string>

#include "base/socket.h"
#include "tls/handles.h"

namespace headgate::tls {

/// What lies between one SSL and its Socket. Belongs to the TlsStream and outlives the BIO. Loop thread.
struct Wire {
  explicit Wire(Socket& to) : socket(to) {}

  Socket& socket;
  bool ended = false;   ///< the peer's FIN was read
  bool failed = false;  ///< `error` says how the socket failed
  Error error{};

  /// Bytes read since this was last set to zero: the bound on what a peer may send without any application data.
  std::size_t read_bytes = 0;
  std::size_t read_limit = SIZE_MAX;

  /// While set, what OpenSSL writes and the socket does not take is kept in `held` (bounded) and called written. Reads
  /// run so: an alert that a read provokes must not make that read wait for the write side, which may have a waiter of
  /// its own.
  bool hold = false;
  /// While set, the socket is not even tried as long as `held` has room: what is written next leaves with it.
  bool gather = false;
  /// In front of whatever is written next.
  std::string held;

  static constexpr std::size_t kMaxHeld = 4096;

  enum class Flush : std::uint8_t { kDone, kWouldBlock, kFailed };
  Flush flush_held();
};

/// A BIO over `wire`; throws std::bad_alloc.
BioPtr make_socket_bio(Wire& wire);

}  // namespace headgate::tls
