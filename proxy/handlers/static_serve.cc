// SPDX-License-Identifier: Apache-2.0
// The second half of StaticFiles: from a plan to bytes.
#include <array>
#include <atomic>
#include <charconv>
#include <random>

#include "proxy/handlers/static_files.h"

namespace headgate::proxy {
namespace {

using http::FieldId;

constexpr std::string_view kAllow = "GET, HEAD, OPTIONS";

std::span<const char> bytes_of(std::string_view text) {
  return {text.data(), text.size()};
}

/// A delimiter that no file holds except by a chance of 2^-64: random at start, different each time.
std::array<char, 32> make_boundary() {
  static const std::uint64_t start =
      (static_cast<std::uint64_t>(std::random_device{}()) << 32) | std::random_device{}();
  static std::atomic<std::uint64_t> count{0};
  constexpr std::string_view kDigits = "0123456789abcdef";
  const std::array<std::uint64_t, 2> numbers = {start, ++count * 0x9e3779b97f4a7c15};
  std::array<char, 32> text{};
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = kDigits[(numbers[i / 16] >> (i % 16 * 4)) & 0xf];
  return text;
}

/// Fields of 200, 206 and 304 (RFC 9110 section 15.4.5): those of the file that the client may have to renew.
void add_validators(const StaticPlan& plan, http::ResponseHead& head) {
  head.fields.add(FieldId::kETag, "ETag", plan.representation->etag);
  if (plan.dated && plan.file->last_modified) {
    head.fields.add(FieldId::kLastModified, "Last-Modified", plan.file->last_modified_text.text());
  }
  if (!plan.cache_control.empty()) head.fields.add(FieldId::kCacheControl, "Cache-Control", plan.cache_control);
  if (plan.varies) head.fields.add(FieldId::kVary, "Vary", "Accept-Encoding");
}

void add_content_fields(const StaticPlan& plan, std::string_view content_type, http::ResponseHead& head) {
  head.fields.add(FieldId::kContentType, "Content-Type", content_type);
  if (plan.representation->coding != http::Coding::kIdentity) {
    head.fields.add(FieldId::kContentEncoding, "Content-Encoding", http::to_string(plan.representation->coding));
  }
  add_validators(plan, head);
  head.fields.add(FieldId::kAcceptRanges, "Accept-Ranges", "bytes");
}

/// A failure that the client did not cause: the log gets a reason, the client an error instead of a clean end.
void break_off(Request& request, const Error& error) {
  if (error.side == Side::kDownstream) return;
  request.error = "file_read_failed";
  request.exchange.abort();
}

/// One stretch of a representation, from memory or from its descriptor.
Task<Result<>> write_range(Request& request, const Representation& from, http::ByteRange range) {
  if (from.in_memory) return request.write({from.body.data() + range.first, range.count});
  return request.write_file(from.descriptor.get(), range.first, range.count);
}

/// multipart/byteranges (RFC 9110 section 14.6).
Task<Result<>> send_ranges(Request& request, StaticPlan plan) {
  const Representation& from = *plan.representation;
  const auto digits = make_boundary();
  const std::string_view boundary(digits.data(), digits.size());
  const std::string type = "multipart/byteranges; boundary=" + std::string(boundary);
  // All part heads one after another, with the place where each ends; then what closes the last part.
  std::string text;
  boost::container::static_vector<std::size_t, http::kMaxRanges> ends;
  std::uint64_t length = 0;
  for (const auto& range : plan.ranges) {
    http::append_part_head(boundary, plan.file->content_type, range, from.size(), text);
    ends.push_back(text.size());
    length += range.count;
  }
  http::append_last_delimiter(boundary, text);

  http::ResponseHead head;
  head.status = 206;
  add_content_fields(plan, type, head);
  head.content_length = length + text.size();
  request.start(head);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < plan.ranges.size(); ++i) {
    const auto part_head = bytes_of(std::string_view(text).substr(begin, ends[i] - begin));
    begin = ends[i];
    auto sent = co_await request.write(part_head);
    if (sent) sent = co_await write_range(request, from, plan.ranges[i]);
    if (!sent) {
      break_off(request, sent.error());
      co_return sent;
    }
  }
  const auto tail = bytes_of(std::string_view(text).substr(begin));
  co_return co_await request.write(tail, true);
}

bool has_body(const Request& request, const StaticPlan& plan) {
  return plan.status != 304 && request.exchange.request.method != http::Method::kHead;
}

/// Fills the head for a file that is sent in one piece or not at all, and says which piece.
http::ByteRange describe(const StaticPlan& plan, Arena& arena, http::ResponseHead& head) {
  head.status = plan.status;
  if (plan.status == 304) {
    add_validators(plan, head);
    head.content_length = plan.representation->size();  // of the 200 it stands for, or none at all
    return {};
  }
  add_content_fields(plan, plan.file->content_type, head);
  http::ByteRange range{0, plan.representation->size()};
  if (plan.status == 206) {
    range = plan.ranges.front();
    std::string text;
    http::append_content_range(range, plan.representation->size(), text);
    head.fields.add(FieldId::kContentRange, "Content-Range", arena.copy(text));
  }
  head.content_length = range.count;
  return range;
}

/// The file stays while its bytes are on their way to a client that does not take them at once.
Task<Result<>> hold([[maybe_unused]] FileRef file, Task<Result<>> sending) {
  co_return co_await sending;
}

/// As hold, and what the answer has left beside the file is counted.
Task<Result<>> hold_and_count(FileRef file, Task<Result<>> sending, FileCache& cache) {
  const auto sent = co_await sending;
  cache.has_grown(*file);
  co_return sent;
}

/// 200, 304, and 206 with one range, of what lies in memory or has no body.
Task<Result<>> send_from_memory(Request& request, StaticPlan& plan, FileCache& cache) {
  http::ResponseHead head;
  const auto range = describe(plan, request.exchange.arena(), head);
  std::span<const char> bytes;
  if (has_body(request, plan)) bytes = {plan.representation->body.data() + range.first, range.count};
  if (request.compresses()) [[unlikely]] {
    // Siblings have a coding already; a range is of the file itself.
    auto* const forms = plan.status == 200 ? &plan.file->forms : nullptr;
    auto encoding = request.respond(head, bytes, forms);
    return hold_and_count(std::move(plan.file), std::move(encoding), cache);
  }
  auto sent = request.respond(head, bytes);
  if (sent.done()) return sent;
  return hold(std::move(plan.file), std::move(sent));
}

/// As above, from the file itself.
Task<Result<>> send_from_disk(Request& request, StaticPlan plan) {
  http::ResponseHead head;
  const auto range = describe(plan, request.exchange.arena(), head);
  request.start(head);
  const int descriptor = plan.representation->descriptor.get();
  auto sent = co_await request.write_file(descriptor, range.first, range.count);
  if (sent) sent = co_await request.finish();
  if (!sent) break_off(request, sent.error());
  co_return sent;
}

/// Refusals whose answer carries a field that respond_error does not know.
Task<Result<>> refuse_with_field(Request& request, const StaticPlan& plan) {
  http::ResponseHead head;
  head.status = plan.status;
  head.fields.add(FieldId::kContentType, "Content-Type", "text/plain; charset=utf-8");
  head.fields.add(FieldId::kCacheControl, "Cache-Control", "no-store");
  if (plan.status == 405) {
    head.fields.add(FieldId::kAllow, "Allow", kAllow);
  } else {
    head.fields.add(FieldId::kContentRange, "Content-Range", plan.text);
  }
  auto& arena = request.exchange.arena();
  const auto number = std::to_string(plan.status);
  return request.respond_refusal(head, arena.join({number, " ", http::reason_phrase(plan.status), "\n"}));
}

/// The answers without a file: a page of ours, a redirect, OPTIONS.
Task<Result<>> send_own(Request& request, const StaticPlan& plan) {
  http::ResponseHead head;
  head.status = plan.status;
  std::string_view body;
  if (plan.kind == StaticPlan::Kind::kPage) {
    head.fields.add(FieldId::kContentType, "Content-Type", "text/html; charset=utf-8");
    head.fields.add(FieldId::kCacheControl, "Cache-Control", "no-cache");
    body = request.exchange.arena().copy(plan.text);
  } else if (plan.kind == StaticPlan::Kind::kRedirect) {
    head.fields.add(FieldId::kLocation, "Location", plan.text);
  } else {
    head.fields.add(FieldId::kAllow, "Allow", kAllow);
  }
  if (plan.status != 204) head.content_length = body.size();
  if (request.exchange.request.method == http::Method::kHead) body = {};
  return request.respond(head, body);
}

}  // namespace

