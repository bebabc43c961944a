// SPDX-License-Identifier: Apache-2.0
// security_headers: strict. The fields that a site should have and that break no ordinary application: docs/headers.md
// says why these and no others. Pure, any thread.
#pragma once

#include <array>
#include <string_view>

#include "http/fields.h"

namespace headgate::proxy {

struct SecurityHeader {
  std::string_view name;
  std::string_view value;
  bool over_tls = false;  ///< and never in clear
};

inline constexpr std::array<SecurityHeader, 4> kStrictHeaders = {{
    {"Strict-Transport-Security", "max-age=31536000", true},  // RFC 6797 section 7.2
    {"X-Content-Type-Options", "nosniff", false},
    {"X-Frame-Options", "SAMEORIGIN", false},
    {"Referrer-Policy", "strict-origin-when-cross-origin", false},
}};

/// Adds those that the answer does not have yet: an application's own go first.
void add_strict_headers(bool secure, http::Fields& answer);

}  // namespace headgate::proxy
