// SPDX-License-Identifier: Apache-2.0
#include "base/proxy_protocol.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <netinet/in.h>

namespace headgate {
namespace {

using namespace std::string_view_literals;

constexpr auto kSignatureV2 = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr auto kBeginV1 = "PROXY "sv;
constexpr std::size_t kLongestLine = 107;
constexpr std::size_t kHeadV2 = 16;

constexpr unsigned char kVersion2 = 0x20;
constexpr unsigned char kLocal = 0x20;
constexpr unsigned char kProxy = 0x21;
constexpr unsigned char kTcp4 = 0x11;
constexpr unsigned char kTcp6 = 0x21;

std::uint16_t number_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[at]) << 8 |
                                    static_cast<unsigned char>(bytes[at + 1]));
}

IpAddress address_v4(std::string_view bytes) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  std::copy_n(bytes.data(), 4, reinterpret_cast<char*>(&address.sin_addr));
  return IpAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&address));
}

IpAddress address_v6(std::string_view bytes) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  std::copy_n(bytes.data(), 16, reinterpret_cast<char*>(&address.sin6_addr));
  return IpAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&address));
}

/// Takes what stands before the next blank, or all that is left.
std::string_view next_word(std::string_view& line) {
  const auto blank = line.find(' ');
  const auto word = line.substr(0, blank);
  line = blank == std::string_view::npos ? std::string_view() : line.substr(blank + 1);
  return word;
}

std::optional<std::uint16_t> port_of(std::string_view text) {
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

std::optional<IpAddress> address_of(std::string_view text, bool v4) {
  if (text.starts_with('[')) return std::nullopt;
  const auto address = IpAddress::parse(text);
  // A client of IPv4 on a socket of IPv6 may be written as the mapped address: a text with colons all the same.
  const bool has_colon = text.find(':') != std::string_view::npos;
  if (!address || v4 == has_colon) return std::nullopt;
  return address;
}

bool both_v4(const ProxiedEnds& ends) {
  return ends.source.is_v4() && (ends.destination.is_v4() || !ends.destination.is_known());
}

std::string text_v6(const IpAddress& address) {
  if (!address.is_known()) return "::";
  return address.is_v4() ? "::ffff:" + address.to_string() : address.to_string();
}

void append_number(std::string& out, std::size_t number) {
  out += static_cast<char>(number >> 8);
  out += static_cast<char>(number & 0xff);
}

}  // namespace

std::span<char> ProxyHeaderReader::wants() {
  switch (phase_) {
    case Phase::kSignature:
      return {buffer_.data() + have_, kSignatureV2.size() - have_};
    case Phase::kLine:
      // Where the line ends shows only there. Without its CR two bytes are missing at least.
      return {buffer_.data() + have_, std::size_t{text().back() == '\r' ? 1u : 2u}};
    case Phase::kHead:
    case Phase::kAddresses:
      return {buffer_.data() + have_, want_ - have_};
    case Phase::kExtensions:
      return {buffer_.data(), std::min(rest_, buffer_.size())};
    default:
      return {};
  }
}

bool ProxyHeaderReader::took(std::size_t bytes) {
  if (phase_ == Phase::kExtensions) {
    rest_ -= bytes;
    return rest_ > 0 || complete_with(ends_);
  }
  have_ += bytes;
  switch (phase_) {
    case Phase::kSignature:
      return signature();
    case Phase::kLine:
      return line();
    case Phase::kHead:
      return have_ < want_ || head();
    case Phase::kAddresses:
      return have_ < want_ || addresses();
    default:
      return false;
  }
}

bool ProxyHeaderReader::signature() {
  if (text().starts_with(kBeginV1)) {
    phase_ = Phase::kLine;
    return line();
  }
  if (kSignatureV2.starts_with(text())) {
    if (have_ == kSignatureV2.size()) {
      phase_ = Phase::kHead;
      want_ = kHeadV2;
    }
    return true;
  }
  return kBeginV1.starts_with(text()) || failed("no_proxy_header");
}

