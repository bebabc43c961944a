// SPDX-License-Identifier: Apache-2.0
// Digests of OpenSSL's for those above this folder, which see none of it: passwords are kept under them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headgate::tls {

using Md5 = std::array<std::uint8_t, 16>;
using Sha1 = std::array<std::uint8_t, 20>;
using Sha256 = std::array<std::uint8_t, 32>;

/// Any thread. Nothing, where OpenSSL's configuration does not allow the algorithm (FIPS).
std::optional<Md5> md5_of(std::string_view data);
std::optional<Sha1> sha1_of(std::string_view data);
/// RFC 2104, with SHA-256.
std::optional<Sha256> hmac_sha256_of(std::string_view key, std::string_view data);

/// The time it takes tells nothing of where the two differ; of whether their lengths do, it does.
bool equal_in_constant_time(std::string_view a, std::string_view b);

/// For keys. Throws std::runtime_error when there are none.
std::string random_bytes(std::size_t count);

}  // namespace headgate::tls
