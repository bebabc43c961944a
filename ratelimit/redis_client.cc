// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/redis_client.h"

#include <algorithm>
#include <utility>

namespace headgate::ratelimit {
namespace {

constexpr Duration kRetry = std::chrono::milliseconds(250);

}  // namespace

RedisClient::RedisClient(Loop& loop, RedisUrl url, Settings settings, ResolveHost resolve)
    : up(loop), loop_(loop), url_(std::move(url)), settings_(settings), resolve_(std::move(resolve)), retry_(loop) {}

RedisClient::~RedisClient() = default;

Task<> RedisClient::run() {
  while (!stopping_) {
    const bool connected = co_await connect();
    if (connected) {
      problem_.clear();
      up.set();
      co_await converse();
      up.clear();
    }
    hang_up();
    if (stopping_) break;
    co_await retry_.wait(loop_.now() + kRetry);
    retry_.clear();
  }
}

void RedisClient::stop() {
  stopping_ = true;
  retry_.set();
  if (connection_) connection_->ready.set();
}

Task<bool> RedisClient::find_address() {
  const auto& address = url_.address;
  if (address.kind == config::Address::Kind::kUnix) {
    try {
      address_ = SocketAddress::unix_path(address.path);
    } catch (const std::exception& error) {
      problem_ = error.what();
      co_return false;
    }
  } else if (address.kind == config::Address::Kind::kIp) {
    address_ = SocketAddress::ip(address.ip, address.port);
  } else {
    auto looking = resolve_(address.host, address.port);
    const auto found = co_await looking;
    if (!found || found->empty()) {
      problem_ = "the name has no address";
      co_return false;
    }
    address_ = found->front();
  }
  co_return true;
}

Task<bool> RedisClient::connect() {
  auto finding = find_address();
  const bool found = co_await finding;
  if (!found || stopping_) co_return false;
  problem_.clear();
  RedisConnection::Listener& listener = *this;
  connection_ = std::make_unique<RedisConnection>(loop_, address_, listener);
  if (!connection_->open()) co_return false;
  const Duration timeout = settings_.connect_timeout;
  if (!url_.password.empty() && url_.user.empty()) send({"AUTH", url_.password}, timeout);
  if (!url_.password.empty() && !url_.user.empty()) send({"AUTH", url_.user, url_.password}, timeout);
  if (url_.database != 0) send({"SELECT", std::to_string(url_.database)}, timeout);
  send({"PING"}, timeout);
  const auto greeting = under_way_;
  while (connection_->open() && !under_way_.empty() && !stopping_ && !late()) {
    co_await connection_->ready.wait(under_way_.front()->deadline);
    connection_->pump();
  }
  for (const auto& question : greeting) {
    if (question->answer.kind == RedisReply::Kind::kText) continue;
    if (question->answer.kind == RedisReply::Kind::kError) problem_ = question->answer.text;
    co_return false;
  }
  co_return connection_->open() && !stopping_;
}

Task<> RedisClient::converse() {
  while (!stopping_) {
    connection_->flush();
    if (!connection_->open()) co_return;
    co_await connection_->ready.wait(under_way_.empty() ? kNoDeadline : under_way_.front()->deadline);
    connection_->pump();
    if (!connection_->open()) co_return;
    if (late()) {
      // What comes late now would be taken for the answer to what is asked next time.
      problem_ = "no answer in time";
      co_return;
    }
  }
}

/// Of answers that come in order the oldest one is due first.
bool RedisClient::late() const {
  return !under_way_.empty() && loop_.now() >= under_way_.front()->deadline;
}

void RedisClient::hang_up() {
  if (problem_.empty() && connection_) problem_ = connection_->problem();
  if (problem_.empty()) problem_ = "no answer in time";
  connection_.reset();  // answers what is under way with kLost
  for (const auto& question : std::exchange(under_way_, {})) question->answered.set();
}

void RedisClient::send(std::vector<std::string> arguments, Duration timeout) {
  under_way_.push_back(std::make_shared<Question>(loop_, loop_.now() + timeout));
  const std::vector<std::string_view> views(arguments.begin(), arguments.end());
  connection_->command(views);
}

void RedisClient::replied(const RedisReply& reply) {
  if (under_way_.empty()) return;
  const auto question = std::move(under_way_.front());
  under_way_.pop_front();
  question->answer = {reply.kind, reply.integer, std::string(reply.text), reply.texts};
  question->answered.set();
}

Task<RedisClient::Answer> RedisClient::call(std::vector<std::string> arguments) {
  if (!up.is_set() || stopping_) co_return Answer{};
  send(std::move(arguments), settings_.timeout);
  if (under_way_.empty()) co_return Answer{};
  const auto question = under_way_.back();
  connection_->ready.set();  // so that it leaves, and is waited for no longer than it may take
  co_await question->answered.wait(kNoDeadline);
  co_return question->answer;
}

}  // namespace headgate::ratelimit
