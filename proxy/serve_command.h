// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace headgate::proxy {

/// `headgate serve`: reads and checks the file, then serves until a signal ends it. The exit code; errors are on stderr.
int serve_command(const std::string& config_file);

}  // namespace headgate::proxy
