// SPDX-License-Identifier: Apache-2.0
// The store's side that looks at files. A file is known by what stat(2) says of it through its symlinks (renewal tools
// write a new file and turn a link), and taken only when two looks in a row agree: a writer may be half-way.
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/unique_fd.h"
#include "tls/certificates.h"
#include "tls/pem.h"
#include "tls/server_settings.h"

namespace headgate::tls {
namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;
constexpr auto kExpiresSoon = std::chrono::hours(24 * 14);

/// What a file looked like. All zero: there was none.
struct Look {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  std::int64_t modified = 0;  // ns
  std::int64_t changed = 0;   // ns
  friend bool operator==(const Look&, const Look&) = default;
};

Look look_at(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  const auto nanoseconds = [](const timespec& t) { return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec; };
  return {info.st_dev, info.st_ino, info.st_size, nanoseconds(info.st_mtim), nanoseconds(info.st_ctim)};
}

struct Looks {
  Look cert;
  Look key;
  friend bool operator==(const Looks&, const Looks&) = default;
};

/// Reads a pair; errors name the file.
std::shared_ptr<const Certificate> load(const std::string& cert, const std::string& key) {
  PemPair pem;
  const std::string* reading = &cert;
  try {
    pem.cert = read_pem_file(cert);
    parse_certificates(pem.cert);
    reading = &key;
    pem.key = read_pem_file(key);
    return check_pair(std::move(pem), cert);
  } catch (const TlsError& e) {
    throw TlsError(*reading + ": " + e.what());
  }
}

std::string load_client_ca(const std::string& path) {
  try {
    std::string pem = read_pem_file(path);
    parse_certificates(pem);
    return pem;
  } catch (const TlsError& e) {
    throw TlsError(path + ": " + e.what());
  }
}

/// "expired 3 days ago", "expires in 5 days"; empty when there is time.
std::string expiry_warning(const Certificate& certificate) {
  const auto left = certificate.not_after - std::chrono::system_clock::now();
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(left).count();
  if (left.count() < 0) return fmt::format("the certificate expired {} days ago", -hours / 24);
  if (left < kExpiresSoon) return fmt::format("the certificate expires in {} days", hours / 24);
  return {};
}

}  // namespace

std::string read_pem_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0) throw TlsError(std::generic_category().message(errno));
  if (!S_ISREG(info.st_mode)) throw TlsError("not a file");
  std::string text;
  for (;;) {
    char piece[16 * 1024];
    const ssize_t got = ::read(file.get(), piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw TlsError(std::generic_category().message(errno));
    if (got == 0) return text;
    text.append(piece, static_cast<std::size_t>(got));
    if (text.size() > kMaxFile) throw TlsError("larger than 1 MiB, so hardly what is meant");
  }
}

/// A pair (or the client CA, which has no key) and what its files looked like when they were loaded or refused.
struct CertificateStore::Watched {
  std::string cert_file;  // empty: from memory
  std::string key_file;
  std::shared_ptr<const Certificate> loaded;  // null for the client CA
  Looks judged;
  Looks seen;

  Looks look() const { return {look_at(cert_file), key_file.empty() ? Look{} : look_at(key_file)}; }

  /// True once for each change that has come to rest.
  bool changed() {
    if (cert_file.empty()) return false;
    const Looks now = look();
    const bool at_rest = now == seen;
    seen = now;
    if (!at_rest || now == judged) return false;
    return true;
  }
};

CertificateStore::CertificateStore(const config::Tls& settings, std::vector<PemPair> more) {
  for (const auto& pair : settings.certificates) {
    auto watched = std::make_unique<Watched>();
    watched->cert_file = pair.cert;
    watched->key_file = pair.key;
    // Looked at before reading: a change in between is found by the next look.
    watched->judged = watched->seen = watched->look();
    watched->loaded = load(pair.cert, pair.key);
    if (const std::string warning = expiry_warning(*watched->loaded); !warning.empty()) {
      log::warn("{}: {}", pair.cert, warning);
    }
    pairs_.push_back(std::move(watched));
  }
  for (auto& pem : more) {
    auto watched = std::make_unique<Watched>();
    watched->loaded = check_pair(std::move(pem), "(memory)");
    pairs_.push_back(std::move(watched));
  }
  if (!settings.client_ca.empty()) {
    client_ca_ = std::make_unique<Watched>();
    client_ca_->cert_file = settings.client_ca;
    client_ca_->judged = client_ca_->seen = client_ca_->look();
    client_ca_pem_ = load_client_ca(settings.client_ca);
  }
  publish();
}

