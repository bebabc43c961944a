// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/folder_choice.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

namespace headgate::proxy {
namespace {

/// One request at its pool, for as long as it lives.
class PoolVisit {
 public:
  explicit PoolVisit(observe::StaticPoolCells& cells) : cells_(cells) {
    cells_.requests.add(1);
    cells_.in_flight.add(1);
  }
  ~PoolVisit() { cells_.in_flight.subtract(1); }
  PoolVisit(const PoolVisit&) = delete;
  PoolVisit& operator=(const PoolVisit&) = delete;

 private:
  observe::StaticPoolCells& cells_;
};

/// The cookie that makes a client known goes with pages alone, and makes them its own: what else is served may be kept
/// by shared caches, which would give one client's id to all others.
void settle_cookie(Request& request, StaticPlan& plan) {
  if (request.split_cookie.empty()) return;
  if (plan.kind != StaticPlan::Kind::kFile || !is_page(plan.file->path)) {
    request.split_cookie = {};
  } else if (plan.cache_control == "no-cache") {
    plan.cache_control = "private, no-cache";
  }
}

}  // namespace

PoolChoice::Chosen FolderChoice::choose(Request& request, FileCache& cache) {
  cache_ = &cache;
  now_ = request.exchange.loop().now();
  return PoolChoice::choose(request);
}

bool FolderChoice::well(std::size_t pool) {
  return files_.has_index(pool, *cache_, now_);
}

Task<Result<>> serve_from_pools(Request& request, FileCache& cache) {
  const auto& route = *request.route;
  const auto& pools = request.generation->shared->static_pools[route.upstream];
  auto& meter = request.generation->meter;
  const auto chosen = request.generation->static_choices[route.upstream]->choose(request, cache);
  request.upstream = pools.config->name;
  request.pool = pools.split.pools[chosen.pool];
  auto& cells = meter.static_pool(route.upstream, chosen.pool);
  const PoolVisit visit(cells);
  if (chosen.spilled) cells.spilled.add(1);
  StaticPlan plan = route.files->plan(request, cache, chosen.pool);
  if (plan.lender) meter.static_pool(route.upstream, *plan.lender).lent.add(1);
  settle_cookie(request, plan);
  auto sending = StaticFiles::carry_out(request, std::move(plan), cache);
  co_return co_await sending;
}

std::optional<std::string> why_no_index(const config::Static& files, std::string_view pool) {
  const auto found =
      std::find_if(files.pools.begin(), files.pools.end(), [&](const auto& one) { return one.first == pool; });
  if (found == files.pools.end()) return std::nullopt;
  const StaticFiles handler(files);
  FileCache cache;
  const auto number = static_cast<std::size_t>(found - files.pools.begin());
  if (handler.has_index(number, cache, Clock::now())) return std::nullopt;
  std::error_code ignored;
  if (!std::filesystem::is_directory(found->second, ignored))
    return fmt::format("pool '{}' has no folder {}", pool, found->second);
  std::string names;
  for (const auto& name : files.index) names += (names.empty() ? "" : " or ") + name;
  return fmt::format("pool '{}' has no {} in {}", pool, names, found->second);
}

}  // namespace headgate::proxy
