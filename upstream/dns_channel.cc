// SPDX-License-Identifier: Apache-2.0
#include "upstream/dns_channel.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <ares.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

namespace headgate::upstream {
namespace {

// An answer over TCP has at most 64 KiB, and a record of an address at least 16 bytes.
constexpr int kMaxRecords = 4096;
// The first try may take a quarter of the whole; c-ares doubles that for each round of the servers.
constexpr int kTries = 3;
constexpr int kTryShare = 4;

void begin_library() {
  static const int kStatus = ares_library_init(ARES_LIB_INIT_ALL);
  if (kStatus != ARES_SUCCESS) throw std::runtime_error(std::string("c-ares: ") + ares_strerror(kStatus));
}

IpAddress address_of(const ares_addrttl& record) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_addr = record.ipaddr;
  return IpAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&v4));
}

IpAddress address_of(const ares_addr6ttl& record) {
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  static_assert(sizeof v6.sin6_addr == sizeof record.ip6addr);
  std::memcpy(&v6.sin6_addr, &record.ip6addr, sizeof v6.sin6_addr);
  return IpAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&v6));
}

int parse(const unsigned char* bytes, int length, ares_addrttl* records, int* count) {
  return ares_parse_a_reply(bytes, length, nullptr, records, count);
}

int parse(const unsigned char* bytes, int length, ares_addr6ttl* records, int* count) {
  return ares_parse_aaaa_reply(bytes, length, nullptr, records, count);
}

template <class Record>
void read_answer(const unsigned char* bytes, int length, DnsHalf& half) {
  // c-ares has checked that there is a header; codes that it has no name for it takes for success.
  if ((bytes[3] & 0x0f) != 0) {
    half.outcome = DnsOutcome::kFailed;
    return;
  }
  std::vector<Record> records(kMaxRecords);
  int count = kMaxRecords;
  const int status = parse(bytes, length, records.data(), &count);
  if (status != ARES_SUCCESS || count <= 0) {
    half.outcome = status == ARES_SUCCESS || status == ARES_ENODATA ? DnsOutcome::kNoAddress : DnsOutcome::kMalformed;
    return;
  }
  records.resize(static_cast<std::size_t>(count));
  int ttl = records.front().ttl;
  for (const Record& record : records) {
    half.addresses.push_back(address_of(record));
    ttl = std::min(ttl, record.ttl);
  }
  half.ttl = std::chrono::seconds(std::max(ttl, 0));  // RFC 2181 section 8: with the highest bit set it is zero
  half.outcome = DnsOutcome::kAddresses;
}

}  // namespace

/// One of c-ares' sockets; without a descriptor while it waits for the next one.
class DnsChannel::Watch final : public Readiness {
 public:
  explicit Watch(DnsChannel& channel) : channel_(channel) {}
  int fd = -1;

  // Only questions end in here, and their events are set: no coroutine runs.
  void on_events(std::uint32_t events) override {
    if (fd < 0) return;
    const bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
    const int read_fd = broken || (events & EPOLLIN) != 0 ? fd : ARES_SOCKET_BAD;
    const int write_fd = broken || (events & EPOLLOUT) != 0 ? fd : ARES_SOCKET_BAD;
    channel_.process(read_fd, write_fd);
  }

 private:
  DnsChannel& channel_;
};

/// The system calls that c-ares makes, each with something that it does not do itself.
struct DnsChannel::Sockets {
  static ares_socket_t open(int family, int type, int protocol, void*) {
    return ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  }
  static int close(ares_socket_t fd, void*) { return ::close(fd); }
  static int connect(ares_socket_t fd, const sockaddr* to, ares_socklen_t length, void*) {
    return ::connect(fd, to, length);
  }
  // c-ares gives up a query whose servers all failed, refused or could not be reached with one status for all three;
  // it does so while it handles the last of them, so the code of what has just come tells which.
  static ares_ssize_t receive(ares_socket_t fd, void* into, std::size_t size, int flags, sockaddr* from,
                              ares_socklen_t* length, void* self) {
    const auto got = ::recvfrom(fd, into, size, flags, from, length);
    const bool has_head = got >= NS_HFIXEDSZ;
    static_cast<DnsChannel*>(self)->last_code_ = has_head ? static_cast<unsigned char*>(into)[3] & 0x0f : -1;
    return got;
  }
  // "Refused" is about a datagram before this one, which has not been sent. Were it taken from here, the queries of
  // that datagram would wait for their timeout; after a second try whoever reads is told, and all move on.
  static ares_ssize_t send(ares_socket_t fd, const iovec* pieces, int count, void*) {
    const auto sent = ::writev(fd, pieces, count);
    return sent < 0 && errno == ECONNREFUSED ? ::writev(fd, pieces, count) : sent;
  }
  static constexpr ares_socket_functions kTable = {open, close, connect, receive, send};
};

/// What c-ares carries for us; it gives each back exactly once.
struct DnsChannel::Half {
  DnsChannel& channel;
  std::shared_ptr<DnsQuestion> question;
  bool v6;
};

