// SPDX-License-Identifier: Apache-2.0
// A server of an upstream in the admin API: what is under way there, and taking it out and back by hand.
#pragma once

#include <string>
#include <vector>

#include "proxy/admin/server_path.h"
#include "upstream/monitor.h"

namespace headgate::http {
class Exchange;
}

namespace headgate::proxy {

class Instance;

/// Answers GET of the server, and POST of its actions. A drain is answered when no worker sends anything new there any
/// more: what is in flight from then on only gets less. Main thread.
Task<> respond_server(http::Exchange& exchange, Instance& instance, const ServerPath& path);

/// Why taking this server out would leave a pool of its upstream without one that requests could go to; empty: it does
/// not. Pure.
std::string refusal_to_drain(const std::vector<upstream::PoolStatus>& pools, const std::string& upstream,
                             const std::string& server);

}  // namespace headgate::proxy
