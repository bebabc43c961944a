// SPDX-License-Identifier: Apache-2.0
// error_pages: pages of a site that stand for short answers of our own, or for those of an upstream. A page is found
// when a generation is built and never routed again, so that it cannot fail into itself. docs/error-pages.md.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/diagnostic.h"
#include "config/model.h"
#include "http/message.h"
#include "proxy/handlers/static_files.h"
#include "proxy/request.h"
#include "routing/route_table.h"

namespace headgate::proxy {

struct FixedAnswer;

/// Of one site. Immutable once made, any thread.
class ErrorPages {
 public:
  struct Page {
    int status = 0;  ///< 4 and 5: a class
    const StaticFiles* files = nullptr;
    std::string path;                     ///< as the files' handler gets it
    const FixedAnswer* answer = nullptr;  ///< of a respond, in place of files
  };

  bool intercept = false;  ///< also for errors of an upstream

  void add(Page page) { pages_.push_back(std::move(page)); }
  /// That of the status itself, else that of its class; null: none.
  const Page* find(int status) const;

 private:
  std::vector<Page> pages_;
};

/// The index of the site's route that has a page, from files or as a respond with a body: the route of a GET for the
/// path, without fields and from nowhere. Nothing: there is none.
std::optional<std::size_t> route_of_page(const config::Config& config, const routing::RouteTable& routes,
                                         std::size_t site, const std::string& path);

/// Pages that no route has, each with its place.
std::vector<config::Diagnostic> lost_error_pages(const config::Config& config, const routing::RouteTable& routes);

/// A page at hand: a file, or an answer of the configuration, which the request's generation keeps.
struct ErrorPage {
  FileRef file;
  const Representation* representation = nullptr;  ///< part of `file`; in memory
  const FixedAnswer* answer = nullptr;             ///< then there is no file
};

/// The page for an answer with this status: the site has one, the client takes one, and its file is there and small
/// enough to be held in memory. Not for calls of gRPC, nor for clients that ask for JSON and not for HTML.
std::optional<ErrorPage> error_page(const Request& request, int status);

/// As above, for an upstream's answer.
std::optional<ErrorPage> error_page_for_upstream(const Request& request, int status);

/// Answers with the page: with the status of `head` and those of its fields that do not describe its own content.
Task<Result<>> respond_page(Request& request, http::ResponseHead& head, ErrorPage page);

}  // namespace headgate::proxy
