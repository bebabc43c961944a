// SPDX-License-Identifier: Apache-2.0
#include "proxy/request_id.h"

#include <sys/random.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace headgate::proxy {
namespace {

/// splitmix64 over a state that the system seeds once a thread.
std::uint64_t next_random() {
  thread_local std::uint64_t state = [] {
    std::uint64_t seed = 0;
    // A thread without the system's randomness still has an address of its own.
    if (::getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = reinterpret_cast<std::uintptr_t>(&seed);
    return seed;
  }();
  std::uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// Sixteen digits, without a loop: each half's nibbles are spread over the bytes of a word and made letters together.
void put_hex(std::uint64_t value, char* out) {
  const auto spread = [](std::uint64_t half) {
    half = (half | half << 16) & 0x0000ffff0000ffff;
    half = (half | half << 8) & 0x00ff00ff00ff00ff;
    half = (half | half << 4) & 0x0f0f0f0f0f0f0f0f;
    const std::uint64_t letters = (half + 0x0606060606060606) >> 4 & 0x0101010101010101;
    return half + 0x3030303030303030 + letters * ('a' - '0' - 10);
  };
  const std::uint64_t digits[] = {spread(value & 0xffffffff), spread(value >> 32)};
  std::memcpy(out, digits, sizeof digits);
}

}  // namespace

std::string_view request_id(const http::Fields& fields, Arena& arena) {
  if (const auto given = fields.get(http::FieldId::kXRequestId)) {
    const bool harmless = !given->empty() && given->size() <= 128 &&
                          std::all_of(given->begin(), given->end(), [](char c) { return c > 0x20 && c < 0x7f; });
    if (harmless) return *given;
  }
  char* const text = arena.allocate(32);
  put_hex(next_random(), text);
  put_hex(next_random(), text + 16);
  return {text, 32};
}

}  // namespace headgate::proxy
