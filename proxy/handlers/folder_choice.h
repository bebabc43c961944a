// SPDX-License-Identifier: Apache-2.0
// A static with pools: each of them is a folder with a build of the same application. Pages come from the client's
// pool, and whatever they load from there or, where it is not there, from any other.
#pragma once

#include "base/task.h"
#include "proxy/handlers/file_cache.h"
#include "proxy/handlers/pool_choice.h"
#include "proxy/handlers/static_files.h"

namespace headgate::proxy {

/// Among pools of files: well is one whose folder has an index. One for each static with pools, generation and worker;
/// loop thread only.
class FolderChoice final : public PoolChoice {
 public:
  /// All outlive it.
  FolderChoice(const StaticFiles& files, const CompiledSplit& compiled, const upstream::Changes& changes)
      : PoolChoice(compiled, changes), files_(files) {}

  /// `cache` is of the worker.
  Chosen choose(Request& request, FileCache& cache);

 private:
  bool well(std::size_t pool) override;

  const StaticFiles& files_;
  FileCache* cache_ = nullptr;  // during choose()
  TimePoint now_;
};

/// Answers the request, whose route is a static with pools, as StaticFiles::serve does.
Task<Result<>> serve_from_pools(Request& request, FileCache& cache);

/// Why nobody should be sent to the pool: its folder or the index in it is missing. Nothing: it is there, or there is
/// no such pool. Looks at the disk. Any thread.
std::optional<std::string> why_no_index(const config::Static& files, std::string_view pool);

}  // namespace headgate::proxy
