// SPDX-License-Identifier: Apache-2.0
#include "proxy/serve_command.h"

#include <iostream>

#include "base/log.h"
#include "config/load.h"
#include "proxy/instance.h"

namespace headgate::proxy {

int serve_command(const std::string& config_file) {
  auto loaded = config::load_file(config_file, config::process_environment(), configuration_checks());
  for (const auto& diagnostic : loaded.errors) std::cerr << config::to_string(diagnostic) << '\n';
  for (const auto& diagnostic : loaded.not_available) std::cerr << config::to_string(diagnostic) << '\n';
  if (!loaded.usable()) return 1;
  try {
    const auto& log = loaded.config.log;
    const bool json = log.format == config::Log::Format::kJson;
    log::configure(log.level, json ? log::Format::kJson : log::Format::kText, log.output);
    for (const auto& warning : loaded.warnings) log::warn("{}", config::to_string(warning));
    Instance instance(config_file, std::move(loaded.config));
    instance.succeed(Predecessor::from_environment());
    return instance.run();
  } catch (const std::exception& error) {
    log::error("cannot start: {}", error.what());
    return 1;
  }
}

}  // namespace headgate::proxy
