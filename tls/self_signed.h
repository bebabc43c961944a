// SPDX-License-Identifier: Apache-2.0
// A throw-away certificate for `headgate demo` and for tests.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace headgate::tls {

/// Certificate and key (P-256) as PEM text, signed by itself, valid from an hour ago for 30 days, for these host names
/// and IP addresses; at least one. Throws TlsError.
std::pair<std::string, std::string> make_self_signed(const std::vector<std::string>& names);

}  // namespace headgate::tls
