// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/key_hash.h"

#include <bit>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <sys/random.h>

namespace headgate::ratelimit {
namespace {

struct State {
  std::uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void absorb(std::uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

}  // namespace

HashSeed HashSeed::random() {
  HashSeed seed;
  if (::getrandom(&seed, sizeof seed, 0) != static_cast<ssize_t>(sizeof seed)) {
    throw std::system_error(errno, std::generic_category(), "getrandom");
  }
  return seed;
}

HashSeed HashSeed::of(std::string_view name) const {
  return {key_hash(*this, name), key_hash({second, first ^ 1}, name)};
}

std::uint64_t key_hash(const HashSeed& seed, std::string_view key) {
  State state{seed.first ^ 0x736f6d6570736575, seed.second ^ 0x646f72616e646f6d, seed.first ^ 0x6c7967656e657261,
              seed.second ^ 0x7465646279746573};
  const char* at = key.data();
  const char* const whole = at + key.size() / 8 * 8;
  for (; at != whole; at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    state.absorb(word);
  }
  std::uint64_t last = std::uint64_t{key.size() & 0xff} << 56;
  for (std::size_t i = 0; i < key.size() % 8; ++i) {
    last |= std::uint64_t{static_cast<unsigned char>(at[i])} << (8 * i);
  }
  state.absorb(last);
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace headgate::ratelimit
