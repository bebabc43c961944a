// SPDX-License-Identifier: Apache-2.0
// Host names to addresses, with the time for which they hold: the hosts file first, then the name servers.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/loop.h"
#include "base/result.h"
#include "base/task.h"
#include "config/model.h"
#include "upstream/dns_channel.h"
#include "upstream/hosts_file.h"

namespace headgate::upstream {

/// What a name stands for.
struct Answer {
  std::vector<IpAddress> addresses;  ///< sorted, each once, at least one and at most NameResolver::kMaxAddresses
  std::chrono::seconds ttl{0};       ///< the smallest of the records'
  bool v4_known = true;              ///< false: of the IPv4 addresses nothing was to be learned
  bool v6_known = true;              ///< and of the IPv6 ones
  std::size_t left_out = 0;          ///< addresses beyond kMaxAddresses
};

/// One loop's thread. An IP address is its own answer; `localhost` and what ends in it never leave the machine
/// (RFC 6761 section 6.3). The search list of resolv.conf counts, in glibc's order. resolv.conf and the hosts file are
/// read again when they have changed. Addresses that say nothing (0.0.0.0, ::) are left out: to connect there would
/// be to connect to this machine.
class NameResolver {
 public:
  static constexpr std::size_t kMaxAddresses = 64;
  static constexpr std::size_t kMaxLookups = 1024;  ///< under way at once
  /// Of what has no TTL of its own: lines of the hosts file, and localhost.
  static constexpr std::chrono::seconds kLocalTtl{5};

  struct Files {
    std::string hosts = "/etc/hosts";
    std::string resolv_conf = "/etc/resolv.conf";
  };

  /// Throws std::runtime_error when c-ares cannot begin.
  NameResolver(Loop& loop, const config::Dns& settings);
  NameResolver(Loop& loop, const config::Dns& settings, Files files);
  ~NameResolver();  ///< no lookup may be under way: see cancel()
  NameResolver(const NameResolver&) = delete;
  NameResolver& operator=(const NameResolver&) = delete;

  /// New servers or another timeout. Lookups under way begin again with them, and keep their deadline.
  void configure(const config::Dns& settings);

  /// Takes `dns.timeout` at most, the search list included. When one family's half was answered and the other's not,
  /// that is an answer. Errors, all of Side::kUpstream but the last two:
  /// kTimeout   resolve_timeout
  /// kResolve   name_does_not_exist, name_has_no_address, name_server_failed, name_server_refused,
  ///            name_servers_unreachable, name_answer_malformed, name_malformed
  /// kResolve   resolver_busy
  /// kCancelled resolve_cancelled
  Task<Result<Answer>> resolve(std::string host);

  /// Ends every lookup, and each later one, with kCancelled. For the end: whoever awaits them is resumed soon.
  void cancel();

  std::size_t lookups() const { return lookups_.size(); }

 private:
  struct Lookup;

  std::optional<Answer> known_here(const std::string& host);
  std::vector<std::string> spellings(const std::string& host, bool absolute) const;
  Task<Result<Answer>> ask_servers(std::string host, bool absolute);
  Task<Result<Answer>> ask(const std::string& name, Lookup& lookup, TimePoint deadline);
  void renew_channel();
  bool make_channel(const config::Dns& settings);

  Loop& loop_;
  config::Dns settings_;
  std::string resolv_conf_;
  std::optional<FileStamp> stamp_;  // of the resolv.conf that channel_ has read
  HostsFile hosts_;
  std::vector<Lookup*> lookups_;
  bool cancelled_ = false;
  std::unique_ptr<DnsChannel> channel_;
};

/// A reason of resolve()'s as words: "name does not exist".
std::string in_words(std::string_view reason);

}  // namespace headgate::upstream
