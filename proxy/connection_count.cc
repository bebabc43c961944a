// SPDX-License-Identifier: Apache-2.0
#include "proxy/connection_count.h"

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

namespace headgate::proxy {

std::size_t ConnectionCount::Hash::operator()(const IpAddress& address) const {
  const auto& bytes = address.bytes();
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

ConnectionCount::Verdict ConnectionCount::add(const IpAddress& peer, std::uint64_t most,
                                              std::uint64_t most_per_address) {
  if (total_.fetch_add(1, std::memory_order_relaxed) >= most && most != 0) {
    total_.fetch_sub(1, std::memory_order_relaxed);
    return Verdict::kTooMany;
  }
  // Always counted, so that a limit which a reload brings finds the connections that are there.
  const std::lock_guard lock(mutex_);
  if (!add_address(peer, most_per_address)) {
    total_.fetch_sub(1, std::memory_order_relaxed);
    return Verdict::kTooManyOfAddress;
  }
  peak_ = std::max(peak_, total());
  return Verdict::kAdmitted;
}

std::uint64_t ConnectionCount::take_peak() {
  const std::lock_guard lock(mutex_);
  return std::exchange(peak_, total());
}

void ConnectionCount::remove(const IpAddress& peer) {
  total_.fetch_sub(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  remove_address(peer);
}

ConnectionCount::Verdict ConnectionCount::move(const IpAddress& from, const IpAddress& to,
                                               std::uint64_t most_per_address) {
  const std::lock_guard lock(mutex_);
  if (!add_address(to, most_per_address)) return Verdict::kTooManyOfAddress;
  remove_address(from);
  return Verdict::kAdmitted;
}

bool ConnectionCount::add_address(const IpAddress& address, std::uint64_t most) {
  const auto found = by_address_.try_emplace(address, 0).first;
  if (most != 0 && address.is_known() && found->second >= most) return false;
  ++found->second;
  return true;
}

void ConnectionCount::remove_address(const IpAddress& address) {
  const auto found = by_address_.find(address);
  if (found != by_address_.end() && --found->second == 0) by_address_.erase(found);
}

}  // namespace headgate::proxy
