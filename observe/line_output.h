// SPDX-License-Identifier: Apache-2.0
// Where lines end up: a file, or a pipe, socket or terminal whose other end may be slow or gone. Internal to observe.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>

#include <sys/uio.h>

#include "base/unique_fd.h"

namespace headgate::observe {

/// Used by one thread, except open().
class LineOutput {
 public:
  /// `target`: "stdout", "stderr" or a path (made with mode 0640, appended to). Throws std::system_error.
  explicit LineOutput(std::string target);

  bool is_file() const { return !path_.empty(); }

  /// A new descriptor of the path, for reopening. Throws std::system_error.
  UniqueFd open() const;
  void replace(UniqueFd fd);

  enum class Outcome { kWritten, kNotNow, kFailed };

  /// Writes as much as one attempt takes: a file takes everything; other outputs up to a page of whole lines once they
  /// have room, for which it waits at most `wait`. The caller's descriptor is shared with other programs, so it is
  /// never made non-blocking. kFailed: errno says why.
  Outcome write_some(std::span<const iovec> pieces, std::chrono::milliseconds wait, std::size_t& written);

 private:
  bool wait_for_room(std::chrono::milliseconds wait) const;

  std::string path_;
  UniqueFd owned_;
  int fd_ = -1;
  bool never_blocks_ = false;
};

}  // namespace headgate::observe
