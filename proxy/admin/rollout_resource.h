// SPDX-License-Identifier: Apache-2.0
// An upstream's rollout in the admin API.
#pragma once

#include "http/exchange.h"
#include "proxy/admin/server_path.h"

namespace headgate::proxy {

class Instance;

/// Answers GET, POST of {"action": "start", "pool": NAME}, pause, resume, promote, abort, and DELETE, which aborts. A
/// change is answered when every worker follows it. Main thread.
Task<> respond_rollout(http::Exchange& exchange, Instance& instance, const UpstreamPath& path);

}  // namespace headgate::proxy
