// SPDX-License-Identifier: Apache-2.0
// StaticFiles: answers requests from a directory (`static:` of a route). plan() decides which file is sent and how,
// from the FileCache, and can be tested alone; serve() carries the plan out.
//
// Built with a generation, immutable, shared by its workers; opens nothing by itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "config/model.h"
#include "http/message.h"
#include "http/range.h"
#include "proxy/handlers/cache_policy.h"
#include "proxy/handlers/file_cache.h"
#include "proxy/request.h"
#include "routing/template.h"

namespace headgate::proxy {

/// What plan() looks at. Views live during the call.
struct StaticQuestion {
  http::Method method = http::Method::kGet;
  std::string_view path;       ///< decoded, normalised, the route's prefix stripped; empty is "/"
  std::string_view sent_path;  ///< as the client sent it, encoded: what a redirect is built from
  std::string_view query;      ///< without the question mark
  const http::Fields& fields;
  const routing::Variables& variables;  ///< for try_files; $uri is `path`
  TimePoint now;
  std::size_t pool = 0;  ///< the client's, where there are pools
};

struct StaticPlan {
  enum class Kind : std::uint8_t {
    kFile,      ///< `file`: 200, 206 or 304
    kPage,      ///< `text` is an HTML page of ours: 200
    kRedirect,  ///< `text` is the Location: 301
    kOptions,   ///< 204 with Allow
    kRefusal,   ///< `status` and `reason`; for 405 with Allow, for 416 with `text` as Content-Range
  };
  Kind kind = Kind::kRefusal;
  int status = 404;
  const char* reason = "not_found";  ///< for the log; null when nothing went wrong

  FileRef file;
  const Representation* representation = nullptr;  ///< part of `file`
  bool varies = false;                             ///< the file has compressed siblings: Vary
  std::string_view cache_control;                  ///< empty: none; lives as long as the StaticFiles
  http::ByteRanges ranges;                         ///< for 206
  /// The file's own time says something to the client. Not between pools: going back to an older build, a date would
  /// claim that nothing has changed.
  bool dated = true;
  std::optional<std::size_t> lender;  ///< the pool that the file is of, when that is not the client's
  std::string text;
};

class StaticFiles {
 public:
  /// Throws std::invalid_argument naming the key and what is wrong with its value.
  explicit StaticFiles(const config::Static& settings);

  StaticPlan plan(const StaticQuestion& question, FileCache& cache) const;

  /// Answers the request, whatever comes of it. `cache` is of the worker whose loop this runs on.
  Task<Result<>> serve(Request& request, FileCache& cache) const;
  /// The two halves of it.
  StaticPlan plan(const Request& request, FileCache& cache, std::size_t pool) const;
  static Task<Result<>> carry_out(Request& request, StaticPlan plan, FileCache& cache);

  /// How many pools there are; 0: one root. They are numbered as in the configuration.
  std::size_t pools() const { return pools_; }
  /// Whether the pool has an index at its top: what is not there cannot have been meant to be served. Of a static
  /// without the name of an index: whether the folder is there.
  bool has_index(std::size_t pool, FileCache& cache, TimePoint now) const;

 private:
  /// One element of try_files, or of what `spa` and the default stand for.
  struct Candidate {
    enum class Kind : std::uint8_t {
      kUri,        ///< $uri: the file itself
      kUriSuffix,  ///< $uri and `literal`
      kDirectory,  ///< $uri/: the index of the directory
      kConstant,   ///< `literal`
      kTemplate,
      kStatus,
    };
    Kind kind = Kind::kUri;
    std::string literal;
    routing::Template pattern;
    int status = 0;
    bool fallback() const { return kind == Kind::kConstant || kind == Kind::kStatus; }
  };

  /// What looking for a file came to, in the words of FileState; more than a file when it is a directory.
  struct Found {
    FileState state = FileState::kMissing;
    FileRef file;
    std::string listed;  ///< kDirectory: the directory to list; empty: to redirect to
    std::optional<std::size_t> lender;
  };

  static Candidate compile(const std::string& element);
  Found locate(const StaticQuestion& question, std::string_view path, FileCache& cache, int& refusal) const;
  Found try_candidate(const Candidate& candidate, const StaticQuestion& question, std::string_view path,
                      FileCache& cache) const;
  Found try_plain(const StaticQuestion& question, std::string_view path, FileCache& cache) const;
  Found try_directory(const StaticQuestion& question, std::string_view path, FileCache& cache) const;
  Found try_index(const StaticQuestion& question, std::string_view directory, FileCache& cache) const;
  Found try_other_builds(const StaticQuestion& question, std::string_view path, FileCache& cache) const;
  void list_directory(const StaticQuestion& question, const Found& found, FileCache& cache, StaticPlan& plan) const;
  void choose_representation(const StaticQuestion& question, StaticPlan& plan) const;
  std::string_view cache_control_of(const CachedFile& file) const;

  const FileRoot& root_of(std::size_t pool) const { return pool == 0 ? root_ : other_pools_[pool - 1]; }

  FileRoot root_;  // or the first pool
  std::vector<FileRoot> other_pools_;
  std::vector<FileRoot> earlier_;
  std::vector<std::string> index_;
  std::vector<Candidate> candidates_;  // empty: the plain file or the directory's index
  CachePolicy cache_policy_;
  bool spa_;
  bool autoindex_;
  bool hidden_allowed_;
  std::size_t pools_;
  std::uint64_t number_;  // of this object, never used twice
};

/// True when a segment of `path` begins with a dot, other than a first one of ".well-known" (RFC 8615).
bool has_hidden_segment(std::string_view path);

/// True when the request is that of a person or a tool opening a page, not of a page loading a part of itself.
bool is_navigation(std::string_view path, const http::Fields& fields);

}  // namespace headgate::proxy
