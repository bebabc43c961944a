// SPDX-License-Identifier: Apache-2.0
// Session affinity's cookie: which server a client stays with, written so that only we make sense of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/model.h"

namespace headgate::upstream {

/// The cookie of one upstream. Its value is the server's token in 16 hex digits and, when the cookie has a ttl, a dot
/// and when it was issued in 10 more: "0f1e2d3c4b5a6978.0069a3c4d5". The token follows from the server's id and the
/// upstream's name, so it is the same in every process and after a restart, and another one for the same server in
/// another upstream. It is opaque, not secret, and not signed: a client that makes one up gets one of the servers that
/// it might have got. Immutable; any thread.
class Sticky {
 public:
  using Time = std::chrono::sys_seconds;

  /// What a client's cookie says. `issued` is not to be trusted further than for renewal.
  struct Cookie {
    std::uint64_t token = 0;
    std::optional<Time> issued;  ///< not there in a cookie that lasts for the browser's session
  };

  Sticky(std::string_view upstream, const config::Sticky& settings);

  const std::string& name() const { return name_; }

  /// Of the server with this id (Balancer::set), to be compared with a cookie's.
  std::uint64_t token(std::uint64_t id) const;

  /// nullopt for what issue() has not written: the client is one without a cookie then.
  static std::optional<Cookie> parse(std::string_view value);

  /// Whether more than half of its time is over, or it cannot be told: then the answer sets the cookie anew. Never with
  /// a ttl of 0.
  bool needs_renewal(const Cookie& cookie, Time now) const;

  /// The value of a Set-Cookie field (RFC 6265, section 4.1; SameSite: draft-ietf-httpbis-rfc6265bis). `secure`: the
  /// client came over TLS.
  std::string issue(std::uint64_t token, Time now, bool secure) const;

 private:
  std::string name_;
  std::chrono::seconds ttl_;
  std::uint64_t key_;  // the upstream's name, hashed
};

}  // namespace headgate::upstream
