// SPDX-License-Identifier: Apache-2.0
// What of a request decides which server it goes to: the key of `balance: hash(...)`, and the cookie of `sticky`.
#pragma once

#include <cstdint>

#include "proxy/generation.h"
#include "proxy/request.h"

namespace headgate::proxy {

/// Lives in the frame that forwards the request.
class Affinity {
 public:
  Affinity(Request& request, const CompiledUpstream& upstream);

  /// A hash of the request's key; 0 where none is asked for.
  std::uint64_t key() const { return key_; }
  /// The server's token of the client's cookie; 0: it has none.
  std::uint64_t token() const { return token_; }

  /// The request goes to this server: the answer tells the client so, where it does not know yet, or its cookie has
  /// become old.
  void chosen(std::uint64_t id);

 private:
  Request& request_;
  const upstream::Sticky* sticky_;
  std::uint64_t key_ = 0;
  std::uint64_t token_ = 0;
  bool renew_ = false;
};

}  // namespace headgate::proxy
