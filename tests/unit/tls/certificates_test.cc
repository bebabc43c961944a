// SPDX-License-Identifier: Apache-2.0
#include "tls/certificates.h"

#include <filesystem>
#include <sstream>

#include <openssl/err.h>
#include <spdlog/sinks/ostream_sink.h>

#include "base/log.h"
#include "tls_fixture.h"

namespace headgate::tls {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// The program's log while it lives.
class CapturedLog {
 public:
  CapturedLog() : before_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
    auto logger = std::make_shared<spdlog::logger>("captured", sink);
    logger->set_pattern("%l %v");
    spdlog::set_default_logger(logger);
  }
  ~CapturedLog() { spdlog::set_default_logger(before_); }
  std::string take() {
    std::string text = text_.str();
    text_.str({});
    return text;
  }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_;
};

class CertificatesTest : public TlsTest {
 protected:
  PemPair issue(const std::string& name, const std::string& common = "test") {
    return authority_.issue({.names = {"DNS:" + name}, .common_name = common});
  }

  config::Tls files(const PemPair& pair) {
    config::Tls settings;
    settings.certificates.push_back(
        {dir_.write("cert.pem", pair.cert), dir_.write("key.pem", pair.key), {"headgate.yaml", 4, 7}});
    return settings;
  }

  /// Two looks: the first sees a change, the second finds it at rest.
  bool settle(CertificateStore& store) {
    const bool first = store.refresh();
    return store.refresh() || first;
  }

  std::string common_name(const CertificateStore& certificates) {
    return certificates.current()->certificates().at(0)->display_name;
  }
};

std::string failure_of(const config::Tls& settings) {
  try {
    const CertificateStore store(settings);
  } catch (const TlsError& e) {
    EXPECT_EQ(ERR_peek_error(), 0u);
    return e.what();
  }
  return {};
}

TEST_F(CertificatesTest, ReadsNamesExpiryAndKeyType) {
  const auto checked = check_pair(
      authority_.issue({.names = {"DNS:Shop.example", "DNS:*.shop.example", "IP:10.0.0.1"}, .common_name = "other"}),
      "x.pem");
  EXPECT_THAT(checked->names, ElementsAre("shop.example", "*.shop.example"));
  EXPECT_EQ(checked->key_type, "EC");
  EXPECT_EQ(checked->display_name, "shop.example");
  const auto left = checked->not_after - std::chrono::system_clock::now();
  EXPECT_GT(left, std::chrono::hours(89 * 24));
  EXPECT_LE(left, std::chrono::hours(90 * 24));
}

TEST_F(CertificatesTest, TakesTheCommonNameWhereThereIsNoOther) {
  EXPECT_THAT(check_pair(authority_.issue({.common_name = "Old.example"}), "x")->names, ElementsAre("old.example"));
}

TEST_F(CertificatesTest, FindsExactBeforeWildcardOfOneLabel) {
  const auto certificates = store({issue("*.example"), issue("a.example"), issue("*.a.example")});
  const auto set = certificates->current();
  const auto found = [&](std::string_view name) { return set->find(name) != nullptr ? set->find(name)->at(0) : 99; };
  EXPECT_EQ(found("a.example"), 1u);
  EXPECT_EQ(found("b.example"), 0u);
  EXPECT_EQ(found("x.a.example"), 2u);
  EXPECT_EQ(found("example"), 99u);
  EXPECT_EQ(found(".example"), 99u);
  EXPECT_EQ(found("x.y.example"), 99u);
  EXPECT_EQ(found(""), 99u);
  EXPECT_EQ(found("*.example"), 0u);
}

TEST_F(CertificatesTest, OffersOneOfEachKeyType) {
  const auto rsa = authority_.issue({.names = {"DNS:a.example"}, .rsa = true});
  const auto certificates = store({issue("a.example"), rsa, issue("a.example", "second")});
  EXPECT_THAT(*certificates->current()->find("a.example"), ElementsAre(0u, 1u));
  EXPECT_THAT(certificates->current()->fallback(), ElementsAre(0u, 1u));
}

