// SPDX-License-Identifier: Apache-2.0
#include "tls/server_context.h"

#include "tls_fixture.h"

namespace headgate::tls {
namespace {

using testing::HasSubstr;

class ServerContextTest : public TlsTest {
 protected:
  PemPair issue(const std::string& name, bool rsa = false) {
    return authority_.issue({.names = {"DNS:" + name}, .common_name = name, .rsa = rsa});
  }

  std::string certificate_shown(ServerContext& context, const std::string& name) {
    config::UpstreamTls settings;
    settings.verify = false;
    ClientContext client(settings);
    Handshake both = shake(context, client, name);
    return both.ok() ? (*both.client)->peer_subject() : std::string("failed: ") + both.server.error().reason;
  }
};

TEST_F(ServerContextTest, AgreesOnTls13AndAlpn) {
  ServerContext context = server(store({issue("a.example")}));
  ClientContext client(trusting(), {"http/1.1"});
  Handshake both = shake(context, client, "A.example");
  ASSERT_TRUE(both.ok());
  EXPECT_EQ((*both.server)->version(), "TLSv1.3");
  EXPECT_EQ((*both.server)->alpn(), "http/1.1");
  EXPECT_EQ((*both.client)->alpn(), "http/1.1");
  EXPECT_EQ((*both.server)->server_name(), "a.example");
  EXPECT_EQ((*both.server)->peer_subject(), "");
  EXPECT_EQ((*both.client)->peer_subject(), "CN=a.example");
  EXPECT_FALSE((*both.server)->resumed());
  EXPECT_EQ(pass(**both.client, **both.server, "hello"), "hello");
}

TEST_F(ServerContextTest, RefusesAClientWithoutACommonProtocol) {
  ServerContext context = server(store({issue("a.example")}));
  ClientContext client(trusting(), {"h2"});
  Handshake both = shake(context, client, "a.example");
  ASSERT_FALSE(both.server.has_value());
  EXPECT_STREQ(both.server.error().reason, "tls_no_application_protocol");
  EXPECT_STREQ(both.client.error().reason, "tls_peer_alert");
}

TEST_F(ServerContextTest, ChoosesTheCertificateByName) {
  ServerContext context = server(
      store({issue("first.example"), issue("shop.example"), issue("*.shop.example"), issue("special.shop.example")}));
  EXPECT_EQ(certificate_shown(context, "shop.example"), "CN=shop.example");
  EXPECT_EQ(certificate_shown(context, "SHOP.example"), "CN=shop.example");
  EXPECT_EQ(certificate_shown(context, "eu.shop.example"), "CN=*.shop.example");
  EXPECT_EQ(certificate_shown(context, "special.shop.example"), "CN=special.shop.example");
  EXPECT_EQ(certificate_shown(context, "a.b.shop.example"), "CN=first.example");
  EXPECT_EQ(certificate_shown(context, "unknown.example"), "CN=first.example");
  EXPECT_EQ(certificate_shown(context, ""), "CN=first.example");
}

TEST_F(ServerContextTest, StrictSniRefusesUnknownAndMissingNames) {
  config::Tls settings;
  settings.strict_sni = true;
  ServerContext context = server(store({issue("a.example")}), settings);
  EXPECT_EQ(certificate_shown(context, "a.example"), "CN=a.example");
  EXPECT_EQ(certificate_shown(context, "b.example"), "failed: tls_no_certificate_for_name");
  EXPECT_EQ(certificate_shown(context, ""), "failed: tls_no_certificate_for_name");
}

TEST_F(ServerContextTest, OffersEachKeyTypeOfAName) {
  // In TLS 1.2 the suite names the key type, so a server whose only common suite is RSA's must find the RSA pair.
  const auto certificates = store({issue("first.example"), issue("a.example"), issue("a.example", true)});
  config::Tls settings;
  settings.ciphers = "ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256";
  ServerContext rsa = server(certificates, settings);
  settings.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
  ServerContext ecdsa = server(certificates, settings);
  for (ServerContext* context : {&rsa, &ecdsa}) {
    ClientContext client(trusting());
    limit_to_tls12(client);
    Handshake both = shake(*context, client, "a.example");
    ASSERT_TRUE(both.ok());
    EXPECT_EQ((*both.server)->version(), "TLSv1.2");
    EXPECT_THAT(std::string((*both.server)->cipher()), HasSubstr(context == &rsa ? "-RSA-" : "-ECDSA-"));
    EXPECT_EQ((*both.client)->peer_subject(), "CN=a.example");
  }
}

TEST_F(ServerContextTest, HoldsTheVersionFloor) {
  config::Tls settings;
  settings.min_version = config::Tls::Version::k13;
  ServerContext context = server(store({issue("a.example")}), settings);
  ClientContext client(trusting());
  limit_to_tls12(client);
  Handshake both = shake(context, client, "a.example");
  ASSERT_FALSE(both.server.has_value());
  EXPECT_STREQ(both.server.error().reason, "tls_unsupported_version");
}

TEST_F(ServerContextTest, TakesMozillasNamesAndLists) {
  const auto certificates = store({issue("a.example", true)});
  config::Tls settings;
  settings.ciphers = "intermediate";
  ServerContext intermediate = server(certificates, settings);
  EXPECT_EQ(certificate_shown(intermediate, "a.example"), "CN=a.example");
  settings.ciphers = "TLS_AES_256_GCM_SHA384";
  ServerContext only13 = server(certificates, settings);
  ClientContext old(trusting());
  limit_to_tls12(old);
  EXPECT_FALSE(shake(only13, old, "a.example").ok());
  ClientContext fresh(trusting());
  Handshake both = shake(only13, fresh, "a.example");
  ASSERT_TRUE(both.ok());
  EXPECT_EQ((*both.server)->cipher(), "TLS_AES_256_GCM_SHA384");
  settings.ciphers = "NO-SUCH-CIPHER";
  EXPECT_THROW(server(certificates, settings), TlsError);
  settings.ciphers = "TLS_NO_SUCH_SUITE";
  EXPECT_THROW(server(certificates, settings), TlsError);
  settings.ciphers = " ";
  EXPECT_THROW(server(certificates, settings), TlsError);
}

TEST_F(ServerContextTest, NeedsACertificate) {
  EXPECT_THROW(server(store({})), TlsError);
}

TEST_F(ServerContextTest, RequiredClientCertificate) {
  config::Tls settings;
  settings.client_ca = dir_.write("client_ca.pem", authority_.pem());
  settings.verify_client = config::VerifyClient::kRequired;
  ServerContext context = server(store({issue("a.example")}, settings), settings);
  ClientContext without(trusting());
  Handshake refused = shake(context, without, "a.example");
  ASSERT_FALSE(refused.server.has_value());
  EXPECT_STREQ(refused.server.error().reason, "tls_client_certificate_required");

  ClientContext with(showing(authority_.issue({.common_name = "alice"})));
  Handshake both = shake(context, with, "a.example");
  ASSERT_TRUE(both.ok());
  EXPECT_EQ((*both.server)->peer_subject(), "CN=alice");

  const TestAuthority stranger("Other CA");
  ClientContext with_other(showing(stranger.issue({.common_name = "mallory"})));
  Handshake other = shake(context, with_other, "a.example");
  ASSERT_FALSE(other.server.has_value());
  EXPECT_STREQ(other.server.error().reason, "tls_certificate_verify_failed");

  ClientContext with_expired(showing(authority_.issue({.common_name = "old", .begins = -7200, .ends = -3600})));
  Handshake expired = shake(context, with_expired, "a.example");
  ASSERT_FALSE(expired.server.has_value());
  EXPECT_STREQ(expired.server.error().reason, "tls_certificate_expired");
}

TEST_F(ServerContextTest, OptionalClientCertificate) {
  config::Tls settings;
  settings.client_ca = dir_.write("client_ca.pem", authority_.pem());
  settings.verify_client = config::VerifyClient::kOptional;
  ServerContext context = server(store({issue("a.example")}, settings), settings);
  ClientContext without(trusting());
  Handshake anonymous = shake(context, without, "a.example");
  ASSERT_TRUE(anonymous.ok());
  EXPECT_EQ((*anonymous.server)->peer_subject(), "");
  ClientContext with(showing(authority_.issue({.common_name = "alice"})));
  Handshake named = shake(context, with, "a.example");
  ASSERT_TRUE(named.ok());
  EXPECT_EQ((*named.server)->peer_subject(), "CN=alice");
}

TEST_F(ServerContextTest, TicketsOfOneWorkerResumeOnAnother) {
  const auto certificates = store({issue("a.example")});
  for (const bool tls12 : {false, true}) {
    ServerContext one = server(certificates);
    ServerContext two = server(certificates);
    ClientContext client(trusting());
    if (tls12) limit_to_tls12(client);
    Handshake first = shake(one, client, "a.example");
    ASSERT_TRUE(first.ok());
    EXPECT_FALSE((*first.server)->resumed());
    EXPECT_EQ(pass(**first.server, **first.client, "x"), "x");  // in TLS 1.3 the ticket comes before it
    Handshake second = shake(two, client, "a.example");
    ASSERT_TRUE(second.ok());
    EXPECT_TRUE((*second.server)->resumed());
    EXPECT_TRUE((*second.client)->resumed());
    EXPECT_EQ((*second.server)->server_name(), "a.example");
  }
}

TEST_F(ServerContextTest, ResumesWithPreviousKeysAndNotWithForgottenOnes) {
  TicketKeys::Time now = std::chrono::system_clock::now();
  tickets_ = std::make_shared<TicketKeys>([&now] { return now; });
  ServerContext context = server(store({issue("a.example")}));
  const auto connect_again = [&](ClientContext& client) {
    Handshake both = shake(context, client, "a.example");
    EXPECT_TRUE(both.ok());
    if (!both.ok()) return false;
    EXPECT_EQ(pass(**both.server, **both.client, "x"), "x");
    return (*both.server)->resumed();
  };
  ClientContext client(trusting());
  EXPECT_FALSE(connect_again(client));
  now += TicketKeys::kRotation;
  EXPECT_TRUE(connect_again(client));
  now += TicketKeys::kRotation * TicketKeys::kKeys;
  EXPECT_FALSE(connect_again(client));
}

TEST_F(ServerContextTest, TicketsCanBeOff) {
  config::Tls settings;
  settings.session_tickets = false;
  ServerContext context = server(store({issue("a.example")}), settings);
  for (const bool tls12 : {false, true}) {
    ClientContext client(trusting());
    if (tls12) limit_to_tls12(client);
    for (int i = 0; i < 2; ++i) {
      Handshake both = shake(context, client, "a.example");
      ASSERT_TRUE(both.ok());
      EXPECT_EQ(pass(**both.server, **both.client, "x"), "x");
      EXPECT_FALSE((*both.server)->resumed());
    }
  }
}

TEST_F(ServerContextTest, ATicketDoesNotCarryOneClientCaIntoAnother) {
  const auto alice = showing(authority_.issue({.common_name = "alice"}));
  config::Tls settings;
  settings.verify_client = config::VerifyClient::kRequired;
  settings.client_ca = dir_.write("client_ca.pem", authority_.pem());
  ServerContext before = server(store({issue("a.example")}, settings), settings);
  ClientContext client(alice);
  Handshake first = shake(before, client, "a.example");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(pass(**first.server, **first.client, "x"), "x");
  Handshake same = shake(before, client, "a.example");
  ASSERT_TRUE(same.ok());
  EXPECT_TRUE((*same.server)->resumed());
  EXPECT_EQ((*same.server)->peer_subject(), "CN=alice");

  const TestAuthority stranger("Other CA");
  settings.client_ca = dir_.write("client_ca2.pem", stranger.pem());
  ServerContext after = server(store({issue("a.example")}, settings), settings);
  Handshake refused = shake(after, client, "a.example");
  ASSERT_FALSE(refused.server.has_value());
  EXPECT_STREQ(refused.server.error().reason, "tls_certificate_verify_failed");
}

TEST_F(ServerContextTest, ANewCertificateServesTheNextHandshakeAndOldConnectionsLive) {
  config::Tls settings;
  const PemPair old_pair = authority_.issue({.names = {"DNS:a.example"}, .common_name = "old"});
  settings.certificates.push_back({dir_.write("cert.pem", old_pair.cert), dir_.write("key.pem", old_pair.key), {}});
  const auto certificates = store({}, settings);
  ServerContext context = server(certificates, settings);
  ClientContext client(trusting());
  Handshake before = shake(context, client, "a.example");
  ASSERT_TRUE(before.ok());
  EXPECT_EQ((*before.client)->peer_subject(), "CN=old");

  const PemPair new_pair = authority_.issue({.names = {"DNS:a.example"}, .common_name = "new"});
  dir_.write("cert.pem", new_pair.cert);
  dir_.write("key.pem", new_pair.key);
  EXPECT_FALSE(certificates->refresh());  // seen, not yet at rest
  EXPECT_TRUE(certificates->refresh());
  ClientContext fresh(trusting());
  Handshake after = shake(context, fresh, "a.example");
  ASSERT_TRUE(after.ok());
  EXPECT_EQ((*after.client)->peer_subject(), "CN=new");
  EXPECT_EQ(pass(**before.client, **before.server, "still here"), "still here");
  EXPECT_EQ(pass(**before.server, **before.client, "so am I"), "so am I");
}

TEST_F(ServerContextTest, MayBeDestroyedDuringAHandshake) {
  auto [left, right] = descriptors();
  auto context = std::make_unique<ServerContext>(server(store({issue("a.example")})));
  ClientContext client(trusting());
  Task<StreamResult> accepting = accept(*context, socket(std::move(left), Side::kDownstream), soon());
  accepting.start();  // waits for the ClientHello
  context.reset();
  auto both =
      run_both(std::move(accepting), connect(client, socket(std::move(right), Side::kUpstream), "a.example", soon()));
  ASSERT_TRUE(both.first.has_value());
  ASSERT_TRUE(both.second.has_value());
  EXPECT_EQ(pass(**both.first, **both.second, "x"), "x");
}

}  // namespace
}  // namespace headgate::tls
