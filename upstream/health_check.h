// SPDX-License-Identifier: Apache-2.0
// One active check of one server: is it there, and does it say that it is well?
#pragma once

#include <string>

#include "base/task.h"
#include "config/model.h"
#include "upstream/server.h"

namespace headgate::upstream {

struct CheckResult {
  bool passed = false;
  std::string found;  ///< for people: "200", "status 503, expected 200-399", "connection refused"
};

/// Asks `server` within rules.timeout: a GET of rules.path and what it is to answer, or, without a path, a connection
/// alone. `host` is sent when the rules name none. Arguments outlive the task. Never throws.
Task<CheckResult> check_health(Loop& loop, Server& server, const config::Health& rules, const std::string& host);

}  // namespace headgate::upstream
