// SPDX-License-Identifier: Apache-2.0
// What the versions of HTTP say of a request's authority and target alike. Pure functions, any thread.
#pragma once

#include "http/message.h"

namespace headgate::http {

/// host[:port] of RFC 9110 section 7.2: a name, an IPv4 address or a bracketed IPv6 one; no user information.
bool is_authority(std::string_view text);

/// Fills path and query from a target in origin form. False when there is a fragment in it.
bool split_target(RequestHead& head);

}  // namespace headgate::http
