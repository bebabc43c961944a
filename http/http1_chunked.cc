// SPDX-License-Identifier: Apache-2.0
#include "http/http1_chunked.h"

#include <algorithm>
#include <cstring>

#include "http/byte_scan.h"

namespace headgate::http {
namespace {

constexpr std::size_t kMaxTrailers = 8 * 1024;
/// No honest chunk is larger, and sums of sizes stay far from overflow.
constexpr std::uint64_t kMaxChunk = std::uint64_t{1} << 60;
/// Framing bytes that a chunked body may cost: chunks of one byte pay five for each.
constexpr std::uint64_t kMinOverhead = 16 * 1024;
constexpr std::uint64_t kOverheadPerByte = 8;

constexpr Rejection kBadChunk{400, "bad_chunk", "a chunk is not well-formed"};
constexpr Rejection kOverhead{400, "chunk_overhead", "chunk extensions or trailers out of proportion"};
constexpr Rejection kBareLfAtEnd{400, "bare_lf", "a chunked body that does not end with CRLF"};
constexpr Rejection kBareLf{400, "bare_lf", "a trailer that does not end with CRLF"};
constexpr Rejection kFolded{400, "folded_trailer", "a trailer that is folded over several lines"};
constexpr Rejection kBadTrailer{400, "bad_trailer", "a trailer without a name"};
constexpr Rejection kTooLarge{431, "trailers_too_large", "the trailers are larger than allowed"};

/// -1 for what is no HEXDIG.
int hex_value(unsigned char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int letter = c | 0x20;
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

const Rejection& reason_of(FieldLines::Fault fault) {
  switch (fault) {
    case FieldLines::Fault::kBareLf:
      return kBareLf;
    case FieldLines::Fault::kFolded:
      return kFolded;
    case FieldLines::Fault::kTooMany:
      return kTooLarge;
    case FieldLines::Fault::kMalformed:
    case FieldLines::Fault::kNoName:
    case FieldLines::Fault::kBareCr:
      break;
  }
  return kBadTrailer;
}

}  // namespace

const Fields& ChunkedDecoder::trailers() const {
  static const Fields none;
  return trailers_ ? trailers_->fields : none;
}

bool ChunkedDecoder::fail(const Rejection& why) {
  rejection_ = &why;
  stage_ = Stage::kBad;
  return false;
}

bool ChunkedDecoder::in_proportion() const {
  return overhead_ <= kMinOverhead + kOverheadPerByte * content_;
}

/// chunked-body = *chunk last-chunk trailer-section CRLF.
ChunkedDecoder::Decoded ChunkedDecoder::decode(char* data, std::size_t size, std::size_t max_trailers) {
  const char* p = data;
  const char* const end = data + size;
  char* write = data;
  while (p != end && stage_ != Stage::kEnd && stage_ != Stage::kBad) {
    if (stage_ == Stage::kData) {
      p = copy_data(p, end, write);
    } else if (stage_ == Stage::kTrailerLines) {
      const char* const from = p;
      p = read_trailers(p, end, max_trailers);
      overhead_ += static_cast<std::uint64_t>(p - from);
    } else if (read_framing(static_cast<unsigned char>(*p))) {
      ++p;
      ++overhead_;
    }
  }
  if (stage_ != Stage::kBad && !in_proportion()) fail(kOverhead);
  return {stage_ != Stage::kBad, stage_ == Stage::kEnd, static_cast<std::size_t>(p - data),
          static_cast<std::size_t>(write - data)};
}

/// Moves content to where it goes; the framing that stood before it is overwritten.
const char* ChunkedDecoder::copy_data(const char* from, const char* end, char*& write) {
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(static_cast<std::uint64_t>(end - from), size_));
  if (write != from) std::memmove(write, from, count);
  write += count;
  size_ -= count;
  content_ += count;
  if (size_ == 0) stage_ = Stage::kDataCr;
  return from + count;
}

/// One byte of what is not content. False when it is refused, or not taken but left to the trailers.
bool ChunkedDecoder::read_framing(unsigned char byte) {
  switch (stage_) {
    case Stage::kSize:
    case Stage::kMoreSize: {
      const int digit = hex_value(byte);
      if (digit >= 0) {
        if (size_ > kMaxChunk >> 4) return fail(kBadChunk);
        size_ = size_ << 4 | static_cast<unsigned>(digit);
        stage_ = Stage::kMoreSize;
        return size_ <= kMaxChunk || fail(kBadChunk);
      }
      if (stage_ == Stage::kSize) return fail(kBadChunk);
      stage_ = byte == '\r' ? Stage::kSizeLf : byte == ';' ? Stage::kName : Stage::kBad;
      break;
    }
    case Stage::kSizeLf:
      if (!in_proportion()) return fail(kOverhead);
      stage_ = byte != '\n' ? Stage::kBad : size_ > 0 ? Stage::kData : Stage::kTrailers;
      break;
    case Stage::kDataCr:
      stage_ = byte == '\r' ? Stage::kDataLf : Stage::kBad;
      break;
    case Stage::kDataLf:
      stage_ = byte == '\n' ? Stage::kSize : Stage::kBad;
      break;
    case Stage::kTrailers:
      if (byte == '\n') return fail(kBareLfAtEnd);
      stage_ = byte == '\r' ? Stage::kLastLf : Stage::kTrailerLines;
      return byte == '\r';
    case Stage::kLastLf:
      stage_ = byte == '\n' ? Stage::kEnd : Stage::kBad;
      break;
    default:
      stage_ = in_extension(stage_, static_cast<char>(byte));
      break;
  }
  return stage_ != Stage::kBad || fail(kBadChunk);
}

/// chunk-ext = *( ";" chunk-ext-name [ "=" ( token / quoted-string ) ] ). The blanks that section 7.1.1 allows a
/// recipient to skip are refused: nobody sends them, and peers differ about them.
ChunkedDecoder::Stage ChunkedDecoder::in_extension(Stage stage, char byte) {
  const auto behind_item = [byte] { return byte == ';' ? Stage::kName : byte == '\r' ? Stage::kSizeLf : Stage::kBad; };
  switch (stage) {
    case Stage::kName:
      return is_token_char(byte) ? Stage::kMoreName : Stage::kBad;
    case Stage::kMoreName:
      if (is_token_char(byte)) return stage;
      return byte == '=' ? Stage::kValue : behind_item();
    case Stage::kValue:
      if (byte == '"') return Stage::kQuoted;
      return is_token_char(byte) ? Stage::kMoreValue : Stage::kBad;
    case Stage::kMoreValue:
      return is_token_char(byte) ? stage : behind_item();
    case Stage::kQuoted:
      if (byte == '"') return Stage::kUnquoted;
      if (byte == '\\') return Stage::kEscaped;
      return ValueEnd::is(byte) ? Stage::kBad : stage;
    case Stage::kEscaped:
      return ValueEnd::is(byte) ? Stage::kBad : Stage::kQuoted;
    case Stage::kUnquoted:
      return behind_item();
    default:
      return Stage::kBad;
  }
}

/// The trailers are copied, since they may come in several blocks and outlive them. Behind them the text may hold the
/// beginning of the next message, which is left to its owner.
const char* ChunkedDecoder::read_trailers(const char* from, const char* end, std::size_t max_trailers) {
  if (!trailers_) {
    trailers_ = std::make_unique<Trailers>();
    trailers_->lines.begin(0);
  }
  std::string& text = trailers_->text;
  const std::size_t before = text.size();
  text.append(from, std::min<std::size_t>(static_cast<std::size_t>(end - from), kMaxTrailers - before));
  switch (trailers_->lines.parse(text.data(), text.size(), max_trailers)) {
    case FieldLines::Step::kEnd:
      trailers_->lines.append_to(text.data(), trailers_->fields);
      stage_ = Stage::kEnd;
      return from + (trailers_->lines.end() - before);
    case FieldLines::Step::kFault:
      fail(reason_of(trailers_->lines.fault()));
      break;
    case FieldLines::Step::kNeedMore:
      if (text.size() == kMaxTrailers) fail(kTooLarge);
      break;
  }
  return from + (text.size() - before);
}

}  // namespace headgate::http
