// SPDX-License-Identifier: Apache-2.0
// Query strings of the form a=1&b=2: read in place, without allocating, and written. Pure functions, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace headgate::routing {

/// True when `encoded` is `plain` after "+" has become a space and %xx a byte; a "%" without two hexadecimal digits
/// stands for itself.
bool query_text_is(std::string_view encoded, std::string_view plain);

/// The first parameter whose decoded name is `name`: its value, still encoded (so that what is built from it cannot
/// smuggle in line ends), empty for "a" and "a="; nullopt when there is none.
std::optional<std::string_view> find_query(std::string_view query, std::string_view name);

/// True when any parameter of that decoded name has that decoded value; "" or "*": any value.
bool query_has(std::string_view query, std::string_view name, std::string_view value);

/// Text as a value in a query: everything is escaped but unreserved characters and what cannot be taken for a
/// delimiter of parameters (RFC 3986 section 3.4).
void append_encoded_query(std::string_view text, std::string& out);

}  // namespace headgate::routing
