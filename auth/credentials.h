// SPDX-License-Identifier: Apache-2.0
// What a client says of itself in an Authorization field: RFC 7617.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace headgate::auth {

struct Credentials {
  std::string user;
  std::string password;
};

/// Of the value of an Authorization field. Nothing for another scheme, for what is not base64, without a colon, with a
/// control character (RFC 7617 section 2), or longer than any file of ours has it.
std::optional<Credentials> parse_basic(std::string_view value);

/// The value of WWW-Authenticate that asks for them.
std::string basic_challenge(std::string_view realm);

}  // namespace headgate::auth
