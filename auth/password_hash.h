// SPDX-License-Identifier: Apache-2.0
// Passwords as htpasswd files keep them: bcrypt ($2y$, $2b$, $2a$), Apache's MD5 ($apr1$), SHA-crypt ($5$, $6$) and
// {SHA}. Any thread; no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace headgate::auth {

/// Longer passwords match nothing.
inline constexpr std::size_t kLongestPassword = 512;

/// What of a hash would cost a thread for longer than seconds is refused when it is read.
inline constexpr unsigned kMostBcryptCost = 16;
inline constexpr unsigned long kMostShaRounds = 1'000'000;

/// Why a hash cannot be used, or nothing.
std::optional<std::string> problem_with_hash(std::string_view hash);

/// Whether the password is the one that `hash` was made of; `hash` has no problem. Takes as long as the hash is
/// expensive: 50 ms and more for bcrypt. The comparison's time tells nothing.
bool matches(const std::string& password, const std::string& hash);

/// The 22 letters behind "$apr1$SALT$"; nothing without MD5 (FIPS).
std::optional<std::string> apr1_checksum(std::string_view password, std::string_view salt);

}  // namespace headgate::auth
