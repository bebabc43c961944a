// SPDX-License-Identifier: Apache-2.0
// Content codings (RFC 9110 sections 8.4.1 and 12.5.3): what the client can read, and which of ours it gets. Pure; any
// thread. Nothing here allocates.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "http/message.h"

namespace headgate::http {

enum class Coding : std::uint8_t { kIdentity, kGzip, kBrotli, kZstd };
inline constexpr std::size_t kCodingCount = 4;

/// "gzip", "br", "zstd", "identity".
std::string_view to_string(Coding coding);

/// The other way, in any case; "x-gzip" is gzip. nullopt for a coding we do not have.
std::optional<Coding> coding_of(std::string_view name);

/// How much a client wants each coding, in thousandths; 0: not acceptable.
class CodingQualities {
 public:
  /// A request without Accept-Encoding, or with an empty one, gets identity. A weight that cannot be read counts as 0:
  /// a coding is sent only to those who clearly ask for it.
  static CodingQualities parse(const Fields& fields);

  unsigned of(Coding coding) const { return quality_[static_cast<std::size_t>(coding)]; }

  /// True when the client wants anything but identity: cheap way out for the common case of none.
  bool wants_any() const;

  /// The most wanted of what there is. `available` is in the server's order of preference, which breaks ties; identity
  /// is always there and comes last among equals, and is the answer when nothing is acceptable: an unreadable answer is
  /// no worse than a refusal, and clients that forbid identity for files that have no variant do not mean it.
  Coding choose(std::span<const Coding> available) const;

 private:
  std::array<std::uint16_t, kCodingCount> quality_{};
  bool identity_named_ = false;  // by its name or by "*"
};

/// A weight ("0.8", RFC 9110 section 12.4.2) in thousandths; nullopt when malformed.
std::optional<unsigned> parse_weight(std::string_view text);

}  // namespace headgate::http
