// SPDX-License-Identifier: Apache-2.0
// Who asks: the one derived client address that limits, access rules, logs and headers all use.
#pragma once

#include <vector>

#include "base/ip.h"
#include "http/fields.h"

namespace headgate::proxy {

bool is_trusted(const std::vector<Cidr>& trusted, const IpAddress& address);

/// The socket's peer; or, when that is a trusted proxy, what X-Forwarded-For tells: read from right to left over the
/// trusted proxies, ending at the first entry that is not trusted or cannot be read. An unreadable entry, or a list of
/// trusted ones only, leaves the last address that could be believed. Entries may carry a port.
IpAddress client_address(const IpAddress& peer, const http::Fields& fields, const std::vector<Cidr>& trusted);

}  // namespace headgate::proxy
