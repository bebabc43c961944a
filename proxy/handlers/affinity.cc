// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/affinity.h"

#include "base/hash.h"

namespace headgate::proxy {
namespace {

upstream::Sticky::Time today() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

}  // namespace

Affinity::Affinity(Request& request, const CompiledUpstream& upstream)
    : request_(request), sticky_(upstream.sticky ? &*upstream.sticky : nullptr) {
  if (upstream.balance_key) key_ = hash_of(request.expand(*upstream.balance_key));
  if (sticky_ == nullptr) return;
  const auto sent = upstream::Sticky::parse(cookie(request.exchange.request.fields, sticky_->name()));
  if (!sent) return;
  token_ = sent->token;
  renew_ = sticky_->needs_renewal(*sent, today());
}

void Affinity::chosen(std::uint64_t id) {
  if (sticky_ == nullptr) return;
  const std::uint64_t token = sticky_->token(id);
  const bool tell = token != token_ || renew_;
  request_.set_cookie =
      tell ? request_.exchange.arena().copy(sticky_->issue(token, today(), request_.exchange.connection().secure))
           : std::string_view();
}

}  // namespace headgate::proxy
