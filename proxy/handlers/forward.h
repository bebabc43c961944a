// SPDX-License-Identifier: Apache-2.0
// Forwarding: the request to a server of the route's upstream, its answer to the client, both bodies at once.
#pragma once

#include "proxy/request.h"

namespace headgate::proxy {

struct Surroundings;

/// Leases a connection, sends, answers. A request that cannot have reached the application (nothing connected, or a
/// kept connection that the origin had closed) is sent again; whatever else fails before the answer has begun becomes
/// 502, 503 or 504 with its reason in request.error, and after it breaks the answer off. Where the route says so the
/// body is taken whole beforehand, or another upstream gets a copy.
Task<Result<>> forward(Request& request, const Surroundings& surroundings);

}  // namespace headgate::proxy
