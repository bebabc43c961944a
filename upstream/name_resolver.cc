// SPDX-License-Identifier: Apache-2.0
#include "upstream/name_resolver.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/log.h"

namespace headgate::upstream {
namespace {

constexpr std::size_t kLongestName = 253;  // RFC 1035 section 2.3.4, without the root's dot
// Halves of questions that c-ares still carries, most of them given up by who asked.
constexpr std::size_t kMaxOpen = 4 * NameResolver::kMaxLookups;
constexpr Error kGone{Errc::kInternal, Side::kInternal, "resolver_changed"};

Error unresolved(const char* reason) {
  return Error{Errc::kResolve, Side::kUpstream, reason};
}

std::string normalised(std::string_view host) {
  std::string out(host);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// What may be asked for: no byte that ends or hides a part of it, and no escape of c-ares' own.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName && std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '\\';
  });
}

bool same(const config::Dns& a, const config::Dns& b) {
  return a.timeout == b.timeout && std::equal(a.servers.begin(), a.servers.end(), b.servers.begin(), b.servers.end(),
                                              [](const config::Address& x, const config::Address& y) {
                                                return x.ip == y.ip && x.port == y.port;
                                              });
}

// Sorted before they are cut: the same records in another order must be the same addresses.
Answer answer_of(std::vector<IpAddress> addresses, std::chrono::seconds ttl) {
  static const IpAddress kAny4 = *IpAddress::parse("0.0.0.0");
  static const IpAddress kAny6 = *IpAddress::parse("::");
  std::erase_if(addresses, [](const IpAddress& one) { return one == kAny4 || one == kAny6; });
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  Answer answer;
  answer.ttl = ttl;
  if (addresses.size() > NameResolver::kMaxAddresses) {
    answer.left_out = addresses.size() - NameResolver::kMaxAddresses;
    addresses.resize(NameResolver::kMaxAddresses);
  }
  answer.addresses = std::move(addresses);
  return answer;
}

// The halves say yes or no about the name; anything else leaves the question open.
bool is_known(const DnsHalf& half) {
  return half.outcome == DnsOutcome::kAddresses || half.outcome == DnsOutcome::kNoAddress ||
         half.outcome == DnsOutcome::kNoName;
}

Error error_of(DnsOutcome outcome) {
  switch (outcome) {
    case DnsOutcome::kNoName:
      return unresolved("name_does_not_exist");
    case DnsOutcome::kAddresses:  // all of them were left out
    case DnsOutcome::kNoAddress:
      return unresolved("name_has_no_address");
    case DnsOutcome::kUnreachable:
      return unresolved("name_servers_unreachable");
    case DnsOutcome::kFailed:
      return unresolved("name_server_failed");
    case DnsOutcome::kRefused:
      return unresolved("name_server_refused");
    case DnsOutcome::kMalformed:
      return unresolved("name_answer_malformed");
    case DnsOutcome::kBadName:
      return unresolved("name_malformed");
    case DnsOutcome::kGone:
      return kGone;
    case DnsOutcome::kPending:
    case DnsOutcome::kTimeout:
      break;
  }
  return Error{Errc::kTimeout, Side::kUpstream, "resolve_timeout"};
}

Result<Answer> judge(const DnsQuestion& question) {
  const DnsHalf& v4 = question.v4;
  const DnsHalf& v6 = question.v6;
  if (v4.outcome == DnsOutcome::kGone || v6.outcome == DnsOutcome::kGone) return kGone;
  std::vector<IpAddress> both = v4.addresses;
  both.insert(both.end(), v6.addresses.begin(), v6.addresses.end());
  std::chrono::seconds ttl = std::chrono::seconds::max();
  if (!v4.addresses.empty()) ttl = v4.ttl;
  if (!v6.addresses.empty()) ttl = std::min(ttl, v6.ttl);
  Answer answer = answer_of(std::move(both), ttl);
  answer.v4_known = is_known(v4);
  answer.v6_known = is_known(v6);
  if (!answer.addresses.empty()) return answer;
  // "No such name" is about all kinds of records (RFC 8020), so one half is enough.
  if (v4.outcome == DnsOutcome::kNoName || v6.outcome == DnsOutcome::kNoName) return error_of(DnsOutcome::kNoName);
  return error_of(answer.v4_known ? v6.outcome : v4.outcome);
}

// Whether the search goes on, as glibc's does: a server that fails for one domain may know the next.
bool may_search_on(std::string_view reason) {
  return reason == "name_does_not_exist" || reason == "name_has_no_address" || reason == "name_server_failed" ||
         reason == "name_server_refused";
}

// Which of two failures says more: a server's over "no address", that over "no such name".
int weight_of(std::string_view reason) {
  if (reason == "name_does_not_exist") return 1;
  return reason == "name_has_no_address" ? 2 : 3;
}

}  // namespace

