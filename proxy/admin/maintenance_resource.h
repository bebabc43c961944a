// SPDX-License-Identifier: Apache-2.0
// /v1/sites/NAME/maintenance: GET, PUT, DELETE. docs/operations.md.
#pragma once

#include <string>

#include "base/task.h"
#include "http/exchange.h"

namespace headgate::proxy {

class Instance;

/// `name` is the site's, or one of its hosts. Main thread.
Task<> respond_maintenance(http::Exchange& exchange, Instance& instance, std::string name);

}  // namespace headgate::proxy
