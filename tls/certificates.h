// SPDX-License-Identifier: Apache-2.0
// The certificates of the process: read from files (or given as text), checked, looked up by the name a client asks
// for, and read again when their files change, without touching a living connection.
//
// What is loaded stands in an immutable snapshot; workers notice a new one by its version and build their own
// OpenSSL objects from it, since OpenSSL 3.0 contends on shared ones.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/event.h"
#include "base/loop.h"
#include "base/task.h"
#include "config/diagnostic.h"
#include "config/model.h"
#include "tls/errors.h"

namespace headgate::tls {

/// A certificate chain (leaf first) and its key, as PEM text.
struct PemPair {
  std::string cert;
  std::string key;
};

/// One checked pair. Immutable.
struct Certificate {
  std::string file;  ///< of the chain; "(memory)" when it came from none
  PemPair pem;
  std::vector<std::string> names;  ///< host names, lower case, "*.example.com" included; SAN, or CN where there is none
  std::string display_name;        ///< the first name, or the file
  std::string key_type;            ///< "RSA", "EC", "ED25519"...
  std::chrono::system_clock::time_point not_after;
};

/// Everything loaded at one time. Immutable.
class CertificateSet {
 public:
  /// Indices of the certificates to offer, at most one of each key type.
  using Choice = std::vector<std::size_t>;

  CertificateSet(std::uint64_t version, std::vector<std::shared_ptr<const Certificate>> certificates,
                 std::string client_ca);

  std::uint64_t version() const { return version_; }
  const std::vector<std::shared_ptr<const Certificate>>& certificates() const { return certificates_; }
  const std::string& client_ca() const { return client_ca_; }  ///< PEM; empty: none configured

  /// For a lower-case host name: the exact name, else the wildcard over its first label (RFC 6125 section 6.4.3).
  /// nullptr: none.
  const Choice* find(std::string_view name) const;

  /// The first certificate, with those of other key types for the same name.
  const Choice& fallback() const { return fallback_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Names = std::unordered_map<std::string, Choice, Hash, std::equal_to<>>;
  void offer(Choice& choice, std::size_t index) const;

  std::uint64_t version_;
  std::vector<std::shared_ptr<const Certificate>> certificates_;
  std::string client_ca_;
  Names exact_;
  Names wildcard_;  // by what follows the star and its dot
  Choice fallback_;
};

/// Checks a pair: readable PEM, key fits, strong enough for OpenSSL's security level. Throws TlsError with the reason,
/// without the file's name. Never asks for a pass phrase: an encrypted key is an error.
std::shared_ptr<const Certificate> check_pair(PemPair pem, std::string file);

/// Any thread, except watch(): its loop's.
class CertificateStore {
 public:
  /// Reads everything that `settings` names, then appends `more`. Throws TlsError naming file and reason.
  explicit CertificateStore(const config::Tls& settings, std::vector<PemPair> more = {});
  CertificateStore(const CertificateStore&) = delete;
  CertificateStore& operator=(const CertificateStore&) = delete;
  ~CertificateStore();

  std::shared_ptr<const CertificateSet> current() const;

  /// Of current(): changes when it does. One atomic load.
  std::uint64_t version() const { return version_.load(std::memory_order_acquire); }

  /// Looks at the files once: what changed and has stayed the same since the last look is loaded; a pair that cannot
  /// be used is refused with one log line and the old one kept. True when a new set is current. One thread at a time.
  bool refresh();

  /// Calls refresh() every kLookEvery until stop_watching(). Its owner awaits the end.
  Task<> watch(Loop& loop);
  void stop_watching();  ///< on the loop of watch()

  /// A change is in force after two looks: within a second.
  static constexpr Duration kLookEvery = std::chrono::milliseconds(400);

 private:
  struct Watched;
  void publish();
  bool refresh_pair(Watched& pair);
  bool refresh_client_ca();

  std::vector<std::unique_ptr<Watched>> pairs_;  // in the order of the configuration
  std::unique_ptr<Watched> client_ca_;
  std::string client_ca_pem_;
  mutable std::mutex mutex_;
  std::shared_ptr<const CertificateSet> set_;
  std::atomic<std::uint64_t> version_{0};
  std::unique_ptr<Event> stop_;  // while watch() runs
};

/// What `headgate check` says about a tls section: certificates, keys, client CA, ciphers.
struct TlsFindings {
  std::vector<config::Diagnostic> errors;    ///< serve would not start
  std::vector<config::Diagnostic> warnings;  ///< expired, or soon
};
TlsFindings check_certificates(const config::Tls& settings);

}  // namespace headgate::tls
