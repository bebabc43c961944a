// SPDX-License-Identifier: Apache-2.0
#include "proxy/error_pages.h"

#include <algorithm>
#include <array>

#include "proxy/generation.h"

namespace headgate::proxy {
namespace {

using http::FieldId;

constexpr std::array kContentFields = {
    FieldId::kContentType,  FieldId::kContentEncoding, FieldId::kContentRange, FieldId::kETag,
    FieldId::kLastModified, FieldId::kAcceptRanges,    FieldId::kExpires,      FieldId::kAge,
    FieldId::kCacheControl, FieldId::kTrailer};
constexpr std::array<std::string_view, 6> kMoreContentFields = {
    "content-disposition", "content-language", "content-location", "content-digest", "repr-digest", "digest"};

/// A script that has asked for JSON could do nothing with a page.
bool takes_page(const Request& request) {
  const auto& fields = request.exchange.request.fields;
  return !request.grpc && (!fields.list_contains(FieldId::kAccept, "application/json") ||
                           fields.list_contains(FieldId::kAccept, "text/html"));
}

Task<Result<>> respond_answer(Request& request, http::ResponseHead& head, const FixedAnswer& answer) {
  for (const auto& [name, value] : answer.headers.set) head.fields.set(name, request.expand(value));
  if (!head.fields.has(FieldId::kContentType)) {
    head.fields.add(FieldId::kContentType, "Content-Type", "text/plain; charset=utf-8");
  }
  if (!head.fields.has(FieldId::kCacheControl)) head.fields.add(FieldId::kCacheControl, "Cache-Control", "no-store");
  const auto body = request.exchange.arena().copy(answer.text.expand(request));
  head.content_length = body.size();
  return request.respond(head, body);
}

/// The file stays while its bytes are on their way.
Task<Result<>> hold([[maybe_unused]] FileRef file, Task<Result<>> sending) {
  co_return co_await sending;
}

/// The number of the pool that the request was drawn to, if it was asked of these files; else the first one's.
std::size_t pool_of(const Request& request, const StaticFiles& files) {
  if (files.pools() == 0 || request.route == nullptr || request.route->files.get() != &files) return 0;
  const auto& pools = request.generation->shared->static_pools[request.route->upstream].split.pools;
  const auto found = std::find(pools.begin(), pools.end(), request.pool);
  return found == pools.end() ? 0 : static_cast<std::size_t>(found - pools.begin());
}

}  // namespace

const ErrorPages::Page* ErrorPages::find(int status) const {
  for (const int wanted : {status, status / 100}) {
    const auto found =
        std::find_if(pages_.begin(), pages_.end(), [&](const Page& page) { return page.status == wanted; });
    if (found != pages_.end()) return &*found;
  }
  return nullptr;
}

// --- when a generation is built -------------------------------------------------------------------------------------

std::optional<std::size_t> route_of_page(const config::Config& config, const routing::RouteTable& routes,
                                         std::size_t site, const std::string& path) {
  const http::Fields none;
  routing::Captures captures;
  const auto route = routes.find_route(site, {"GET", path, {}, &none, {}}, captures);
  if (route == routing::RouteTable::kNone || routes.has_rewrite(site, route)) return std::nullopt;
  const auto& action = config.sites[site].routes[route].action;
  const auto* const answer = std::get_if<config::Respond>(&action);
  const bool has_page = std::holds_alternative<Rare<config::Static>>(action) || (answer && !answer->body.empty());
  return has_page ? std::optional(route) : std::nullopt;
}

std::vector<config::Diagnostic> lost_error_pages(const config::Config& config, const routing::RouteTable& routes) {
  std::vector<config::Diagnostic> lost;
  for (std::size_t i = 0; i < config.sites.size(); ++i) {
    for (const auto& page : config.sites[i].error_pages) {
      if (route_of_page(config, routes, i, page.path)) continue;
      lost.push_back({page.position, "sites[" + std::to_string(i) + "].error_pages: no route of the site has " +
                                         page.path + ", from files or as a respond with a body"});
    }
  }
  return lost;
}

// --- when a request has failed --------------------------------------------------------------------------------------

std::optional<ErrorPage> error_page(const Request& request, int status) {
  if (request.site == nullptr || !request.site->error_pages || request.files == nullptr) return std::nullopt;
  const auto* const page = request.site->error_pages->find(status);
  if (page == nullptr || !takes_page(request)) return std::nullopt;
  if (page->answer != nullptr) return ErrorPage{{}, nullptr, page->answer};
  // Neither conditions nor ranges: those were meant for something else.
  http::Fields fields;
  for (const auto& field : request.exchange.request.fields) {
    if (field.id == FieldId::kAcceptEncoding) fields.add(field.id, field.name, field.value);
  }
  StaticQuestion question{http::Method::kGet,           page->path, page->path, {}, fields, request,
                          request.exchange.loop().now()};
  // Where builds are pools: the client's, or else the first that has the page.
  const std::size_t pools = std::max<std::size_t>(page->files->pools(), 1);
  const std::size_t own = pool_of(request, *page->files);
  for (std::size_t i = 0; i < pools; ++i) {
    question.pool = (own + i) % pools;
    StaticPlan plan = page->files->plan(question, *request.files);
    // Another file than that is a fallback, such as an application's index.html, and no error page.
    const bool found = plan.kind == StaticPlan::Kind::kFile && plan.status == 200 && plan.file->path == page->path;
    if (found && plan.representation->in_memory) return ErrorPage{std::move(plan.file), plan.representation, nullptr};
  }
  return std::nullopt;
}

std::optional<ErrorPage> error_page_for_upstream(const Request& request, int status) {
  if (status < 400 || request.site == nullptr || !request.site->error_pages) return std::nullopt;
  if (!request.site->error_pages->intercept) return std::nullopt;
  return error_page(request, status);
}

Task<Result<>> respond_page(Request& request, http::ResponseHead& head, ErrorPage page) {
  for (const auto id : kContentFields) head.fields.remove(id);
  for (const auto name : kMoreContentFields) head.fields.remove(name);
  if (page.answer != nullptr) return respond_answer(request, head, *page.answer);
  head.fields.add(FieldId::kContentType, "Content-Type", page.file->content_type);
  if (page.representation->coding != http::Coding::kIdentity) {
    head.fields.add(FieldId::kContentEncoding, "Content-Encoding", http::to_string(page.representation->coding));
  }
  head.fields.add(FieldId::kCacheControl, "Cache-Control", "no-store");
  head.content_length = page.representation->size();
  auto sending = request.respond(head, {page.representation->body.data(), page.representation->body.size()});
  if (sending.done()) return sending;
  return hold(std::move(page.file), std::move(sending));
}

}  // namespace headgate::proxy
