// SPDX-License-Identifier: Apache-2.0
// Input: how many bytes arrive at once, and what a proxy sends. What is read as a header reads the same when it is
// written again, and no byte behind it is taken.
#include <algorithm>
#include <string>

#include "base/proxy_protocol.h"
#include "tests/fuzz/invariant.h"

using headgate::ProxyHeaderReader;
using headgate::fuzz::demand;

namespace {

struct Read {
  bool complete = false;
  headgate::ProxiedEnds ends;
  std::size_t taken = 0;
};

Read read(std::string_view bytes, std::size_t at_once) {
  ProxyHeaderReader reader;
  Read result;
  while (!reader.complete() && result.taken < bytes.size()) {
    const auto into = reader.wants();
    demand(!into.empty(), "a header that is not complete wants more");
    const std::size_t count = std::min({into.size(), at_once, bytes.size() - result.taken});
    std::copy_n(bytes.data() + result.taken, count, into.data());
    result.taken += count;
    demand(result.taken <= ProxyHeaderReader::kMost, "a header has an end");
    if (!reader.took(count)) return result;
  }
  result.complete = reader.complete();
  result.ends = reader.ends();
  return result;
}

bool same(const headgate::ProxiedEnds& one, const headgate::ProxiedEnds& other) {
  return one.source == other.source && one.source_port == other.source_port && one.destination == other.destination &&
         one.destination_port == other.destination_port;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view sent(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Read first = read(sent, 1 + data[0] % 64);
  const Read at_once = read(sent, sent.size() + 1);
  demand(first.complete == at_once.complete && (!first.complete || same(first.ends, at_once.ends)),
         "it does not matter how the bytes arrive");
  if (!first.complete || !first.ends.source.is_known()) return 0;
  for (const auto& header : {proxy_header_v1(first.ends), proxy_header_v2(first.ends)}) {
    const Read again = read(header, header.size());
    demand(again.complete && again.taken == header.size() && same(again.ends, first.ends),
           "it reads as it was written");
  }
  return 0;
}
