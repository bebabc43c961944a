// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/config_file.h"

#include <filesystem>
#include <iostream>
#include <system_error>

#include "routing/regex.h"
#include "routing/template.h"

namespace headgate::cli {
namespace {

constexpr const char* kPlaces[] = {"headgate.yaml", "/etc/headgate/headgate.yaml"};

}  // namespace

std::optional<std::string> find_config_file(const std::string& given) {
  if (!given.empty()) return given;
  std::error_code ignored;
  for (const char* place : kPlaces) {
    if (std::filesystem::exists(place, ignored)) return place;
  }
  return std::nullopt;
}

std::string no_config_file() {
  return std::string("headgate: neither ./") + kPlaces[0] + " nor " + kPlaces[1] + " exists; -c FILE names another";
}

config::Loaded load(const std::string& file) {
  const config::Checks checks{[](std::string_view text) { return routing::check_template(text); },
                              [](std::string_view text) { return routing::check_regex(text); }};
  return config::load_file(file, config::process_environment(), checks);
}

void print_problems(const config::Loaded& loaded) {
  for (const auto& each : loaded.errors) std::cerr << config::to_string(each) << '\n';
  for (const auto& each : loaded.not_available) std::cerr << config::to_string(each) << '\n';
}

void print_warnings(const config::Loaded& loaded) {
  for (auto each : loaded.warnings) {
    each.message.insert(0, "warning: ");
    std::cerr << config::to_string(each) << '\n';
  }
}

std::optional<config::Loaded> load_or_complain(const std::string& given) {
  const auto file = find_config_file(given);
  if (!file) {
    std::cerr << no_config_file() << '\n';
    return std::nullopt;
  }
  auto loaded = load(*file);
  if (loaded.errors.empty()) return loaded;
  print_problems(loaded);
  return std::nullopt;
}

const char* program_version() {
  return HEADGATE_VERSION;
}

}  // namespace headgate::cli
