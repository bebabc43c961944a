// SPDX-License-Identifier: Apache-2.0
// gzip (RFC 1952) by zlib.
#include <utility>

#include <zlib.h>

#include "compress/encoder.h"

namespace headgate::compress {
namespace {

constexpr int kGzipWrapper = 16;  // added to the bits of the window

class GzipEncoder final : public Encoder {
 public:
  explicit GzipEncoder(bool trickle) : trickle_(trickle) {}
  ~GzipEncoder() override {
    if (level_ != 0) ::deflateEnd(&stream_);
  }

  bool begin(const Shape& shape) override {
    if (level_ == 0) {
      // 256 KiB, or 24: the window and the chains through it are all there is.
      const int window = trickle_ ? 12 : 15;
      const int memory = trickle_ ? 4 : 8;
      if (::deflateInit2(&stream_, shape.level, Z_DEFLATED, window + kGzipWrapper, memory, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
      level_ = shape.level;
    } else {
      next_level_ = shape.level;
    }
    return true;
  }

  Step run(std::span<const char> in, std::span<char> out, Push push) override {
    if (next_level_ != 0 && !reset()) return {.failed = true};
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    const int flush = push == Push::kEnd ? Z_FINISH : push == Push::kAll ? Z_SYNC_FLUSH : Z_NO_FLUSH;
    const int result = ::deflate(&stream_, flush);
    Step step;
    step.taken = in.size() - stream_.avail_in;
    step.made = out.size() - stream_.avail_out;
    // Z_BUF_ERROR: there was nothing to do.
    step.failed = result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR;
    // Room that is left over says that a flush is complete.
    step.done = push == Push::kEnd ? result == Z_STREAM_END : stream_.avail_in == 0 && stream_.avail_out > 0;
    return step;
  }

 private:
  /// Clearing the tables waits until they are needed: a content that is encoded whole goes another way.
  bool reset() {
    const int level = std::exchange(next_level_, 0);
    if (::deflateReset(&stream_) != Z_OK) return false;
    if (level != level_ && ::deflateParams(&stream_, level, Z_DEFAULT_STRATEGY) != Z_OK) return false;
    level_ = level;
    return true;
  }

  const bool trickle_;
  z_stream stream_{};
  int level_ = 0;       // 0: it has no state yet
  int next_level_ = 0;  // not 0: to be reset to
};

}  // namespace

std::unique_ptr<Encoder> make_gzip_encoder(bool trickle) {
  return std::make_unique<GzipEncoder>(trickle);
}

}  // namespace headgate::compress
