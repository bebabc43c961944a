// SPDX-License-Identifier: Apache-2.0
// Whether a pool can take requests, for commands that would send it some.
#pragma once

#include <optional>
#include <string>

namespace headgate::proxy {

class Instance;

/// Why all requests that go to the pool would fail: no server of it is well. Nothing: one is, or there is no such pool.
/// Main thread.
std::optional<std::string> why_not_well(Instance& instance, const std::string& upstream, const std::string& pool);

}  // namespace headgate::proxy
