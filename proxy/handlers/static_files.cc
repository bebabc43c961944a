// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/static_files.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <ctime>
#include <stdexcept>

#include "http/conditional.h"
#include "http/content_type.h"
#include "http/negotiate.h"
#include "http/path.h"
#include "proxy/handlers/directory_listing.h"

namespace headgate::proxy {
namespace {

std::vector<http::Coding> codings_of(const config::Static& settings) {
  std::vector<http::Coding> codings;
  for (const auto& name : settings.precompressed) {
    const auto coding = http::coding_of(name);
    if (!coding || *coding == http::Coding::kIdentity) {
      throw std::invalid_argument("precompressed: unknown coding \"" + name + "\", expected br, gzip or zstd");
    }
    if (std::find(codings.begin(), codings.end(), *coding) == codings.end()) codings.push_back(*coding);
  }
  return codings;
}

FileRoot first_root(const config::Static& settings) {
  if (settings.pools.empty()) return {settings.root, settings.follow_symlinks, codings_of(settings)};
  const auto& [name, directory] = settings.pools.front();
  return {directory, settings.follow_symlinks, codings_of(settings), name};
}

std::uint64_t next_number() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

/// The status and the reason of a file that cannot be sent.
struct Refusal {
  int status;
  const char* reason;
};

Refusal refusal_of(FileState state) {
  switch (state) {
    case FileState::kDenied:
      return {403, "forbidden"};
    case FileState::kEscapes:
      return {403, "symlink_denied"};
    case FileState::kNoDescriptors:
      return {500, "no_descriptors"};
    case FileState::kFailed:
      return {500, "file_unreadable"};
    case FileState::kFile:
    case FileState::kDirectory:
    case FileState::kMissing:
      break;
  }
  return {404, "not_found"};
}

/// Nothing was found and the next candidate may be tried.
bool is_miss(FileState state) {
  return state == FileState::kMissing || state == FileState::kDirectory;
}

/// Whether the client's own path ends in a slash, as it does not when a directory needs one.
bool sent_with_slash(const StaticQuestion& question) {
  std::string decoded;
  return http::normalise_path(question.sent_path, decoded) && decoded.ends_with('/');
}

/// The path of the request with a slash behind it. Built from the normalised path and not from what was sent, so that
/// "//elsewhere.example" never becomes another host.
std::string location_with_slash(const StaticQuestion& question) {
  std::string decoded;
  if (!http::normalise_path(question.sent_path, decoded)) decoded = question.path;
  std::string location;
  http::append_encoded_path(decoded, location);
  location += '/';
  if (!question.query.empty()) {
    location += '?';
    location += question.query;
  }
  return location;
}

/// An asset of another build: something with an extension, but no page and nothing that a browser must find gone.
bool may_be_of_other_build(std::string_view path) {
  return !http::extension_of(path).empty() && !must_revalidate(path);
}

}  // namespace

bool has_hidden_segment(std::string_view path) {
  constexpr std::string_view kWellKnown = "/.well-known";
  if (path.starts_with(kWellKnown) && (path.size() == kWellKnown.size() || path[kWellKnown.size()] == '/')) {
    path.remove_prefix(kWellKnown.size());
  }
  return path.find("/.") != std::string_view::npos;
}

bool is_navigation(std::string_view path, const http::Fields& fields) {
  if (http::is_asset_name(path)) return false;
  if (const auto mode = fields.get(http::FieldId::kSecFetchMode)) return *mode == "navigate";
  if (!fields.has(http::FieldId::kAccept)) return true;
  return fields.list_contains(http::FieldId::kAccept, "text/html") ||
         fields.list_contains(http::FieldId::kAccept, "*/*") || fields.list_contains(http::FieldId::kAccept, "text/*");
}

// --- building ---------------------------------------------------------------------------------------------------

StaticFiles::StaticFiles(const config::Static& settings)
    : root_(first_root(settings)),
      index_(settings.index),
      cache_policy_(settings.cache_control, settings.spa, !settings.pools.empty()),
      spa_(settings.spa),
      autoindex_(settings.autoindex),
      hidden_allowed_(settings.hidden_files == config::Static::HiddenFiles::kAllow),
      pools_(settings.pools.size()),
      number_(next_number()) {
  for (std::size_t i = 1; i < pools_; ++i) {
    const auto& [name, directory] = settings.pools[i];
    other_pools_.emplace_back(directory, root_.symlinks, root_.codings, name);
  }
  for (const auto& directory : settings.also) earlier_.emplace_back(directory, root_.symlinks, root_.codings);
  for (const auto& element : settings.try_files) candidates_.push_back(compile(element));
  if (!spa_ || !candidates_.empty()) return;
  candidates_.push_back(compile("$uri"));
  for (const auto& name : index_) candidates_.push_back(compile("/" + name));
}

StaticFiles::Candidate StaticFiles::compile(const std::string& element) {
  Candidate result;
  if (element.starts_with('=')) {
    const auto [end, error] = std::from_chars(element.data() + 1, element.data() + element.size(), result.status);
    if (error != std::errc{} || end != element.data() + element.size() || result.status < 400 || result.status > 599) {
      throw std::invalid_argument("try_files: \"" + element + "\" is not a status from =400 to =599");
    }
    result.kind = Candidate::Kind::kStatus;
    return result;
  }
  // nginx hands the part behind a question mark on to another location; a file has no use for it.
  const std::string text = element.substr(0, element.find('?'));
  auto pattern = routing::Template::parse(text);
  if (!pattern) throw std::invalid_argument("try_files: \"" + element + "\": " + pattern.error().message);
  constexpr std::string_view kUri = "$uri";
  const bool simple_tail = text.starts_with(kUri) && text.find('$', 1) == std::string::npos;
  if (pattern->is_constant()) {
    result.kind = Candidate::Kind::kConstant;
    result.literal = pattern->constant();
    if (!result.literal.starts_with('/')) result.literal.insert(0, 1, '/');
  } else if (text == kUri) {
    result.kind = Candidate::Kind::kUri;
  } else if (text == "$uri/") {
    result.kind = Candidate::Kind::kDirectory;
  } else if (simple_tail && text.find_first_of("/.-", kUri.size()) == kUri.size() && !text.ends_with('/')) {
    result.kind = Candidate::Kind::kUriSuffix;
    result.literal = text.substr(kUri.size());
  } else {
    result.kind = Candidate::Kind::kTemplate;
    result.pattern = std::move(*pattern);
  }
  return result;
}

// --- finding the file -------------------------------------------------------------------------------------------

StaticFiles::Found StaticFiles::try_index(const StaticQuestion& question, std::string_view directory,
                                          FileCache& cache) const {
  for (const auto& name : index_) {
    std::string& path = cache.scratch();
    path = directory;
    if (!path.ends_with('/')) path += '/';
    path += name;
    auto loaded = cache.find(root_of(question.pool), path, question.now);
    if (!is_miss(loaded.state)) return {loaded.state, std::move(loaded.file), {}, {}};
  }
  return {};
}

/// `path` ends in a slash.
StaticFiles::Found StaticFiles::try_directory(const StaticQuestion& question, std::string_view path,
                                              FileCache& cache) const {
  auto found = try_index(question, path, cache);
  if (found.state != FileState::kMissing || !autoindex_) return found;
  const auto loaded = cache.find(root_of(question.pool), path, question.now);
  found.state = loaded.state;
  if (loaded.state == FileState::kDirectory) found.listed = path;
  return found;
}

/// Without try_files: the file, the index of the directory, or the way to it.
StaticFiles::Found StaticFiles::try_plain(const StaticQuestion& question, std::string_view path,
                                          FileCache& cache) const {
  // The stripped prefix itself, without a slash: relative links would lead beside the directory.
  if (question.path.empty() && !sent_with_slash(question)) return {FileState::kDirectory, nullptr, {}, {}};
  if (path.ends_with('/')) return try_directory(question, path, cache);
  auto loaded = cache.find(root_of(question.pool), path, question.now);
  return {loaded.state, std::move(loaded.file), {}, {}};
}

StaticFiles::Found StaticFiles::try_candidate(const Candidate& candidate, const StaticQuestion& question,
                                              std::string_view path, FileCache& cache) const {
  std::string expanded;
  std::string_view wanted = path;
  switch (candidate.kind) {
    case Candidate::Kind::kUri:
      break;
    case Candidate::Kind::kUriSuffix: {
      if (path.ends_with('/') && candidate.literal.starts_with('/')) path.remove_suffix(1);
      std::string& text = cache.scratch();
      text = path;
      text += candidate.literal;
      wanted = text;
      break;
    }
    case Candidate::Kind::kDirectory: {
      if (path.ends_with('/')) return try_directory(question, path, cache);
      // Only a directory that has something to show is worth a redirect; for any other the next candidate has its turn.
      const auto index = try_index(question, path, cache);
      if (index.state == FileState::kFile) return {FileState::kDirectory, nullptr, {}, {}};
      if (!is_miss(index.state) || !autoindex_) return index;
      return {cache.find(root_of(question.pool), path, question.now).state == FileState::kDirectory
                  ? FileState::kDirectory
                  : FileState::kMissing,
              nullptr,
              {},
              {}};
    }
    case Candidate::Kind::kConstant:
      wanted = candidate.literal;
      break;
    case Candidate::Kind::kTemplate:
      candidate.pattern.expand(question.variables, expanded);
      if (!expanded.starts_with('/')) expanded.insert(0, 1, '/');
      // What comes out of the client's query or fields has not been normalised as the path was.
      if (!hidden_allowed_ && has_hidden_segment(expanded)) return {};
      wanted = expanded;
      break;
    case Candidate::Kind::kStatus:
      return {};
  }
  if (wanted.ends_with('/')) {
    auto found = candidate.kind == Candidate::Kind::kUri ? Found{} : try_directory(question, wanted, cache);
    return found;
  }
  auto loaded = cache.find(root_of(question.pool), wanted, question.now);
  if (loaded.state == FileState::kDirectory) loaded.state = FileState::kMissing;  // only files here, as in nginx
  return {loaded.state, std::move(loaded.file), {}, {}};
}

/// The other pools, in the order of the configuration, then the roots of earlier builds: a page and what it loads are
/// of one build, whichever pool the request for a part of it is drawn to.
StaticFiles::Found StaticFiles::try_other_builds(const StaticQuestion& question, std::string_view path,
                                                 FileCache& cache) const {
  if ((other_pools_.empty() && earlier_.empty()) || !may_be_of_other_build(path)) return {};
  for (std::size_t pool = 0; pool < pools_; ++pool) {
    if (pool == question.pool) continue;
    auto loaded = cache.find(root_of(pool), path, question.now);
    if (loaded.state == FileState::kFile) return {FileState::kFile, std::move(loaded.file), {}, pool};
  }
  for (const auto& root : earlier_) {
    auto loaded = cache.find(root, path, question.now);
    if (loaded.state == FileState::kFile) return {FileState::kFile, std::move(loaded.file), {}, {}};
  }
  return {};
}

/// kDirectory means: to be listed or redirected to. `refusal` is set by "=404" and its like.
StaticFiles::Found StaticFiles::locate(const StaticQuestion& question, std::string_view path, FileCache& cache,
                                       int& refusal) const {
  if (candidates_.empty()) {
    auto found = try_plain(question, path, cache);
    if (found.state != FileState::kMissing) return found;
    return try_other_builds(question, path, cache);
  }
  bool others_tried = false;
  for (const auto& candidate : candidates_) {
    if (candidate.fallback() && !others_tried) {
      others_tried = true;
      auto found = try_other_builds(question, path, cache);
      if (found.state == FileState::kFile) return found;
    }
    if (candidate.kind == Candidate::Kind::kStatus) {
      refusal = candidate.status;
      return {};
    }
    if (spa_ && candidate.fallback() && !is_navigation(path, question.fields)) continue;
    auto found = try_candidate(candidate, question, path, cache);
    if (found.state != FileState::kMissing) return found;
  }
  if (others_tried) return {};
  return try_other_builds(question, path, cache);
}

// --- the answer -------------------------------------------------------------------------------------------------

std::string_view StaticFiles::cache_control_of(const CachedFile& file) const {
  auto& memo = file.cache_control;
  if (memo.route != number_) memo = {number_, cache_policy_.of(file.path)};
  return memo.value;
}

void StaticFiles::list_directory(const StaticQuestion& question, const Found& found, FileCache& cache,
                                 StaticPlan& plan) const {
  auto directory = cache.open_directory(root_of(question.pool), found.listed, question.now);
  if (!directory) {
    const auto [status, reason] = refusal_of(state_of(directory.error()));
    plan.status = status;
    plan.reason = reason;
    return;
  }
  if (!write_listing(std::move(*directory), found.listed, hidden_allowed_, plan.text)) {
    plan.status = 500;
    plan.reason = "file_unreadable";
    return;
  }
  plan.kind = StaticPlan::Kind::kPage;
  plan.status = 200;
  plan.reason = nullptr;
}

/// Coding, conditions and ranges for plan.file.
void StaticFiles::choose_representation(const StaticQuestion& question, StaticPlan& plan) const {
  const CachedFile& file = *plan.file;
  plan.kind = StaticPlan::Kind::kFile;
  plan.status = 200;
  plan.reason = nullptr;
  plan.cache_control = cache_control_of(file);
  plan.representation = &file.representations.front();
  plan.varies = file.representations.size() > 1;
  if (plan.varies) {
    const auto qualities = http::CodingQualities::parse(question.fields);
    // In the order of this route; the file knows which there are.
    std::array<http::Coding, http::kCodingCount> available{};
    std::size_t count = 0;
    for (const auto coding : root_.codings) {
      if (file.find(coding) != nullptr) available[count++] = coding;
    }
    plan.representation = file.find(qualities.choose({available.data(), count}));
  }

  const Representation& chosen = *plan.representation;
  plan.dated = pools_ == 0;
  const http::Validators validators{chosen.etag, plan.dated ? file.last_modified : std::nullopt};
  const std::int64_t now = ::time(nullptr);
  switch (http::check_preconditions(question.fields, question.method, validators, now)) {
    case http::Verdict::kNotModified:
      plan.status = 304;
      return;
    case http::Verdict::kFailed:
      plan.kind = StaticPlan::Kind::kRefusal;
      plan.status = 412;
      plan.reason = "precondition_failed";
      return;
    case http::Verdict::kProceed:
      break;
  }
  // Range is defined for GET alone (RFC 9110 section 14.2).
  if (question.method != http::Method::kGet || !question.fields.has(http::FieldId::kRange)) return;
  if (!http::if_range_holds(question.fields, validators, now)) return;
  switch (http::select_ranges(question.fields, chosen.size(), plan.ranges)) {
    case http::RangeOutcome::kWhole:
      return;
    case http::RangeOutcome::kPartial:
      plan.status = 206;
      return;
    case http::RangeOutcome::kUnsatisfiable:
      plan.kind = StaticPlan::Kind::kRefusal;
      plan.status = 416;
      plan.reason = "range_not_satisfiable";
      http::append_unsatisfied_range(chosen.size(), plan.text);
      return;
  }
}

bool StaticFiles::has_index(std::size_t pool, FileCache& cache, TimePoint now) const {
  const FileRoot& root = root_of(pool);
  if (index_.empty()) return cache.find(root, "/", now).state == FileState::kDirectory;
  return std::any_of(index_.begin(), index_.end(), [&](const auto& name) {
    std::string& path = cache.scratch();
    path = '/';
    path += name;
    return cache.find(root, path, now).state == FileState::kFile;
  });
}

StaticPlan StaticFiles::plan(const StaticQuestion& question, FileCache& cache) const {
  StaticPlan plan;
  if (question.method == http::Method::kOptions) {
    plan.kind = StaticPlan::Kind::kOptions;
    plan.status = 204;
    plan.reason = nullptr;
    return plan;
  }
  if (question.method != http::Method::kGet && question.method != http::Method::kHead) {
    plan.status = 405;
    plan.reason = "method_not_allowed";
    return plan;
  }
  const std::string_view path = question.path.empty() ? std::string_view("/") : question.path;
  if (!hidden_allowed_ && has_hidden_segment(path)) {
    plan.reason = "hidden_file";
    return plan;
  }

  int refusal = 0;
  auto found = locate(question, path, cache, refusal);
  if (refusal != 0) {
    plan.status = refusal;
    plan.reason = refusal == 404 ? "not_found" : "try_files";
    return plan;
  }
  if (found.state == FileState::kDirectory && found.listed.empty() && sent_with_slash(question)) {
    // Rewritten to a directory's name: another slash would send the client round in a circle.
    found = try_directory(question, std::string(path) + "/", cache);
  }
  if (found.state == FileState::kDirectory) {
    if (!found.listed.empty()) {
      list_directory(question, found, cache, plan);
      return plan;
    }
    plan.kind = StaticPlan::Kind::kRedirect;
    plan.status = 301;
    plan.reason = nullptr;
    plan.text = location_with_slash(question);
    return plan;
  }
  if (found.state != FileState::kFile) {
    const auto [status, reason] = refusal_of(found.state);
    plan.status = status;
    plan.reason = reason;
    return plan;
  }
  plan.file = std::move(found.file);
  plan.lender = found.lender;
  choose_representation(question, plan);
  return plan;
}

}  // namespace headgate::proxy
