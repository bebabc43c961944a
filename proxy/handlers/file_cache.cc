// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/file_cache.h"

#include <functional>
#include <unordered_set>
#include <utility>
#include <vector>

#include <boost/intrusive/list.hpp>
#include <sys/stat.h>

namespace headgate::proxy {
namespace {

/// Longer paths are looked up each time: clients choose them, and entries are bounded in number, not in length.
constexpr std::size_t kLongestPath = 1024;

/// A directory's descriptor, renewed often, so that a root that was replaced is noticed.
struct Root : boost::intrusive_ref_counter<Root, boost::thread_unsafe_counter> {
  explicit Root(std::string path) : directory(std::move(path)) {}
  std::string directory;
  UniqueFd descriptor;
  OpenError error = OpenError::kMissing;  // when there is no descriptor
  bool tried = false;                     // `opened` and `error` mean something
  TimePoint opened;
};

struct Entry : boost::intrusive::list_base_hook<> {
  std::size_t hash = 0;
  boost::intrusive_ptr<Root> root;
  std::uint8_t variant = 0;
  std::string path;

  FileState state = FileState::kMissing;
  FileRef file;
  TimePoint checked;  // when its state was last looked up on the disk
  TimePoint used;
  std::size_t descriptors = 0;  // as counted in usage
};

struct Key {
  const FileRoot& root;
  std::string_view path;
  std::size_t hash;
  Key(const FileRoot& root_, std::string_view path_)
      : root(root_), path(path_), hash(std::hash<std::string_view>{}(path_) ^ root_.hash) {}
};

struct Hash {
  using is_transparent = void;
  std::size_t operator()(const std::unique_ptr<Entry>& entry) const { return entry->hash; }
  std::size_t operator()(const Key& key) const { return key.hash; }
  std::size_t operator()(const Entry* entry) const { return entry->hash; }
};

struct Equal {
  using is_transparent = void;
  bool operator()(const std::unique_ptr<Entry>& a, const std::unique_ptr<Entry>& b) const { return a == b; }
  bool operator()(const Key& key, const std::unique_ptr<Entry>& entry) const {
    return key.hash == entry->hash && key.path == entry->path && key.root.variant == entry->variant &&
           key.root.directory == entry->root->directory;
  }
  bool operator()(const std::unique_ptr<Entry>& entry, const Key& key) const { return (*this)(key, entry); }
  bool operator()(const Entry* a, const std::unique_ptr<Entry>& b) const { return a == b.get(); }
  bool operator()(const std::unique_ptr<Entry>& a, const Entry* b) const { return a.get() == b; }
};

using Lru = boost::intrusive::list<Entry>;  // the most recently used first

}  // namespace

struct FileCache::State {
  explicit State(FileCacheLimits given) : limits(given) {}
  ~State();

  Loaded find(const FileRoot& root, std::string_view path, TimePoint now);
  boost::intrusive_ptr<Root> intern(const FileRoot& root);
  static int descriptor_of(Root& root, TimePoint now);
  static bool has_moved(const Root& root, TimePoint now);
  Loaded look(Root& root, const FileRoot& wanted, std::string_view path, const FileRef& previous, TimePoint now);
  void place(Entry& entry, const Loaded& loaded);
  void take_out(Entry& entry);
  void erase(Entry& entry);
  void shrink(const Entry* keep);
  Lru& list_of(const Entry& entry);

