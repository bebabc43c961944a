// SPDX-License-Identifier: Apache-2.0
// EncoderStore: a thread's encoders, those in use and those that wait for the next content. Their memory is bounded: a
// content that would take more gets none, and goes out as it is.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "compress/encoder.h"

struct libdeflate_compressor;

namespace headgate::compress {

/// One thread's; there is one for each. Outlives its leases.
class EncoderStore {
 public:
  /// What all encoders in use may take, by cost().
  static constexpr std::size_t kMostInUse = std::size_t{256} * 1024 * 1024;
  /// Whole contents of up to this size are encoded in one go: that takes less than two milliseconds at any level.
  static constexpr std::size_t kWhole = std::size_t{64} * 1024;

  EncoderStore() = default;
  ~EncoderStore();
  EncoderStore(const EncoderStore&) = delete;
  EncoderStore& operator=(const EncoderStore&) = delete;

  static EncoderStore& of_this_thread();

  /// An upper bound of what an encoder takes.
  static std::size_t cost(http::Coding coding, const Shape& shape);

  /// An encoder on loan; empty: there was none to be had.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept
        : store_(std::exchange(other.store_, nullptr)),
          encoder_(std::move(other.encoder_)),
          cost_(other.cost_),
          coding_(other.coding_),
          trickle_(other.trickle_) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    explicit operator bool() const { return store_ != nullptr; }
    Encoder& operator*() const { return *encoder_; }
    Encoder* operator->() const { return encoder_.get(); }

   private:
    friend class EncoderStore;
    EncoderStore* store_ = nullptr;
    std::unique_ptr<Encoder> encoder_;
    std::size_t cost_ = 0;
    http::Coding coding_ = http::Coding::kIdentity;
    bool trickle_ = false;
  };

  /// Ready for a new content.
  Lease lease(http::Coding coding, const Shape& shape);

  /// gzip of a whole content at once; returns how much of `out` it took, 0 when there was not room enough.
  std::size_t gzip(std::span<const char> content, int level, std::span<char> out);

  std::size_t in_use() const { return in_use_; }

 private:
  using Idle = std::vector<std::unique_ptr<Encoder>>;
  Idle& idle(http::Coding coding, bool trickle);

  std::size_t in_use_ = 0;
  Idle gzip_;
  Idle gzip_trickle_;
  Idle zstd_;
  Idle zstd_trickle_;
  std::array<libdeflate_compressor*, 10> whole_{};  // by level; made when first needed
};

}  // namespace headgate::compress
