// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/explain_static.h"

#include <filesystem>

#include "base/time.h"
#include "config/units.h"
#include "http/message.h"
#include "proxy/cli/explain_action.h"
#include "proxy/handlers/answers.h"
#include "proxy/handlers/file_cache.h"
#include "proxy/handlers/static_files.h"

namespace headgate::cli {
namespace {

namespace fs = std::filesystem;

std::string state_of(const fs::path& path) {
  std::error_code ignored;
  const auto state = fs::status(path, ignored);
  if (fs::is_regular_file(state)) return "a file";
  if (fs::is_directory(state)) return "a directory";
  return fs::exists(state) ? "neither file nor directory" : "does not exist";
}

/// What is looked for below the root, one after another.
std::vector<std::string> candidates(const config::Static& files, const std::string& path, const Question& question) {
  std::vector<std::string> out;
  std::vector<std::string> wanted = files.try_files;
  if (files.spa) wanted = {"$uri", "/index.html"};
  for (const std::string& each : wanted) out.push_back(question.expand(each.substr(0, each.find('?'))));
  if (!wanted.empty()) return out;
  out.push_back(path);
  for (const std::string& index : files.index) out.push_back(path + (path.ends_with('/') ? "" : "/") + index);
  return out;
}

/// For a client of the pool of this number, where there are some.
void print_outcome(const config::Static& files, const Question& question, std::size_t pool, std::string_view name) {
  const proxy::StaticFiles handler(files);
  proxy::FileCache cache;
  const auto plan = handler.plan({http::method_of(question.method), question.path, question.sent_path, question.query,
                                  question.fields, question, Clock::now(), pool},
                                 cache);
  using Kind = proxy::StaticPlan::Kind;
  switch (plan.kind) {
    case Kind::kFile:
      print_line(name, std::to_string(plan.status) + ", the file " + plan.file->path +
                           (plan.lender ? " of pool " + files.pools[*plan.lender].first : std::string()) + ", " +
                           std::string(plan.file->content_type));
      if (!plan.cache_control.empty()) print_line("", "Cache-Control: " + std::string(plan.cache_control));
      break;
    case Kind::kPage:
      print_line(name, "200, a listing of the directory");
      break;
    case Kind::kRedirect:
      print_line(name, std::to_string(plan.status) + " to " + plan.text);
      break;
    case Kind::kOptions:
      print_line(name, "204 with Allow");
      break;
    case Kind::kRefusal:
      print_line(name, std::to_string(plan.status) + (plan.reason == nullptr ? "" : std::string(", ") + plan.reason));
      break;
  }
}

/// What each pool would get, where it lies, and how a client comes to one.
void print_pools(const config::Static& files) {
  double sum = 0;
  for (const auto& [name, weight] : files.split) sum += weight;
  for (const auto& [pool, folder] : files.pools) {
    std::string text = "pool " + pool + ": " + folder + " (" + state_of(folder) + ")";
    for (const auto& [name, weight] : files.split) {
      if (name == pool) text += ", " + config::percent_text(weight / sum) + " of new requests";
    }
    if (files.split.empty() && &pool == &files.pools.front().first) text += ", all requests";
    print_line("", text);
  }
  const bool own_cookie = files.split_key.empty();
  print_line("split", files.split_by != config::SplitBy::kClient ? std::string("each request is drawn anew")
                      : own_cookie ? "by client, known by the cookie " + files.split_cookie
                                   : "by client, known by " + files.split_key);
  if (files.split_override) {
    std::string text = "whoever is allowed may name a pool by";
    if (!files.split_override->header.empty()) text += " the field " + files.split_override->header;
    if (!files.split_override->cookie.empty()) text += " the cookie " + files.split_override->cookie;
    print_line("", text);
  }
  print_line("looks in", std::string("the client's pool; for what a page loads, then in the other pools") +
                             (files.also.empty() ? "" : ", then in also"));
}

void print_outcomes(const config::Static& files, const Question& question) {
  if (files.pools.empty()) return print_outcome(files, question, 0, "answer");
  for (std::size_t pool = 0; pool < files.pools.size(); ++pool) {
    print_line("answer", "for a client of pool " + files.pools[pool].first + ":");
    print_outcome(files, question, pool, "");
  }
}

}  // namespace

void explain_static(const config::Route& route, const config::Static& files, Question& question) {
  if (files.pools.empty()) {
    print_line("action", "static files below " + files.root + " (" + state_of(files.root) + ")");
  } else {
    print_line("action", "static files of the pools " + files.name);
    print_pools(files);
  }
  if (!route.strip_prefix.empty()) print_line("", "strip_prefix " + route.strip_prefix);
  question.path = question.keep(std::string(proxy::strip_prefix(question.path, route.strip_prefix)));
  for (const std::string& candidate : candidates(files, std::string(question.path), question)) {
    if (candidate.starts_with('=')) {
      print_line("tries", "status " + candidate.substr(1));
    } else if (files.pools.empty()) {
      print_line("tries", candidate + ": " + state_of(fs::path(files.root + "/" + candidate)));
    } else {
      print_line("tries", candidate);
    }
  }
  for (const std::string& root : files.also) print_line("also", root + " (" + state_of(root) + ")");
  try {
    print_outcomes(files, question);
  } catch (const std::exception& error) {
    print_line("answer", std::string("none: ") + error.what());
  }
}

}  // namespace headgate::cli
