// SPDX-License-Identifier: Apache-2.0
#include "config/load.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace headgate::config {
namespace {

std::string all(const std::vector<Diagnostic>& diagnostics) {
  std::string out;
  for (const Diagnostic& each : diagnostics) out += to_string(each) + "\n";
  return out;
}

Loaded load(const std::string& text, const Checks& checks = {}) {
  return load_text(text, "/dir/f.yaml", {}, checks);
}

const Route& route(const Loaded& loaded, std::size_t index) {
  return loaded.config.sites.at(0).routes.at(index);
}

TEST(Load, AnEmptyFileHasADefaultListenerAndAdminSocket) {
  const Loaded loaded = load("");
  EXPECT_TRUE(loaded.usable());
  ASSERT_EQ(loaded.config.listeners.size(), 1u);
  EXPECT_EQ(loaded.config.listeners[0].address.text, ":8080");
  EXPECT_FALSE(loaded.config.listeners[0].tls);
  EXPECT_EQ(loaded.config.admin.listen.path, "/run/headgate/admin.sock");
  EXPECT_FALSE(loaded.config.admin.configured);
  EXPECT_EQ(loaded.config.files, std::vector<std::string>{"/dir/f.yaml"});
  EXPECT_EQ(all(loaded.warnings), "/dir/f.yaml: no site is defined: every request is answered with 404\n");
}

TEST(Load, TheSameUrlIsTheSameUpstreamAndNamedOnesComeFirst) {
  const Loaded loaded = load(
      "sites: [ { routes: [ { path: /a, proxy: 'http://Host:80' }, { path: /b, proxy: 'http://host' }, { path: /c, "
      "proxy: named } ] } ]\n"
      "upstreams: { named: { servers: '127.0.0.1:1' } }\n");
  ASSERT_TRUE(loaded.usable()) << all(loaded.errors);
  ASSERT_EQ(loaded.config.upstreams.size(), 2u);
  EXPECT_EQ(loaded.config.upstreams[0].name, "named");
  EXPECT_EQ(loaded.config.upstreams[0].pools[0].name, "default");
  EXPECT_EQ(loaded.config.upstreams[1].name, "http://host:80");
  EXPECT_EQ(std::get<Proxy>(route(loaded, 0).action).upstream, "http://host:80");
  EXPECT_EQ(std::get<Proxy>(route(loaded, 1).action).upstream, "http://host:80");
  EXPECT_EQ(loaded.config.upstreams[1].pools[0].servers[0].address.port, 80);
}

TEST(Load, RelativePathsBeginAtTheFilesFolder) {
  const Loaded loaded = load(
      "state_dir: state\nsites: [ { routes: [ { path: /, static: { root: ./dist/, also: [../old] } } ] } ]\n"
      "access_log: { output: access.log }\nlog: { output: stdout }\n");
  ASSERT_TRUE(loaded.usable()) << all(loaded.errors);
  EXPECT_EQ(loaded.config.state_dir, "/dir/state");
  EXPECT_EQ(std::get<Rare<Static>>(route(loaded, 0).action)->root, "/dir/dist");
  EXPECT_EQ(std::get<Rare<Static>>(route(loaded, 0).action)->also, std::vector<std::string>{"/old"});
  EXPECT_EQ(loaded.config.access_log.output, "/dir/access.log");
  EXPECT_EQ(loaded.config.log.output, "stdout");
}

TEST(Load, RelativeSocketsBeginAtTheFilesFolder) {
  const Loaded loaded = load(
      "admin: { listen: 'unix:./admin.sock' }\nsites: [ { routes: [ { path: /, proxy: 'unix:app.sock' } ] } ]\n"
      "upstreams: { a: { servers: 'unix:a.sock' } }\n");
  ASSERT_TRUE(loaded.usable()) << all(loaded.errors);
  EXPECT_EQ(loaded.config.admin.listen.path, "/dir/admin.sock");
  EXPECT_EQ(loaded.config.upstreams[0].pools[0].servers[0].address.text, "unix:/dir/a.sock");
  EXPECT_EQ(loaded.config.upstreams[1].name, "unix:/dir/app.sock");
  EXPECT_EQ(loaded.config.upstreams[1].pools[0].servers[0].address.path, "/dir/app.sock");
  const Loaded longer = load("admin: { listen: 'unix:" + std::string(105, 'x') + "' }");
  ASSERT_EQ(longer.errors.size(), 1u);
  EXPECT_NE(longer.errors[0].message.find("expected a shorter path for a socket"), std::string::npos);
}

TEST(Load, ASingleValueIsAListOfOne) {
  const Loaded loaded = load("sites: { hosts: A.example, routes: { path: /a*, methods: GET, respond: {} } }");
  EXPECT_EQ(all(loaded.errors), "/dir/f.yaml:1:8: sites: expected a list of mappings, got a mapping\n");
  const Loaded scalars = load("sites: [ { hosts: A.example, routes: [ { path: /a*, methods: GET, respond: {} } ] } ]");
  ASSERT_TRUE(scalars.usable()) << all(scalars.errors);
  EXPECT_EQ(scalars.config.sites[0].hosts, std::vector<std::string>{"a.example"});
  EXPECT_EQ(route(scalars, 0).conditions->methods, std::vector<std::string>{"GET"});
  EXPECT_EQ(route(scalars, 0).name(), "/a*");
}

TEST(Load, ErrorsStandInTheOrderOfTheFile) {
  const Loaded loaded =
      load("workers: x\nsites: [ { routes: [ { path: /, proxy: nobody } ] } ]\nlimits: { max_body: x }\n");
  ASSERT_EQ(loaded.errors.size(), 3u);
  EXPECT_EQ(loaded.errors[0].where.line, 1);
  EXPECT_EQ(loaded.errors[1].where.line, 2);
  EXPECT_EQ(loaded.errors[1].message, "sites[0].routes[0].proxy: unknown upstream 'nobody'; none is defined");
  EXPECT_EQ(loaded.errors[2].where.line, 3);
}

TEST(Load, TemplatesAndRegexesAreCheckedWhereTheyStand) {
  const Checks checks{[](std::string_view text) -> std::optional<std::string> {
                        if (text.find("$bad") == std::string_view::npos) return std::nullopt;
                        return "unknown variable $bad";
                      },
                      [](std::string_view text) -> std::optional<std::string> {
                        if (text != "(") return std::nullopt;
                        return "missing closing parenthesis";
                      }};
  const Loaded loaded = load(
      "sites:\n  - response_headers: { set: { X-A: $bad } }\n    routes:\n      - path_regex: (\n        redirect: { "
      "to: /$bad }\n"
      "      - { path: /, rewrite: { regex: (, to: $bad }, static: { root: $bad, try_files: [$bad] } }\n",
      checks);
  EXPECT_EQ(all(loaded.errors),
            "/dir/f.yaml:2:37: sites[0].response_headers.set.X-A: unknown variable $bad\n"
            "/dir/f.yaml:4:21: sites[0].routes[0].path_regex: missing closing parenthesis\n"
            "/dir/f.yaml:5:25: sites[0].routes[0].redirect.to: unknown variable $bad\n"
            "/dir/f.yaml:6:38: sites[0].routes[1].rewrite.regex: missing closing parenthesis\n"
            "/dir/f.yaml:6:45: sites[0].routes[1].rewrite.to: unknown variable $bad\n"
            "/dir/f.yaml:6:87: sites[0].routes[1].static.try_files[0]: unknown variable $bad\n");
}

TEST(Load, ControlCharactersStandOnlyInBodies) {
  const Loaded loaded =
      load("sites: [ { routes: [ { path: /, respond: { body: \"a\\nb\", headers: { X-A: \"a\\r\\nX-B: c\" } } } ] } ]");
  EXPECT_EQ(all(loaded.errors),
            "/dir/f.yaml:1:74: sites[0].routes[0].respond.headers.X-A: expected a text without control characters\n");
}

TEST(Load, AFileThatIsTooLargeIsRefused) {
  const Loaded loaded = load(std::string(16 * kMiB + 1, ' '));
  EXPECT_EQ(all(loaded.errors), "/dir/f.yaml: expected a file of at most 16MiB\n");
}

TEST(Load, AMissingFileIsAnError) {
  const Loaded loaded = load_file("/does/not/exist.yaml", {});
  EXPECT_EQ(all(loaded.errors), "/does/not/exist.yaml: cannot be read: No such file or directory\n");
  EXPECT_EQ(all(load_file("/", {}).errors), "/: cannot be read: it is a directory\n");
}

TEST(Load, DuplicateListenersOnPortZeroAreTwoPorts) {
  EXPECT_TRUE(load("listeners: [ { address: '127.0.0.1:0' }, { address: '127.0.0.1:0' } ]").errors.empty());
  EXPECT_FALSE(load("listeners: [ { address: '127.0.0.1:1' }, { address: '127.0.0.1:1' } ]").errors.empty());
}

TEST(Load, SitesMayShareAHostOnDifferentListeners) {
  const std::string listeners = "listeners: [ { address: ':1' }, { address: ':2' } ]\n";
  EXPECT_TRUE(load(listeners + "sites: [ { listeners: ':1' }, { listeners: ':2' } ]").errors.empty());
  EXPECT_FALSE(load(listeners + "sites: [ { listeners: ':1' }, { listeners: [':1', ':2'] } ]").errors.empty());
  // The site that names its listeners is asked first, so this one takes the rest.
  EXPECT_TRUE(load(listeners + "sites: [ { listeners: ':1' }, { } ]").errors.empty());
  EXPECT_FALSE(load(listeners + "sites: [ { }, { } ]").errors.empty());
}

TEST(Load, AnAdminAddressThatIsNotLoopbackNeedsAToken) {
  for (const char* listen : {"127.0.0.1:1", "127.9.9.9:1", "'[::1]:1'", "unix:/run/a.sock"}) {
    EXPECT_TRUE(load("admin: { listen: " + std::string(listen) + " }").errors.empty()) << listen;
  }
  for (const char* listen : {"0.0.0.0:1", "':1'", "'[::]:1'", "192.0.2.1:1"}) {
    EXPECT_FALSE(load("admin: { listen: " + std::string(listen) + " }").errors.empty()) << listen;
    EXPECT_TRUE(load("admin: { listen: " + std::string(listen) + ", token_file: /t }").errors.empty()) << listen;
  }
}

TEST(Load, RegexesKeepTheirDollarSigns) {
  const Loaded loaded = load("sites: [ { routes: [ { path_regex: '^/(a|b)$', respond: {} } ] } ]");
  ASSERT_TRUE(loaded.usable()) << all(loaded.errors);
  EXPECT_EQ(route(loaded, 0).path_regex, "^/(a|b)$");
  EXPECT_EQ(route(loaded, 0).name(), "^/(a|b)$");
}

TEST(Load, TheEnvironmentReachesEveryKindOfValue) {
  const Environment environment = [](std::string_view name) -> std::optional<std::string> {
    if (name == "N") return "3";
    if (name == "ON") return "true";
    if (name == "WORD") return "json";
    return std::nullopt;
  };
  const Loaded loaded = load_text(
      "workers: ${N}\nlog: { format: \"${WORD}\" }\nlimits: { header_timeout: \"${N}s\" }\n"
      "tls: { strict_sni: \"${ON}\" }\n",
      "f", environment);
  ASSERT_TRUE(loaded.usable()) << all(loaded.errors);
  EXPECT_EQ(loaded.config.workers, 3u);
  EXPECT_EQ(loaded.config.log.format, Log::Format::kJson);
  EXPECT_EQ(loaded.config.limits.header_timeout, 3s);
  EXPECT_TRUE(loaded.config.tls.strict_sni);
}

TEST(Load, AvailabilitySeesTheEnvironment) {
  EXPECT_TRUE(load("tls: { ocsp_stapling: \"${X:-false}\" }").usable());
  const Loaded loaded = load("tls: { ocsp_stapling: \"${X:-true}\" }");
  EXPECT_EQ(all(loaded.not_available), "/dir/f.yaml:1:8: not available yet: tls.ocsp_stapling\n");
  EXPECT_TRUE(loaded.errors.empty());
  EXPECT_FALSE(loaded.usable());
}

TEST(Include, FilesAreReadInTheOrderOfTheirNamesAndOnce) {
  const auto folder = std::filesystem::path(testing::TempDir()) / ("headgate_include_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder / "d");
  std::ofstream(folder / "d/b.yaml") << "sites: [ { hosts: b.example } ]";
  std::ofstream(folder / "d/a.yaml") << "sites: [ { hosts: a.example } ]";
  std::ofstream(folder / "main.yaml")
      << "include: [ d/*.yaml, d/a.yaml, '*.yaml' ]\nsites: [ { hosts: main.example } ]";
  const Loaded loaded = load_file((folder / "main.yaml").string(), {});
  ASSERT_TRUE(loaded.usable()) << all(loaded.errors);
  ASSERT_EQ(loaded.config.sites.size(), 3u);
  EXPECT_EQ(loaded.config.sites[0].hosts[0], "main.example");
  EXPECT_EQ(loaded.config.sites[1].hosts[0], "a.example");
  EXPECT_EQ(loaded.config.sites[2].hosts[0], "b.example");
  EXPECT_EQ(loaded.config.files.size(), 3u);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace headgate::config
