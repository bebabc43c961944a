// SPDX-License-Identifier: Apache-2.0
// "did you mean": the known name that a wrong one is probably meant to be.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace headgate::config {

/// The name with the smallest edit distance (a swap of neighbours counts as one), when that is at most a third of the
/// longer name's length and at least one letter of slack; empty when none is near.
std::string_view nearest(std::string_view wrong, std::span<const std::string_view> known);

/// "; did you mean 'listen'?", or nothing.
std::string suggestion(std::string_view wrong, std::span<const std::string_view> known);

}  // namespace headgate::config
