// SPDX-License-Identifier: Apache-2.0
#include "config/document.h"

#include <string>

#include <gtest/gtest.h>

namespace headgate::config {
namespace {

struct Parsed {
  NodePtr root;
  std::vector<Diagnostic> errors;
  std::string first() const { return errors.empty() ? "no error" : to_string(errors[0]); }
};

Parsed parse(const std::string& text) {
  Parsed parsed;
  parsed.root = parse_document(text, "f", parsed.errors);
  return parsed;
}

TEST(Document, KnowsWhereEverythingStands) {
  const auto [root, errors] = parse("a: 1\nb:\n  - x\n  - { c: y }\n");
  ASSERT_TRUE(errors.empty());
  ASSERT_EQ(root->entries.size(), 2u);
  EXPECT_EQ(root->entries[1].line, 2);
  EXPECT_EQ(root->entries[1].column, 1);
  const Node& list = *root->find("b");
  EXPECT_EQ(list.items[0]->line, 3);
  EXPECT_EQ(list.items[0]->column, 5);
  EXPECT_EQ(list.items[1]->find("c")->column, 10);
}

TEST(Document, AnEmptyOneIsAnEmptyMapping) {
  for (const char* text : {"", "# nothing\n", "---\n", "~"}) {
    const auto parsed = parse(text);
    ASSERT_NE(parsed.root, nullptr) << text;
    EXPECT_EQ(parsed.root->kind, Node::Kind::kMap) << text;
    EXPECT_TRUE(parsed.errors.empty()) << text;
  }
}

TEST(Document, AKeyWithoutAValuePointsAtItself) {
  const auto parsed = parse("a:\nb: 1\n");
  const Node* value = parsed.root->find("a");
  EXPECT_EQ(value->kind, Node::Kind::kNull);
  EXPECT_EQ(value->line, 1);
  EXPECT_EQ(value->column, 1);
}

TEST(Document, QuotedTextIsNeverNothing) {
  const auto parsed = parse("a: \"\"\nb: \"null\"\nc: null\n");
  EXPECT_EQ(parsed.root->find("a")->kind, Node::Kind::kScalar);
  EXPECT_EQ(parsed.root->find("b")->kind, Node::Kind::kScalar);
  EXPECT_EQ(parsed.root->find("c")->kind, Node::Kind::kNull);
}

TEST(Document, ReportsDuplicateKeysAndKeepsTheFirst) {
  const auto parsed = parse("a: 1\nb: 2\na: 3\n");
  EXPECT_EQ(parsed.first(), "f:3:1: duplicate key 'a'; the first one is on line 1");
  EXPECT_EQ(parsed.root->find("a")->text, "1");
}

TEST(Document, ReportsSyntaxWithItsPlace) {
  EXPECT_EQ(parse("a: [1,\nb: }\n").first().substr(0, 4), "f:2:");
  EXPECT_EQ(parse("a: \"x\n").root, nullptr);
  EXPECT_EQ(parse("\tb: 1").root, nullptr);
}

TEST(Document, RefusesNulTagsAndComplexKeys) {
  EXPECT_EQ(parse(std::string("a: 1\nb: \0x\n", 11)).first(), "f:2:4: not valid YAML: a NUL byte");
  EXPECT_EQ(parse("a: !secret x\n").root, nullptr);
  EXPECT_EQ(parse("? [a, b]\n: 1\n").root, nullptr);
}

TEST(Document, RefusesASecondDocument) {
  EXPECT_EQ(parse("a: 1\n---\nb: 2\n").first(), "f:3:1: expected one YAML document, got another");
}

TEST(Document, ResolvesAnchorsAndMergeKeys) {
  const auto parsed = parse("base: &base { x: 1, y: 2 }\nuse: { <<: *base, y: 3 }\nsame: *base\n");
  ASSERT_TRUE(parsed.errors.empty()) << parsed.first();
  EXPECT_EQ(parsed.root->find("use")->find("x")->text, "1");
  EXPECT_EQ(parsed.root->find("use")->find("y")->text, "3");
  EXPECT_EQ(parsed.root->find("same")->find("y")->text, "2");
  EXPECT_EQ(parse("a: &a 1\nb: { <<: *a }\n").root, nullptr);
}

TEST(Document, BoundsWhatAliasesStandFor) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 9; ++j) text += ", " + before;
    text += "]\n";
  }
  const auto parsed = parse(text);
  EXPECT_EQ(parsed.root, nullptr);
  EXPECT_NE(parsed.first().find("more than 2000000 values"), std::string::npos) << parsed.first();
}

TEST(Document, BoundsItsDepth) {
  EXPECT_NE(parse("a: " + std::string(60, '[') + std::string(60, ']')).root, nullptr);
  const auto deep = parse("a: " + std::string(70, '[') + std::string(70, ']'));
  EXPECT_EQ(deep.root, nullptr);
  EXPECT_NE(deep.first().find("more than 64 levels"), std::string::npos) << deep.first();
  EXPECT_EQ(parse(std::string(100'000, '[')).root, nullptr);
}

}  // namespace
}  // namespace headgate::config
