// SPDX-License-Identifier: Apache-2.0
// The command line: `headgate check`, `dump`, `explain`, `reload`, `status`, `drain`, `undrain`, `split`,
// `switch`, `rollback`, `rollout`, `events`,
// `version`, and the way to `serve` and `demo`. They are described in docs/operations.md. Main thread only; whatever
// they print goes to stdout, complaints go to stderr.
#pragma once

#include <functional>
#include <string>

namespace headgate::cli {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kRolledBack = 2;  ///< a rollout that was followed to its end
inline constexpr int kWrongUsage = 64;

/// The commands that are the program itself. Each gives the exit code.
struct Programs {
  std::function<int(const std::string& config_file)> serve;
  std::function<int()> demo;
};

/// The whole program: reads the arguments, runs one command, gives the exit code. Never throws.
int run(int argc, const char* const* argv, const Programs& programs);

}  // namespace headgate::cli
