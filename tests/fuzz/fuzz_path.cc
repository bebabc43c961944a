// SPDX-License-Identifier: Apache-2.0
// Input: a path as a client sends it. Whatever it is, what comes out is normal, and stays so over the wire and back.
#include <string>

#include "http/path.h"
#include "tests/fuzz/invariant.h"

using headgate::fuzz::demand;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view sent(reinterpret_cast<const char*>(data), size);
  std::string path;
  const auto notes = headgate::http::normalise_path(sent, path);
  if (!notes) {
    demand(path.empty(), "nothing is left of a path that was refused");
    return 0;
  }
  const std::string with_end = path + "/";
  demand(path.front() == '/', "a path begins with a slash");
  demand(path.size() <= sent.size(), "decoding makes nothing longer");
  demand(path.find("//") == std::string::npos, "slashes are merged");
  demand(path.find('\\') == std::string::npos, "a backslash is a separator");
  demand(with_end.find("/./") == std::string::npos && with_end.find("/../") == std::string::npos,
         "dot segments are resolved");
  for (const char c : path) {
    demand(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "no control character comes through");
  }

  std::string again;
  headgate::http::append_encoded_path(path, again);
  std::string path_again;
  const auto notes_again = headgate::http::normalise_path(again, path_again);
  demand(notes_again.has_value() && path_again == path, "encoding and decoding give the same path");
  demand(!notes_again->dot_segments && !notes_again->merged_slashes && !notes_again->encoded_separator,
         "an encoded path is normal");
  return 0;
}
