// SPDX-License-Identifier: Apache-2.0
// Input: a byte that chooses request or response and where the bytes are cut in two, then what a peer sends. A head is
// the same whether it comes at once or in pieces, and nothing comes through that a neighbour could read otherwise.
#include <algorithm>
#include <string>
#include <vector>

#include "http/http1_parser.h"
#include "tests/fuzz/invariant.h"

using headgate::fuzz::demand;
using headgate::fuzz::lies_within;
namespace http = headgate::http;

namespace {

void demand_clean(const http::Fields& fields, std::string_view whole) {
  for (const auto& field : fields) {
    demand(http::is_token(field.name), "a field name is a token");
    demand(http::is_field_value(field.value), "a field value has no control characters");
    demand(lies_within(field.name, whole) && lies_within(field.value, whole), "fields are parts of the head");
    demand(http::trim(field.value) == field.value, "a value has no space around it");
  }
}

void demand_clean_request(const http::RequestHead& head, std::string_view whole) {
  demand_clean(head.fields, whole);
  demand(http::is_token(head.method_name), "a method is a token");
  demand(head.body != http::BodyKind::kUntilClose, "a request does not end with its connection");
  demand(head.fields.count(http::FieldId::kHost) <= 1, "there is one Host at most");
  demand(
      head.fields.count(http::FieldId::kTransferEncoding) == 0 || head.fields.count(http::FieldId::kContentLength) == 0,
      "a request is not framed twice");
  for (const char c : head.target)
    demand(static_cast<unsigned char>(c) > 0x20 && c != 0x7f, "a target is visible text");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const bool is_request = (data[0] & 1) == 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t cut = std::min<std::size_t>(data[0] >> 1, bytes.size());
  const auto kind = is_request ? http::Http1Parser::Kind::kRequest : http::Http1Parser::Kind::kResponse;
  const http::HeadLimits limits{2048, 20};

  http::Http1Parser at_once(kind, limits);
  auto outcome = at_once.parse_head(bytes.data(), bytes.size());
  http::Http1Parser in_pieces(kind, limits);
  auto outcome_in_pieces = in_pieces.parse_head(bytes.data(), cut);
  // The buffer may move between two calls.
  const std::string moved = bytes;
  if (outcome_in_pieces == http::Http1Parser::Outcome::kNeedMore) {
    outcome_in_pieces = in_pieces.parse_head(moved.data(), moved.size());
  }
  demand((outcome == http::Http1Parser::Outcome::kRejected) ==
             (outcome_in_pieces == http::Http1Parser::Outcome::kRejected),
         "pieces are refused as the whole is");
  if (outcome != http::Http1Parser::Outcome::kComplete) return 0;
  demand(outcome_in_pieces == outcome, "pieces make the same head");
  demand(at_once.head_size() <= bytes.size() && at_once.head_size() == in_pieces.head_size(),
         "a head lies in its bytes");

  const std::string_view whole(bytes.data(), at_once.head_size());
  if (is_request) {
    http::RequestHead head;
    if (at_once.take_request(bytes.data(), head) != http::Http1Parser::Outcome::kComplete) return 0;
    demand_clean_request(head, whole);
  } else {
    http::ResponseHead head;
    if (at_once.take_response(bytes.data(), http::Method::kGet, head) != http::Http1Parser::Outcome::kComplete)
      return 0;
    demand_clean(head.fields, whole);
    demand(head.status >= 100 && head.status <= 999, "a status has three digits");
  }
  if (at_once.body_kind() != http::BodyKind::kChunked) return 0;
  std::string body = bytes.substr(at_once.head_size());
  const auto decoded = at_once.decode_chunked(body.data(), body.size());
  demand(decoded.produced <= decoded.consumed && decoded.consumed <= body.size(), "content lies in its chunks");
  if (!decoded.ok || !decoded.finished) return 0;
  for (const auto& field : at_once.trailers()) {
    demand(http::is_token(field.name) && http::is_field_value(field.value), "trailers are fields");
  }
  return 0;
}
