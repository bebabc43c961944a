// SPDX-License-Identifier: Apache-2.0
#include "observe/metric_cells.h"

#include <utility>

namespace headgate::observe {

void CodeCounts::add_more(std::uint16_t code) {
  More* more = more_.load(std::memory_order_relaxed);
  if (more == nullptr) {
    more = new More;
    more_.store(more, std::memory_order_release);
  }
  for (std::size_t i = 0; i < more->code.size(); ++i) {
    const auto known = more->code[i].load(std::memory_order_relaxed);
    if (known == code) return more->count[i].add(1);
    if (known == 0) return claim(more->code[i], more->count[i], code);
  }
  more->others.add(1);
}

RouteCells::~RouteCells() {
  for (auto* next = next_.load(std::memory_order_relaxed); next != nullptr;) {
    delete std::exchange(next, next->next_.exchange(nullptr, std::memory_order_relaxed));
  }
}

/// These cells, when no method has taken them yet, or the next ones.
RouteCells* RouteCells::of(std::size_t method) {
  if (method_.load(std::memory_order_relaxed) == kNone) {
    method_.store(static_cast<std::uint8_t>(method), std::memory_order_release);
    return this;
  }
  auto* next = next_.load(std::memory_order_relaxed);
  if (next == nullptr) {
    next = new RouteCells;
    next_.store(next, std::memory_order_release);
  }
  return next;
}

void ListenerCells::count_handshake(std::string_view version, bool resumed) {
  std::size_t index = 0;
  while (index + 1 < kTlsVersions.size() && kTlsVersions[index] != version) ++index;
  handshakes[index][resumed ? 1 : 0].add(1);
}

std::size_t ListenerCells::count_http2_held_off(std::string_view reason) {
  std::size_t index = 0;
  while (index + 1 < kHttp2Reasons.size() && kHttp2Reasons[index] != reason) ++index;
  http2_held_off[index].add(1);
  return index;
}

}  // namespace headgate::observe
