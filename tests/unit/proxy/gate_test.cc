// SPDX-License-Identifier: Apache-2.0
// Which gate a route has, and what it costs those that have none.
#include "proxy/gate.h"

#include <fstream>

#include <gtest/gtest.h>

#include "tests/unit/proxy/edge.h"

namespace headgate::proxy {
namespace {

class GateFile {
 public:
  GateFile() { std::ofstream(path()) << "alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"; }
  std::string path() const { return folder_ / "users"; }

 private:
  TemporaryFolder folder_;
};

const Gate* gate_at(const Generation& generation, std::size_t site, std::size_t route) {
  const auto& compiled = generation.sites[site];
  return compiled.routes[route].gated ? compiled.gates[route] : nullptr;
}

TEST(Gate, ARoutesKeyStandsInPlaceOfItsSites) {
  const GateFile users;
  const Generation generation(
      1,
      read_config("upstreams: { auth: { servers: [\"127.0.0.1:1\"] } }\n"
                  "sites:\n"
                  "  - hosts: [a.example]\n"
                  "    access: { allow: [10.0.0.0/8] }\n"
                  "    basic_auth: { users_file: " +
                  users.path() +
                  " }\n"
                  "    routes:\n"
                  "      - { path: /same, respond: {} }\n"
                  "      - { path: /also, respond: {} }\n"
                  "      - { path: /own, respond: {}, access: { deny: [10.0.0.0/8] } }\n"
                  "      - { path: /password, respond: {}, access: {} }\n"
                  "      - { path: /free, respond: {}, access: off, basic_auth: off }\n"
                  "      - { path: /service, respond: {}, basic_auth: off, forward_auth: { upstream: auth } }\n"
                  "  - hosts: [b.example]\n"
                  "    routes: [{ path: /*, respond: {} }]\n"),
      monitor(), traffic());
  const Gate* const site = generation.sites[0].gate;
  ASSERT_NE(site, nullptr);
  EXPECT_TRUE(site->access && site->basic_auth && !site->forward_auth);
  EXPECT_EQ(gate_at(generation, 0, 0), site) << "routes that set nothing share their site's";
  EXPECT_EQ(gate_at(generation, 0, 1), site);
  const Gate* const own = gate_at(generation, 0, 2);
  ASSERT_NE(own, nullptr);
  EXPECT_NE(own->access, site->access);
  EXPECT_EQ(own->basic_auth, site->basic_auth);
  EXPECT_TRUE(own->access->admits(*IpAddress::parse("192.0.2.1"))) << "nothing is merged";
  EXPECT_FALSE(own->access->admits(*IpAddress::parse("10.0.0.1")));
  const Gate* const password = gate_at(generation, 0, 3);
  EXPECT_TRUE(!password->access && password->basic_auth);
  EXPECT_EQ(gate_at(generation, 0, 4), nullptr);
  const Gate* const service = gate_at(generation, 0, 5);
  EXPECT_TRUE(service->access && !service->basic_auth && service->forward_auth);
  EXPECT_EQ(generation.gates.users_files.size(), 1u) << "a file is read once";
  EXPECT_EQ(generation.sites[1].gate, nullptr);
  EXPECT_TRUE(generation.sites[1].gates.empty());
}

TEST(Gate, AUsersFileThatCannotBeUsedStopsTheGenerationWithItsPlace) {
  const auto config = read_config(
      "sites:\n  - routes:\n      - { path: /, respond: {}, basic_auth: { users_file: /nowhere/users } }\n");
  try {
    const Generation generation(1, config, monitor(), traffic());
    FAIL() << "it was taken";
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(std::string(error.what()),
              "test.yaml:3:59: users_file: /nowhere/users cannot be read: No such file or directory");
  }
}

TEST(Gate, TheServicesHostIsThatOfTheUrl) {
  const auto config = read_config(
      "upstreams: { auth: { servers: [\"127.0.0.1:1\"] } }\n"
      "sites:\n  - routes:\n"
      "      - { path: /a, respond: {}, forward_auth: { url: \"http://auth.example/v?a=b\" } }\n"
      "      - { path: /b, respond: {}, forward_auth: { url: \"https://auth.example:8443\" } }\n"
      "      - { path: /c, respond: {}, forward_auth: { upstream: auth, path: /v } }\n");
  const auto rule = [&](std::size_t route) {
    return ForwardAuthRule(config, *config.sites[0].routes[route].forward_auth);
  };
  EXPECT_EQ(rule(0).authority, "auth.example");
  EXPECT_EQ(rule(0).target, "/v?a=b");
  EXPECT_EQ(rule(1).authority, "auth.example:8443");
  EXPECT_EQ(rule(1).target, "/");
  EXPECT_EQ(rule(2).authority, "");
  EXPECT_EQ(rule(2).upstream, 0u);
  auto nobody = *config.sites[0].routes[2].forward_auth;
  nobody.upstream = "nobody";
  EXPECT_THROW(ForwardAuthRule(config, nobody), std::invalid_argument);
}

}  // namespace
}  // namespace headgate::proxy
