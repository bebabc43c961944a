// SPDX-License-Identifier: Apache-2.0
// Addresses: of hosts (IpAddress), of networks (Cidr), of sockets (SocketAddress).
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace headgate {

/// An IPv4 or IPv6 address, held as 16 bytes; an IPv4-mapped IPv6 address is the IPv4 one. A value.
class IpAddress {
 public:
  IpAddress() = default;  ///< "unknown": what a unix-socket peer has

  /// Dotted IPv4, or IPv6 with or without brackets. No port, no zone.
  static std::optional<IpAddress> parse(std::string_view text);
  static IpAddress from_sockaddr(const sockaddr* address);

  bool is_v4() const;
  bool is_known() const { return known_; }
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  std::string to_string() const;  ///< without brackets; "-" when unknown

  /// The first address of the network of an IPv6 address; an IPv4 address as it is.
  IpAddress ipv6_network(unsigned prefix) const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  bool known_ = false;
};

/// A network: 10.0.0.0/8, fd00::/8, or one address. One of IPv6 contains no IPv4 address.
class Cidr {
 public:
  /// nullopt: not an address, or a prefix length that is no number or too long.
  static std::optional<Cidr> parse(std::string_view text);
  bool contains(const IpAddress& address) const;
  bool is_v4() const { return v4_; }
  unsigned bits() const { return bits_; }     ///< of the 128
  std::array<std::uint8_t, 16> first() const;  ///< its lowest address
  std::array<std::uint8_t, 16> last() const;
  std::string to_string() const;
  friend bool operator==(const Cidr&, const Cidr&) = default;

 private:
  IpAddress network_;
  std::uint8_t bits_ = 0;  // of the 128
  bool v4_ = false;
};

/// An address that the kernel takes: IPv4, IPv6 or a unix path. A value.
class SocketAddress {
 public:
  SocketAddress() = default;
  static SocketAddress ip(const IpAddress& address, std::uint16_t port);
  static SocketAddress any(bool v6, std::uint16_t port);
  static SocketAddress unix_path(std::string_view path);  ///< throws std::invalid_argument when it is too long
  static SocketAddress from_sockaddr(const sockaddr* address, socklen_t length);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const { return length_; }
  int family() const { return storage_.ss_family; }
  std::uint16_t port() const;
  IpAddress host() const { return IpAddress::from_sockaddr(get()); }
  std::string to_string() const;  ///< 127.0.0.1:80, [::1]:80, unix:/path

 private:
  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

}  // namespace headgate
