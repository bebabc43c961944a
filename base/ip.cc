// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <stdexcept>

namespace headgate {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  char copy[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof copy) return std::nullopt;
  if (text.find('\0') != std::string_view::npos) return std::nullopt;  // inet_pton would stop there
  *std::copy(text.begin(), text.end(), copy) = '\0';
  IpAddress result;
  result.known_ = true;
  if (text.find(':') != std::string_view::npos) {
    if (::inet_pton(AF_INET6, copy, result.bytes_.data()) != 1) return std::nullopt;
  } else {
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), result.bytes_.begin());
    if (::inet_pton(AF_INET, copy, result.bytes_.data() + 12) != 1) return std::nullopt;
  }
  return result;
}

IpAddress IpAddress::from_sockaddr(const sockaddr* address) {
  IpAddress result;
  if (address->sa_family == AF_INET6) {
    result.known_ = true;
    std::memcpy(result.bytes_.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, 16);
  } else if (address->sa_family == AF_INET) {
    result.known_ = true;
    std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), result.bytes_.begin());
    std::memcpy(result.bytes_.data() + 12, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, 4);
  }
  return result;
}

bool IpAddress::is_v4() const {
  return known_ && std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin());
}

std::string IpAddress::to_string() const {
  if (!known_) return "-";
  char text[INET6_ADDRSTRLEN];
  if (is_v4()) {
    ::inet_ntop(AF_INET, bytes_.data() + 12, text, sizeof text);
  } else {
    ::inet_ntop(AF_INET6, bytes_.data(), text, sizeof text);
  }
  return text;
}

IpAddress IpAddress::ipv6_network(unsigned prefix) const {
  IpAddress network = *this;
  if (is_v4()) return network;
  for (unsigned i = 0; i < network.bytes_.size(); ++i) {
    const unsigned kept = std::clamp(static_cast<int>(prefix) - static_cast<int>(8 * i), 0, 8);
    network.bytes_[i] = static_cast<std::uint8_t>(network.bytes_[i] & (0xff00u >> kept));
  }
  return network;
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  const unsigned most = text.find(':') == std::string_view::npos ? 32 : 128;
  unsigned bits = most;
  if (slash != std::string_view::npos) {
    const auto digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (error != std::errc() || end != digits.data() + digits.size() || bits > most) return std::nullopt;
  }
  Cidr result;
  result.network_ = *address;
  result.bits_ = static_cast<std::uint8_t>(bits + (most == 32 ? 96 : 0));
  result.v4_ = address->is_v4() && result.bits_ >= 96;
  return result;
}

bool Cidr::contains(const IpAddress& address) const {
  if (!address.is_known() || v4_ != address.is_v4()) return false;  // ::/0 is every IPv6 address, and no IPv4 one
  const auto& a = network_.bytes();
  const auto& b = address.bytes();
  const std::size_t whole = bits_ / 8;
  if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(whole), b.begin())) return false;
  const unsigned rest = bits_ % 8;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

namespace {

/// What of byte `index` a network of `bits` bits decides.
std::uint8_t mask_of(unsigned bits, std::size_t index) {
  const int kept = std::clamp(static_cast<int>(bits) - static_cast<int>(8 * index), 0, 8);
  return static_cast<std::uint8_t>(0xff00u >> kept);
}

}  // namespace

std::array<std::uint8_t, 16> Cidr::first() const {
  auto bytes = network_.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(bytes[i] & mask_of(bits_, i));
  return bytes;
}

std::array<std::uint8_t, 16> Cidr::last() const {
  auto bytes = network_.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(bytes[i] | ~mask_of(bits_, i));
  return bytes;
}

std::string Cidr::to_string() const {
  return network_.to_string() + "/" + std::to_string(v4_ ? bits_ - 96 : bits_);
}

SocketAddress SocketAddress::ip(const IpAddress& address, std::uint16_t port) {
  if (address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.bytes().data() + 12, 4);
    return from_sockaddr(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, address.bytes().data(), 16);
  return from_sockaddr(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
}

SocketAddress SocketAddress::any(bool v6, std::uint16_t port) {
  return ip(*IpAddress::parse(v6 ? "::" : "0.0.0.0"), port);
}

SocketAddress SocketAddress::unix_path(std::string_view path) {
  sockaddr_un un{};
  if (path.empty() || path.size() >= sizeof un.sun_path) {
    throw std::invalid_argument("a unix socket's path has 1 to 107 characters: " + std::string(path));
  }
  un.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), un.sun_path);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return from_sockaddr(reinterpret_cast<const sockaddr*>(&un), length);
}

SocketAddress SocketAddress::from_sockaddr(const sockaddr* address, socklen_t length) {
  SocketAddress result;
  result.length_ = std::min<socklen_t>(length, sizeof result.storage_);
  std::memcpy(&result.storage_, address, result.length_);
  return result;
}

std::uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
  if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
  return 0;
}

std::string SocketAddress::to_string() const {
  switch (family()) {
    case AF_INET: return host().to_string() + ":" + std::to_string(port());
    case AF_INET6: {
      const IpAddress address = host();
      const std::string text = address.to_string();
      return (address.is_v4() ? text : "[" + text + "]") + ":" + std::to_string(port());
    }
    case AF_UNIX: return std::string("unix:") + reinterpret_cast<const sockaddr_un*>(&storage_)->sun_path;
    default: return "-";
  }
}

}  // namespace headgate
