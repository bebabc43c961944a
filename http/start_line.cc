// SPDX-License-Identifier: Apache-2.0
#include "http/start_line.h"

#include <algorithm>
#include <cstring>

#include "http/byte_scan.h"
#include "http/message.h"

namespace headgate::http {
namespace {

/// No method is longer (IANA's longest has 17 letters).
constexpr std::size_t kMaxMethod = 64;

/// What is let through of the methods that nothing here acts upon: WebDAV and its relatives (IANA's registry), UPnP,
/// caches. Others are answered with 501.
constexpr std::string_view kOtherMethods[] = {
    "ACL",        "BIND",   "CHECKOUT",  "COPY",   "LINK",     "LOCK",      "M-SEARCH",    "MERGE",  "MKACTIVITY",
    "MKCALENDAR", "MKCOL",  "MOVE",      "NOTIFY", "PROPFIND", "PROPPATCH", "PURGE",       "REBIND", "REPORT",
    "SEARCH",     "SOURCE", "SUBSCRIBE", "UNBIND", "UNLINK",   "UNLOCK",    "UNSUBSCRIBE",
};

/// True when the bytes, of which there are as many, begin with "HTTP/1.".
bool is_http1(const char* bytes) {
  constexpr std::string_view kName = "HTTP/1.";
  return std::memcmp(bytes, kName.data(), kName.size()) == 0;
}

bool is_known_method(std::string_view name) {
  return method_of(name) != Method::kOther ||
         std::find(std::begin(kOtherMethods), std::end(kOtherMethods), name) != std::end(kOtherMethods);
}

/// True when `text`, which is no longer, can be the beginning of what the pattern says: '0' there stands for any digit.
bool fits(std::string_view text, std::string_view pattern) {
  return text.size() <= pattern.size() &&
         std::equal(text.begin(), text.end(), pattern.begin(),
                    [](char c, char wanted) { return wanted == '0' ? is_digit(c) : c == wanted; });
}

}  // namespace

StartLine::Step StartLine::fail(Fault fault) {
  fault_ = fault;
  return Step::kFault;
}

StartLine::Step StartLine::wait(Stage stage, std::size_t at) {
  stage_ = stage;
  at_ = static_cast<std::uint32_t>(at);
  return Step::kNeedMore;
}

StartLine::Step StartLine::skip_empty_lines(const char* data, std::size_t size) {
  std::size_t at = at_;
  while (at < size && data[at] == '\r') {
    if (size - at < 2) return wait(Stage::kEmptyLines, at);
    if (data[at + 1] != '\n') return fail(Fault::kBareCr);
    at += 2;
  }
  if (at == size) return wait(Stage::kEmptyLines, at);
  if (data[at] == '\n') return fail(Fault::kBareLf);
  begin_ = at_ = static_cast<std::uint32_t>(at);
  return Step::kEnd;
}

/// request-line = method SP request-target SP HTTP-version.
StartLine::Step StartLine::parse_request(const char* data, std::size_t size) {
  const char* const end = data + size;
  const auto offset = [data](const char* at) { return static_cast<std::uint32_t>(at - data); };
  switch (stage_) {
    case Stage::kEmptyLines:
      if (const Step step = skip_empty_lines(data, size); step != Step::kEnd) return step;
      [[fallthrough]];
    case Stage::kMethod: {
      const char* p = data + at_;
      while (p != end && is_token_char(*p)) ++p;
      if (offset(p) - begin_ > kMaxMethod) return fail(Fault::kMalformed);
      if (p == end) return wait(Stage::kMethod, size);
      if (*p != ' ' || offset(p) == begin_) return fail(Fault::kMalformed);
      method_end_ = offset(p);
      at_ = method_end_ + 1;
    }
      [[fallthrough]];
    case Stage::kTarget: {
      const char* const p = find_first<TargetEnd>(data, data + at_, end);
      if (p == end) return wait(Stage::kTarget, size);
      if (*p != ' ' || offset(p) == method_end_ + 1) return fail(Fault::kMalformed);
      target_end_ = offset(p);
    }
      [[fallthrough]];
    case Stage::kVersion:
      if (const Step step = read_version(data, size); step != Step::kEnd) return step;
      [[fallthrough]];
    default:
      return finish(data, size, target_end_ + 1 + 8);
  }
}

/// HTTP-version = "HTTP/" DIGIT "." DIGIT, with its whole line behind us: only now is a method one of HTTP's.
StartLine::Step StartLine::read_version(const char* data, std::size_t size) {
  const std::size_t from = target_end_ + 1;
  const std::string_view text(data + from, std::min<std::size_t>(size - from, 8));
  if (text.size() < 8 || !is_http1(text.data()) || (text[7] != '1' && text[7] != '0')) {
    if (!fits(text, "HTTP/0.0")) return fail(Fault::kMalformed);
    return text.size() < 8 ? wait(Stage::kVersion, size) : fail(Fault::kVersion);
  }
  minor_version_ = static_cast<std::uint8_t>(text[7] - '0');
  return is_known_method(method(data)) ? Step::kEnd : fail(Fault::kMethod);
}

/// status-line = HTTP-version SP status-code SP [ reason-phrase ]; the second space may be missing, since origins leave
/// it away.
StartLine::Step StartLine::parse_status(const char* data, std::size_t size) {
  switch (stage_) {
    case Stage::kEmptyLines:
      if (const Step step = skip_empty_lines(data, size); step != Step::kEnd) return step;
      [[fallthrough]];
    case Stage::kStatus:
      if (const Step step = read_status(data, size); step != Step::kEnd) return step;
      [[fallthrough]];
    case Stage::kReason: {
      const char* const end = data + size;
      const char* const p = find_first<ValueEnd>(data, data + at_, end);
      if (p == end) return wait(Stage::kReason, size);
      return finish(data, size, static_cast<std::size_t>(p - data));
    }
    default:
      return finish(data, size, at_);
  }
}

/// "HTTP/1.1 200" and the byte behind it.
StartLine::Step StartLine::read_status(const char* data, std::size_t size) {
  constexpr std::size_t kSize = 12;
  const std::string_view text(data + begin_, std::min(size - begin_, kSize));
  const bool whole = text.size() == kSize && is_http1(text.data()) && is_digit(text[7]) && text[8] == ' ' &&
                     is_digit(text[9]) && is_digit(text[10]) && is_digit(text[11]);
  if (!whole) {
    return fits(text, "HTTP/1.0 000") && text.size() < kSize ? wait(Stage::kStatus, size) : fail(Fault::kMalformed);
  }
  status_ = static_cast<std::uint16_t>((text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0'));
  minor_version_ = static_cast<std::uint8_t>(text[7] - '0');
  if (status_ < 100 || status_ > 599 || minor_version_ > 1) return fail(Fault::kMalformed);
  at_ = begin_ + kSize;
  if (at_ == size) return wait(Stage::kStatus, size);
  const char next = data[at_];
  return next == ' ' || next == '\r' || next == '\n' ? Step::kEnd : fail(Fault::kMalformed);
}

/// CRLF.
StartLine::Step StartLine::finish(const char* data, std::size_t size, std::size_t at) {
  if (size - at < 2) {
    if (at == size || data[at] == '\r') return wait(Stage::kLineEnd, at);
  } else if (data[at] == '\r' && data[at + 1] == '\n') {
    at_ = static_cast<std::uint32_t>(at + 2);
    return Step::kEnd;
  }
  if (data[at] == '\r') return fail(Fault::kBareCr);
  return fail(data[at] == '\n' ? Fault::kBareLf : Fault::kMalformed);
}

}  // namespace headgate::http
