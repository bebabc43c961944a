// SPDX-License-Identifier: Apache-2.0
// Input: a configuration file. Its complaints have a place and words, and what is usable survives being written out.
#include <string>

#include "config/load.h"
#include "routing/regex.h"
#include "routing/template.h"
#include "tests/fuzz/invariant.h"

using headgate::fuzz::demand;
namespace config = headgate::config;

namespace {

config::Loaded load(const std::string& text) {
  const config::Environment environment = [](std::string_view name) -> std::optional<std::string> {
    if (name == "HOME") return "/home";
    return std::nullopt;
  };
  config::Checks checks;
  checks.check_template = headgate::routing::check_template;
  checks.check_regex = headgate::routing::check_regex;
  return config::load_text(text, "fuzz.yaml", environment, checks);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  // Other files are not part of the input.
  if (text.find("include") != std::string::npos) return 0;
  const auto loaded = load(text);
  for (const auto& error : loaded.errors) {
    demand(!error.message.empty(), "an error has words");
    demand(error.where.file.text() == "fuzz.yaml", "an error names its file");
    demand(error.where.line >= 0 && error.where.column >= 0, "an error has a place");
  }
  if (!loaded.usable()) return 0;
  const auto written = config::dump(loaded.config);
  const auto again = load(written);
  if (!again.usable()) {
    for (const auto& error : again.errors) std::fprintf(stderr, "%s\n", config::to_string(error).c_str());
    std::fprintf(stderr, "%s\n", written.c_str());
  }
  demand(again.usable(), "what was written out can be read");
  demand(config::dump(again.config) == written, "reading what was written gives the same");
  return 0;
}
