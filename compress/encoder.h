// SPDX-License-Identifier: Apache-2.0
// Encoder: content into one content coding (RFC 9110 section 8.4.1), piece by piece. What the codings have in common;
// whoever encodes gets one from the EncoderStore and gives it back, since making one costs more than a small answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "http/negotiate.h"

namespace headgate::compress {

/// How far what was put in must come out.
enum class Push : std::uint8_t {
  kNothing,  ///< as far as it does by itself
  kAll,      ///< so that the reader can decode all of it
  kEnd,      ///< and the coding ends
};

/// What one content is encoded with.
struct Shape {
  int level = 0;                      ///< in the coding's own scale, within what the configuration allows
  std::optional<std::uint64_t> size;  ///< of the content, where it is known
  bool trickle = false;  ///< small pieces over a long time, as of an event stream: less memory, at some cost in size
};

/// One thread's. Does not allocate but in begin(), and for br anywhere, from blocks that are used again.
class Encoder {
 public:
  Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  virtual ~Encoder() = default;

  /// Forgets everything and begins a new content. False: there is no memory.
  virtual bool begin(const Shape& shape) = 0;

  struct Step {
    std::size_t taken = 0;  ///< of the input
    std::size_t made = 0;   ///< of the output
    bool done = false;      ///< all was taken, and as much has come out as was asked for
    bool failed = false;    ///< of no use any more
  };
  /// Takes what it can and puts out what there is. Not done: to be called again with the rest and with more room. How
  /// long it takes is bounded by the size of the input and, for br and zstd, by a block that they gather first.
  virtual Step run(std::span<const char> in, std::span<char> out, Push push) = 0;
};

std::unique_ptr<Encoder> make_gzip_encoder(bool trickle);
std::unique_ptr<Encoder> make_brotli_encoder();
std::unique_ptr<Encoder> make_zstd_encoder();

}  // namespace headgate::compress
