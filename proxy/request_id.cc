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

/// Bytes side by side: the compiler makes of it what the machine has.
using Words [[gnu::vector_size(16)]] = std::uint64_t;
using Bytes [[gnu::vector_size(16)]] = signed char;

/// Of sixteen bytes the digits of their lower halves.
Bytes hex_digits(Words bytes) {
  const auto halves = reinterpret_cast<Bytes>(bytes & 0x0f0f0f0f0f0f0f0f);
  return halves + '0' + ((halves > 9) & ('a' - '0' - 10));
}

/// Thirty-two digits of random bits, in no order: chance has none.
void put_random_hex(char* out) {
  const Words bits{next_random(), next_random()};
  const Bytes digits[] = {hex_digits(bits), hex_digits(bits >> 4)};
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
  put_random_hex(text);
  return {text, 32};
}

}  // namespace headgate::proxy
