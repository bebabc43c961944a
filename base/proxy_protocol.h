// SPDX-License-Identifier: Apache-2.0
// The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): what a proxy says of a client's connection
// before the first byte of it. Pure: bytes in, addresses out, and the other way round.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/ip.h"

namespace headgate {

/// The two ends of the connection that a proxy tells of. Unknown ones: it speaks for itself (LOCAL, its own health
/// checks) or does not know (UNKNOWN, a unix socket).
struct ProxiedEnds {
  IpAddress source;
  std::uint16_t source_port = 0;
  IpAddress destination;
  std::uint16_t destination_port = 0;
};

/// Reads one header from a connection without ever taking a byte of what follows it, so that a TLS handshake can begin
/// on the bare socket behind it. A value; holds no memory but its own.
class ProxyHeaderReader {
 public:
  /// The longest header that is read, extensions (TLVs, which are passed over) included.
  static constexpr std::size_t kMost = 4096;

  /// Where the next bytes go: the header has at least as many more. Not empty before complete().
  std::span<char> wants();
  /// That so many of them have arrived. False: this is no header, and reason() says why.
  bool took(std::size_t bytes);

  bool complete() const { return phase_ == Phase::kComplete; }
  bool begun() const { return have_ > 0; }
  const ProxiedEnds& ends() const { return ends_; }
  const char* reason() const { return reason_; }  ///< a literal

 private:
  enum class Phase : std::uint8_t { kSignature, kLine, kHead, kAddresses, kExtensions, kComplete, kFailed };

  bool signature();
  bool line();
  bool head();
  bool addresses();
  bool complete_with(const ProxiedEnds& ends);
  bool failed(const char* reason);
  std::string_view text() const { return {buffer_.data(), have_}; }

  Phase phase_ = Phase::kSignature;
  std::array<char, 256> buffer_{};  // version 1 has 107 bytes at most, addresses of version 2 up to 232
  std::size_t have_ = 0;            // of buffer_
  std::size_t want_ = 0;            // have_ at the end of this phase
  std::size_t rest_ = 0;            // of extensions
  ProxiedEnds ends_;
  const char* reason_ = "";
};

/// A header as it is sent. Ends of two families become IPv6 ones; an unknown source becomes UNKNOWN or LOCAL.
std::string proxy_header_v1(const ProxiedEnds& ends);
std::string proxy_header_v2(const ProxiedEnds& ends);

}  // namespace headgate
