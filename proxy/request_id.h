// SPDX-License-Identifier: Apache-2.0
// The id under which a request is logged here and at the origin (X-Request-Id).
#pragma once

#include <string_view>

#include "base/arena.h"
#include "http/fields.h"

namespace headgate::proxy {

/// The client's own X-Request-Id where it is harmless (1 to 128 visible ASCII characters), so that a trace can begin
/// before us; else 32 random hexadecimal digits. For telling requests apart, not a secret.
std::string_view request_id(const http::Fields& fields, Arena& arena);

}  // namespace headgate::proxy
