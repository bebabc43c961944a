// SPDX-License-Identifier: Apache-2.0
// The request that `explain` is asked about: made from a URL and options, without a connection. Internal to this
// folder.
#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "config/model.h"
#include "config/parsed.h"
#include "http/fields.h"
#include "proxy/cli/options.h"
#include "proxy/route_walk.h"

namespace headgate::cli {

/// Main thread; views point into itself, so it stays where it is.
class Question final : public routing::Variables, public proxy::RoutePlace {
 public:
  /// Settles everything that does not depend on the site. `problem` is set when the arguments make no request.
  Question(const config::Config& config, const Options& options, std::string& problem);
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;

  const config::Listener* listener = nullptr;
  bool secure = false;
  std::string method;
  std::string host;       ///< lower case, without port: what sites are found by
  std::string authority;  ///< Host as sent
  std::string target;     ///< path and query as sent
  std::string_view sent_path;
  http::Fields fields;
  IpAddress peer;
  IpAddress client;
  std::string client_text;
  std::string_view server;  ///< of the upstream, once chosen

  routing::RequestView view() const { return {method, path, query, &fields, client}; }
  std::string scheme() const { return secure ? "https" : "http"; }

  /// Keeps a text as long as this lives.
  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }

  void append(const routing::Variable& variable, std::string& out) const override;
  std::string expand(const std::string& text) const;
  /// As the Location of a redirect: what stands for decoded paths is encoded again.
  std::string expand_url(const std::string& text) const;

 private:
  bool read_url(const std::string& url, std::string& problem);
  bool read_headers(const Options& options, std::string& problem);
  bool choose_listener(const config::Config& config, const Options& options, std::string& problem);

  std::string port_;  // of the URL
  bool has_scheme_ = false;
  std::deque<std::string> kept_;
};

}  // namespace headgate::cli
