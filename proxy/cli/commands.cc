// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/commands.h"

#include <exception>
#include <iostream>

#include <CLI/CLI.hpp>

#include "proxy/cli/config_file.h"
#include "proxy/cli/options.h"

namespace headgate::cli {
namespace {

constexpr const char* kAbout =
    "headgate: the edge of a web system in one program.\n"
    "FILE is ./headgate.yaml, else /etc/headgate/headgate.yaml, unless -c names another.\n"
    "ADDRESS is unix:/path or HOST:PORT; without --admin it is the one that FILE says.";

void add_file(CLI::App& command, Options& options) {
  command.add_option("-c,--config", options.file, "the configuration file")->type_name("FILE");
}

void add_explain(CLI::App& app, Options& options) {
  auto& command = *app.add_subcommand("explain", "say which site, route and server would get a request, and why");
  add_file(command, options);
  command.add_option("-X,--method", options.method, "the request's method")->type_name("METHOD")->capture_default_str();
  // One value for each -H, or the URL behind the last one would be taken for a header.
  command.add_option("-H,--header", options.headers, "a header field, as in curl; may be repeated")
      ->type_name("'K: V'")
      ->allow_extra_args(false);
  command.add_option("--client", options.client, "the client's address")->type_name("IP")->capture_default_str();
  command.add_option("--listener", options.listener, "the listener's address, as the file writes it")
      ->type_name("ADDRESS");
  command.add_option("url", options.url, "http://host/path, https://host/path, or /path")->required()->type_name("URL");
}

void add_server(CLI::App& command, Options& options) {
  add_file(command, options);
  command.add_option("upstream", options.upstream, "the upstream's name")->required()->type_name("UPSTREAM");
  command.add_option("server", options.server, "its address as the file writes it")->required()->type_name("SERVER");
}

void add_drains(CLI::App& app, Options& options) {
  auto& drain = *app.add_subcommand("drain", "send no new requests to a server, over reloads and restarts");
  add_server(drain, options);
  drain.add_flag("--wait", options.wait, "return when no request is in flight there; tunnels do not count");
  drain.add_option("--timeout", options.wait_timeout, "how long to wait; exit 1 when it was not enough")
      ->type_name("DURATION")
      ->capture_default_str();
  drain.add_flag("--force", options.force, "even when no other server of its pool is left");
  add_server(*app.add_subcommand("undrain", "take a drained server back"), options);
}

void add_upstream(CLI::App& command, Options& options) {
  add_file(command, options);
  command.add_option("upstream", options.upstream, "the upstream's name")->required()->type_name("UPSTREAM");
  command.add_flag("--wait", options.wait,
                   "return when no request is in flight in the pools that were left; tunnels do not count");
  command.add_option("--timeout", options.wait_timeout, "how long to wait; exit 1 when it was not enough")
      ->type_name("DURATION")
      ->capture_default_str();
}

void add_traffic(CLI::App& app, Options& options) {
  auto& split = *app.add_subcommand("split", "set each pool's share of an upstream's requests");
  add_upstream(split, options);
  split.add_option("weights", options.weights, "all pools with relative weights, or some with percents")
      ->type_name("POOL=WEIGHT");
  split.add_flag("--reset", options.reset, "back to the split of the configuration");
  split.add_flag("--force", options.force, "even during a rollout, which is rolled back first");
  auto& switch_command = *app.add_subcommand("switch", "send all new requests of an upstream to one pool");
  add_upstream(switch_command, options);
  switch_command.add_option("pool", options.pool, "the pool's name")->required()->type_name("POOL");
  switch_command.add_flag("--force", options.force, "even when no server of it is well, or during a rollout");
  add_upstream(*app.add_subcommand("rollback", "back to the split before the last change; ends a rollout"), options);
}

void add_rollouts(CLI::App& app, Options& options) {
  auto& rollout = *app.add_subcommand("rollout", "give a new pool a growing share, and take it back when it is worse");
  rollout.require_subcommand(1);
  const auto add = [&](const char* action, const char* about) -> CLI::App& {
    auto& command = *rollout.add_subcommand(action, about);
    add_file(command, options);
    command.add_option("upstream", options.upstream, "the upstream's name")->required()->type_name("UPSTREAM");
    command.add_flag("--json", options.json, "as the admin API gives it");
    return command;
  };
  auto& start = add("start", "begin with the first step");
  start.add_option("pool", options.pool, "the new pool")->required()->type_name("POOL");
  auto& status = add("status", "how it stands, and what it needs to go on");
  for (CLI::App* const command : {&start, &status}) {
    command->add_flag("--follow", options.follow, "show it to its end: exit 0 promoted, 2 rolled back");
  }
  add("pause", "go no further; it is still rolled back when it is worse");
  add("resume", "go on, after a pause or when it holds");
  add("promote", "everything to the new pool, now");
  add("abort", "nothing to the new pool, now");
}

void add_maintenance(CLI::App& app, Options& options) {
  auto& command = *app.add_subcommand("maintenance", "answer a site's requests with 503, over reloads and restarts");
  add_file(command, options);
  command.add_option("state", options.state, "on or off")->required()->check(CLI::IsMember({"on", "off"}));
  command.add_option("site", options.site, "the site's name, or one of its hosts")->required()->type_name("SITE");
  command.add_option("--retry-after", options.retry_after, "when to come back, in place of what the file says")
      ->type_name("DURATION");
  command.add_option("--allow", options.allow, "who passes, beside those of the file; may be repeated")
      ->type_name("CIDR");
  command.add_option("--message", options.message, "a line for those who do not pass")->type_name("TEXT");
}

int run_command(const CLI::App& app, Options& options, const Programs& programs) {
  const CLI::App& command = *app.get_subcommands().front();
  const std::string name = command.get_name();
  if (!command.get_subcommands().empty()) options.action = command.get_subcommands().front()->get_name();
  if (name == "check") return check(options);
  if (name == "dump") return dump(options);
  if (name == "explain") return explain(options);
  if (name == "reload") return reload(options);
  if (name == "status") return status(options);
  if (name == "drain") return drain(options);
  if (name == "undrain") return undrain(options);
  if (name == "split") return split(options);
  if (name == "switch") return switch_pool(options);
  if (name == "rollback") return rollback(options);
  if (name == "rollout") return rollout(options);
  if (name == "maintenance") return maintenance(options);
  if (name == "events") return events(options);
  if (name == "version") return version();
  if (name == "demo") return programs.demo();
  const auto file = find_config_file(options.file);
  if (file) return programs.serve(*file);
  std::cerr << no_config_file() << '\n';
  return kFailed;
}

}  // namespace

int run(int argc, const char* const* argv, const Programs& programs) {
  Options options;
  CLI::App app(kAbout, "headgate");
  app.require_subcommand(1);
  app.fallthrough();  // --admin before or after the command
  app.add_option("--admin", options.admin, "the instance to talk to")->type_name("ADDRESS");
  app.set_version_flag("--version", [] { return std::string(program_version()); });

  add_file(*app.add_subcommand("serve", "run in the foreground"), options);
  add_file(*app.add_subcommand("check", "read and check FILE, certificates and folders included"), options);
  add_explain(app, options);
  add_file(*app.add_subcommand("dump", "print the effective configuration"), options);
  app.add_subcommand("demo", "everything in one process on loopback, to look at");
  auto& status_command = *app.add_subcommand("status", "what the running instance does");
  add_file(status_command, options);
  status_command.add_flag("--json", options.json, "as the admin API gives it");
  add_file(*app.add_subcommand("reload", "make the running instance read its configuration again"), options);
  add_drains(app, options);
  add_traffic(app, options);
  add_rollouts(app, options);
  add_maintenance(app, options);
  auto& events_command = *app.add_subcommand("events", "print what happens, as it happens");
  add_file(events_command, options);
  events_command.add_flag("--all", options.all, "first what is kept of what has happened");
  events_command.add_flag("--json", options.json, "one JSON object a line");
  app.add_subcommand("version", "print the versions of this program and its libraries");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& stop) {
    // --help and --version come here too, with 0.
    return app.exit(stop, std::cout, std::cerr) == 0 ? kDone : kWrongUsage;
  }
  try {
    return run_command(app, options, programs);
  } catch (const std::exception& error) {
    std::cerr << "headgate: " << error.what() << '\n';
    return kFailed;
  }
}

}  // namespace headgate::cli