/// In the frame of the coroutine that waits.
struct NameResolver::Lookup {
  Lookup(Loop& loop, std::vector<Lookup*>& all) : lookups(all), done(loop) { lookups.push_back(this); }
  ~Lookup() { std::erase(lookups, this); }
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;
  std::vector<Lookup*>& lookups;
  Event done;
};

NameResolver::NameResolver(Loop& loop, const config::Dns& settings) : NameResolver(loop, settings, Files()) {}

NameResolver::NameResolver(Loop& loop, const config::Dns& settings, Files files)
    : loop_(loop),
      settings_(settings),
      resolv_conf_(std::move(files.resolv_conf)),
      stamp_(FileStamp::of(resolv_conf_)),
      hosts_(std::move(files.hosts)),
      channel_(std::make_unique<DnsChannel>(loop_, settings_, resolv_conf_)) {}

NameResolver::~NameResolver() = default;

void NameResolver::configure(const config::Dns& settings) {
  if (!same(settings, settings_) && make_channel(settings)) settings_ = settings;
}

void NameResolver::renew_channel() {
  const auto stamp = FileStamp::of(resolv_conf_);
  if (stamp == stamp_) return;
  // The stamp is from before the reading; and one that could not be used is not tried again until it changes.
  if (make_channel(settings_)) log::info("{} has changed: name servers and search list are read again", resolv_conf_);
  stamp_ = stamp;
}

bool NameResolver::make_channel(const config::Dns& settings) {
  try {
    channel_ = std::make_unique<DnsChannel>(loop_, settings, resolv_conf_);
    return true;
  } catch (const std::runtime_error& e) {
    log::error("names are looked up as before: {}", e.what());
    return false;
  }
}

void NameResolver::cancel() {
  cancelled_ = true;
  for (Lookup* lookup : lookups_) lookup->done.cancel();
}

std::optional<Answer> NameResolver::known_here(const std::string& host) {
  if (const auto address = IpAddress::parse(host)) {
    Answer answer;
    answer.addresses = {*address};
    answer.ttl = std::chrono::hours(24);
    return answer;
  }
  Answer listed = answer_of(hosts_.find(host), kLocalTtl);
  if (!listed.addresses.empty()) return listed;
  if (host != "localhost" && !host.ends_with(".localhost")) return std::nullopt;
  return answer_of({*IpAddress::parse("127.0.0.1"), *IpAddress::parse("::1")}, kLocalTtl);
}

Task<Result<Answer>> NameResolver::resolve(std::string host) {
  if (cancelled_) return Result<Answer>(Error{Errc::kCancelled, Side::kInternal, "resolve_cancelled"});
  std::string name = normalised(host);
  const bool absolute = name.ends_with('.');
  if (absolute) name.pop_back();
  if (!is_name(name)) return Result<Answer>(unresolved("name_malformed"));
  if (auto answer = known_here(name)) return Result<Answer>(*std::move(answer));
  if (lookups_.size() >= kMaxLookups || channel_->open() >= kMaxOpen) {
    return Result<Answer>(Error{Errc::kResolve, Side::kInternal, "resolver_busy"});
  }
  return ask_servers(std::move(name), absolute);
}

std::vector<std::string> NameResolver::spellings(const std::string& host, bool absolute) const {
  std::vector<std::string> names;
  if (!absolute) {
    for (const std::string& domain : channel_->search()) {
      std::string name = host + "." + domain;
      if (is_name(name)) names.push_back(std::move(name));
    }
  }
  const bool first = std::count(host.begin(), host.end(), '.') >= channel_->ndots();
  names.insert(first ? names.begin() : names.end(), host);
  return names;
}

Task<Result<Answer>> NameResolver::ask_servers(std::string host, bool absolute) {
  Lookup lookup(loop_, lookups_);
  const TimePoint deadline = loop_.now() + settings_.timeout;
  for (;;) {
    renew_channel();
    const std::vector<std::string> names = spellings(host, absolute);
    Error failure = error_of(DnsOutcome::kNoName);
    bool again = false;
    for (const std::string& name : names) {
      Result<Answer> found = co_await ask(name, lookup, deadline);
      if (found) co_return found;
      const std::string_view reason = found.error().reason;
      again = reason == kGone.reason;
      if (again) break;
      if (!may_search_on(reason)) co_return found;
      if (weight_of(reason) > weight_of(failure.reason)) failure = found.error();
    }
    if (!again) co_return failure;
  }
}

Task<Result<Answer>> NameResolver::ask(const std::string& name, Lookup& lookup, TimePoint deadline) {
  const auto question = std::make_shared<DnsQuestion>();
  question->done = &lookup.done;
  lookup.done.clear();
  channel_->ask(name, question);
  const Wake wake = co_await lookup.done.wait(deadline);
  question->done = nullptr;
  if (wake == Wake::kCancelled) co_return Error{Errc::kCancelled, Side::kInternal, "resolve_cancelled"};
  co_return judge(*question);
}

std::string in_words(std::string_view reason) {
  std::string words(reason);
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

}  // namespace headgate::upstream
