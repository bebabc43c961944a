// SPDX-License-Identifier: Apache-2.0
// KeyTable: a few words for each of very many keys, in bounded memory, without a lock. A table of buckets of eight
// cells in one reserved piece of address space, whose first 2^n buckets are in use; it doubles when a bucket is full of
// what is still needed, and is made smaller again by trim(). What a key had before the table grew moves when it is next
// asked for.
//
// The first word of a cell says until when it is needed; after that the cell is free and its words mean what they would
// mean for a new key, so there is nothing to clean up. When the table may not grow any more, the least important cell
// of a full bucket is given to the new key.
//
// Any thread, all at once. Two threads that work on one key see the same cell, but for the moment in which that key
// moves: then the change of one of them may be lost. Who uses the words counts requests and can bear to be wrong by
// one.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include <sys/mman.h>

#include "ratelimit/gcra.h"

namespace headgate::ratelimit {

/// A key's hash, and the number (not 0) of the limit whose key it is.
struct KeyId {
  std::uint64_t hash;
  std::uint16_t owner;
};

template <std::size_t kWords>
class KeyTable {
 public:
  struct Cell {
    std::atomic<std::uint64_t> tag{0};  // 48 bits of the hash, 16 of the owner; 0: never used
    std::array<std::atomic<Nanos>, kWords> words{};

    Nanos needed_until() const { return words[0].load(std::memory_order_relaxed); }
    std::uint16_t owner() const { return static_cast<std::uint16_t>(tag.load(std::memory_order_relaxed)); }
  };

  static constexpr std::size_t kCells = 8;  // of a bucket
  static constexpr unsigned kLeastBits = 9;

  /// At most 2^most_bits buckets. Reserves address space, no memory. Throws std::system_error.
  explicit KeyTable(unsigned most_bits) : most_bits_(most_bits) {
    void* const memory =
        ::mmap(nullptr, bytes(most_bits), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "memory for rate limits");
    ::madvise(memory, bytes(most_bits), MADV_NOHUGEPAGE);  // a few keys should not cost two megabytes
    cells_ = static_cast<Cell*>(memory);                   // zeros are empty cells
  }
  ~KeyTable() { ::munmap(cells_, bytes(most_bits_)); }
  KeyTable(const KeyTable&) = delete;
  KeyTable& operator=(const KeyTable&) = delete;

  /// The key's cell, made for it when there is none. importance(cell) orders cells that are still needed: the smallest
  /// goes first.
  template <class Importance>
  Cell& find_or_make(const KeyId& key, Nanos now, const Importance& importance) {
    const std::uint64_t tag = tag_of(key);
    for (;;) {
      const unsigned bits = bits_.load(std::memory_order_relaxed);
      Cell* const bucket = bucket_of(tag, bits);
      for (std::size_t i = 0; i < kCells; ++i) {
        if (bucket[i].tag.load(std::memory_order_acquire) == tag) return bucket[i];
      }
      Cell* const made = make(tag, bits, bucket, now, importance);
      if (made != nullptr) return *made;
    }
  }

  /// Null when there is none.
  Cell* find(const KeyId& key) {
    const std::uint64_t tag = tag_of(key);
    const unsigned bits = bits_.load(std::memory_order_relaxed);
    Cell* const bucket = bucket_of(tag, bits);
    for (std::size_t i = 0; i < kCells; ++i) {
      if (bucket[i].tag.load(std::memory_order_acquire) == tag) return &bucket[i];
    }
    return find_older(tag, bits);
  }

  /// Calls each(cell) for all that are needed.
  template <class Each>
  void each(Nanos now, const Each& each_cell) {
    const std::size_t cells = kCells << bits_.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < cells; ++i) {
      if (needed(cells_[i], now)) each_cell(cells_[i]);
    }
  }

  /// Gives memory back when little of the table is needed. Takes a look at every cell; one thread at a time.
  void trim(Nanos now) {
    const unsigned bits = bits_.load(std::memory_order_relaxed);
    if (bits == kLeastBits) return;
    std::size_t count = 0;
    each(now, [&](Cell&) { ++count; });
    unsigned wanted = kLeastBits;
    while (wanted < bits && (std::size_t{1} << wanted) < count) ++wanted;
    if (wanted + 1 >= bits) return;
    // Once more for what came while they were moved.
    gather(wanted, bits, now);
    bits_.store(wanted, std::memory_order_relaxed);
    gather(wanted, bits, now);
    char* const memory = reinterpret_cast<char*>(cells_);
    ::madvise(memory + bytes(wanted), bytes(bits) - bytes(wanted), MADV_DONTNEED);
  }

