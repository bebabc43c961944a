// SPDX-License-Identifier: Apache-2.0
// A configuration for tests of what is configured.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "config/load.h"

namespace headgate {

/// Throws std::invalid_argument with whatever is wrong.
inline config::Config read_config(const std::string& yaml, const config::Checks& checks = {}) {
  auto loaded = config::load_text(yaml, "test.yaml", config::process_environment(), checks);
  std::string problems;
  for (const auto& one : loaded.errors) problems += config::to_string(one) + "\n";
  for (const auto& one : loaded.not_available) problems += config::to_string(one) + "\n";
  if (!problems.empty()) throw std::invalid_argument(problems);
  return std::move(loaded.config);
}

}  // namespace headgate
