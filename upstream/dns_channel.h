// SPDX-License-Identifier: Apache-2.0
// Questions to name servers, by c-ares, on a loop: its sockets are the loop's, its timeouts are deadlines. Nothing here
// blocks but the reading of resolv.conf, once. RFC 1035, RFC 3596; a truncated answer is asked for again over TCP
// (RFC 7766).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/ip.h"
#include "base/loop.h"
#include "config/model.h"

struct ares_channeldata;

namespace headgate::upstream {

/// How one half of a question ended.
enum class DnsOutcome : std::uint8_t {
  kPending,
  kAddresses,
  kNoAddress,    ///< NODATA: the name exists, and has none of this kind
  kNoName,       ///< NXDOMAIN
  kTimeout,      ///< no server answered
  kUnreachable,  ///< no server could be asked
  kFailed,       ///< SERVFAIL, or another code that says nothing about the name
  kRefused,
  kMalformed,  ///< an answer that is none
  kBadName,    ///< nothing that could be asked for
  kGone,       ///< the channel has ended
};

/// The IPv4 or the IPv6 addresses of a name.
struct DnsHalf {
  DnsOutcome outcome = DnsOutcome::kPending;
  std::vector<IpAddress> addresses;  ///< as they came; not empty only for kAddresses
  std::chrono::seconds ttl{0};       ///< the smallest of the records, those of the aliases (CNAME) included
};

/// A name's two halves, asked for at once. Shared by who asks and the channel, so that the one may give up before the
/// other.
struct DnsQuestion {
  Event* done = nullptr;  ///< set when both halves have ended; null: nobody waits any more
  DnsHalf v4;
  DnsHalf v6;
  int open = 0;
};

/// Loop thread only. Must be destroyed while no Readiness is being told something: from a coroutine, say.
class DnsChannel final : private Deadline {
 public:
  /// With `settings.servers`, each an IP address, or with those of `resolv_conf` when there are none. The search list
  /// and its threshold are always resolv_conf's. Throws std::runtime_error when c-ares cannot begin.
  DnsChannel(Loop& loop, const config::Dns& settings, const std::string& resolv_conf);
  ~DnsChannel();  ///< questions under way end with kGone
  DnsChannel(const DnsChannel&) = delete;
  DnsChannel& operator=(const DnsChannel&) = delete;

  /// Asks for `name` as it is. May end the question at once.
  void ask(const std::string& name, std::shared_ptr<DnsQuestion> question);

  /// Halves that have no outcome yet, also of those that nobody waits for.
  std::size_t open() const { return open_; }

  const std::vector<std::string>& search() const { return search_; }
  int ndots() const { return ndots_; }  ///< with that many dots a name is tried as it is before the search list

 private:
  class Watch;
  struct Half;
  struct Sockets;
  static void on_socket_state(void* self, int fd, int readable, int writable);
  static void on_answer(void* half, int status, int timeouts, unsigned char* bytes, int length);
  DnsOutcome outcome_of(int status) const;
  void set_servers(const std::vector<config::Address>& addresses);
  void read_search();
  void process(int read_fd, int write_fd);
  void arm();
  void expired() override;

  Loop& loop_;
  ares_channeldata* channel_ = nullptr;
  // Never fewer: what epoll has reported in this turn may name a socket that c-ares has closed meanwhile.
  std::vector<std::unique_ptr<Watch>> watches_;
  std::vector<std::string> search_;
  int ndots_ = 1;
  std::size_t open_ = 0;
  int last_code_ = 0;  // RCODE of what was received last; negative: nothing could be
};

}  // namespace headgate::upstream
