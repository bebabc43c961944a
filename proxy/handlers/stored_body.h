// SPDX-License-Identifier: Apache-2.0
// A request's body that is taken from the client before anybody is asked: its beginning in memory, a longer one in a
// file without a name, so that it is gone with the process, however that ends.
//
// The file is written and read on the loop, in pieces of at most 64 KiB, to and from the kernel's page cache: 12 us to
// write one and 3 us to read it (ext4, median of 3,200). Only a disk that has fallen far behind makes a write wait.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/byte_writer.h"
#include "base/result.h"
#include "base/task.h"
#include "base/unique_fd.h"
#include "http/exchange.h"
#include "proxy/body_budget.h"

namespace headgate::proxy {

/// Loop thread only. What `rules` and `budget` name outlives it.
class StoredBody {
 public:
  struct Rules {
    std::uint64_t memory = 0;      ///< a body up to this size needs no file
    std::uint64_t budget = 0;      ///< for all of the process
    const std::string& directory;  ///< where the file is made
  };

  // Why a body could not be stored; Side::kInternal, each with a code of its own.
  static constexpr Error kBudgetSpent{Errc::kUnavailable, Side::kInternal, "body_buffers_full"};
  static constexpr Error kDiskFull{Errc::kTooLarge, Side::kInternal, "body_disk_full"};
  static constexpr Error kFileFailed{Errc::kInternal, Side::kInternal, "body_file_failed"};

  StoredBody(BufferPool& pool, BodyBudget& budget, const Rules& rules)
      : budget_(budget), rules_(rules), memory_(pool) {}
  ~StoredBody() { drop(); }
  StoredBody(const StoredBody&) = delete;
  StoredBody& operator=(const StoredBody&) = delete;

  /// One of the failures above, with errno.
  Result<> add(std::span<const char> piece);

  std::uint64_t size() const { return size_; }
  bool in_file() const { return static_cast<bool>(file_); }
  /// Unless in_file(): all of it.
  std::span<const char> bytes() { return {memory_.data(), memory_.size()}; }
  /// Where in_file(): what is at `offset`, as much as `into` takes; never nothing before the end.
  Result<std::span<const char>> read(std::uint64_t offset, std::span<char> into) const;

  /// It will not be needed any more.
  void drop();

 private:
  Result<> open_file();
  Result<> write_file(std::span<const char> piece);

  BodyBudget& budget_;
  const Rules rules_;
  ByteWriter memory_;
  UniqueFd file_;
  std::uint64_t size_ = 0;
  std::uint64_t in_file_ = 0;  // bytes
};

/// All of the client's body. Fails with the client's error, or with one of StoredBody's.
Task<Result<>> take_body(http::Exchange& exchange, StoredBody& body);

}  // namespace headgate::proxy
