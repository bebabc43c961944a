// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/admin_target.h"

#include <cstdlib>
#include <fstream>
#include <iostream>

#include <nlohmann/json.hpp>

#include "config/units.h"
#include "http/fields.h"
#include "proxy/cli/config_file.h"
#include "proxy/cli/status_table.h"

namespace headgate::cli {
namespace {

constexpr std::size_t kLongestToken = 4096;

std::string first_line(const std::string& path) {
  std::ifstream stream(path);
  std::string line;
  char c = 0;
  while (line.size() < kLongestToken && stream.get(c) && c != '\n' && c != '\r') line += c;
  return std::string(http::trim(line));
}

bool is_unreserved(char c) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return letter || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

}  // namespace

std::optional<AdminTarget> find_target(const Options& options) {
  AdminTarget target;
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

void complain(const AdminTarget& target, const config::ParseError& error) {
  if (target.doubtful) print_problems(*target.doubtful);
  std::cerr << "headgate: " << error.message << '\n';
}

void complain(const AdminTarget& target, const AdminReply& reply) {
  using nlohmann::json;
  const json answer = json::parse(reply.body, nullptr, false);
  const json error = answer.is_object() ? answer.value("error", json::object()) : json::object();
  const auto message = error.is_object() ? error.find("message") : error.end();
  if (error.is_object() && message != error.end() && message->is_string()) {
    std::cerr << message->get<std::string>() << '\n';
  } else {
    std::cerr << "headgate: " << target.address.text << " answered with status " << reply.status << '\n';
  }
}

std::optional<std::string> call(const AdminTarget& target, const char* method, std::string path,
                                std::chrono::milliseconds timeout, std::string body) {
  const auto reply = call_admin(target.address, {method, std::move(path), target.token, timeout, {}, std::move(body)});
  if (!reply) {
    complain(target, reply.error());
    return std::nullopt;
  }
  if (reply->status >= 200 && reply->status < 300) return reply->body;
  complain(target, *reply);
  return std::nullopt;
}

void warn_of(const nlohmann::json& answer) {
  const auto found = answer.find("warning");
  if (found == answer.end() || !found->is_string()) return;
  std::cerr << "warning: " << printable(found->get<std::string>()) << '\n';
}

std::string path_segment(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (is_unreserved(c)) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

}  // namespace headgate::cli
