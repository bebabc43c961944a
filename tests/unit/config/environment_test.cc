// SPDX-License-Identifier: Apache-2.0
#include "config/environment.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

namespace headgate::config {
namespace {

std::optional<std::string> look_up(std::string_view name) {
  static const std::map<std::string, std::string, std::less<>> kValues = {
      {"HOST", "example.com"}, {"EMPTY", ""}, {"lower", "l"}, {"TRICK", "${HOST}"}};
  const auto found = kValues.find(name);
  if (found == kValues.end()) return std::nullopt;
  return found->second;
}

std::string fill(std::string_view text, Substitute mode = Substitute::kEverything) {
  const auto result = substitute(text, look_up, mode);
  return result ? *result : "error: " + result.error().message;
}

TEST(Substitute, FillsNamesIn) {
  EXPECT_EQ(fill("https://${HOST}/x"), "https://example.com/x");
  EXPECT_EQ(fill("${HOST}${HOST}"), "example.comexample.com");
  EXPECT_EQ(fill("${lower}"), "l");
  EXPECT_EQ(fill("plain $HOST $ {x} $"), "plain $HOST $ {x} $");
}

TEST(Substitute, TakesDefaultsForUnsetAndEmpty) {
  EXPECT_EQ(fill("${MISSING:-8080}"), "8080");
  EXPECT_EQ(fill("${EMPTY:-8080}"), "8080");
  EXPECT_EQ(fill("${MISSING:-}"), "");
  EXPECT_EQ(fill("${EMPTY}"), "");
  EXPECT_EQ(fill("${HOST:-other}"), "example.com");
}

TEST(Substitute, DoesNotSearchAValueAgain) {
  EXPECT_EQ(fill("${TRICK}"), "${HOST}");
}

TEST(Substitute, SaysWhatIsWrong) {
  EXPECT_EQ(fill("${MISSING}"),
            "error: the environment variable MISSING is not set; ${MISSING:-default} gives a default");
  EXPECT_EQ(fill("${HOST"), "error: a \"${\" without its closing brace");
  EXPECT_EQ(fill("${}"),
            "error: expected the name of an environment variable in ${...}, got ''; \"$${\" is a plain \"${\"");
  EXPECT_EQ(fill("${1X}"),
            "error: expected the name of an environment variable in ${...}, got '1X'; \"$${\" is a plain \"${\"");
}

TEST(Substitute, LeavesTemplatesTheirVariables) {
  EXPECT_EQ(fill("${host}-${HOST}-$uri", Substitute::kTemplate), "${host}-example.com-$uri");
  EXPECT_EQ(fill("$${HOST}", Substitute::kTemplate), "$${HOST}");
  EXPECT_EQ(fill("${MISSING}", Substitute::kTemplate),
            "error: the environment variable MISSING is not set; ${MISSING:-default} gives a default");
}

TEST(Substitute, EscapingIsUndoneByFillingIn) {
  for (const std::string text : {"${HOST}", "$${HOST}", "$$${x}", "$", "$$", "a${", "${${"}) {
    EXPECT_EQ(fill(escape_variables(text)), text);
  }
}

}  // namespace
}  // namespace headgate::config
