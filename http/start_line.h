// SPDX-License-Identifier: Apache-2.0
// The first line of a message: a request line (RFC 9112 section 3) or a status line (section 4), with the empty lines
// that may stand before it (section 2.2). Strict: single spaces, CRLF, a target of visible ASCII.
//
// The bytes stay their owner's. They may come one at a time and move between two calls; what can never become such a
// line is refused as soon as it is seen, with the same answer however the bytes were cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace headgate::http {

class StartLine {
 public:
  enum class Step : std::uint8_t { kNeedMore, kEnd, kFault };
  /// kVersion: well-formed, but neither 1.0 nor 1.1. kMethod: a request of HTTP/1 whose method nobody here knows.
  enum class Fault : std::uint8_t { kMalformed, kBareCr, kBareLf, kVersion, kMethod };

  /// Begins anew, at the beginning of the data.
  void begin() {
    stage_ = Stage::kEmptyLines;
    at_ = 0;
  }

  Step parse_request(const char* data, std::size_t size);
  Step parse_status(const char* data, std::size_t size);

  /// After kFault.
  Fault fault() const { return fault_; }

  // After kEnd; the views lie in `data`.
  std::size_t end() const { return at_; }
  std::string_view method(const char* data) const { return {data + begin_, method_end_ - begin_}; }
  std::string_view target(const char* data) const { return {data + method_end_ + 1, target_end_ - method_end_ - 1}; }
  int minor_version() const { return minor_version_; }
  int status() const { return status_; }

 private:
  enum class Stage : std::uint8_t { kEmptyLines, kMethod, kTarget, kVersion, kStatus, kReason, kLineEnd };

  Step fail(Fault fault);
  Step wait(Stage stage, std::size_t at);
  Step skip_empty_lines(const char* data, std::size_t size);
  Step read_version(const char* data, std::size_t size);
  Step read_status(const char* data, std::size_t size);
  Step finish(const char* data, std::size_t size, std::size_t at);

  std::uint32_t at_ = 0;     // how far it has got
  std::uint32_t begin_ = 0;  // of the line, behind empty ones
  std::uint32_t method_end_ = 0;
  std::uint32_t target_end_ = 0;
  std::uint16_t status_ = 0;
  std::uint8_t minor_version_ = 0;
  Stage stage_ = Stage::kEmptyLines;
  Fault fault_ = Fault::kMalformed;
};

}  // namespace headgate::http
