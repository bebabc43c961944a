// SPDX-License-Identifier: Apache-2.0
// tests/golden/config/NAME.yaml beside NAME.expected (every diagnostic) and, for some, NAME.dump.
// To write them again: HEADGATE_UPDATE_GOLDEN=1 config_test --gtest_filter='*Golden*', then read the difference.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "config/load.h"

namespace headgate::config {
namespace {

namespace fs = std::filesystem;

fs::path folder() {
  return fs::path(HEADGATE_SOURCE_DIR) / "tests/golden/config";
}

std::string read(const fs::path& path) {
  std::ifstream stream(path);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::optional<std::string> environment(std::string_view name) {
  if (name == "GOLDEN_PORT") return "9000";
  return std::nullopt;
}

// Where the checkout is does not matter.
std::string without_folder(std::string text) {
  const std::string prefix = folder().string() + "/";
  for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix)) text.erase(at, prefix.size());
  return text;
}

std::string render(const Loaded& loaded) {
  std::string out;
  for (const Diagnostic& each : loaded.errors) out += "error " + to_string(each) + "\n";
  for (const Diagnostic& each : loaded.not_available) out += "refused " + to_string(each) + "\n";
  for (const Diagnostic& each : loaded.warnings) out += "warning " + to_string(each) + "\n";
  return without_folder(out);
}

void compare(const fs::path& path, const std::string& got) {
  if (std::getenv("HEADGATE_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << got;
  EXPECT_EQ(read(path), got) << path;
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, HasTheExpectedDiagnostics) {
  const fs::path path = folder() / GetParam();
  const Loaded loaded = load_file(path.string(), environment);
  compare(fs::path(path).replace_extension(".expected"), render(loaded));
  const fs::path dumped = fs::path(path).replace_extension(".dump");
  if (fs::exists(dumped)) compare(dumped, without_folder(dump(loaded.config)));
  if (!loaded.errors.empty()) return;
  const std::string text = dump(loaded.config);
  const Loaded again = load_text(text, "/elsewhere/dump.yaml", {});
  EXPECT_TRUE(again.errors.empty()) << render(again);
  // Not the other way round: a dump leaves out what is both unavailable and the default.
  EXPECT_TRUE(again.not_available.empty() || !loaded.not_available.empty()) << render(again);
  EXPECT_EQ(dump(again.config), text);
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& entry : fs::directory_iterator(folder())) {
    if (entry.path().extension() == ".yaml") all.push_back(entry.path().filename().string());
  }
  std::sort(all.begin(), all.end());
  return all;
}

INSTANTIATE_TEST_SUITE_P(Config, Golden, testing::ValuesIn(names()),
                         [](const auto& each) { return each.param.substr(0, each.param.find('.')); });

}  // namespace
}  // namespace headgate::config
