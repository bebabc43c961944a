// SPDX-License-Identifier: Apache-2.0
// The commands that talk to a running instance: reload and status.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>

#include <nlohmann/json.hpp>

#include "config/units.h"
#include "http/fields.h"
#include "proxy/cli/admin_client.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/config_file.h"
#include "proxy/cli/options.h"

namespace headgate::cli {
namespace {

using nlohmann::json;

// A reload reads certificates and builds everything anew before it answers.
constexpr std::chrono::milliseconds kReloadTimeout{60'000};
constexpr std::chrono::milliseconds kStatusTimeout{10'000};
constexpr std::size_t kLongestToken = 4096;

struct Target {
  config::Address address;
  std::string token;
  std::optional<config::Loaded> doubtful;  ///< a file with mistakes, when the address might have stood in it
};

std::string first_line(const std::string& path) {
  std::ifstream stream(path);
  std::string line;
  char c = 0;
  while (line.size() < kLongestToken && stream.get(c) && c != '\n' && c != '\r') line += c;
  return std::string(http::trim(line));
}

/// Where the instance is: --admin, else what the file in reach says, else the default. A file with mistakes in it is
/// no reason to fail here: `reload` is how one finds out about them.
std::optional<Target> find_target(const Options& options) {
  Target target;
  target.address = *config::parse_listen_address("unix:/run/headgate/admin.sock");
  if (const auto file = find_config_file(options.file)) {
    auto loaded = load(*file);
    const auto& admin = loaded.config.admin;
    if (admin.configured && !admin.listen.text.empty()) target.address = admin.listen;
    if (!admin.token_file.empty()) target.token = first_line(admin.token_file);
    if (!loaded.errors.empty() && options.admin.empty()) target.doubtful = std::move(loaded);
  }
  if (!options.admin.empty()) {
    const auto given = config::parse_server_address(options.admin);
    if (!given) {
      std::cerr << "headgate: --admin: expected unix:/path or HOST:PORT, got '" << options.admin << "'\n";
      return std::nullopt;
    }
    target.address = *given;
  }
  if (const char* token = std::getenv("HEADGATE_ADMIN_TOKEN")) target.token = token;
  if (!http::is_field_value(target.token)) {
    std::cerr << "headgate: the admin token holds characters that a header cannot\n";
    return std::nullopt;
  }
  return target;
}

std::string text_of(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || found == object.end()) return {};
  return found->is_string() ? found->get<std::string>() : found->dump();
}

/// The body of a 2xx answer; nothing after the complaint was printed.
std::optional<std::string> call(const Options& options, const char* method, const char* path,
                                std::chrono::milliseconds timeout, const char* afterword) {
  const auto target = find_target(options);
  if (!target) return std::nullopt;
  const auto reply = call_admin(target->address, {method, path, target->token, timeout});
  if (!reply) {
    if (target->doubtful) print_problems(*target->doubtful);
    std::cerr << "headgate: " << reply.error().message << '\n';
    return std::nullopt;
  }
  if (reply->status >= 200 && reply->status < 300) return reply->body;
  const json answer = json::parse(reply->body, nullptr, false);
  const std::string message = answer.is_object() && answer.contains("error") ? text_of(answer["error"], "message") : "";
  if (message.empty()) {
    std::cerr << "headgate: " << target->address.text << " answered with status " << reply->status << '\n';
  } else {
    std::cerr << message << '\n';
  }
  std::cerr << afterword;
  return std::nullopt;
}

void print_upstream(const json& upstream) {
  std::cout << "upstream " << text_of(upstream, "name") << '\n';
  for (const auto& pool : upstream.value("pools", json::array())) {
    std::cout << "  pool " << text_of(pool, "name") << '\n';
    for (const auto& server : pool.value("servers", json::array())) {
      std::cout << "    " << text_of(server, "address");
      for (const auto& [key, value] : server.items()) {
        if (key != "address")
          std::cout << "  " << key << ' ' << (value.is_string() ? value.get<std::string>() : value.dump());
      }
      std::cout << '\n';
    }
  }
}

void print_status(const json& status) {
  std::cout << "headgate " << text_of(status, "version") << '\n';
  for (const auto& [key, value] : status.items()) {
    if (key != "version" && value.is_primitive()) std::cout << key << ' ' << text_of(status, key.c_str()) << '\n';
  }
  for (const auto& listener : status.value("listeners", json::array())) {
    std::cout << "listener " << text_of(listener, "address") << (listener.value("tls", false) ? " (tls)" : " (plain)")
              << '\n';
  }
  for (const auto& upstream : status.value("upstreams", json::array())) print_upstream(upstream);
}

}  // namespace

int reload(const Options& options) {
  const auto body = call(options, "POST", "/v1/reload", kReloadTimeout, "not applied: the old configuration goes on\n");
  if (!body) return kFailed;
  const json answer = json::parse(*body, nullptr, false);
  if (answer.is_object() && answer.contains("warnings") && answer["warnings"].is_array()) {
    for (const auto& warning : answer["warnings"]) {
      if (warning.is_string()) std::cerr << "warning: " << warning.get<std::string>() << '\n';
    }
  }
  std::cout << "applied";
  if (const std::string generation = text_of(answer, "generation"); !generation.empty()) {
    std::cout << ": generation " << generation;
  }
  std::cout << '\n';
  return kDone;
}

int status(const Options& options) {
  const auto body = call(options, "GET", "/v1/status", kStatusTimeout, "");
  if (!body) return kFailed;
  const json answer = json::parse(*body, nullptr, false);
  if (!answer.is_object()) {
    std::cerr << "headgate: the admin API's answer is not JSON\n";
    return kFailed;
  }
  if (options.json) {
    std::cout << answer.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
  } else {
    print_status(answer);
  }
  return kDone;
}

}  // namespace headgate::cli
