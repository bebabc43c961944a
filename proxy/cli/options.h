// SPDX-License-Identifier: Apache-2.0
// What the arguments said, and the commands that this folder has. Internal to it.
#pragma once

#include <string>
#include <vector>

namespace headgate::cli {

struct Options {
  std::string file;   ///< of -c; empty: the first of the default places that exists
  std::string admin;  ///< of --admin; empty: what the configuration says
  bool json = false;  ///< status, events
  // drain, undrain; the first and the last three also of what follows
  std::string upstream;
  std::string server;
  bool wait = false;
  bool force = false;
  std::string wait_timeout = "10m";
  // split, switch, rollback
  std::vector<std::string> weights;  ///< "POOL=WEIGHT"
  bool reset = false;
  std::string pool;
  // rollout
  std::string action;  ///< start, status, ...
  bool follow = false;
  // maintenance
  std::string state;  ///< "on" or "off"
  std::string site;
  std::string retry_after;
  std::vector<std::string> allow;
  std::string message;
  // events
  bool all = false;
  // explain
  std::string method = "GET";
  std::vector<std::string> headers;  ///< "K: V"
  std::string client = "127.0.0.1";
  std::string listener;
  std::string url;
};

int check(const Options& options);
int dump(const Options& options);
int explain(const Options& options);
int reload(const Options& options);
int status(const Options& options);
int drain(const Options& options);
int undrain(const Options& options);
int split(const Options& options);
int switch_pool(const Options& options);
int rollback(const Options& options);
int rollout(const Options& options);
int maintenance(const Options& options);
int events(const Options& options);
int version();

}  // namespace headgate::cli
