// SPDX-License-Identifier: Apache-2.0
// A tunnel: bytes both ways between client and origin after a protocol switch (WebSocket and every other Upgrade).
#pragma once

#include <cstdint>
#include <span>

#include "base/byte_stream.h"
#include "base/loop.h"

namespace headgate::proxy {

struct TunnelEnd {
  ByteStream& stream;
  std::span<const char> early;  ///< bytes that had arrived behind its head
};

struct TunnelResult {
  std::uint64_t from_client = 0;
  std::uint64_t from_origin = 0;
  const char* error = nullptr;  ///< a reason token when it did not end with an orderly end of both directions
};

/// Runs until both directions have ended, one has failed, or nothing has moved for `idle`. An end of one direction is
/// passed on and the other goes on (half-close).
Task<TunnelResult> run_tunnel(Loop& loop, TunnelEnd client, TunnelEnd origin, Duration idle);

}  // namespace headgate::proxy
