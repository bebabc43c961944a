// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <bit>
#include <cstddef>
#include <cstring>

namespace headgate {
namespace {

/// The four words of SipHash's state.
struct State {
  std::uint64_t a, b, c, d;

  void rounds(int count) {
    for (int i = 0; i < count; ++i) {
      a += b;
      c += d;
      b = std::rotl(b, 13) ^ a;
      d = std::rotl(d, 16) ^ c;
      a = std::rotl(a, 32);
      c += b;
      a += d;
      b = std::rotl(b, 17) ^ c;
      d = std::rotl(d, 21) ^ a;
      c = std::rotl(c, 32);
    }
  }
  void take(std::uint64_t word) {
    d ^= word;
    rounds(2);
    a ^= word;
  }
};

/// Up to eight bytes, the first one lowest, on any machine.
std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t word = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&word, bytes.data(), bytes.size());
  } else {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      word |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    }
  }
  return word;
}

}  // namespace

KeyedHash::KeyedHash(std::string_view secret)
    : first_(KeyedHash(0, 1).of(secret)), second_(KeyedHash(0, 2).of(secret)) {}

std::uint64_t KeyedHash::of(std::string_view text) const {
  State state{first_ ^ 0x736f6d6570736575, second_ ^ 0x646f72616e646f6d, first_ ^ 0x6c7967656e657261,
              second_ ^ 0x7465646279746573};
  const std::uint64_t size = text.size();
  for (; text.size() >= 8; text.remove_prefix(8)) state.take(little_endian(text.substr(0, 8)));
  state.take((text.empty() ? 0 : little_endian(text)) | (size << 56));
  state.c ^= 0xff;
  state.rounds(4);
  return state.a ^ state.b ^ state.c ^ state.d;
}

}  // namespace headgate
