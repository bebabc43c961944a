// SPDX-License-Identifier: Apache-2.0
// What encoders have made, read by the libraries' other half as far as it goes.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include "http/negotiate.h"

namespace headgate::compress {

struct Decoded {
  std::string text;
  bool ended = false;  ///< the coding said so, and nothing comes behind it
};

inline Decoded decode_gzip(std::string_view bytes) {
  z_stream stream{};
  if (::inflateInit2(&stream, 15 + 16) != Z_OK) throw std::runtime_error("inflateInit2");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  Decoded decoded;
  std::string block(1 << 16, '\0');
  for (int result = Z_OK; result == Z_OK;) {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    result = ::inflate(&stream, Z_SYNC_FLUSH);
    decoded.text.append(block, 0, block.size() - stream.avail_out);
    decoded.ended = result == Z_STREAM_END && stream.avail_in == 0;
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) throw std::runtime_error("not gzip");
  }
  ::inflateEnd(&stream);
  return decoded;
}

inline Decoded decode_brotli(std::string_view bytes) {
  auto* const state = ::BrotliDecoderCreateInstance(nullptr, nullptr, nullptr);
  Decoded decoded;
  std::string block(1 << 16, '\0');
  const auto* from = reinterpret_cast<const std::uint8_t*>(bytes.data());
  std::size_t left = bytes.size();
  for (bool more = true; more;) {
    auto* to = reinterpret_cast<std::uint8_t*>(block.data());
    std::size_t room = block.size();
    const auto result = ::BrotliDecoderDecompressStream(state, &left, &from, &room, &to, nullptr);
    decoded.text.append(block, 0, block.size() - room);
    decoded.ended = result == BROTLI_DECODER_RESULT_SUCCESS && left == 0;
    // It asks for more input with output still in hand, too.
    more = ::BrotliDecoderHasMoreOutput(state) == BROTLI_TRUE;
    if (result == BROTLI_DECODER_RESULT_ERROR) throw std::runtime_error("not br");
  }
  ::BrotliDecoderDestroyInstance(state);
  return decoded;
}

inline Decoded decode_zstd(std::string_view bytes) {
  auto* const state = ::ZSTD_createDCtx();
  Decoded decoded;
  std::string block(1 << 16, '\0');
  ZSTD_inBuffer from{bytes.data(), bytes.size(), 0};
  for (bool more = true; more;) {
    ZSTD_outBuffer to{block.data(), block.size(), 0};
    const std::size_t result = ::ZSTD_decompressStream(state, &to, &from);
    if (::ZSTD_isError(result) != 0) throw std::runtime_error("not zstd");
    decoded.text.append(block, 0, to.pos);
    decoded.ended = result == 0 && from.pos == from.size;
    more = !decoded.ended && (from.pos < from.size || to.pos == to.size);
  }
  ::ZSTD_freeDCtx(state);
  return decoded;
}

inline Decoded decode(http::Coding coding, std::string_view bytes) {
  switch (coding) {
    case http::Coding::kGzip:
      return decode_gzip(bytes);
    case http::Coding::kBrotli:
      return decode_brotli(bytes);
    case http::Coding::kZstd:
      return decode_zstd(bytes);
    case http::Coding::kIdentity:
      break;
  }
  return {std::string(bytes), true};
}

}  // namespace headgate::compress
