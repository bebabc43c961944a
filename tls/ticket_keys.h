// SPDX-License-Identifier: Apache-2.0
// The keys that seal session tickets (RFC 5077, RFC 8446 section 4.6.1): one set for the process, shared by all
// workers, kept over reloads. Who holds a key can read every resumed TLS 1.2 session of its time, so keys are made
// anew every few hours and forgotten after a bounded life.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headgate::tls {

/// Any thread; the lock is held for a copy of eighty bytes.
class TicketKeys {
 public:
  using Time = std::chrono::system_clock::time_point;

  /// A current key seals for this long.
  static constexpr std::chrono::seconds kRotation = std::chrono::hours(4);
  /// Keys that still open tickets, the current one included: a key lives kRotation * kKeys at most.
  static constexpr std::size_t kKeys = 4;
  /// What a session may live, so that its key still exists at its end.
  static constexpr std::chrono::seconds kSessionLife = kRotation * (kKeys - 1);

  struct Key {
    std::array<unsigned char, 16> name{};
    std::array<unsigned char, 32> cipher{};  ///< AES-256-CBC
    std::array<unsigned char, 32> mac{};     ///< HMAC-SHA-256
    Time made{};
    Key() = default;
    Key(const Key&) = default;
    Key& operator=(const Key&) = default;
    ~Key();  ///< wipes
  };
  struct Found {
    Key key;
    bool current;  ///< false: the client should get a new ticket
  };

  explicit TicketKeys(std::function<Time()> now = [] { return std::chrono::system_clock::now(); });
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  /// The key to seal with; rotates when it is time. nullopt: the system has no randomness.
  std::optional<Key> current();

  /// The key of that name, unless its life is over.
  std::optional<Found> find(std::span<const unsigned char> name);

  /// All living keys as bytes, for a file of the program's own (mode 0600), and back. restore() ignores keys that are
  /// too old or from the future, and returns false, changing nothing, for bytes that are not what save() made.
  std::string save();
  bool restore(std::string_view saved);

 private:
  void forget_old(Time now);

  std::function<Time()> now_;
  std::mutex mutex_;
  std::vector<Key> keys_;  // newest first
};

}  // namespace headgate::tls