  std::size_t memory_in_use() const { return bytes(bits_.load(std::memory_order_relaxed)); }

 private:
  static constexpr std::size_t bytes(unsigned bits) { return (kCells * sizeof(Cell)) << bits; }
  static std::uint64_t tag_of(const KeyId& key) { return (key.hash & ~std::uint64_t{0xffff}) | key.owner; }
  static bool needed(const Cell& cell, Nanos now) {
    return cell.tag.load(std::memory_order_relaxed) != 0 && cell.needed_until() > now;
  }
  /// The place of a tag can be told from it alone, so that cells can be moved.
  Cell* bucket_of(std::uint64_t tag, unsigned bits) const {
    const std::uint64_t index = (tag >> 16) & ((std::uint64_t{1} << bits) - 1);
    return cells_ + index * kCells;
  }

  /// Where it was when the table was smaller.
  Cell* find_older(std::uint64_t tag, unsigned bits) const {
    const Cell* searched = bucket_of(tag, bits);
    while (bits > kLeastBits) {
      Cell* const bucket = bucket_of(tag, --bits);
      if (bucket == searched) continue;
      searched = bucket;
      for (std::size_t i = 0; i < kCells; ++i) {
        if (bucket[i].tag.load(std::memory_order_acquire) == tag) return &bucket[i];
      }
    }
    return nullptr;
  }

  static Cell* free_cell(Cell* bucket, Nanos now) {
    for (std::size_t i = 0; i < kCells; ++i) {
      if (!needed(bucket[i], now)) return &bucket[i];
    }
    return nullptr;
  }

  /// Null: look again.
  template <class Importance>
  Cell* make(std::uint64_t tag, unsigned bits, Cell* bucket, Nanos now, const Importance& importance) {
    Cell* const older = find_older(tag, bits);
    Cell* cell = free_cell(bucket, now);
    const bool evicts = cell == nullptr;
    if (evicts) {
      if (move_strangers(bucket, bits, now) || grow(bits)) return nullptr;
      cell = std::min_element(bucket, bucket + kCells,
                              [&](const Cell& a, const Cell& b) { return importance(a) < importance(b); });
    }
    std::uint64_t old = cell->tag.load(std::memory_order_relaxed);
    if (old == tag || !cell->tag.compare_exchange_strong(old, tag, std::memory_order_acq_rel)) return nullptr;
    if (older != nullptr) {
      take_over(*older, *cell, tag);
    } else if (evicts) {
      for (auto& word : cell->words) word.store(0, std::memory_order_relaxed);
    }
    return cell;
  }

  static void take_over(Cell& from, Cell& to, std::uint64_t tag) {
    for (std::size_t i = 0; i < kWords; ++i) {
      to.words[i].store(from.words[i].exchange(0, std::memory_order_relaxed), std::memory_order_relaxed);
    }
    from.tag.compare_exchange_strong(tag, 0, std::memory_order_acq_rel);
  }

  /// Moves one cell to its bucket under `bits`. False: it is full, or somebody else was there.
  bool move(Cell& cell, unsigned bits, Nanos now) {
    const std::uint64_t tag = cell.tag.load(std::memory_order_acquire);
    if (tag == 0) return false;
    Cell* const bucket = bucket_of(tag, bits);
    Cell* const place = free_cell(bucket, now);
    if (place == nullptr) return false;
    std::uint64_t old = place->tag.load(std::memory_order_relaxed);
    if (!place->tag.compare_exchange_strong(old, tag, std::memory_order_acq_rel)) return false;
    take_over(cell, *place, tag);
    return true;
  }

  /// What lies here from when the table was smaller. True: there is a free cell now.
  bool move_strangers(Cell* bucket, unsigned bits, Nanos now) {
    bool moved = false;
    for (std::size_t i = 0; i < kCells; ++i) {
      if (bucket_of(bucket[i].tag.load(std::memory_order_relaxed), bits) == bucket) continue;
      moved = move(bucket[i], bits, now) || moved;
    }
    return moved;
  }

  /// True: the table has grown, by us or by somebody else.
  bool grow(unsigned bits) {
    if (bits >= most_bits_) return bits_.load(std::memory_order_relaxed) != bits;
    bits_.compare_exchange_strong(bits, bits + 1, std::memory_order_relaxed);
    return true;
  }

  void gather(unsigned wanted, unsigned bits, Nanos now) {
    for (std::size_t i = kCells << wanted; i < kCells << bits; ++i) {
      if (needed(cells_[i], now)) move(cells_[i], wanted, now);
    }
  }

  const unsigned most_bits_;
  std::atomic<unsigned> bits_{kLeastBits};
  Cell* cells_ = nullptr;
};

}  // namespace headgate::ratelimit
