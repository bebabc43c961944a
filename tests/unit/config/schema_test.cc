// SPDX-License-Identifier: Apache-2.0
// The tables against the reader and against the manual.
#include "config/schema.h"

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "config/document.h"
#include "config/load.h"

namespace headgate::config {
namespace {

std::string read(const std::string& path) {
  std::ifstream stream(path);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

// To print the manual again: HEADGATE_UPDATE_GOLDEN=1 config_test --gtest_filter='Schema.*'
TEST(Schema, TheManualIsWhatTheTablesSay) {
  const std::string path = std::string(HEADGATE_SOURCE_DIR) + "/docs/configuration.md";
  if (std::getenv("HEADGATE_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << schema_markdown();
  EXPECT_EQ(read(path), schema_markdown());
}

// A file around one section; "@" is where its keys go.
const std::map<std::string_view, std::string>& surroundings() {
  static const std::string kSite = "sites: [ { routes: [ { path: /, ";
  static const std::map<std::string_view, std::string> kTexts = {
      {"", "@"},
      {"log", "log: { @ }"},
      {"access_log", "access_log: { @ }"},
      {"admin", "admin: { @ }"},
      {"metrics", "metrics: { @ }"},
      {"dns", "dns: { @ }"},
      {"redis", "redis: { url: redis://127.0.0.1:6379, @ }"},
      {"listeners.*", "listeners: [ { address: ':1', @ } ]"},
      {"tls", "tls: { @ }"},
      {"tls.certificates.*", "tls: { certificates: [ { cert: /c, key: /k, @ } ] }"},
      {"limits", "limits: { @ }"},
      {"upstreams.*", "upstreams: { a: { servers: [ '127.0.0.1:1' ], @ } }"},
      {"upstreams.*.pools.*", "upstreams: { a: { pools: { p: { servers: [ '127.0.0.1:1' ], @ } } } }"},
      {"upstreams.*.pools.*.servers.*", "upstreams: { a: { servers: [ { address: '127.0.0.1:1', @ } ] } }"},
      {"upstreams.*.split_override", "upstreams: { a: { servers: [ '127.0.0.1:1' ], split_override: { @ } } }"},
      {"upstreams.*.sticky", "upstreams: { a: { servers: [ '127.0.0.1:1' ], sticky: { cookie: c, @ } } }"},
      {"upstreams.*.health", "upstreams: { a: { servers: [ '127.0.0.1:1' ], health: { @ } } }"},
      {"upstreams.*.ejection", "upstreams: { a: { servers: [ '127.0.0.1:1' ], ejection: { @ } } }"},
      {"upstreams.*.retry", "upstreams: { a: { servers: [ '127.0.0.1:1' ], retry: { @ } } }"},
      {"upstreams.*.timeouts", "upstreams: { a: { servers: [ '127.0.0.1:1' ], timeouts: { @ } } }"},
      {"upstreams.*.keepalive", "upstreams: { a: { servers: [ '127.0.0.1:1' ], keepalive: { @ } } }"},
      {"upstreams.*.tls", "upstreams: { a: { servers: [ '127.0.0.1:1' ], tls: { @ } } }"},
      {"upstreams.*.rollout", "upstreams: { a: { servers: [ '127.0.0.1:1' ], rollout: { @ } } }"},
      {"upstreams.*.rollout.abort_on",
       "upstreams: { a: { servers: [ '127.0.0.1:1' ], rollout: { abort_on: { @ } } } }"},
      {"rate_limits.*", "rate_limits: { l: { key: $uri, rate: 1/s, @ } }"},
      {"sites.*", "sites: [ { @ } ]"},
      {"sites.*.response_headers", "sites: [ { response_headers: { @ } } ]"},
      {"sites.*.compress", "sites: [ { compress: { @ } } ]"},
      {"sites.*.compress.level", "sites: [ { compress: { level: { @ } } } ]"},
      {"sites.*.routes.*", kSite + "proxy: http://127.0.0.1:1, @ } ] } ]"},
      {"sites.*.routes.*.rewrite", kSite + "rewrite: { regex: a, to: b, @ } } ] } ]"},
      {"sites.*.routes.*.redirect", kSite + "redirect: { to: b, @ } } ] } ]"},
      {"sites.*.routes.*.respond", kSite + "respond: { @ } } ] } ]"},
      {"sites.*.routes.*.static", kSite + "static: { pools: { p: /r }, @ } } ] } ]"},
      {"sites.*.routes.*.timeouts", kSite + "proxy: http://127.0.0.1:1, timeouts: { @ } } ] } ]"},
      {"sites.*.routes.*.cors", kSite + "respond: {}, cors: { origins: '*', @ } } ] } ]"},
      {"sites.*.routes.*.access", kSite + "respond: {}, access: { @ } } ] } ]"},
      {"sites.*.routes.*.basic_auth", kSite + "respond: {}, basic_auth: { @ } } ] } ]"},
      {"sites.*.routes.*.forward_auth", "upstreams: { a: { servers: [ '127.0.0.1:1' ] } }\n" + kSite +
                                            "respond: {}, forward_auth: { upstream: a, @ } } ] } ]"},
      {"sites.*.maintenance", "sites: [ { maintenance: { @ } } ]"},
      {"sites.*.routes.*.mirror", kSite + "proxy: http://127.0.0.1:1, mirror: { @ } } ] } ]"}};
  return kTexts;
}

Loaded load_with(const std::string& around, const std::string& keys) {
  std::string text = around;
  text.replace(text.find('@'), 1, keys);
  return load_text(text, "/dir/f.yaml", {});
}

TEST(Schema, DefaultsAreThoseOfTheProgram) {
  for (const Schema* schema : all_schemas()) {
    const auto around = surroundings().find(schema->path);
    ASSERT_NE(around, surroundings().end()) << schema->path;
    const Loaded without = load_with(around->second, "");
    ASSERT_TRUE(without.errors.empty()) << schema->path << ": " << to_string(without.errors[0]);
    for (const Key& key : schema->keys) {
      if (key.fallback.empty()) continue;
      const Loaded with = load_with(around->second, std::string(key.name) + ": " + std::string(key.fallback));
      ASSERT_TRUE(with.errors.empty()) << to_string(with.errors[0]);
      EXPECT_EQ(dump(with.config), dump(without.config)) << schema->path << "." << key.name;
    }
  }
}

TEST(Schema, EveryKeyRefusesAValueThatNoKeyTakes) {
  for (const Schema* schema : all_schemas()) {
    for (const Key& key : schema->keys) {
      const Loaded loaded = load_with(surroundings().at(schema->path), std::string(key.name) + ": [ [ \"\\x01\" ] ]");
      EXPECT_FALSE(loaded.errors.empty()) << schema->path << "." << key.name << " takes anything";
    }
  }
}

const Node* only_child(const Node& node) {
  if (!node.items.empty()) return node.items[0].get();
  return node.entries.empty() ? nullptr : node.entries[0].value.get();
}

// Whether some branch of the pattern leads to the key.
bool has(const Node& node, std::string_view path) {
  const auto dot = path.find('.');
  const std::string_view step = path.substr(0, dot);
  const bool last = dot == std::string_view::npos;
  const std::string_view rest = last ? std::string_view() : path.substr(dot + 1);
  const auto follow = [&](const Node& child) { return last || has(child, rest); };
  if (step != "*") return node.find(step) != nullptr && follow(*node.find(step));
  for (const NodePtr& item : node.items) {
    if (follow(*item)) return true;
  }
  for (const Node::Entry& entry : node.entries) {
    if (follow(*entry.value)) return true;
  }
  return false;
}

TEST(Schema, TheGoldenFilesHoldEveryKey) {
  std::vector<Diagnostic> errors;
  const std::string name = std::string(HEADGATE_SOURCE_DIR) + "/tests/golden/config/every_key.yaml";
  const NodePtr root = parse_document(read(name), name, errors);
  ASSERT_NE(root, nullptr);
  ASSERT_NE(only_child(*root), nullptr);
  for (const Schema* schema : all_schemas()) {
    for (const Key& key : schema->keys) {
      const std::string path = (schema->path.empty() ? "" : std::string(schema->path) + ".") + std::string(key.name);
      EXPECT_TRUE(has(*root, path)) << path;
    }
  }
}

}  // namespace
}  // namespace headgate::config
