// SPDX-License-Identifier: Apache-2.0
#include "tls/client_context.h"

#include <openssl/err.h>

#include "tls_fixture.h"

namespace headgate::tls {
namespace {

class ClientContextTest : public TlsTest {
 protected:
  std::string outcome(const Wanted& wanted, const config::UpstreamTls& settings, const std::string& name) {
    ServerContext context = server(store({authority_.issue(wanted)}));
    ClientContext client(settings);
    const Handshake both = shake(context, client, name);
    if (both.client.has_value()) return "ok";
    EXPECT_EQ(both.client.error().side, Side::kUpstream);
    EXPECT_EQ(both.client.error().code, Errc::kTls);
    return both.client.error().reason;
  }
};

TEST_F(ClientContextTest, VerifiesNameAndChain) {
  const Wanted origin{.names = {"DNS:api.internal", "IP:10.0.0.7", "DNS:*.wild.internal"}};
  EXPECT_EQ(outcome(origin, trusting(), "api.internal"), "ok");
  EXPECT_EQ(outcome(origin, trusting(), "10.0.0.7"), "ok");
  EXPECT_EQ(outcome(origin, trusting(), "a.wild.internal"), "ok");
  EXPECT_EQ(outcome(origin, trusting(), "other.internal"), "tls_certificate_name_mismatch");
  EXPECT_EQ(outcome(origin, trusting(), "10.0.0.8"), "tls_certificate_name_mismatch");
  EXPECT_EQ(outcome(origin, trusting(), "a.b.wild.internal"), "tls_certificate_name_mismatch");
  EXPECT_EQ(outcome(origin, {}, "api.internal"), "tls_certificate_verify_failed");  // not the system's authority
}

TEST_F(ClientContextTest, RefusesCertificatesOutOfTheirTime) {
  EXPECT_EQ(outcome({.names = {"DNS:a.internal"}, .begins = -7200, .ends = -3600}, trusting(), "a.internal"),
            "tls_certificate_expired");
  EXPECT_EQ(outcome({.names = {"DNS:a.internal"}, .begins = 3600, .ends = 7200}, trusting(), "a.internal"),
            "tls_certificate_not_yet_valid");
}

TEST_F(ClientContextTest, VerificationCanBeOff) {
  config::UpstreamTls settings;
  settings.verify = false;
  EXPECT_EQ(outcome({.names = {"DNS:a.internal"}}, settings, "b.internal"), "ok");
  EXPECT_EQ(outcome({.names = {"DNS:a.internal"}}, settings, ""), "ok");
}

TEST_F(ClientContextTest, NeverVerifiesAgainstNoName) {
  EXPECT_EQ(outcome({.names = {"DNS:a.internal"}}, trusting(), ""), "tls_no_server_name");
}

TEST_F(ClientContextTest, SendsNoServerNameForAnAddress) {
  ServerContext context = server(store({authority_.issue({.names = {"IP:127.0.0.1"}})}));
  ClientContext client(trusting());
  Handshake both = shake(context, client, "127.0.0.1");
  ASSERT_TRUE(both.ok());
  EXPECT_EQ((*both.server)->server_name(), "");
}

TEST_F(ClientContextTest, ResumesWithTheSameOriginAndNameOnly) {
  ServerContext context = server(store({authority_.issue({.names = {"DNS:a.internal", "DNS:b.internal"}})}));
  ClientContext client(trusting());
  const auto resumed = [&](const std::string& name) {
    Handshake both = shake(context, client, name);
    EXPECT_TRUE(both.ok());
    EXPECT_EQ(pass(**both.server, **both.client, "x"), "x");
    return (*both.client)->resumed();
  };
  EXPECT_FALSE(resumed("a.internal"));
  EXPECT_TRUE(resumed("a.internal"));
  EXPECT_FALSE(resumed("b.internal"));
  EXPECT_TRUE(resumed("a.internal"));
}

TEST_F(ClientContextTest, ConnectionsMayOutliveIt) {
  ServerContext context = server(store({authority_.issue({.names = {"DNS:a.internal"}})}));
  auto client = std::make_unique<ClientContext>(trusting());
  Handshake both = shake(context, *client, "a.internal");
  ASSERT_TRUE(both.ok());
  client.reset();
  // The tickets arrive now.
  EXPECT_EQ(pass(**both.server, **both.client, "x"), "x");
}

TEST_F(ClientContextTest, NamesTheFileThatCannotBeUsed) {
  const auto message = [](const config::UpstreamTls& settings) -> std::string {
    try {
      const ClientContext client(settings);
    } catch (const TlsError& e) {
      return e.what();
    }
    return {};
  };
  config::UpstreamTls settings;
  settings.ca = dir_.path("none.pem");
  EXPECT_THAT(message(settings), testing::HasSubstr("none.pem: No such file"));
  settings.ca = dir_.write("empty.pem", "nothing\n");
  EXPECT_THAT(message(settings), testing::HasSubstr("empty.pem: no certificate"));
  const PemPair one = authority_.issue({.common_name = "one"});
  const PemPair two = authority_.issue({.common_name = "two"});
  EXPECT_THAT(message(showing({one.cert, two.key})), testing::HasSubstr("does not belong"));
  EXPECT_EQ(ERR_peek_error(), 0u);
}

}  // namespace
}  // namespace headgate::tls
