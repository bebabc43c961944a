// SPDX-License-Identifier: Apache-2.0
// Failure on the data path is a value: what happened, on which side, and whether the work may be tried again.
#pragma once

#include <boost/system/result.hpp>

#include <cstdint>
#include <string_view>

namespace headgate {

/// Who failed. Downstream is the client's side, upstream the origin's.
enum class Side : std::uint8_t { kInternal, kDownstream, kUpstream };

/// What failed, in the words that the access log's `error` field prints (see to_string).
enum class Errc : std::uint8_t {
  kClosed,             ///< the peer ended the connection where it may (between messages)
  kReset,              ///< the peer broke off: RST, or an end in the middle of a message
  kRefused,            ///< connect: nobody listens
  kUnreachable,        ///< connect: no route, no such path, no descriptor
  kTimeout,            ///< a deadline passed
  kCancelled,          ///< our own side gave up the wait
  kResolve,            ///< a host name has no address
  kTls,                ///< handshake or record failure, or a certificate that does not verify
  kBadMessage,         ///< bytes that are not the protocol
  kTooLarge,           ///< a bound of the configuration was exceeded
  kUnavailable,        ///< there is nobody who could do it now
  kInternal,           ///< ours
};

/// A failure. `reason` is a string literal: a short snake_case token for logs and metrics, never null.
struct Error {
  Errc code = Errc::kInternal;
  Side side = Side::kInternal;
  const char* reason = "internal";
  int sys = 0;  ///< errno where a system call said it, else 0
};

template <class T = void>
using Result = boost::system::result<T, Error>;

std::string_view to_string(Errc code);

/// Called by boost::system::result when value() is asked of a failure: a bug of the caller.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

}  // namespace headgate
