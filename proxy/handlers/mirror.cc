// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/mirror.h"

#include <random>
#include <utility>

#include "base/hash.h"
#include "proxy/generation.h"
#include "proxy/handlers/pool_choice.h"
#include "proxy/handlers/upstream_head.h"

namespace headgate::proxy {
namespace {

/// As in forward.cc.
constexpr unsigned kMaxStale = 3;

constexpr Error kUnaskedUpgrade{Errc::kBadMessage, Side::kUpstream, "upstream_unasked_upgrade"};

/// As Attempt::judge: the request may be sent again over another connection, and nobody has failed.
bool nothing_came_of(const http::RequestHead& head, http::ClientExchange::Fate fate, upstream::Lease& lease) {
  using Fate = http::ClientExchange::Fate;
  if (fate == Fate::kUntouched) return true;
  if (fate != Fate::kLost || !lease.reused()) return false;
  lease.lost();
  return http::is_idempotent(head.method);
}

}  // namespace

// --- the copy -------------------------------------------------------------------------------------------------------

Shadow::Shadow(Mirrors& mirrors, Request& request, const MirrorRule& rule)
    : mirrors_(mirrors),
      generation_(request.generation),
      upstream_(rule.upstream),
      arena_(request.exchange.loop().buffers()),
      body_(request.exchange.loop().buffers()) {
  ++mirrors_.copies_;
  copy_head(request);
  const auto& compiled = generation_->shared->upstreams[upstream_];
  if (compiled.balance_key) key_ = hash_of(request.expand(*compiled.balance_key));
  const auto& config = generation_->upstreams[upstream_]->config();
  if (config.proxy_protocol != config::ProxyProtocol::kOff) client_ = client_ends(request);
}

Shadow::~Shadow() {
  --mirrors_.copies_;
  if (!sent_) generation_->meter.mirror(upstream_).skipped.add(1);
}

/// The request's head as its own origin gets it, in memory of our own.
void Shadow::copy_head(Request& request) {
  const auto head = upstream_request(request);
  head_.method = head.method;
  head_.method_name = arena_.copy(head.method_name);
  head_.target = arena_.copy(head.target);
  head_.authority = arena_.copy(head.authority);
  head_.takes_trailers = head.takes_trailers;
  for (const auto& field : head.fields) head_.fields.add(field.id, arena_.copy(field.name), arena_.copy(field.value));
  head_.fields.set(kMirrorField, "1");
  // Nothing is sent before the body is whole, and then its length is known.
  head_.body = head.body == http::BodyKind::kNone ? http::BodyKind::kNone : http::BodyKind::kLength;
}

void Shadow::add(std::span<const char> piece) {
  size_ += piece.size();
  body_.add(piece);
}

void Shadow::add(StoredBody& body) {
  if (body.size() > BodyCopy::kMax) {
    size_ = body.size();
  } else if (!body.in_file()) {
    add(body.bytes());
  } else {
    const Buffer block = mirrors_.loop_.buffers().take(BodyCopy::kMax);
    while (size_ < body.size()) {
      const auto piece = body.read(size_, {block.data(), block.size()});
      if (!piece) {
        size_ = body.size() + 1;  // never whole
        return;
      }
      add(*piece);
    }
  }
}

Mirrors::Mirrors(Loop& loop) : loop_(loop), tasks_(loop), random_(std::random_device{}()) {}

std::unique_ptr<Shadow> Mirrors::copy(Request& request, const MirrorRule& rule) {
  const auto& head = request.exchange.request;
  if (random_.unit() * 100 >= rule.percent) return nullptr;
  // A tunnel has two ends that answer each other: nothing to copy.
  if (!head.upgrade.empty() || head.fields.get(kMirrorField)) return nullptr;
  if (stopping_ || copies_ >= kMostCopies) {
    request.generation->meter.mirror(rule.upstream).skipped.add(1);
    return nullptr;
  }
  return std::make_unique<Shadow>(*this, request, rule);
}

void Mirrors::send(Request& request) {
  auto shadow = std::move(request.shadow);
  if (!shadow) return;
  Mirrors& mirrors = shadow->mirrors_;
  if (!shadow->whole() || mirrors.stopping_ || mirrors.tasks_.size() >= kMost) return;  // skipped
  shadow->sent_ = true;
  shadow->head_.content_length = shadow->size_;
  request.mirrored = true;
  mirrors.tasks_.spawn(mirrors.run(std::move(shadow)));
}

// --- its way --------------------------------------------------------------------------------------------------------

Task<> Mirrors::run(std::unique_ptr<Shadow> shadow) {
  auto delivering = deliver(*shadow);
  const bool answered = co_await delivering;
  auto& cells = shadow->generation_->meter.mirror(shadow->upstream_);
  (answered ? cells.sent : cells.failed).add(1);
}

/// To one server, whoever is next: a copy is worth no second one.
Task<bool> Mirrors::deliver(Shadow& shadow) {
  auto& upstream = *shadow.generation_->upstreams[shadow.upstream_];
  auto* const choice = shadow.generation_->choices[shadow.upstream_].get();
  const std::size_t pool = choice != nullptr ? choice->draw_for_nobody() : 0;
  upstream::Pool::Ask question;
  question.key = shadow.key_;
  question.patient = false;
  for (unsigned tries = 0; tries <= kMaxStale && !stopping_; ++tries) {
    auto pick = upstream.pool(pool).pick(question);
    if (!pick.turn) co_return false;
    auto& turn = *pick.turn;
    auto trying = try_at(shadow, turn, upstream.first_server(pool) + turn.index(), tries > 0);
    const Outcome outcome = co_await trying;
    if (outcome != Outcome::kAgain) co_return outcome == Outcome::kAnswered;
  }
  co_return false;
}

Task<Mirrors::Outcome> Mirrors::try_at(Shadow& shadow, upstream::Turn& turn, std::size_t server, bool fresh) {
  using Age = upstream::Server::Age;
  auto& generation = *shadow.generation_;
  const auto& timeouts = generation.upstreams[shadow.upstream_]->config().timeouts;
  AttemptMeter meter(generation.meter.target(shadow.upstream_, server));
  const Age age = fresh ? Age::kNew : http::is_idempotent(shadow.head_.method) ? Age::kAny : Age::kYoung;
  const ProxiedEnds* const client = shadow.client_ ? &*shadow.client_ : nullptr;
  auto leasing = turn.server().lease(deadline_after(loop_.now(), timeouts.connect), age, client);
  auto lease = co_await leasing;
  if (!lease) {
    meter.failed(lease.error());
    if (lease.error().code != Errc::kCancelled) turn.failed(false);
    co_return Outcome::kFailed;
  }
  // A client of HTTP/1.0 may have sent no Host.
  if (shadow.head_.authority.empty())
    shadow.head_.authority = turn.name().starts_with("unix:") ? "localhost" : turn.name();
  std::optional<http::Http1ClientExchange> own;
  auto& origin = lease->exchange(loop_, own, timeouts.idle);
  const TimePoint begun = loop_.now();
  auto asking = ask(shadow, origin, timeouts.first_byte);
  const auto head = co_await asking;
  const Duration until_head = loop_.now() - begun;
  if (!head) {
    if (nothing_came_of(shadow.head_, origin.fate(head.error()), *lease)) {
      meter.lost_race();
      co_return Outcome::kAgain;
    }
    meter.failed(head.error());
    if (head.error().side == Side::kUpstream && head.error().code != Errc::kCancelled) turn.failed(true);
    co_return Outcome::kFailed;
  }
  const int status = (*head)->status;
  if (upstream::is_failure(status)) {
    turn.failed(true);
  } else {
    turn.succeeded(until_head);
  }
  meter.answered(status, until_head);
  if (const auto kept = (*head)->fields.get(http::FieldId::kKeepAlive)) lease->told_keep_alive(*kept);
  auto dropping = drop_answer(origin, deadline_after(loop_.now(), timeouts.idle));
  const auto dropped = co_await dropping;
  // Our own patience with an answer that nobody waits for says nothing about the server.
  const bool ours = !dropped && (dropped.error().code == Errc::kTimeout || dropped.error().code == Errc::kCancelled);
  if (!dropped && !ours) turn.failed(true);
  if (origin.reusable()) lease->give_back();
  co_return Outcome::kAnswered;
}

/// The final head.
Task<Result<http::ResponseHead*>> Mirrors::ask(Shadow& shadow, http::ClientExchange& origin, Duration first_byte) {
  origin.start(shadow.head_);
  auto writing = origin.write(shadow.body_.bytes(), true);
  // A failure shows itself to the reader, too, who knows whether an answer came before it.
  co_await writing;
  const TimePoint until = deadline_after(loop_.now(), first_byte);
  for (;;) {
    auto reading = origin.read_head(until);
    const auto head = co_await reading;
    if (!head) co_return head.error();
    if ((*head)->status >= 200) co_return *head;
    if ((*head)->status == 101) co_return kUnaskedUpgrade;
  }
}

/// For the connection's sake, which can be used again after the end.
Task<Result<>> Mirrors::drop_answer(http::ClientExchange& origin, TimePoint until) {
  for (std::size_t size = 0; size <= kMostAnswer && !origin.body_finished();) {
    auto reading = origin.read_body(until);
    const auto piece = co_await reading;
    if (!piece) co_return piece.error();
    size += piece->size();
  }
  co_return Result<>();
}

}  // namespace headgate::proxy
