// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/forward_auth.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <boost/container/small_vector.hpp>

#include "base/hash.h"
#include "proxy/gate.h"
#include "proxy/generation.h"
#include "proxy/handlers/auth_inquiry.h"
#include "proxy/handlers/upstream_head.h"

namespace headgate::proxy {
namespace {

using config::RetryOn;
using observe::Denial;
using upstream::Pool;

/// As in forward.cc.
constexpr unsigned kMaxStale = 3;
constexpr Duration kPatience = std::chrono::seconds(1);

constexpr Error kNoServer{Errc::kUnavailable, Side::kInternal, "no_healthy_server"};
constexpr Error kClientGone{Errc::kClosed, Side::kDownstream, "client_closed"};
constexpr Error kOutOfTime{Errc::kTimeout, Side::kInternal, "forward_auth_timeout"};

/// The host of an upstream that a URL has made, as the URL's reader would write it.
std::string authority_of(const config::Upstream& upstream) {
  const auto scheme = upstream.name.find("://");
  if (scheme == std::string::npos) return {};
  std::string authority = upstream.name.substr(scheme + 3);
  const bool secure = upstream.scheme == config::Scheme::kHttps || upstream.scheme == config::Scheme::kH2;
  const std::string_view port = secure ? ":443" : ":80";
  if (authority.ends_with(port)) authority.resize(authority.size() - port.size());
  return authority;
}

/// One request's way to an answer through the servers of the service.
class Consultation {
 public:
  Consultation(Request& request, const ForwardAuthRule& rule, AuthInquiry& inquiry)
      : request_(request),
        rule_(rule),
        inquiry_(inquiry),
        upstream_(*request.generation->upstreams[rule.upstream]),
        pool_(upstream_.pool(0)),
        compiled_(request.generation->shared->upstreams[rule.upstream]),
        active_(upstream_) {
    if (compiled_.balance_key) ask_.key = hash_of(request.expand(*compiled_.balance_key));
    ask_.repeatable = true;
  }

  Task<Result<ServiceAnswer>> run() {
    for (;;) {
      if (inquiry_.client_gone()) co_return kClientGone;
      if (loop().now() >= inquiry_.deadline()) co_return kOutOfTime;
      auto picking = pick();
      auto turn = co_await picking;
      if (!turn) co_return attempts_ > 0 ? error_ : turn.error();
      ++attempts_;
      auto trying = try_at(*turn);
      const bool again = co_await trying;
      if (!again) co_return std::move(answer_);
    }
  }

 private:
  Loop& loop() const { return request_.exchange.loop(); }

  /// Waits a moment for servers that are not known yet, or are full.
  Task<Result<upstream::Turn>> pick() {
    auto& side = upstream_.side();
    const TimePoint until = std::min(loop().now() + kPatience, inquiry_.deadline());
    ask_.but = tried_;
    for (Wake wake = Wake::kReady;;) {
      ask_.patient = wake == Wake::kReady;
      auto pick = pool_.pick(ask_);
      if (pick.turn) co_return std::move(*pick.turn);
      const bool busy = pick.missing == Pool::Missing::kBusy;
      if (pick.missing == Pool::Missing::kNobody || wake != Wake::kReady) co_return kNoServer;
      if (busy && side.changes.waiting() >= upstream::Changes::kMostWaiting) co_return kNoServer;
      if (busy) side.monitor.want_place();
      wake = co_await side.changes.next(until);
      if (busy) side.monitor.want_no_place();
    }
  }

  /// False: answer_ is what came of it. True: another try is worth it.
  Task<bool> try_at(upstream::Turn& turn) {
    AttemptMeter meter(request_.generation->meter.target(rule_.upstream, upstream_.first_server(0) + turn.index()));
    if (attempts_ > 1) meter.is_retry();
    const TimePoint connect_by =
        std::min(deadline_after(loop().now(), upstream_.config().timeouts.connect), inquiry_.deadline());
    using Age = upstream::Server::Age;
    auto lease = co_await turn.server().lease(connect_by, stale_ > 0 ? Age::kNew : Age::kAny);
    if (!lease) {
      meter.failed(lease.error());
      if (lease.error().code != Errc::kCancelled) turn.failed(false);
      co_return may_ask_another(turn, lease.error(), compiled_.retries_on(RetryOn::kConnectError));
    }
    auto inquiring = inquiry_.run(*lease, turn.name());
    auto result = co_await inquiring;
    if (result.answer) {
      const int status = result.answer->status;
      meter.answered(status, result.until_head);
      const bool failed = upstream::is_failure(status);
      if (failed)
        turn.failed(true);
      else
        turn.succeeded(result.until_head);
      answer_ = std::move(result.answer);
      const auto on = status == 502 ? RetryOn::k502 : status == 503 ? RetryOn::k503 : RetryOn::k504;
      co_return failed&& compiled_.retries_on(on) && has_another(turn) && active_.may_retry();
    }
    co_return after_failure(turn, meter, *lease, result);
  }

