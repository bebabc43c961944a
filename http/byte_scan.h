// SPDX-License-Identifier: Apache-2.0
// Where a part of a head ends: the first byte of a class, looked for sixteen bytes at a time where the machine can
// (SSE2, so every x86-64), else one by one. Nothing outside [begin, end) is read.
#pragma once

#include <array>
#include <bit>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace headgate::http {

/// tchar of RFC 9110 section 5.6.2.
inline constexpr auto kTokenChars = [] {
  std::array<bool, 256> table{};
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = '0'; c <= '9'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

inline bool is_token_char(char c) {
  return kTokenChars[static_cast<unsigned char>(c)];
}
inline bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

#ifdef __SSE2__
using Block = __m128i;
inline Block all(char c) {
  return _mm_set1_epi8(c);
}
inline Block equal(Block a, Block b) {
  return _mm_cmpeq_epi8(a, b);
}
inline Block either(Block a, Block b) {
  return _mm_or_si128(a, b);
}
/// Unsigned a <= b.
inline Block at_most(Block a, Block b) {
  return equal(_mm_min_epu8(a, b), a);
}
#endif

/// What ends a field's value (RFC 9110 section 5.5): a control character but HTAB. CR is the one that should.
struct ValueEnd {
  static bool is(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }
#ifdef __SSE2__
  static Block in(Block bytes) {
    const Block control = _mm_andnot_si128(equal(bytes, all('\t')), at_most(bytes, all(0x1f)));
    return either(control, equal(bytes, all(0x7f)));
  }
#endif
};

/// What ends a field's name: the colon, or a byte that shows it to be none. Others that a token does not have pass.
struct NameEnd {
  static bool is(char c) { return c == ':' || static_cast<unsigned char>(c) <= ' '; }
#ifdef __SSE2__
  static Block in(Block bytes) {
    return either(equal(bytes, all(':')), at_most(bytes, all(' ')));
  }
#endif
};

/// What ends a request target: all that is not visible ASCII. A space is the one that should.
struct TargetEnd {
  static bool is(char c) { return static_cast<unsigned char>(c) <= ' ' || static_cast<unsigned char>(c) >= 0x7f; }
#ifdef __SSE2__
  // As signed bytes, those above 0x7f are below zero.
  static Block in(Block bytes) {
    return either(_mm_cmplt_epi8(bytes, all('!')), equal(bytes, all(0x7f)));
  }
#endif
};

/// What ends a path: its query, or the fragment that no request has.
struct PathEnd {
  static bool is(char c) { return c == '?' || c == '#'; }
#ifdef __SSE2__
  static Block in(Block bytes) {
    return either(equal(bytes, all('?')), equal(bytes, all('#')));
  }
#endif
};

/// The first byte of [from, end) that is an End, or `end`. `begin` is where readable bytes begin.
template <typename End>
[[gnu::always_inline]] inline const char* find_first(const char* begin, const char* from, const char* end) {
#ifdef __SSE2__
  const auto ends_in = [](const char* block) {
    return static_cast<unsigned>(_mm_movemask_epi8(End::in(_mm_loadu_si128(reinterpret_cast<const Block*>(block)))));
  };
  if (end - begin >= 16) {
    for (const char* const last = end - 16; from <= last; from += 16) {
      if (const unsigned ends = ends_in(from); ends != 0) return from + std::countr_zero(ends);
    }
    // The last bytes are looked at together with those before them, which are then left out.
    const unsigned ends = ends_in(end - 16) >> (16 - (end - from));
    return ends != 0 ? from + std::countr_zero(ends) : end;
  }
#else
  (void)begin;
#endif
  while (from != end && !End::is(*from)) ++from;
  return from;
}

}  // namespace headgate::http