CertificateStore::~CertificateStore() = default;

std::shared_ptr<const CertificateSet> CertificateStore::current() const {
  const std::lock_guard lock(mutex_);
  return set_;
}

void CertificateStore::publish() {
  std::vector<std::shared_ptr<const Certificate>> certificates;
  for (const auto& pair : pairs_) certificates.push_back(pair->loaded);
  const std::uint64_t version = version_.load(std::memory_order_relaxed) + 1;
  auto set = std::make_shared<const CertificateSet>(version, std::move(certificates), client_ca_pem_);
  {
    const std::lock_guard lock(mutex_);
    set_.swap(set);
  }
  version_.store(version, std::memory_order_release);
}

bool CertificateStore::refresh_pair(Watched& pair) {
  if (!pair.changed()) return false;
  const Looks before = pair.seen;
  try {
    auto fresh = load(pair.cert_file, pair.key_file);
    if (pair.look() != before) return false;  // it moved while we read: not at rest after all
    pair.judged = before;
    if (fresh->pem.cert == pair.loaded->pem.cert && fresh->pem.key == pair.loaded->pem.key) return false;
    pair.loaded = std::move(fresh);
  } catch (const TlsError& e) {
    if (pair.look() != before) return false;
    pair.judged = before;
    log::error("certificate not reloaded, the old one stays in use: {}", e.what());
    return false;
  }
  const std::string warning = expiry_warning(*pair.loaded);
  log::info("certificate reloaded: {} for {}{}{}", pair.cert_file, pair.loaded->display_name,
            warning.empty() ? "" : "; ", warning);
  return true;
}

bool CertificateStore::refresh_client_ca() {
  if (!client_ca_ || !client_ca_->changed()) return false;
  const Looks before = client_ca_->seen;
  try {
    std::string fresh = load_client_ca(client_ca_->cert_file);
    if (client_ca_->look() != before) return false;
    client_ca_->judged = before;
    if (fresh == client_ca_pem_) return false;
    client_ca_pem_ = std::move(fresh);
  } catch (const TlsError& e) {
    if (client_ca_->look() != before) return false;
    client_ca_->judged = before;
    log::error("client CA not reloaded, the old one stays in use: {}", e.what());
    return false;
  }
  log::info("client CA reloaded: {}", client_ca_->cert_file);
  return true;
}

bool CertificateStore::refresh() {
  bool any = refresh_client_ca();
  for (const auto& pair : pairs_) any = refresh_pair(*pair) || any;
  if (any) publish();
  return any;
}

Task<> CertificateStore::watch(Loop& loop) {
  stop_ = std::make_unique<Event>(loop);
  for (;;) {
    const TimePoint next = loop.now() + kLookEvery;
    const Wake wake = co_await stop_->wait(next);
    if (wake != Wake::kTimeout) break;
    refresh();
  }
  stop_.reset();
}

void CertificateStore::stop_watching() {
  if (stop_) stop_->cancel();
}

TlsFindings check_certificates(const config::Tls& settings) {
  TlsFindings findings;
  const auto complain = [&](const config::Position& where, const std::string& what) {
    findings.errors.push_back({where, what});
  };
  for (const auto& pair : settings.certificates) {
    try {
      const auto certificate = load(pair.cert, pair.key);
      if (std::string warning = expiry_warning(*certificate); !warning.empty()) {
        findings.warnings.push_back({pair.position, pair.cert + ": " + warning});
      }
    } catch (const TlsError& e) {
      complain(pair.position, e.what());
    }
  }
  std::string client_ca;
  try {
    if (!settings.client_ca.empty()) client_ca = load_client_ca(settings.client_ca);
  } catch (const TlsError& e) {
    complain(settings.position, e.what());
  }
  try {
    config::Tls without_ca = settings;
    if (client_ca.empty()) without_ca.verify_client = config::VerifyClient::kOff;
    make_server_settings(without_ca, client_ca);
  } catch (const TlsError& e) {
    complain(settings.position, e.what());
  }
  if (settings.verify_client != config::VerifyClient::kOff && settings.client_ca.empty()) {
    complain(settings.position, "verify_client needs client_ca: the file of the CA that signs client certificates");
  }
  return findings;
}

}  // namespace headgate::tls
