// SPDX-License-Identifier: Apache-2.0
#include "proxy/demo/demo_command.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <system_error>

#include "base/log.h"
#include "base/socket.h"
#include "config/load.h"
#include "proxy/demo/demo_origins.h"
#include "proxy/demo/sample_spa.h"
#include "proxy/instance.h"
#include "tls/self_signed.h"

namespace headgate::proxy {
namespace {

namespace fs = std::filesystem;

/// A folder of our own that goes with the process.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "headgate-demo-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), pattern);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void write(const fs::path& file, std::string_view text) {
  fs::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

/// `wanted` when nobody has it, else one of the system's choice.
std::uint16_t free_port(std::uint16_t wanted) {
  const auto address = SocketAddress::ip(*IpAddress::parse("127.0.0.1"), wanted);
  const UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int one = 1;
  ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  return ::bind(probe.get(), address.get(), address.length()) == 0 ? wanted : 0;
}

std::string configuration(const fs::path& folder, const std::vector<std::string>& origins) {
  const std::string at = folder.string();
  return "listeners:\n"
         "  - address: \"127.0.0.1:" + std::to_string(free_port(8080)) + "\"\n"
         "  - { address: \"127.0.0.1:" + std::to_string(free_port(8443)) + "\", tls: true }\n"
         "tls:\n"
         "  certificates: [{ cert: " + at + "/cert.pem, key: " + at + "/key.pem }]\n"
         "workers: 2\n"
         "shutdown_grace: 2s\n"
         "state_dir: " + at + "/state\n"
         "admin: { listen: \"unix:" + at + "/admin.sock\" }\n"
         "access_log: { format: combined, output: stdout }\n"
         "upstreams:\n"
         "  blue: { servers: [\"" + origins[0] + "\", \"" + origins[1] + "\"] }\n"
         "  green: { servers: [\"" + origins[2] + "\"] }\n"
         "sites:\n"
         "  - routes:\n"
         "      - { path: /healthz, respond: { status: 200, body: ok } }\n"
         "      - { path: /api/*, headers: { X-Pool: green }, proxy: green }\n"
         "      - { path: /api/*, proxy: blue }\n"
         "      - { path: /*, static: { root: " + at + "/www, spa: true } }\n";
}

void lay_out(const fs::path& folder, const std::vector<std::string>& origins) {
  for (const auto& file : kSampleSpa) write(folder / "www" / file.path.substr(1), file.content);
  const auto [cert, key] = tls::make_self_signed({"localhost", "127.0.0.1", "::1"});
  write(folder / "cert.pem", cert);
  write(folder / "key.pem", key);
  write(folder / "headgate.yaml", configuration(folder, origins));
}

void introduce(const Instance& instance, const fs::path& folder) {
  std::string plain;
  std::string secure;
  for (const auto& listener : instance.listeners()) {
    (listener->config.tls ? secure : plain) = std::to_string(listener->local.port());
  }
  const std::string at = folder.string();
  std::cout << "\nheadgate demo: a single-page application and its API, behind headgate, all in this process.\n\n"
            << "  http://127.0.0.1:" << plain << "/\n"
            << "  https://localhost:" << secure << "/   (throw-away certificate: the browser asks)\n\n"
            << "To try in another terminal:\n"
            << "  curl http://127.0.0.1:" << plain << "/api/hello                       # the blue pool, its servers in turn\n"
            << "  curl -H 'X-Pool: green' http://127.0.0.1:" << plain << "/api/hello    # a route for testers of green\n"
            << "  curl -k https://localhost:" << secure << "/some/deep/link             # the application's page\n"
            << "  curl -i http://127.0.0.1:" << plain << "/assets/missing.js            # a missing asset is a 404\n"
            << "  curl -N http://127.0.0.1:" << plain << "/api/events                   # events as they are written\n"
            << "  headgate explain -c " << at << "/headgate.yaml /api/hello\n"
            << "  headgate status --admin unix:" << at << "/admin.sock\n\n"
            << "The configuration is " << at << "/headgate.yaml: edit it, then\n"
            << "  headgate reload --admin unix:" << at << "/admin.sock\n\n"
            << "Ctrl-C ends it and leaves nothing behind. The access log follows.\n\n"
            << std::flush;
}

}  // namespace

int demo_command() {
  try {
    log::configure("warn", log::Format::kText, "stderr");
    block_signals();
    const TemporaryFolder folder;
    const DemoOrigins origins({{"blue", "blue-1"}, {"blue", "blue-2"}, {"green", "green-1"}});
    lay_out(folder.path(), origins.addresses());
    const std::string file = (folder.path() / "headgate.yaml").string();
    auto loaded = config::load_file(file, config::process_environment(), configuration_checks());
    for (const auto& diagnostic : loaded.errors) log::error("{}", config::to_string(diagnostic));
    for (const auto& diagnostic : loaded.not_available) log::error("{}", config::to_string(diagnostic));
    if (!loaded.usable()) return 1;
    Instance instance(file, std::move(loaded.config));
    instance.on_ready([&] { introduce(instance, folder.path()); });
    return instance.run();
  } catch (const std::exception& error) {
    log::error("demo: {}", error.what());
    return 1;
  }
}

}  // namespace headgate::proxy
