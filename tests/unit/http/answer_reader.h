// SPDX-License-Identifier: Apache-2.0
// Reads what a server wrote, as a strict client would: independent of the code under test, for unit tests and fuzzing.
#pragma once

#include <charconv>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace headgate::http {

struct Answer {
  enum class Framing { kNone, kLength, kChunked, kUntilClose };
  int status = 0;
  std::string reason;
  std::vector<std::pair<std::string, std::string>> fields;
  Framing framing = Framing::kNone;
  std::string body;
  std::vector<std::pair<std::string, std::string>> trailers;
  bool complete = false;  ///< the end of its framing was seen (for kUntilClose: the connection's end will tell)

  /// The first of that name in lower case; "(none)" when absent.
  std::string field(std::string_view name) const {
    for (const auto& [key, value] : fields) {
      if (lower(key) == name) return value;
    }
    return "(none)";
  }
  static std::string lower(std::string text) {
    for (char& c : text) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
    return text;
  }
};

/// Takes answers off the front of the bytes, one after another.
class AnswerReader {
 public:
  explicit AnswerReader(std::string_view bytes) : rest_(bytes) {}

  /// The next answer, interim ones too; `head_only`: it answers HEAD. False at the end of the bytes and at an error.
  bool next(bool head_only, Answer& answer) {
    answer = {};
    if (rest_.empty() || !error_.empty()) return false;
    if (!read_head(answer)) return false;
    const bool none = head_only || answer.status < 200 || answer.status == 204 || answer.status == 304;
    if (none) {
      answer.complete = true;
      return true;
    }
    const auto length = answer.field("content-length");
    if (answer.framing == Answer::Framing::kChunked) return read_chunks(answer);
    if (answer.framing == Answer::Framing::kLength) {
      std::uint64_t size = 0;
      std::from_chars(length.data(), length.data() + length.size(), size);
      answer.complete = rest_.size() >= size;
      answer.body = take(answer.complete ? static_cast<std::size_t>(size) : rest_.size());
      return true;
    }
    answer.framing = Answer::Framing::kUntilClose;
    answer.body = take(rest_.size());
    answer.complete = true;
    return true;
  }

  /// Why next() said no; empty at the clean end. "truncated" when the bytes end within a head or a chunked body.
  const std::string& error() const { return error_; }
  std::string_view rest() const { return rest_; }

 private:
  bool fail(const char* why) {
    error_ = why;
    return false;
  }
  std::string take(std::size_t size) {
    std::string out(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return out;
  }
  bool line(std::string& out) {
    const auto end = rest_.find("\r\n");
    if (end == std::string_view::npos) return fail("truncated");
    out = take(end);
    rest_.remove_prefix(2);
    if (out.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) return fail("control character");
    return true;
  }
  bool read_fields(std::vector<std::pair<std::string, std::string>>& out) {
    for (std::string text;;) {
      if (!line(text)) return false;
      if (text.empty()) return true;
      const auto colon = text.find(':');
      if (colon == std::string::npos || colon == 0) return fail("a line that is no field");
      const auto name = text.substr(0, colon);
      if (name.find_first_of(" \t\"(),/;<=>?@[\\]{}") != std::string::npos) return fail("a name that is no token");
      auto value = text.substr(colon + 1);
      value.erase(0, value.find_first_not_of(" \t"));
      out.emplace_back(name, value);
    }
  }
  bool read_head(Answer& answer) {
    std::string text;
    if (!line(text)) return false;
    if (!text.starts_with("HTTP/1.1 ") || text.size() < 13 || text[12] != ' ') return fail("no status line");
    const auto [end, error] = std::from_chars(text.data() + 9, text.data() + 12, answer.status);
    if (error != std::errc() || end != text.data() + 12 || answer.status < 100) return fail("no status");
    answer.reason = text.substr(13);
    if (!read_fields(answer.fields)) return false;
    std::map<std::string, int> count;
    for (const auto& [name, value] : answer.fields) ++count[Answer::lower(name)];
    for (const char* name : {"content-length", "transfer-encoding", "date", "connection"}) {
      if (count[name] > 1) return fail("a field that stands alone stands twice");
    }
    const auto length = answer.field("content-length");
    const bool has_length = count["content-length"] == 1;
    if (has_length && (length.empty() || length.find_first_not_of("0123456789") != std::string::npos)) {
      return fail("no length");
    }
    const bool chunked = count["transfer-encoding"] == 1;
    if (chunked && answer.field("transfer-encoding") != "chunked") return fail("a transfer coding");
    if (chunked && has_length) return fail("framed twice");
    if ((answer.status < 200 || answer.status == 204) && (chunked || has_length)) return fail("framed without content");
    if (chunked) answer.framing = Answer::Framing::kChunked;
    if (has_length) answer.framing = Answer::Framing::kLength;
    return true;
  }
  bool read_chunks(Answer& answer) {
    for (std::string text;;) {
      if (!line(text)) return unfinished(answer);
      std::size_t size = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size, 16);
      if (error != std::errc() || end != text.data() + text.size()) return fail("no chunk size");
      if (size == 0) break;
      if (rest_.size() < size + 2) {
        answer.body += take(std::min(rest_.size(), size));
        return unfinished(answer);
      }
      answer.body += take(size);
      if (take(2) != "\r\n") return fail("a chunk that does not end");
    }
    if (!read_fields(answer.trailers)) return unfinished(answer);
    answer.complete = true;
    return true;
  }
  /// A cut body is an answer that is not complete; anything else was an error.
  bool unfinished(Answer& answer) {
    if (error_ == "truncated") error_.clear();
    answer.complete = false;
    rest_ = {};
    return error_.empty();
  }

  std::string_view rest_;
  std::string error_;
};

}  // namespace headgate::http
