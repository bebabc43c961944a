// SPDX-License-Identifier: Apache-2.0
// One thing that is wrong (or not available, or doubtful) in a configuration, with the place where it stands.
#pragma once

#include <string>

#include "config/model.h"

namespace headgate::config {

struct Diagnostic {
  Position where;
  std::string message;
};

/// "FILE:LINE:COL: message"; "FILE: message" when the whole file is meant (line 0).
std::string to_string(const Diagnostic& diagnostic);

}  // namespace headgate::config
