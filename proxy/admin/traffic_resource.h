// SPDX-License-Identifier: Apache-2.0
// An upstream's traffic in the admin API: which share each pool gets, what is under way there, and the commands that
// change it.
#pragma once

#include "http/exchange.h"
#include "proxy/admin/server_path.h"

namespace headgate::proxy {

class Instance;

/// Answers GET of the upstream, PUT of its split, POST of switch and rollback. A change is answered when every worker
/// follows it: what is in flight in a pool that was left only gets less from then on. Main thread.
Task<> respond_traffic(http::Exchange& exchange, Instance& instance, const UpstreamPath& path);

}  // namespace headgate::proxy
