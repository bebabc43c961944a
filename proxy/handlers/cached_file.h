// SPDX-License-Identifier: Apache-2.0
// CachedFile: one file as it was when it was read, with what every answer about it needs, made once. Immutable but for
// a memo and what is made of it later. Counted without atomics: it belongs to one worker's FileCache and to the
// responses under way on that loop, so that a file stays whole under a response although the cache has dropped or
// replaced it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/container/static_vector.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <sys/stat.h>

#include "base/unique_fd.h"
#include "compress/kept_forms.h"
#include "http/date.h"
#include "http/negotiate.h"

namespace headgate::proxy {

/// What tells one state of a file from another. Times in nanoseconds since 1970.
struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified = 0;
  std::int64_t changed = 0;  ///< of the inode: moves even when the modification time is set back

  FileStamp() = default;
  explicit FileStamp(const struct stat& info);
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

/// The file itself, or a precompressed sibling of it.
struct Representation {
  http::Coding coding = http::Coding::kIdentity;
  FileStamp stamp;
  std::string etag;  ///< strong, with its quotes; different for each coding
  std::string body;  ///< when in_memory
  bool in_memory = false;
  UniqueFd descriptor;  ///< when not in_memory
  std::uint64_t size() const { return in_memory ? body.size() : stamp.size; }
};

class CachedFile : public boost::intrusive_ref_counter<CachedFile, boost::thread_unsafe_counter> {
 public:
  std::string path;                           ///< below its root, with a leading slash
  std::string_view content_type;              ///< of the file itself, also for its compressed siblings
  std::optional<std::int64_t> last_modified;  ///< Unix seconds; none when the file system's time says nothing
  http::HttpDate last_modified_text;
  /// Identity first; then the siblings that exist and are not older.
  boost::container::static_vector<Representation, http::kCodingCount> representations;
  /// False when a change right after reading could have left the same stamp: then it is read again.
  bool settled = true;

  const Representation* find(http::Coding coding) const {
    for (const auto& one : representations) {
      if (one.coding == coding) return &one;
    }
    return nullptr;
  }
  std::size_t memory() const;
  std::size_t descriptors() const;

  /// What was made of it for clients that take a coding for which there is no sibling. Whoever adds to it tells the
  /// cache (FileCache::has_grown).
  mutable compress::KeptForms forms;
  /// What the cache counts for it; 0: it does not hold it (any more).
  mutable std::size_t counted = 0;

  /// The Cache-Control that the route with this number gives it; computed by whoever asks first.
  struct CacheControlMemo {
    std::uint64_t route = 0;  ///< 0: not yet
    std::string_view value;   ///< lives as long as the route
  };
  mutable CacheControlMemo cache_control;
};

using FileRef = boost::intrusive_ptr<const CachedFile>;

}  // namespace headgate::proxy
