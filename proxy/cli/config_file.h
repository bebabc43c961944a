// SPDX-License-Identifier: Apache-2.0
// Finding and reading the configuration for a command.
#pragma once

#include <optional>
#include <string>

#include "config/load.h"

namespace headgate::cli {

/// `given`, or the first default place that has a file; nothing when there is none.
std::optional<std::string> find_config_file(const std::string& given);
std::string no_config_file();

/// Reads it with the environment of this process and all checks.
config::Loaded load(const std::string& file);

/// One line each. Errors, then what is not available, to stderr; warnings marked as such.
void print_problems(const config::Loaded& loaded);
void print_warnings(const config::Loaded& loaded);

/// The file's configuration for a command that needs one without mistakes; nothing after the complaint was printed.
std::optional<config::Loaded> load_or_complain(const std::string& given);

const char* program_version();

}  // namespace headgate::cli
