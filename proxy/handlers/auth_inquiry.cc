// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/auth_inquiry.h"

#include <algorithm>

#include "http/path.h"
#include "proxy/handlers/upstream_head.h"

namespace headgate::proxy {
namespace {

using http::FieldId;

/// As in attempt.cc: a client may close its half after the request and still want the answer.
constexpr Duration kPatience = std::chrono::seconds(1);

constexpr Error kClientGone{Errc::kClosed, Side::kDownstream, "client_closed"};
constexpr Error kTooLong{Errc::kTooLarge, Side::kUpstream, "forward_auth_too_large"};

/// Of the client's body, or a condition that is meant for the application: with it the service might say 304.
bool concerns_the_application(FieldId id) {
  switch (id) {
    case FieldId::kContentEncoding:
    case FieldId::kContentLength:
    case FieldId::kContentRange:
    case FieldId::kContentType:
    case FieldId::kIfMatch:
    case FieldId::kIfModifiedSince:
    case FieldId::kIfNoneMatch:
    case FieldId::kIfRange:
    case FieldId::kIfUnmodifiedSince:
    case FieldId::kRange:
    case FieldId::kTrailer:
      return true;
    default:
      return false;
  }
}

bool is_settled(FieldId id) {
  return id == FieldId::kXForwardedFor || id == FieldId::kXForwardedHost || id == FieldId::kXForwardedProto ||
         id == FieldId::kXRequestId;
}

/// What the client asked for, as the route that it found has understood it: a service that reads "/public/../admin"
/// would judge another path than the one that is served.
std::string_view forwarded_uri(Request& request) {
  const auto& head = request.exchange.request;
  std::string path;
  const auto notes = http::normalise_path(head.path, path);
  if (!notes || !notes->dot_segments) return head.target;
  std::string encoded;
  http::append_encoded_path(path, encoded);
  auto& arena = request.exchange.arena();
  return head.query.empty() ? arena.copy(encoded) : arena.join({encoded, "?", head.query});
}

}  // namespace

AuthInquiry::AuthInquiry(Request& request, const ForwardAuthRule& rule)
    : request_(request),
      exchange_(request.exchange),
      rule_(rule),
      deadline_(std::min(deadline_after(exchange_.loop().now(), rule.timeout), request.deadline)) {
  watched_ = exchange_.watch(this);
}

http::RequestHead AuthInquiry::question(std::string_view server) {
  http::RequestHead head;
  head.method = http::Method::kGet;
  head.method_name = "GET";
  head.target = rule_.target;
  head.authority = !rule_.authority.empty()      ? std::string_view(rule_.authority)
                   : server.starts_with("unix:") ? std::string_view("localhost")
                                                 : server;
  http::Fields fields;
  add_forwarded_fields(request_, fields);
  const auto wanted = [&](const http::Field& field) {
    if (is_settled(field.id)) return true;
    if (!rule_.request_headers) return !concerns_the_application(field.id);
    return std::any_of(rule_.request_headers->begin(), rule_.request_headers->end(),
                       [&](const std::string& name) { return http::iequals(name, field.name); });
  };
  for (const auto& field : fields) {
    if (wanted(field)) head.fields.add(field.id, field.name, field.value);
  }
  for (const std::string_view name : {"X-Forwarded-Method", "X-Forwarded-Uri"}) remove_alike(head.fields, name);
  head.fields.add("X-Forwarded-Method", exchange_.request.method_name);
  head.fields.add("X-Forwarded-Uri", forwarded_uri(request_));
  return head;
}

Task<AuthInquiry::Result> AuthInquiry::run(upstream::Lease& lease, std::string_view server) {
  std::optional<http::Http1ClientExchange> own;
  Loop& loop = exchange_.loop();
  auto& service = lease.exchange(loop, own, rule_.timeout);
  const TimePoint begun = loop.now();
  Result result;
  {
    const auto head = question(server);
    service.start(head);
  }
  auto finishing = service.finish(nullptr);
  co_await finishing;  // a failure shows itself to the reader, too
  service_ = &service;
  auto waiting = await_head(service);
  const auto head = co_await waiting;
  result.until_head = loop.now() - begun;
  if (!head) {
    service_ = nullptr;
    result.answer = head.error();
    result.fate = service.fate(head.error());
    co_return result;
  }
  if (const auto kept = (*head)->fields.get(FieldId::kKeepAlive)) lease.told_keep_alive(*kept);
  ServiceAnswer answer;
  answer.status = (*head)->status;
  take_fields((*head)->fields, answer);
  auto taking = take_body(service, answer.body);
  const auto taken = co_await taking;
  service_ = nullptr;
  const bool good = answer.status >= 200 && answer.status < 300;
  if (taken && service.reusable()) lease.give_back();
  // What a good answer's body says nobody wants to know.
  if (!taken && (!good || client_gone_)) {
    result.answer = taken.error();
  } else {
    result.answer = std::move(answer);
  }
  co_return result;
}

/// The final head; interim ones are of no use here.
Task<Result<http::ResponseHead*>> AuthInquiry::await_head(http::ClientExchange& service) {
  for (;;) {
    if (client_gone_) co_return kClientGone;
    const auto head = co_await service.read_head(next_wake());
    if (!head) {
      if (goes_on(head.error())) continue;
      co_return client_gone_ ? kClientGone : head.error();
    }
    if ((*head)->status >= 200) co_return *head;
    if ((*head)->status == 101) co_return Error{Errc::kBadMessage, Side::kUpstream, "upstream_unasked_upgrade"};
  }
}

Task<Result<>> AuthInquiry::take_body(http::ClientExchange& service, std::string& body) {
  while (!service.body_finished()) {
    if (client_gone_) co_return kClientGone;
    const auto piece = co_await service.read_body(next_wake());
    if (!piece) {
      if (goes_on(piece.error())) continue;
      co_return client_gone_ ? kClientGone : piece.error();
    }
    if (body.size() + piece->size() > kMostBody) co_return kTooLong;
    body.append(piece->data(), piece->size());
  }
  co_return headgate::Result<>();
}

/// Into the arena: the head is gone with the next read.
void AuthInquiry::take_fields(http::Fields& from, ServiceAnswer& answer) {
  remove_hop_by_hop(from, false);
  const bool good = answer.status < 300;
  auto& arena = exchange_.arena();
  for (const auto& field : from) {
    const auto named = [&](const std::string& name) { return http::iequals(name, field.name); };
    if (good && std::none_of(rule_.copy_headers.begin(), rule_.copy_headers.end(), named)) continue;
    answer.fields.add(field.id, arena.copy(field.name), arena.copy(field.value));
  }
}

// --- the client, meanwhile ------------------------------------------------------------------------------------------

TimePoint AuthInquiry::next_wake() const {
  if (watched_ || watcher_) return deadline_;
  return std::min(deadline_, exchange_.loop().now() + kPatience);
}

/// After a wait that failed: true when it is to be tried again, the watcher set to work.
bool AuthInquiry::goes_on(const Error& error) {
  if (client_gone_ || error.code != Errc::kTimeout || exchange_.loop().now() >= deadline_) return false;
  if (!watched_ && !watcher_) {
    watcher_ = watch_client();
    watcher_.start();
  }
  return !client_gone_;
}

void AuthInquiry::client_departed(const Error&) {
  client_gone_ = true;
  if (service_ != nullptr) service_->interrupt_read();
}

Task<> AuthInquiry::watch_client() {
  const bool gone = co_await exchange_.departed();
  if (!gone) co_return;
  client_gone_ = true;
  if (service_ != nullptr) service_->interrupt_read();
}

Task<> AuthInquiry::stop_watching() {
  exchange_.watch(nullptr);
  if (!watcher_) co_return;
  if (!watcher_.done()) exchange_.cancel_read();
  co_await watcher_;
  watcher_ = {};
  if (!client_gone_) exchange_.resume_read();
}

}  // namespace headgate::proxy
