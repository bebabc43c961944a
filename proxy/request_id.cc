// SPDX-License-Identifier: Apache-2.0
#include "proxy/request_id.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdint>

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

void put_hex(std::uint64_t value, char* out) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (int i = 15; i >= 0; --i, value >>= 4) out[i] = kDigits[value & 15];
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