TEST_F(CertificatesTest, SaysWhatIsWrongWithAFile) {
  const PemPair one = issue("a.example");
  const PemPair two = issue("a.example");
  config::Tls settings = files(one);
  EXPECT_EQ(failure_of(settings), "");
  dir_.write("key.pem", two.key);
  EXPECT_THAT(failure_of(settings), HasSubstr("key.pem: the key does not belong to the certificate"));
  dir_.write("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
  EXPECT_THAT(failure_of(settings), HasSubstr("key.pem: no usable private key"));
  dir_.write("key.pem", authority_.issue({.encrypted_key = true}).key);
  EXPECT_THAT(failure_of(settings), HasSubstr("key.pem: the key is protected by a pass phrase"));
  dir_.write("key.pem", one.key);
  dir_.write("cert.pem", "hello");
  EXPECT_THAT(failure_of(settings), HasSubstr("cert.pem: no certificate in it"));
  dir_.write("cert.pem", one.cert.substr(0, one.cert.size() / 4));
  EXPECT_THAT(failure_of(settings), HasSubstr("cert.pem: "));
  dir_.write("cert.pem", one.cert + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  EXPECT_THAT(failure_of(settings), HasSubstr("cert.pem: a certificate cannot be read"));
  dir_.write("cert.pem", std::string(2 * 1024 * 1024, 'x'));
  EXPECT_THAT(failure_of(settings), HasSubstr("cert.pem: larger than 1 MiB"));
  std::filesystem::remove(dir_.path("cert.pem"));
  EXPECT_THAT(failure_of(settings), HasSubstr("cert.pem: No such file"));
  settings.certificates[0].cert = dir_.path("");
  EXPECT_THAT(failure_of(settings), HasSubstr("not a file"));
}

TEST_F(CertificatesTest, AnUnchangedFileIsNotReadAgain) {
  CertificateStore certificates(files(issue("a.example")));
  const auto version = certificates.version();
  EXPECT_FALSE(settle(certificates));
  EXPECT_FALSE(settle(certificates));
  EXPECT_EQ(certificates.version(), version);
}

TEST_F(CertificatesTest, LoadsANewPairOnce) {
  CertificateStore certificates(files(issue("old.example")));
  const auto version = certificates.version();
  files(issue("new.example"));
  EXPECT_FALSE(certificates.refresh());
  EXPECT_EQ(common_name(certificates), "old.example");
  EXPECT_TRUE(certificates.refresh());
  EXPECT_EQ(common_name(certificates), "new.example");
  EXPECT_EQ(certificates.version(), version + 1);
  EXPECT_EQ(certificates.current()->version(), version + 1);
  EXPECT_FALSE(settle(certificates));
}

TEST_F(CertificatesTest, WaitsForAFileThatIsStillChanging) {
  CertificateStore certificates(files(issue("old.example")));
  for (int i = 0; i < 3; ++i) {
    files(issue("new" + std::to_string(i) + ".example"));
    EXPECT_FALSE(certificates.refresh());
  }
  EXPECT_TRUE(certificates.refresh());
  EXPECT_EQ(common_name(certificates), "new2.example");
}

TEST_F(CertificatesTest, ABadPairIsRefusedWithOneLineAndTheOldOneKept) {
  CapturedLog log;
  const PemPair old_pair = issue("old.example");
  CertificateStore certificates(files(old_pair));
  const auto version = certificates.version();
  const PemPair new_pair = issue("new.example");
  dir_.write("cert.pem", new_pair.cert);  // the key is still the old one
  EXPECT_FALSE(settle(certificates));
  const std::string line = log.take();
  EXPECT_THAT(line, HasSubstr("error certificate not reloaded, the old one stays in use: "));
  EXPECT_THAT(line, HasSubstr("key.pem: the key does not belong to the certificate"));
  EXPECT_FALSE(settle(certificates));
  EXPECT_FALSE(settle(certificates));
  EXPECT_EQ(log.take(), "");
  EXPECT_EQ(certificates.version(), version);
  EXPECT_EQ(common_name(certificates), "old.example");
  EXPECT_EQ(ERR_peek_error(), 0u);

  dir_.write("key.pem", new_pair.key);
  EXPECT_TRUE(settle(certificates));
  EXPECT_THAT(log.take(), HasSubstr("info certificate reloaded: "));
  EXPECT_EQ(common_name(certificates), "new.example");
}

TEST_F(CertificatesTest, AMissingFileKeepsTheOldPair) {
  CapturedLog log;
  const PemPair pair = issue("a.example");
  CertificateStore certificates(files(pair));
  std::filesystem::remove(dir_.path("key.pem"));
  EXPECT_FALSE(settle(certificates));
  EXPECT_THAT(log.take(), HasSubstr("key.pem: No such file"));
  EXPECT_FALSE(settle(certificates));
  EXPECT_EQ(log.take(), "");
  dir_.write("key.pem", pair.key);
  EXPECT_FALSE(settle(certificates));  // the same as before: nothing to publish
  EXPECT_EQ(log.take(), "");
}

TEST_F(CertificatesTest, FollowsLinksAsRenewalToolsTurnThem) {
  namespace fs = std::filesystem;
  const PemPair first = issue("old.example");
  const PemPair second = issue("new.example");
  dir_.write("cert1.pem", first.cert);
  dir_.write("key1.pem", first.key);
  dir_.write("cert2.pem", second.cert);
  dir_.write("key2.pem", second.key);
  fs::create_symlink("cert1.pem", dir_.path("cert.pem"));
  fs::create_symlink("key1.pem", dir_.path("key.pem"));
  config::Tls settings;
  settings.certificates.push_back({dir_.path("cert.pem"), dir_.path("key.pem"), {}});
  CertificateStore certificates(settings);
  fs::remove(dir_.path("cert.pem"));
  fs::create_symlink("cert2.pem", dir_.path("cert.pem"));
  EXPECT_FALSE(certificates.refresh());
  fs::remove(dir_.path("key.pem"));
  fs::create_symlink("key2.pem", dir_.path("key.pem"));
  EXPECT_FALSE(certificates.refresh());
  EXPECT_TRUE(certificates.refresh());
  EXPECT_EQ(common_name(certificates), "new.example");
}

TEST_F(CertificatesTest, OtherPairsAreNotDisturbedByABadOne) {
  const CapturedLog log;
  config::Tls settings = files(issue("a.example"));
  const PemPair second = issue("old.example");
  settings.certificates.push_back({dir_.write("cert2.pem", second.cert), dir_.write("key2.pem", second.key), {}});
  CertificateStore certificates(settings);
  dir_.write("cert.pem", "broken");
  const PemPair renewed = issue("new.example");
  dir_.write("cert2.pem", renewed.cert);
  dir_.write("key2.pem", renewed.key);
  EXPECT_TRUE(settle(certificates));
  const auto set = certificates.current();
  EXPECT_NE(set->find("a.example"), nullptr);
  EXPECT_NE(set->find("new.example"), nullptr);
  EXPECT_EQ(set->find("old.example"), nullptr);
}

TEST_F(CertificatesTest, ReloadsTheClientCa) {
  config::Tls settings = files(issue("a.example"));
  settings.client_ca = dir_.write("client_ca.pem", authority_.pem());
  CertificateStore certificates(settings);
  EXPECT_EQ(certificates.current()->client_ca(), authority_.pem());
  const TestAuthority other("Other CA");
  dir_.write("client_ca.pem", other.pem());
  EXPECT_TRUE(settle(certificates));
  EXPECT_EQ(certificates.current()->client_ca(), other.pem());
  const CapturedLog log;
  dir_.write("client_ca.pem", "broken");
  EXPECT_FALSE(settle(certificates));
  EXPECT_EQ(certificates.current()->client_ca(), other.pem());
}

Task<int> until_changed(CertificateStore& certificates, Loop& loop, std::uint64_t version, TaskGroup& group) {
  Event tick(loop);
  while (certificates.version() == version) {
    const TimePoint next = loop.now() + std::chrono::milliseconds(20);
    co_await tick.wait(next);
  }
  certificates.stop_watching();
  co_await group.join(kNoDeadline);
  co_return 1;
}

TEST_F(CertificatesTest, WatchNoticesByItself) {
  CertificateStore certificates(files(issue("old.example")));
  TaskGroup group(loop_);
  group.spawn(certificates.watch(loop_));
  const auto version = certificates.version();
  files(issue("new.example"));
  run(until_changed(certificates, loop_, version, group));
  EXPECT_EQ(common_name(certificates), "new.example");
}

TEST_F(CertificatesTest, CheckFindsEverythingInOneRun) {
  config::Tls settings = files(authority_.issue({.names = {"DNS:a.example"}, .begins = -99999, .ends = -86400 * 3}));
  settings.certificates.push_back({dir_.path("none.pem"), dir_.path("none.key"), {"headgate.yaml", 5, 7}});
  settings.ciphers = "nonsense";
  settings.client_ca = dir_.path("no_ca.pem");
  settings.position = {"headgate.yaml", 2, 1};
  const TlsFindings findings = check_certificates(settings);
  ASSERT_EQ(findings.errors.size(), 3u);
  EXPECT_EQ(findings.errors[0].where.line, 5);
  EXPECT_THAT(findings.errors[0].message, HasSubstr("none.pem: No such file"));
  EXPECT_EQ(findings.errors[1].where.line, 2);
  EXPECT_THAT(findings.errors[1].message, HasSubstr("no_ca.pem: No such file"));
  EXPECT_THAT(findings.errors[2].message, HasSubstr("tls.ciphers: nonsense"));
  ASSERT_EQ(findings.warnings.size(), 1u);
  EXPECT_EQ(findings.warnings[0].where.line, 4);
  EXPECT_THAT(findings.warnings[0].message, HasSubstr("expired 3 days ago"));
}

TEST_F(CertificatesTest, CheckIsContentWithAGoodSection) {
  const TlsFindings findings = check_certificates(files(issue("a.example")));
  EXPECT_THAT(findings.errors, IsEmpty());
  EXPECT_THAT(findings.warnings, IsEmpty());
}

TEST_F(CertificatesTest, CheckWantsAnAuthorityForClientCertificates) {
  config::Tls settings = files(issue("a.example"));
  settings.verify_client = config::VerifyClient::kRequired;
  const TlsFindings findings = check_certificates(settings);
  ASSERT_EQ(findings.errors.size(), 1u);
  EXPECT_THAT(findings.errors[0].message, HasSubstr("verify_client needs client_ca"));
}

}  // namespace
}  // namespace headgate::tls
