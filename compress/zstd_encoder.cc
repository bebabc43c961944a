// SPDX-License-Identifier: Apache-2.0
// zstd (RFC 8878).
#include <zstd.h>

#include "compress/encoder.h"

namespace headgate::compress {
namespace {

/// RFC 9659 allows up to 8 MiB; what an answer gains beyond this window is little beside the memory it takes.
constexpr int kWindowBits = 17;
/// A whole block of up to 128 KiB is gathered and encoded at once, a window at most: levels above kQuick get smaller
/// ones.
constexpr int kQuick = 4;
constexpr int kTrickleWindowBits = 14;

class ZstdEncoder final : public Encoder {
 public:
  ~ZstdEncoder() override { ::ZSTD_freeCCtx(state_); }

  bool begin(const Shape& shape) override {
    if (state_ == nullptr) state_ = ::ZSTD_createCCtx();
    if (state_ == nullptr) return false;
    bool good = ok(::ZSTD_CCtx_reset(state_, ZSTD_reset_session_and_parameters));
    // A trickle is searched by a hash of its own small window; levels above 1 keep larger tables.
    good = good && set(ZSTD_c_compressionLevel, shape.trickle ? 1 : shape.level);
    const int window = shape.trickle ? kTrickleWindowBits : shape.level > kQuick ? kWindowBits - 1 : kWindowBits;
    good = good && set(ZSTD_c_windowLog, window);
    if (shape.trickle) good = good && set(ZSTD_c_hashLog, kTrickleWindowBits - 1);
    // Tables that fit the content; telling its size wrongly makes the end fail, as it should.
    if (shape.size) good = good && ok(::ZSTD_CCtx_setPledgedSrcSize(state_, *shape.size));
    return good;
  }

  Step run(std::span<const char> in, std::span<char> out, Push push) override {
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    const auto how = push == Push::kEnd ? ZSTD_e_end : push == Push::kAll ? ZSTD_e_flush : ZSTD_e_continue;
    const std::size_t left = ::ZSTD_compressStream2(state_, &to, &from, how);
    Step step;
    step.taken = from.pos;
    step.made = to.pos;
    step.failed = ::ZSTD_isError(left) != 0;
    step.done = !step.failed && from.pos == from.size && (push == Push::kNothing ? to.pos < to.size : left == 0);
    return step;
  }

 private:
  static bool ok(std::size_t result) { return ::ZSTD_isError(result) == 0; }
  bool set(ZSTD_cParameter parameter, int value) { return ok(::ZSTD_CCtx_setParameter(state_, parameter, value)); }

  ZSTD_CCtx* state_ = nullptr;
};

}  // namespace

std::unique_ptr<Encoder> make_zstd_encoder() {
  return std::make_unique<ZstdEncoder>();
}

}  // namespace headgate::compress
