// SPDX-License-Identifier: Apache-2.0
// br (RFC 7932).
#include <algorithm>
#include <bit>
#include <limits>

#include <brotli/encode.h>

#include "compress/block_store.h"
#include "compress/encoder.h"

namespace headgate::compress {
namespace {

/// It gathers up to twice the window before it encodes: this one bounds how long that takes.
constexpr std::uint32_t kWindowBits = 16;
constexpr std::uint32_t kTrickleWindowBits = 14;
constexpr std::uint32_t kBlockBits = 16;

/// Of this thread. Encoders are leased from a store that is this thread's, too, and made after this.
BlockStore& blocks() {
  thread_local BlockStore store;
  return store;
}

void* take_block(void*, std::size_t size) {
  return blocks().take(size);
}
void give_block_back(void*, void* block) {
  blocks().give_back(block);
}

/// The library has no way to begin anew: each content has a state of its own, of blocks that have served before.
class BrotliEncoder final : public Encoder {
 public:
  BrotliEncoder() { blocks(); }
  ~BrotliEncoder() override { end(); }

  bool begin(const Shape& shape) override {
    end();
    state_ = ::BrotliEncoderCreateInstance(take_block, give_block_back, nullptr);
    if (state_ == nullptr) return false;
    bool good = set(BROTLI_PARAM_QUALITY, static_cast<std::uint32_t>(shape.trickle ? 2 : shape.level));
    good = good && set(BROTLI_PARAM_LGWIN, shape.trickle ? kTrickleWindowBits : kWindowBits);
    good = good && set(BROTLI_PARAM_LGBLOCK, kBlockBits);
    if (shape.size) {
      constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
      good = good && set(BROTLI_PARAM_SIZE_HINT, static_cast<std::uint32_t>(std::min(*shape.size, kMost)));
    }
    return good;
  }

  Step run(std::span<const char> in, std::span<char> out, Push push) override {
    const auto* from = reinterpret_cast<const std::uint8_t*>(in.data());
    auto* to = reinterpret_cast<std::uint8_t*>(out.data());
    std::size_t in_left = in.size();
    std::size_t out_left = out.size();
    const auto how = push == Push::kEnd   ? BROTLI_OPERATION_FINISH
                     : push == Push::kAll ? BROTLI_OPERATION_FLUSH
                                          : BROTLI_OPERATION_PROCESS;
    Step step;
    step.failed = ::BrotliEncoderCompressStream(state_, how, &in_left, &from, &out_left, &to, nullptr) == BROTLI_FALSE;
    step.taken = in.size() - in_left;
    step.made = out.size() - out_left;
    const bool more = ::BrotliEncoderHasMoreOutput(state_) == BROTLI_TRUE;
    step.done = !step.failed && in_left == 0 && !more;
    if (push == Push::kEnd) step.done = step.done && ::BrotliEncoderIsFinished(state_) == BROTLI_TRUE;
    // What fills up the last byte comes after all else, and does not count as more before.
    if (push == Push::kAll) step.done = step.done && out_left > 0;
    return step;
  }

 private:
  bool set(BrotliEncoderParameter parameter, std::uint32_t value) {
    return ::BrotliEncoderSetParameter(state_, parameter, value) == BROTLI_TRUE;
  }
  void end() {
    ::BrotliEncoderDestroyInstance(state_);
    state_ = nullptr;
  }

  BrotliEncoderState* state_ = nullptr;
};

}  // namespace

std::unique_ptr<Encoder> make_brotli_encoder() {
  return std::make_unique<BrotliEncoder>();
}

}  // namespace headgate::compress