  bool after_failure(upstream::Turn& turn, AttemptMeter& meter, upstream::Lease& lease,
                     const AuthInquiry::Result& result) {
    using Fate = http::ClientExchange::Fate;
    const Error& error = result.answer.error();
    const bool raced = result.fate == Fate::kLost && lease.reused();
    if (raced) lease.lost();
    if (raced || result.fate == Fate::kUntouched) {
      // The server has closed an idle connection, or refused a stream: nothing came of it, and nothing failed.
      meter.lost_race();
      note(error);
      return stale_++ < kMaxStale;
    }
    meter.failed(error);
    if (error.side == Side::kUpstream && error.code != Errc::kCancelled) turn.failed(true);
    const bool lost = error.side == Side::kUpstream && error.code != Errc::kTimeout;
    return may_ask_another(turn, error, lost && compiled_.retries_on(RetryOn::kResetBeforeResponse)) &&
           active_.may_retry();
  }

  void note(const Error& error) {
    error_ = error;
    answer_ = error;
  }

  bool has_another(const upstream::Turn& turn) {
    tried_.push_back(turn.slot());
    return tried_.size() <= upstream_.config().retry.attempts && pool_.has_other(tried_);
  }

  bool may_ask_another(const upstream::Turn& turn, const Error& error, bool may) {
    note(error);
    return may && error.code != Errc::kCancelled && has_another(turn);
  }

  Request& request_;
  const ForwardAuthRule& rule_;
  AuthInquiry& inquiry_;
  upstream::Upstream& upstream_;
  Pool& pool_;
  const CompiledUpstream& compiled_;
  upstream::Upstream::Active active_;
  Pool::Ask ask_;
  boost::container::small_vector<std::uint32_t, 8> tried_;
  unsigned attempts_ = 0;
  unsigned stale_ = 0;
  Error error_ = kNoServer;
  Result<ServiceAnswer> answer_ = kNoServer;
};

/// Those that mean something to whoever sent the request: a refusal, or where to log in.
bool is_for_the_client(int status) {
  switch (status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
    case 401:
    case 403:
      return true;
    default:
      return false;
  }
}

/// The service's fields in place of what the client has sent under their names. False: its Connection field names one
/// of them, which would have it dropped on the way to the application.
bool drop_claims(Request& request, const ForwardAuthRule& rule) {
  auto& fields = request.exchange.request.fields;
  for (const auto& name : rule.copy_headers) {
    if (fields.list_contains(http::FieldId::kConnection, name)) return false;
    remove_alike(fields, name);
  }
  return true;
}

/// The service's own refusal, as it came.
Task<Result<>> pass_on(Request& request, ServiceAnswer& answer) {
  // A call has no use for a page to log in at.
  if (request.grpc) {
    request.generation->meter.count_denial(request, Denial::kService);
    return request.respond_error(answer.status == 403 ? 403 : 401, observe::reason_of(Denial::kService));
  }
  request.generation->meter.count_denial(request, Denial::kService);
  request.error = observe::reason_of(Denial::kService);
  http::ResponseHead head;
  head.status = answer.status;
  head.fields = answer.fields;
  return request.respond(head, answer.body);
}

Task<Result<>> refuse_for(Request& request, const Error& error) {
  if (error.side == Side::kDownstream) {
    request.error = error.reason;
    return Result<>(error);
  }
  if (error.code == Errc::kCancelled) return request.respond_error(503, "stopping");
  return deny(request, error.code == Errc::kTimeout ? Denial::kServiceTimeout : Denial::kServiceFailed);
}

}  // namespace

ForwardAuthRule::ForwardAuthRule(const config::Config& whole, const config::ForwardAuth& settings)
    : target(settings.path),
      timeout(settings.timeout),
      copy_headers(settings.copy_headers),
      request_headers(settings.request_headers) {
  const auto found = std::find_if(whole.upstreams.begin(), whole.upstreams.end(),
                                  [&](const config::Upstream& each) { return each.name == settings.upstream; });
  if (found == whole.upstreams.end()) throw std::invalid_argument("unknown upstream '" + settings.upstream + "'");
  upstream = static_cast<std::uint32_t>(found - whole.upstreams.begin());
  authority = authority_of(*found);
}

Task<Result<bool>> ask_service(Request& request, const ForwardAuthRule& rule) {
  if (!drop_claims(request, rule)) {
    const auto refused = co_await request.respond_error(400, "bad_connection_field");
    if (!refused) co_return refused.error();
    co_return false;
  }
  AuthInquiry inquiry(request, rule);
  Consultation consultation(request, rule, inquiry);
  auto consulting = consultation.run();
  auto answer = co_await consulting;
  auto stopping = inquiry.stop_watching();
  co_await stopping;
  if (inquiry.client_gone()) answer = kClientGone;
  if (answer && answer->status >= 200 && answer->status < 300) {
    auto& fields = request.exchange.request.fields;
    for (const auto& field : answer->fields) fields.add(field.id, field.name, field.value);
    co_return true;
  }
  constexpr Error kUnexpected{Errc::kBadMessage, Side::kUpstream, "forward_auth_status"};
  const bool theirs = answer && is_for_the_client(answer->status);
  auto answering = theirs ? pass_on(request, *answer) : refuse_for(request, answer ? kUnexpected : answer.error());
  const auto sent = co_await answering;
  if (!sent) co_return sent.error();
  co_return false;
}

}  // namespace headgate::proxy
