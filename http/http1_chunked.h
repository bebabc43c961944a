// SPDX-License-Identifier: Apache-2.0
// A chunked body (RFC 9112 section 7.1), decoded in place. Extensions are checked and dropped; trailers are kept.
//
// Bounds: a chunk has less than 2^60 bytes, what framing costs stays in proportion to the content, trailers have 8 KiB.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "http/field_lines.h"
#include "http/rejection.h"

namespace headgate::http {

class ChunkedDecoder {
 public:
  struct Decoded {
    bool ok = true;
    bool finished = false;     ///< the last chunk and the trailers have been read
    std::size_t consumed = 0;  ///< bytes of data that belong to this message
    std::size_t produced = 0;  ///< bytes of content, now at the beginning of data
  };
  /// `max_trailers` counts fields.
  Decoded decode(char* data, std::size_t size, std::size_t max_trailers);

  /// After !ok.
  const Rejection& rejection() const { return *rejection_; }
  /// Complete once the body has finished; views into the decoder.
  const Fields& trailers() const;

 private:
  enum class Stage : std::uint8_t {
    kSize,       // the first digit
    kMoreSize,   // digits, ";" or CR
    kName,       // of an extension: the first character
    kMoreName,   // token, "=", ";" or CR
    kValue,      // the first character
    kMoreValue,  // token, ";" or CR
    kQuoted,     // within quotes
    kEscaped,    // behind a backslash in quotes
    kUnquoted,   // ";" or CR
    kSizeLf,     // the end of the line
    kData,
    kDataCr,
    kDataLf,
    kTrailers,  // the first byte of the trailer section, or of CRLF in place of one
    kLastLf,
    kTrailerLines,
    kEnd,
    kBad,
  };
  struct Trailers {
    std::string text;
    FieldLines lines;
    Fields fields;
  };

  bool read_framing(unsigned char byte);
  static Stage in_extension(Stage stage, char byte);
  const char* read_trailers(const char* from, const char* end, std::size_t max_trailers);
  const char* copy_data(const char* from, const char* end, char*& write);
  bool fail(const Rejection& why);
  bool in_proportion() const;

  Stage stage_ = Stage::kSize;
  std::uint64_t size_ = 0;      // of the chunk: what is left of it
  std::uint64_t overhead_ = 0;  // bytes of framing so far
  std::uint64_t content_ = 0;   // bytes of content so far
  const Rejection* rejection_ = nullptr;
  std::unique_ptr<Trailers> trailers_;  // few messages have some
};

}  // namespace headgate::http
