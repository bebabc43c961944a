// SPDX-License-Identifier: Apache-2.0
// Base64 as RFC 4648 section 4 has it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace headgate::auth {

/// Nothing for what is not the encoding of some bytes. Padding may be left out, as some clients do; bits that no byte
/// takes must be zero, so that no two texts stand for the same bytes but for that.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace headgate::auth