StaticPlan StaticFiles::plan(const Request& request, FileCache& cache, std::size_t pool) const {
  const http::RequestHead& asked = request.exchange.request;
  const StaticQuestion question{
      asked.method, request.path, asked.path, asked.query, asked.fields, request, request.exchange.loop().now(), pool};
  return plan(question, cache);
}

Task<Result<>> StaticFiles::serve(Request& request, FileCache& cache) const {
  return carry_out(request, plan(request, cache, 0), cache);
}

Task<Result<>> StaticFiles::carry_out(Request& request, StaticPlan decided, FileCache& cache) {
  switch (decided.kind) {
    case StaticPlan::Kind::kFile:
      if (decided.ranges.size() > 1) return send_ranges(request, std::move(decided));
      if (decided.representation->in_memory || !has_body(request, decided))
        return send_from_memory(request, decided, cache);
      return send_from_disk(request, std::move(decided));
    case StaticPlan::Kind::kPage:
    case StaticPlan::Kind::kRedirect:
    case StaticPlan::Kind::kOptions:
      return send_own(request, decided);
    case StaticPlan::Kind::kRefusal:
      break;
  }
  request.error = decided.reason;
  if (decided.status == 405 || decided.status == 416) return refuse_with_field(request, decided);
  return request.respond_error(decided.status, decided.reason);
}

}  // namespace headgate::proxy
