// SPDX-License-Identifier: Apache-2.0
// Input: a byte that chooses request or response, then what a peer sends, as for http1_head. Our parser and llhttp read
// the same message, or one of them refuses it for a reason that is known.
#include <cstdint>
#include <cstdio>

#include "tests/fuzz/invariant.h"
#include "tests/unit/http/llhttp_oracle.h"

namespace http = headgate::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto kind = (data[0] & 1) == 0 ? http::Http1Parser::Kind::kRequest : http::Http1Parser::Kind::kResponse;
  const auto why = http::disagreement(kind, {reinterpret_cast<const char*>(data) + 1, size - 1});
  if (!why.empty()) std::fprintf(stderr, "%s\n", why.c_str());
  headgate::fuzz::demand(why.empty(), "our parser and llhttp agree");
  return 0;
}
