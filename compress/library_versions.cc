// SPDX-License-Identifier: Apache-2.0
#include "compress/library_versions.h"

#include <brotli/encode.h>
#include <libdeflate.h>
#include <zlib.h>
#include <zstd.h>

namespace headgate::compress {
namespace {

/// Twelve bits for each of the last two parts.
std::string brotli_version() {
  const std::uint32_t number = ::BrotliEncoderVersion();
  return std::to_string(number >> 24) + "." + std::to_string(number >> 12 & 0xfff) + "." +
         std::to_string(number & 0xfff);
}

}  // namespace

std::string library_versions() {
  return std::string("zlib ") + ::zlibVersion() + ", libdeflate " + LIBDEFLATE_VERSION_STRING + ", brotli " +
         brotli_version() + ", zstd " + ::ZSTD_versionString();
}

}  // namespace headgate::compress