DnsChannel::DnsChannel(Loop& loop, const config::Dns& settings, const std::string& resolv_conf) : loop_(loop) {
  begin_library();
  ares_options options{};
  std::string path = resolv_conf;
  options.resolvconf_path = path.data();
  options.tries = kTries;
  options.timeout = static_cast<int>(std::clamp<std::int64_t>(settings.timeout.count() / kTryShare, 1, 60'000));
  options.sock_state_cb = on_socket_state;
  options.sock_state_cb_data = this;
  const int wanted = ARES_OPT_RESOLVCONF | ARES_OPT_TRIES | ARES_OPT_TIMEOUTMS | ARES_OPT_SOCK_STATE_CB;
  const int status = ares_init_options(&channel_, &options, wanted);
  if (status != ARES_SUCCESS) throw std::runtime_error(std::string("c-ares: ") + ares_strerror(status));

  ares_set_socket_functions(channel_, &Sockets::kTable, this);
  try {
    set_servers(settings.servers);
    read_search();
  } catch (...) {
    ares_destroy(channel_);
    throw;
  }
}

DnsChannel::~DnsChannel() {
  ares_destroy(channel_);
}

void DnsChannel::set_servers(const std::vector<config::Address>& addresses) {
  if (addresses.empty()) return;
  std::vector<ares_addr_port_node> servers(addresses.size());
  for (std::size_t i = 0; i < servers.size(); ++i) {
    const IpAddress& ip = addresses[i].ip;
    ares_addr_port_node& node = servers[i];
    node.next = i + 1 < servers.size() ? &servers[i + 1] : nullptr;
    node.udp_port = node.tcp_port = addresses[i].port;
    node.family = ip.is_v4() ? AF_INET : AF_INET6;
    if (ip.is_v4()) {
      std::memcpy(&node.addr.addr4, ip.bytes().data() + 12, 4);
    } else {
      std::memcpy(&node.addr.addr6, ip.bytes().data(), 16);
    }
  }
  const int status = ares_set_servers_ports(channel_, servers.data());
  if (status != ARES_SUCCESS) throw std::runtime_error(std::string("c-ares: ") + ares_strerror(status));
}

void DnsChannel::read_search() {
  ares_options options{};
  int mask = 0;
  if (ares_save_options(channel_, &options, &mask) == ARES_SUCCESS) {
    ndots_ = options.ndots;
    search_.assign(options.domains, options.domains + std::max(options.ndomains, 0));
  }
  ares_destroy_options(&options);
}

void DnsChannel::ask(const std::string& name, std::shared_ptr<DnsQuestion> question) {
  last_code_ = -1;
  question->open = 2;
  open_ += 2;
  // Both are counted before the first is asked: c-ares may answer on the spot.
  ares_query(channel_, name.c_str(), ns_c_in, ns_t_a, on_answer, new Half{*this, question, false});
  ares_query(channel_, name.c_str(), ns_c_in, ns_t_aaaa, on_answer, new Half{*this, question, true});
  arm();
}

void DnsChannel::on_answer(void* raw, int status, int, unsigned char* bytes, int length) {
  const std::unique_ptr<Half> half(static_cast<Half*>(raw));
  DnsQuestion& question = *half->question;
  DnsHalf& outcome = half->v6 ? question.v6 : question.v4;
  if (status != ARES_SUCCESS) {
    outcome.outcome = half->channel.outcome_of(status);
  } else if (half->v6) {
    read_answer<ares_addr6ttl>(bytes, length, outcome);
  } else {
    read_answer<ares_addrttl>(bytes, length, outcome);
  }
  --half->channel.open_;
  if (--question.open == 0 && question.done != nullptr) question.done->set();
}

DnsOutcome DnsChannel::outcome_of(int status) const {
  switch (status) {
    case ARES_ENODATA:
      return DnsOutcome::kNoAddress;
    case ARES_ENOTFOUND:
      return DnsOutcome::kNoName;
    case ARES_ETIMEOUT:
      return DnsOutcome::kTimeout;
    case ARES_EREFUSED:
      return DnsOutcome::kRefused;
    case ARES_EFORMERR:
    case ARES_EBADRESP:
      return DnsOutcome::kMalformed;
    case ARES_EBADNAME:
    case ARES_EBADQUERY:
      return DnsOutcome::kBadName;
    case ARES_EDESTRUCTION:
      return DnsOutcome::kGone;
    case ARES_ECONNREFUSED:
      break;
    default:
      return DnsOutcome::kFailed;
  }
  if (last_code_ <= 0) return DnsOutcome::kUnreachable;
  return last_code_ == ns_r_refused ? DnsOutcome::kRefused : DnsOutcome::kFailed;
}

void DnsChannel::on_socket_state(void* self, int fd, int readable, int writable) {
  auto& channel = *static_cast<DnsChannel*>(self);
  auto& watches = channel.watches_;
  const auto watching = [&](int which) {
    return std::find_if(watches.begin(), watches.end(), [which](const auto& watch) { return watch->fd == which; });
  };
  auto found = watching(fd);
  if (readable == 0 && writable == 0) {  // it is about to be closed
    if (found == watches.end()) return;
    channel.loop_.remove(fd);
    (*found)->fd = -1;
    return;
  }
  const std::uint32_t events = (readable != 0 ? EPOLLIN : 0u) | (writable != 0 ? EPOLLOUT : 0u);
  if (found != watches.end()) {
    channel.loop_.modify(fd, events, **found);
    return;
  }
  found = watching(-1);
  if (found == watches.end()) found = watches.insert(watches.end(), std::make_unique<Watch>(channel));
  (*found)->fd = fd;
  channel.loop_.add(fd, events, **found);  // refused by the kernel: the question's timeout will tell
}

void DnsChannel::process(int read_fd, int write_fd) {
  last_code_ = -1;
  ares_process_fd(channel_, read_fd, write_fd);
  arm();
}

void DnsChannel::expired() {
  process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

void DnsChannel::arm() {
  timeval wait{};
  const bool waits = ares_timeout(channel_, nullptr, &wait) != nullptr;
  const auto length = std::chrono::seconds(wait.tv_sec) + std::chrono::microseconds(wait.tv_usec);
  loop_.deadlines().arm(*this, waits ? Clock::now() + length : kNoDeadline);
}

}  // namespace headgate::upstream
