// SPDX-License-Identifier: Apache-2.0
// What `headgate status` prints of the JSON of `GET /v1/status`. Pure.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace headgate::cli {

/// Lines and tables whose columns are as wide as what stands in them. What another version leaves out or adds is no
/// mistake. `colours`: for a terminal.
std::string status_table(const nlohmann::json& status, bool colours);

/// "12s", "5m3s", "2h5m", "3d4h".
std::string short_duration(double seconds);

/// Without what could move a terminal's cursor: control characters stand as "?".
std::string printable(std::string_view text);

}  // namespace headgate::cli
