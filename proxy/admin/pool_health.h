// SPDX-License-Identifier: Apache-2.0
// Whether a pool can take requests, for commands that would send it some.
#pragma once

#include <optional>
#include <string>

namespace headgate::proxy {

class Instance;

/// Why nobody should be sent to the pool of an upstream, or of a static: no server of it is well, or its folder has no
/// index. Nothing: one is, there is one, or there is no such pool. Main thread.
std::optional<std::string> why_not_well(Instance& instance, const std::string& upstream, const std::string& pool);

}  // namespace headgate::proxy