bool ProxyHeaderReader::line() {
  std::string_view rest = text();
  const auto end = rest.find("\r\n");
  if (end == std::string_view::npos) {
    const bool stray = rest.find('\n') != std::string_view::npos || rest.find('\r') < rest.size() - 1;
    return (!stray && have_ + 2 <= kLongestLine) || failed("bad_proxy_header");
  }
  if (end + 2 != have_) return failed("bad_proxy_header");
  rest = rest.substr(kBeginV1.size(), end - kBeginV1.size());
  const auto family = next_word(rest);
  if (family == "UNKNOWN") return complete_with({});
  const bool v4 = family == "TCP4";
  if (!v4 && family != "TCP6") return failed("bad_proxy_header");
  const auto source = address_of(next_word(rest), v4);
  const auto destination = address_of(next_word(rest), v4);
  const auto source_port = port_of(next_word(rest));
  const auto destination_port = port_of(rest);
  if (!source || !destination || !source_port || !destination_port) return failed("bad_proxy_header");
  return complete_with({*source, *source_port, *destination, *destination_port});
}

bool ProxyHeaderReader::head() {
  const auto command = static_cast<unsigned char>(buffer_[12]);
  const auto family = static_cast<unsigned char>(buffer_[13]);
  std::size_t length = number_at(text(), 14);
  if ((command & 0xf0) != kVersion2 || (command != kLocal && command != kProxy)) return failed("bad_proxy_header");
  if (kHeadV2 + length > kMost) return failed("proxy_header_too_large");
  // Of other families and kinds of sockets nothing is known here; the connection counts as the proxy's own.
  const std::size_t needed = command == kLocal ? 0 : family == kTcp4 ? 12 : family == kTcp6 ? 36 : 0;
  if (length < needed) return failed("bad_proxy_header");
  rest_ = length - needed;
  want_ = have_ + needed;
  phase_ = Phase::kAddresses;
  return needed > 0 || addresses();
}

bool ProxyHeaderReader::addresses() {
  const auto bytes = text().substr(kHeadV2);
  if (bytes.size() == 12) {
    ends_ = {address_v4(bytes), number_at(bytes, 8), address_v4(bytes.substr(4)), number_at(bytes, 10)};
  } else if (bytes.size() == 36) {
    ends_ = {address_v6(bytes), number_at(bytes, 32), address_v6(bytes.substr(16)), number_at(bytes, 34)};
  }
  if (rest_ == 0) return complete_with(ends_);
  phase_ = Phase::kExtensions;
  return true;
}

bool ProxyHeaderReader::complete_with(const ProxiedEnds& ends) {
  ends_ = ends;
  phase_ = Phase::kComplete;
  return true;
}

bool ProxyHeaderReader::failed(const char* reason) {
  reason_ = reason;
  phase_ = Phase::kFailed;
  return false;
}

std::string proxy_header_v1(const ProxiedEnds& ends) {
  if (!ends.source.is_known()) return "PROXY UNKNOWN\r\n";
  const bool v4 = both_v4(ends);
  const auto text = [v4](const IpAddress& address) {
    if (!v4) return text_v6(address);
    return address.is_known() ? address.to_string() : std::string("0.0.0.0");
  };
  return std::string("PROXY ") + (v4 ? "TCP4 " : "TCP6 ") + text(ends.source) + " " + text(ends.destination) + " " +
         std::to_string(ends.source_port) + " " + std::to_string(ends.destination_port) + "\r\n";
}

std::string proxy_header_v2(const ProxiedEnds& ends) {
  std::string header(kSignatureV2);
  if (!ends.source.is_known()) {
    header += static_cast<char>(kLocal);
    header.append(3, '\0');
    return header;
  }
  const bool v4 = both_v4(ends);
  header += static_cast<char>(kProxy);
  header += static_cast<char>(v4 ? kTcp4 : kTcp6);
  append_number(header, v4 ? 12 : 36);
  for (const auto* address : {&ends.source, &ends.destination}) {
    const auto& bytes = address->bytes();
    header.append(reinterpret_cast<const char*>(bytes.data()) + (v4 ? 12 : 0), v4 ? 4 : 16);
  }
  append_number(header, ends.source_port);
  append_number(header, ends.destination_port);
  return header;
}

}  // namespace headgate
