// SPDX-License-Identifier: Apache-2.0
#include "compress/encoder_store.h"

#include <libdeflate.h>

namespace headgate::compress {
namespace {

constexpr std::size_t kKiB = 1024;
constexpr std::size_t kMiB = kKiB * kKiB;
/// Of each kind. A worker encodes one slice at a time: more than these are in use only while clients are slow.
constexpr std::size_t kMostIdle = 4;

std::unique_ptr<Encoder> make(http::Coding coding, bool trickle) {
  switch (coding) {
    case http::Coding::kGzip:
      return make_gzip_encoder(trickle);
    case http::Coding::kBrotli:
      return make_brotli_encoder();
    case http::Coding::kZstd:
      return make_zstd_encoder();
    case http::Coding::kIdentity:
      break;
  }
  return nullptr;
}

}  // namespace

EncoderStore::~EncoderStore() {
  for (auto* const one : whole_) ::libdeflate_free_compressor(one);
}

EncoderStore& EncoderStore::of_this_thread() {
  thread_local EncoderStore store;
  return store;
}

std::size_t EncoderStore::cost(http::Coding coding, const Shape& shape) {
  switch (coding) {
    case http::Coding::kGzip:
      return shape.trickle ? 40 * kKiB : 272 * kKiB;
    case http::Coding::kBrotli:
      return shape.trickle || shape.level < 4 ? kMiB + kMiB / 2 : 3 * kMiB;
    case http::Coding::kZstd:
      return shape.trickle ? 320 * kKiB : shape.level < 4 ? 2 * kMiB : 4 * kMiB;
    case http::Coding::kIdentity:
      break;
  }
  return 0;
}

EncoderStore::Lease EncoderStore::lease(http::Coding coding, const Shape& shape) {
  Lease lease;
  const std::size_t wanted = cost(coding, shape);
  if (in_use_ + wanted > kMostInUse) return lease;
  auto& waiting = idle(coding, shape.trickle);
  if (coding == http::Coding::kBrotli || waiting.empty()) {
    lease.encoder_ = make(coding, shape.trickle);
  } else {
    lease.encoder_ = std::move(waiting.back());
    waiting.pop_back();
  }
  if (!lease.encoder_ || !lease.encoder_->begin(shape)) return lease;
  lease.store_ = this;
  lease.cost_ = wanted;
  lease.coding_ = coding;
  lease.trickle_ = shape.trickle;
  in_use_ += wanted;
  return lease;
}

EncoderStore::Lease::~Lease() {
  if (store_ == nullptr) return;
  store_->in_use_ -= cost_;
  auto& waiting = store_->idle(coding_, trickle_);
  // br has no state to keep but its blocks (BlockStore).
  if (coding_ != http::Coding::kBrotli && waiting.size() < kMostIdle) waiting.push_back(std::move(encoder_));
}

EncoderStore::Idle& EncoderStore::idle(http::Coding coding, bool trickle) {
  if (coding == http::Coding::kZstd) return trickle ? zstd_trickle_ : zstd_;
  return trickle ? gzip_trickle_ : gzip_;
}

std::size_t EncoderStore::gzip(std::span<const char> content, int level, std::span<char> out) {
  auto*& compressor = whole_.at(static_cast<std::size_t>(level));
  if (compressor == nullptr) compressor = ::libdeflate_alloc_compressor(level);
  if (compressor == nullptr) return 0;
  return ::libdeflate_gzip_compress(compressor, content.data(), content.size(), out.data(), out.size());
}

}  // namespace headgate::compress
