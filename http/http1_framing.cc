// SPDX-License-Identifier: Apache-2.0
#include "http/http1_framing.h"

#include <algorithm>
#include <charconv>

#include "http/byte_scan.h"
#include "http/target.h"

namespace headgate::http {
namespace {

const Rejection* check_host(RequestHead& head) {
  static constexpr Rejection kMissing{400, "missing_host", "Host is missing"};
  static constexpr Rejection kRepeated{400, "repeated_host", "more than one Host"};
  static constexpr Rejection kBad{400, "bad_host", "Host is not host[:port]"};
  const auto hosts = head.fields.count(FieldId::kHost);
  if (hosts == 0) return head.version == Version::kHttp11 ? &kMissing : nullptr;
  if (hosts > 1) return &kRepeated;
  head.authority = *head.fields.get(FieldId::kHost);
  return is_authority(head.authority) ? nullptr : &kBad;
}

/// absolute-form (RFC 9112 section 3.2.2): its authority must be that of Host. Leaves the origin form.
const Rejection* strip_authority(RequestHead& head) {
  static constexpr Rejection kNoUrl{400, "bad_target", "the request target is neither a path nor an http URL"};
  static constexpr Rejection kBad{400, "bad_host", "the target's host is not host[:port]"};
  static constexpr Rejection kMismatch{400, "host_mismatch", "the target's host is not that of Host"};
  static constexpr Rejection kNoPath{400, "bad_target", "a URL without a path"};
  const auto scheme_end = head.target.find("://");
  const auto scheme = head.target.substr(0, scheme_end);
  if (scheme_end == std::string_view::npos || !(iequals(scheme, "http") || iequals(scheme, "https"))) return &kNoUrl;
  const auto rest = head.target.substr(scheme_end + 3);
  const auto authority = rest.substr(0, rest.find_first_of("/?#"));
  if (!is_authority(authority)) return &kBad;
  if (!head.authority.empty() && !iequals(authority, head.authority)) return &kMismatch;
  head.authority = authority;
  head.target = rest.substr(authority.size());
  if (head.target.empty()) head.target = "/";
  return head.target.starts_with('/') ? nullptr : &kNoPath;
}

/// RFC 9112 section 3.2: origin form, absolute form, and "*" for OPTIONS.
const Rejection* check_target(RequestHead& head) {
  static constexpr Rejection kConnect{501, "connect_not_implemented", "CONNECT is not offered here"};
  static constexpr Rejection kAsterisk{400, "bad_target", "the target * is for OPTIONS"};
  static constexpr Rejection kFragment{400, "bad_target", "a fragment in the target"};
  if (head.method == Method::kConnect) return &kConnect;
  if (head.target == "*") {
    head.path = head.target;
    return head.method == Method::kOptions ? nullptr : &kAsterisk;
  }
  if (!head.target.starts_with('/')) {
    if (const Rejection* const wrong = strip_authority(head)) return wrong;
  }
  return split_target(head) ? nullptr : &kFragment;
}

/// Content-Length = 1*DIGIT.
bool read_length(std::string_view text, std::uint64_t& length) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

const Rejection* frame(const Fields& fields, Framing& framing) {
  static constexpr Rejection kBoth{400, "length_and_transfer_encoding",
                                   "Content-Length and Transfer-Encoding together"};
  static constexpr Rejection kRepeated{400, "repeated_content_length", "more than one Content-Length"};
  static constexpr Rejection kBadCoding{400, "bad_transfer_encoding", "a transfer coding other than one chunked"};
  static constexpr Rejection kBadLength{400, "bad_content_length", "Content-Length is not a decimal number"};
  const auto codings = fields.count(FieldId::kTransferEncoding);
  const auto lengths = fields.count(FieldId::kContentLength);
  if (codings > 0 && lengths > 0) return &kBoth;
  if (lengths > 1) return &kRepeated;
  if (codings > 0) {
    if (codings > 1 || !iequals(*fields.get(FieldId::kTransferEncoding), "chunked")) return &kBadCoding;
    framing.body = BodyKind::kChunked;
  } else if (lengths == 1) {
    if (!read_length(*fields.get(FieldId::kContentLength), framing.content_length)) return &kBadLength;
    framing.body = framing.content_length == 0 ? BodyKind::kNone : BodyKind::kLength;
  }
  return nullptr;
}

const Rejection* settle_target(RequestHead& head) {
  const Rejection* const wrong = check_host(head);
  return wrong != nullptr ? wrong : check_target(head);
}

bool stays_open(const Fields& fields, Version version) {
  return !fields.list_contains(FieldId::kConnection, "close") &&
         (version == Version::kHttp11 || fields.list_contains(FieldId::kConnection, "keep-alive"));
}

}  // namespace headgate::http
