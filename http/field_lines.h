// SPDX-License-Identifier: Apache-2.0
// Field lines (RFC 9112 section 5, RFC 9110 section 5): those of a head, and the trailers behind a chunked body.
// Strict: names are tokens with the colon right behind, values have no control character, lines end with CRLF and
// nowhere else, and nothing is folded.
//
// The bytes stay their owner's. They may come one at a time and move between two calls; no byte is looked at again once
// it has passed, but for a name, once, when it is whole.
#pragma once

#include <cstddef>
#include <cstdint>

#include <boost/container/small_vector.hpp>

#include "http/fields.h"

namespace headgate::http {

class FieldLines {
 public:
  enum class Step : std::uint8_t { kNeedMore, kEnd, kFault };
  enum class Fault : std::uint8_t { kMalformed, kNoName, kFolded, kBareCr, kBareLf, kTooMany };

  /// Begins anew: the first line stands `at` bytes behind the beginning of the data.
  void begin(std::size_t at) {
    at_ = line_.name = static_cast<std::uint32_t>(at);
    stage_ = Stage::kName;
    lines_.clear();
  }

  /// Reads on up to the empty line. `data` begins where it began in the calls before.
  Step parse(const char* data, std::size_t size, std::size_t max_fields);

  /// After kEnd: where the bytes behind the empty line begin.
  std::size_t end() const { return at_; }
  /// After kFault.
  Fault fault() const { return fault_; }

  /// After kEnd: adds the fields, as views into the data, values without the blanks around them.
  void append_to(const char* data, Fields& fields) const;

 private:
  enum class Stage : std::uint8_t { kName, kValue };
  /// One field; places and sizes in bytes, the name's size together with its FieldId.
  struct Line {
    std::uint32_t name;
    std::uint32_t name_size_and_id;
    std::uint32_t value;
    std::uint32_t value_size;
  };

  Step fail(Fault fault);
  Step end_or_fail(const char* data, const char* line, const char* end);
  Step wait_for_colon(const char* data, const char* from, const char* end, const char* name);
  Step wait_for_end(const char* data, const char* at, const char* end, Line line);

  std::uint32_t at_ = 0;  // how far it has got
  Stage stage_ = Stage::kName;
  Fault fault_ = Fault::kMalformed;
  Line line_{};  // that is being read
  boost::container::small_vector<Line, 16> lines_;
};

}  // namespace headgate::http
