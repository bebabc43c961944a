// SPDX-License-Identifier: Apache-2.0
// What operators are told when the fleet cannot follow.
#pragma once

namespace headgate::proxy {

inline constexpr const char* kAloneWarning =
    "Redis is away: only this instance has changed; when it is back the others follow, unless the fleet's state has "
    "changed meanwhile";
inline constexpr const char* kRacedRefusal =
    "other instances changed the same upstream at the same moment, several times: see `headgate status` and try again";
inline constexpr const char* kNoStartRefusal =
    "Redis is away: nobody could lead the rollout, and without the others it would not advance";

}  // namespace headgate::proxy
