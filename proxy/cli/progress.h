// SPDX-License-Identifier: Apache-2.0
// How far a command has come.
#pragma once

#include <iostream>
#include <string>

#include <unistd.h>

namespace headgate::cli {

/// One line that is written over, on a terminal only.
class Progress {
 public:
  Progress() = default;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (shown_) std::cerr << "\r\033[K" << std::flush;
  }

  void show(const std::string& text) {
    if (!terminal_) return;
    std::cerr << "\r\033[K" << text << std::flush;
    shown_ = true;
  }

 private:
  const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool shown_ = false;
};

}  // namespace headgate::cli
