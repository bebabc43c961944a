// SPDX-License-Identifier: Apache-2.0
// check, dump, version.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>
#include <system_error>

#include <boost/version.hpp>

#include "auth/users_file.h"
#include "compress/library_versions.h"
#include "config/load.h"
#include "http/library_version.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/config_file.h"
#include "proxy/cli/options.h"
#include "proxy/error_pages.h"
#include "routing/route_table.h"
#include "tls/certificates.h"
#include "tls/library_version.h"

namespace headgate::cli {
namespace {

namespace fs = std::filesystem;

void check_folder(const std::string& path, const char* what, const config::Position& where, config::Loaded& out) {
  std::error_code error;
  const auto state = fs::status(path, error);
  if (fs::is_directory(state)) return;
  const char* why = fs::exists(state) ? " is not a directory" : " does not exist";
  out.errors.push_back({where, std::string(what) + ": " + path + why});
}

void check_roots(config::Loaded& out) {
  for (const config::Site& site : out.config.sites) {
    for (const config::Route& route : site.routes) {
      const auto* found = std::get_if<Rare<config::Static>>(&route.action);
      if (found == nullptr) continue;
      const config::Static& files = **found;
      if (!files.root.empty()) check_folder(files.root, "static.root", files.position, out);
      for (const auto& [name, root] : files.pools) check_folder(root, "static.pools", files.position, out);
    }
  }
}

void check_readable(const std::string& path, const std::string& what, const config::Position& where,
                    config::Loaded& out) {
  if (path.empty()) return;
  if (!std::ifstream(path)) out.errors.push_back({where, what + ": " + path + " cannot be read"});
}

/// Each file once, with all of its lines that are wrong.
void check_users(config::Loaded& out) {
  std::set<std::string> seen;
  const auto check_one = [&](const config::BasicAuth& auth) {
    if (auth.empty() || !seen.insert(auth.users_file).second) return;
    for (const auto& problem : auth::UsersReading::of_file(auth.users_file).problems) {
      if (problem.line == 0) {
        out.errors.push_back({auth.position, "basic_auth.users_file: " + auth.users_file + " " + problem.what});
      } else {
        out.errors.push_back({{auth.users_file, problem.line, 1}, problem.what});
      }
    }
  };
  for (const config::Site& site : out.config.sites) {
    if (site.basic_auth) check_one(*site.basic_auth);
    for (const config::Route& route : site.routes) {
      if (route.basic_auth) check_one(*route.basic_auth);
    }
  }
}

void check_error_pages(config::Loaded& out) {
  const auto& sites = out.config.sites;
  if (std::all_of(sites.begin(), sites.end(), [](const auto& site) { return site.error_pages.empty(); })) return;
  const routing::RouteTable routes(out.config);
  auto lost = proxy::lost_error_pages(out.config, routes);
  std::move(lost.begin(), lost.end(), std::back_inserter(out.errors));
}

void check_files(config::Loaded& out) {
  check_roots(out);
  check_users(out);
  check_error_pages(out);
  check_readable(out.config.admin.token_file, "admin.token_file", out.config.admin.position, out);
  for (const config::Upstream& upstream : out.config.upstreams) {
    const std::string at = "upstreams." + upstream.name + ".tls.";
    check_readable(upstream.tls.ca, at + "ca", upstream.position, out);
    check_readable(upstream.tls.cert, at + "cert", upstream.position, out);
    check_readable(upstream.tls.key, at + "key", upstream.position, out);
  }
  auto findings = tls::check_certificates(out.config.tls);
  std::move(findings.errors.begin(), findings.errors.end(), std::back_inserter(out.errors));
  std::move(findings.warnings.begin(), findings.warnings.end(), std::back_inserter(out.warnings));
}

std::string counted(std::size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

int check(const Options& options) {
  const auto file = find_config_file(options.file);
  if (!file) {
    std::cerr << no_config_file() << '\n';
    return kFailed;
  }
  auto loaded = load(*file);
  // With mistakes in it the file does not say reliably which other files it means.
  if (loaded.errors.empty()) check_files(loaded);
  config::sort_by_place(loaded);
  print_problems(loaded);
  print_warnings(loaded);
  if (!loaded.usable()) return kFailed;
  std::size_t routes = 0;
  for (const config::Site& site : loaded.config.sites) routes += site.routes.size();
  std::cout << "OK: " << *file << ": " << counted(loaded.config.sites.size(), "site") << ", "
            << counted(routes, "route") << ", " << counted(loaded.config.upstreams.size(), "upstream") << '\n';
  return kDone;
}

int dump(const Options& options) {
  const auto loaded = load_or_complain(options.file);
  if (!loaded) return kFailed;
  std::cout << config::dump(loaded->config);
  return kDone;
}

// Of the build; it may have been made without.
#ifdef HEADGATE_LLHTTP_VERSION
constexpr const char* kLlhttp = HEADGATE_LLHTTP_VERSION;
#else
constexpr const char* kLlhttp = "absent";
#endif

int version() {
  std::cout << "headgate " << program_version() << '\n'
            << tls::library_version() << '\n'
            << compress::library_versions() << '\n'
            << "nghttp2 " << http::http2_version() << '\n'
            << "llhttp " << kLlhttp << " (not linked: what the tests compare headgate's own parser with)\n"
            << "Boost " << BOOST_VERSION / 100'000 << '.' << BOOST_VERSION / 100 % 1000 << '.' << BOOST_VERSION % 100
            << '\n';
  return kDone;
}

}  // namespace headgate::cli
