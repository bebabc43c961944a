// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/redis_connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <sys/epoll.h>

namespace headgate::ratelimit {
namespace {

void take_array(const redisReply* reply, RedisReply& result) {
  const auto* const begin = reply->element;
  const auto* const end = begin + reply->elements;
  const auto is_text = [](const redisReply* one) {
    return one->type == REDIS_REPLY_STRING || one->type == REDIS_REPLY_NIL;
  };
  if (std::all_of(begin, end, [](const redisReply* one) { return one->type == REDIS_REPLY_INTEGER; })) {
    result.kind = RedisReply::Kind::kIntegers;
    result.list.reserve(reply->elements);
    for (const auto* one = begin; one != end; ++one) result.list.push_back((*one)->integer);
  } else if (std::all_of(begin, end, is_text)) {
    result.kind = RedisReply::Kind::kTexts;
    result.texts.reserve(reply->elements);
    for (const auto* one = begin; one != end; ++one) {
      auto& text = result.texts.emplace_back();
      if ((*one)->type == REDIS_REPLY_STRING) text.emplace((*one)->str, (*one)->len);
    }
  } else {
    result.kind = RedisReply::Kind::kOther;
  }
}

RedisReply reply_of(const redisReply* reply) {
  RedisReply result;
  if (reply == nullptr) return result;
  switch (reply->type) {
    case REDIS_REPLY_ERROR:
      result.kind = RedisReply::Kind::kError;
      result.text = {reply->str, static_cast<std::size_t>(reply->len)};
      break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      result.kind = RedisReply::Kind::kText;
      result.text = {reply->str, static_cast<std::size_t>(reply->len)};
      break;
    case REDIS_REPLY_INTEGER:
      result.kind = RedisReply::Kind::kInteger;
      result.integer = reply->integer;
      break;
    case REDIS_REPLY_ARRAY:
      take_array(reply, result);
      break;
    default:
      result.kind = RedisReply::Kind::kOther;
  }
  return result;
}

}  // namespace

/// What hiredis calls; it knows the connection by a pointer without a type.
struct RedisConnection::Hooks {
  static RedisConnection& of(void* self) { return *static_cast<RedisConnection*>(self); }
  static RedisConnection& of(const redisAsyncContext* context) { return of(context->data); }

  static void add_write(void* self) { of(self).wants_write_ = true; }
  static void del_write(void* self) { of(self).wants_write_ = false; }
  static void ignore(void*) {}
  static void cleanup(void* self) { of(self).closed(); }
  static void connected(const redisAsyncContext* context, int status) {
    if (status == REDIS_OK) {
      of(context).connected_ = true;
    } else if (context->errstr != nullptr) {
      of(context).problem_ = context->errstr;
    }
  }
  static void reply(redisAsyncContext* context, void* answer, void*) {
    of(context).listener_.replied(reply_of(static_cast<const redisReply*>(answer)));
  }
};

RedisConnection::RedisConnection(Loop& loop, const SocketAddress& to, Listener& listener)
    : ready(loop), loop_(loop), listener_(listener) {
  // Numbers only: hiredis would block in looking a name up.
  auto* const context = to.family() == AF_UNIX
                            ? redisAsyncConnectUnix(reinterpret_cast<const sockaddr_un*>(to.get())->sun_path)
                            : redisAsyncConnect(to.host().to_string().c_str(), to.port());
  if (context == nullptr) {
    problem_ = "out of memory";
    return;
  }
  if (context->err != 0) {
    problem_ = context->errstr;
    redisAsyncFree(context);
    return;
  }
  interest_ = EPOLLIN | EPOLLOUT;
  if (!loop.add(context->c.fd, interest_, *this)) {
    problem_ = std::strerror(errno);
    redisAsyncFree(context);
    return;
  }
  context_ = context;
  context->data = this;
  context->ev.data = this;
  context->ev.addRead = Hooks::ignore;  // reading is always wanted
  context->ev.delRead = Hooks::ignore;
  context->ev.addWrite = Hooks::add_write;
  context->ev.delWrite = Hooks::del_write;
  context->ev.cleanup = Hooks::cleanup;
  redisAsyncSetConnectCallback(context, Hooks::connected);
}

RedisConnection::~RedisConnection() {
  if (context_ != nullptr) redisAsyncFree(context_);
}

void RedisConnection::on_events(std::uint32_t events) {
  noted_ |= events;
  ready.set();
}

/// The context is about to be freed, by itself or by us, and its descriptor closed.
void RedisConnection::closed() {
  auto* const context = std::exchange(context_, nullptr);
  if (context == nullptr) return;
  if (problem_.empty() && context->errstr != nullptr) problem_ = context->errstr;
  loop_.remove(context->c.fd);
  connected_ = false;
}

void RedisConnection::command(std::span<const std::string_view> arguments) {
  if (context_ == nullptr) return listener_.replied({});
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  texts.reserve(arguments.size());
  sizes.reserve(arguments.size());
  for (const auto argument : arguments) {
    texts.push_back(argument.data());
    sizes.push_back(argument.size());
  }
  const int queued = redisAsyncCommandArgv(context_, Hooks::reply, nullptr, static_cast<int>(texts.size()),
                                           texts.data(), sizes.data());
  if (queued != REDIS_OK) listener_.replied({});
}

void RedisConnection::flush() {
  if (!connected_) return;
  if (wants_write_) redisAsyncHandleWrite(context_);
  update_interest();
}

void RedisConnection::pump() {
  const auto events = std::exchange(noted_, 0);
  ready.clear();
  // Either call may free the context.
  if (context_ != nullptr && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) redisAsyncHandleWrite(context_);
  if (context_ != nullptr && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) redisAsyncHandleRead(context_);
  update_interest();
}

void RedisConnection::update_interest() {
  if (context_ == nullptr) return;
  const std::uint32_t wanted = EPOLLIN | (wants_write_ ? static_cast<std::uint32_t>(EPOLLOUT) : 0);
  if (wanted == interest_) return;
  interest_ = wanted;
  loop_.modify(context_->c.fd, wanted, *this);
}

}  // namespace headgate::ratelimit