  FileCacheLimits limits;
  Usage usage;
  std::string scratch;
  std::vector<boost::intrusive_ptr<Root>> roots;
  std::unordered_set<std::unique_ptr<Entry>, Hash, Equal> entries;
  // An entry is in exactly one: files in memory, files with descriptors, all the rest.
  Lru in_memory;
  Lru open;
  Lru others;
};

FileCache::State::~State() {
  // The lists first: an entry must not go while it is linked.
  in_memory.clear();
  open.clear();
  others.clear();
}

FileCache::FileCache(FileCacheLimits limits) : state_(std::make_unique<State>(limits)) {}
FileCache::~FileCache() = default;

Loaded FileCache::find(const FileRoot& root, std::string_view path, TimePoint now) {
  return state_->find(root, path, now);
}

std::string& FileCache::scratch() {
  return state_->scratch;
}
const FileCache::Usage& FileCache::usage() const {
  return state_->usage;
}

Loaded FileCache::State::find(const FileRoot& root, std::string_view path, TimePoint now) {
  if (path.size() >= PATH_MAX) return {FileState::kMissing, nullptr};
  if (path.size() > kLongestPath) return look(*intern(root), root, path, nullptr, now);
  const Key key(root, path);
  const auto found = entries.find(key);
  if (found != entries.end()) {
    Entry& entry = **found;
    entry.used = now;
    if (now - entry.checked < kEntryLife) {
      ++usage.hits;
      auto& list = list_of(entry);
      list.splice(list.begin(), list, list.iterator_to(entry));
      return {entry.state, entry.file};
    }
    auto loaded = look(*entry.root, root, path, entry.file, now);
    const bool keep = loaded.state != FileState::kFailed && loaded.state != FileState::kNoDescriptors;
    take_out(entry);
    if (!keep) {
      erase(entry);
      return loaded;
    }
    entry.checked = now;
    place(entry, loaded);
    return loaded;
  }

  const auto interned = intern(root);
  auto loaded = look(*interned, root, path, nullptr, now);
  // A failure is not remembered: the next request tries again.
  if (loaded.state == FileState::kFailed || loaded.state == FileState::kNoDescriptors) return loaded;
  auto fresh = std::make_unique<Entry>();
  fresh->hash = key.hash;
  fresh->root = interned;
  fresh->variant = root.variant;
  fresh->path = path;
  fresh->checked = now;
  fresh->used = now;
  Entry& entry = *fresh;
  entries.insert(std::move(fresh));
  place(entry, loaded);
  return loaded;
}

OpenResult FileCache::open_directory(const FileRoot& root, std::string_view path, TimePoint now) {
  const auto interned = state_->intern(root);
  const int descriptor = State::descriptor_of(*interned, now);
  if (descriptor < 0) return interned->error;
  return open_beneath(descriptor, path, root.symlinks, OpenFor::kReading);
}

void FileCache::has_grown(const CachedFile& file) {
  if (file.counted == 0) return;  // dropped meanwhile: it goes with its last answer
  const std::size_t bytes = file.memory();
  state_->usage.bytes += bytes - file.counted;
  file.counted = bytes;
  state_->shrink(nullptr);
}

void FileCache::trim(TimePoint now) {
  auto& open = state_->open;
  while (!open.empty() && now - open.back().used > kIdleDescriptor) {
    Entry& entry = open.back();
    state_->take_out(entry);
    state_->erase(entry);
  }
  for (auto& root : state_->roots) {
    if (!root->tried || now - root->opened < kRootLife) continue;
    root->descriptor.reset();
    root->tried = false;
  }
  std::erase_if(state_->roots, [](const auto& root) { return root->use_count() == 1 && !root->descriptor; });
}

boost::intrusive_ptr<Root> FileCache::State::intern(const FileRoot& root) {
  for (const auto& known : roots) {
    if (known->directory == root.directory) return known;
  }
  // Roots of configurations that are gone: nothing points at them once their entries have been dropped.
  std::erase_if(roots, [](const auto& known) { return known->use_count() == 1; });
  roots.emplace_back(new Root(root.directory));
  return roots.back();
}

int FileCache::State::descriptor_of(Root& root, TimePoint now) {
  if (!root.tried || now - root.opened >= kRootLife) {
    auto opened = open_root(root.directory);
    root.tried = true;
    root.opened = now;
    root.descriptor.reset();
    if (opened) {
      root.descriptor = std::move(*opened);
    } else {
      root.error = opened.error();
      // A passing trouble is asked about again at once; an absence is worth remembering.
      if (root.error == OpenError::kNoDescriptors || root.error == OpenError::kFailed) root.tried = false;
    }
  }
  return root.descriptor.get();
}

/// Whether the root's name leads to another directory than the one that is open. One that is missing is asked about
/// again when its time is over.
bool FileCache::State::has_moved(const Root& root, TimePoint now) {
  if (!root.descriptor || root.opened == now) return false;
  struct stat named {};
  struct stat opened {};
  if (::stat(root.directory.c_str(), &named) != 0 || ::fstat(root.descriptor.get(), &opened) != 0) return false;
  return named.st_ino != opened.st_ino || named.st_dev != opened.st_dev;
}

Loaded FileCache::State::look(Root& root, const FileRoot& wanted, std::string_view path, const FileRef& previous,
                              TimePoint now) {
  ++usage.checks;
  const auto attempt = [&]() -> Loaded {
    const int descriptor = descriptor_of(root, now);
    if (descriptor < 0) return {state_of(root.error), nullptr};
    return load_file(descriptor, wanted, path, previous);
  };
  auto loaded = attempt();
  // Another worker may have sent a page of the new release already, whose files are asked for here.
  if (loaded.state == FileState::kMissing && has_moved(root, now)) {
    root.tried = false;
    loaded = attempt();
  }
  if (loaded.state != FileState::kNoDescriptors || open.empty()) return loaded;
  // The process has run out: our own idle ones are the first to go, but for the one that is being looked at.
  for (auto it = open.begin(); it != open.end();) {
    Entry& entry = *it++;
    if (entry.file == previous) continue;
    take_out(entry);
    erase(entry);
  }
  root.tried = false;
  return attempt();
}

void FileCache::State::place(Entry& entry, const Loaded& loaded) {
  entry.state = loaded.state;
  entry.file = loaded.file;
  if (entry.file) entry.file->counted = entry.file->memory();
  entry.descriptors = entry.file ? entry.file->descriptors() : 0;
  usage.bytes += entry.file ? entry.file->counted : 0;
  usage.descriptors += entry.descriptors;
  ++(entry.file ? usage.files : usage.others);
  list_of(entry).push_front(entry);
  shrink(&entry);
}

void FileCache::State::take_out(Entry& entry) {
  auto& list = list_of(entry);
  list.erase(list.iterator_to(entry));
  if (entry.file) usage.bytes -= std::exchange(entry.file->counted, 0);
  usage.descriptors -= entry.descriptors;
  --(entry.file ? usage.files : usage.others);
}

void FileCache::State::erase(Entry& entry) {
  const Entry* const address = &entry;
  const auto found = entries.find(address);
  if (found != entries.end()) entries.erase(found);
}

/// `keep` (null: none) has just been placed and stays even if it is beyond a limit by itself: it is needed now.
void FileCache::State::shrink(const Entry* keep) {
  const auto drop_last = [&](Lru& list) {
    if (list.empty() || &list.back() == keep) return false;
    Entry& last = list.back();
    take_out(last);
    erase(last);
    return true;
  };
  while (usage.others > limits.others && drop_last(others)) {
  }
  while (usage.descriptors > limits.descriptors && drop_last(open)) {
  }
  while ((usage.bytes > limits.bytes || usage.files > limits.files) && (drop_last(in_memory) || drop_last(open))) {
  }
}

Lru& FileCache::State::list_of(const Entry& entry) {
  if (!entry.file) return others;
  return entry.descriptors > 0 ? open : in_memory;
}

}  // namespace headgate::proxy
