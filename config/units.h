// SPDX-License-Identifier: Apache-2.0
// One parser for each kind of value that a configuration's scalars can hold. Each gives the value, or the reason why
// not as "expected a duration such as 500ms, 5s, 2m, 1h, got 'fast'". Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "config/model.h"
#include "config/parsed.h"

namespace headgate::config {

// What is expected, as the messages say it.
inline constexpr std::string_view kBooleanText = "true or false";
inline constexpr std::string_view kDurationText = "a duration such as 500ms, 5s, 2m, 1h";
inline constexpr std::string_view kSizeText = "a size such as 512, 64KiB, 20MiB, 1GB";
inline constexpr std::string_view kRateText = "a rate such as 100/s, 600/m, 1000/h";
inline constexpr std::string_view kPercentText = "a percentage such as 50% or 0.5%";
inline constexpr std::string_view kWeightText = "a weight such as 95 or 0.5";
inline constexpr std::string_view kListenText =
    "an address to listen on such as \":80\", 127.0.0.1:80, \"[::1]:80\", unix:/path";
inline constexpr std::string_view kServerText = "a server such as 127.0.0.1:3000, app.internal:3000, unix:/path";
inline constexpr std::string_view kResolverText = "a resolver such as 10.0.0.53, 10.0.0.53:5353 or [fd00::53]:53";
inline constexpr std::string_view kCidrText = "an address or a network such as 10.0.0.0/8, fd00::/8";
inline constexpr std::string_view kStatusRangeText = "a status or a range of them such as 200 or 200-399";
inline constexpr std::string_view kOriginText = "an origin such as https://shop.example.com, https://*.example.com";
inline constexpr std::string_view kProxyText = "an upstream's name, or a URL such as http://127.0.0.1:3000";

/// "expected WHAT, got 'TEXT'" (a long text is cut).
ParseError expected(std::string_view what, std::string_view got);

Parsed<bool> parse_boolean(std::string_view text);  ///< true and false; nothing else
Parsed<std::uint64_t> parse_integer(std::string_view text, std::uint64_t least, std::uint64_t most);
Parsed<milliseconds> parse_duration(std::string_view text);  ///< at most 365 days; 0 needs no unit
Parsed<std::uint64_t> parse_size(std::string_view text);     ///< bytes; KiB, MiB, GiB and KB, MB, GB
Parsed<Rate> parse_rate(std::string_view text);              ///< count at least 1
Parsed<double> parse_percent(std::string_view text);         ///< "50%" is 0.5; 0% to 100%, up to 1000% by `most`
Parsed<double> parse_percent(std::string_view text, double most);
Parsed<double> parse_weight(std::string_view text);  ///< finite, at least 0
Parsed<Address> parse_listen_address(std::string_view text);
Parsed<Address> parse_server_address(std::string_view text);    ///< a port of 0 is refused
Parsed<Address> parse_resolver_address(std::string_view text);  ///< an IP address; port 53 when there is none
Parsed<Cidr> parse_network(std::string_view text);
Parsed<std::pair<int, int>> parse_status_range(std::string_view text);
Parsed<Balance> parse_balance(std::string_view text);

/// `proxy: URL`: a scheme and one server.
struct ProxyTarget {
  Scheme scheme = Scheme::kHttp;
  Address server;
  std::string name;  ///< one spelling for one target: scheme://host:port, unix:/path
};
/// True for what is a URL and not an upstream's name.
bool is_proxy_url(std::string_view text);
Parsed<ProxyTarget> parse_proxy_url(std::string_view text);

Parsed<std::string> parse_host(std::string_view text);   ///< of a site: lower case; "*.example.com" is allowed
Parsed<std::string> parse_token(std::string_view text);  ///< RFC 9110 section 5.6.2: header names, cookie names
Parsed<std::string> parse_method(std::string_view text);
Parsed<std::string> parse_name(std::string_view text);  ///< of upstreams, pools, rate limits: [A-Za-z0-9._-]
/// As a browser serialises one: scheme and host in lower case, without the port that the scheme implies. Also "*", and
/// "https://*.example.com".
Parsed<std::string> parse_origin(std::string_view text);
Parsed<PathPattern> parse_path_pattern(std::string_view text);

std::string to_text(milliseconds value);  ///< parse_duration's inverse, in the largest unit that is exact
std::string size_text(std::uint64_t bytes);
std::string to_text(const Rate& rate);
std::string to_text(const Balance& balance);
std::string percent_text(double share);  ///< 0.5 -> "50%"
std::string number_text(double value);   ///< shortest decimal

}  // namespace headgate::config
