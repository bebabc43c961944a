// SPDX-License-Identifier: Apache-2.0
#include "tls/self_signed.h"

#include "tls_fixture.h"

namespace headgate::tls {
namespace {

using SelfSignedTest = TlsTest;

TEST_F(SelfSignedTest, IsGoodForItsNamesAndAddresses) {
  const auto [cert, key] = make_self_signed({"localhost", "127.0.0.1", "::1", "*.demo.example"});
  ServerContext context = server(store({{cert, key}}));
  config::UpstreamTls settings;
  settings.ca = dir_.write("self.pem", cert);
  for (const char* name : {"localhost", "127.0.0.1", "::1", "shop.demo.example"}) {
    ClientContext client(settings);
    EXPECT_TRUE(shake(context, client, name).ok()) << name;
  }
  ClientContext client(settings);
  const Handshake other = shake(context, client, "elsewhere.example");
  ASSERT_FALSE(other.client.has_value());
  EXPECT_STREQ(other.client.error().reason, "tls_certificate_name_mismatch");
}

TEST_F(SelfSignedTest, TwoAreDifferent) {
  EXPECT_NE(make_self_signed({"localhost"}).second, make_self_signed({"localhost"}).second);
}

TEST_F(SelfSignedTest, RefusesWhatIsNoName) {
  EXPECT_THROW(make_self_signed({}), TlsError);
  EXPECT_THROW(make_self_signed({""}), TlsError);
  EXPECT_THROW(make_self_signed({"a,DNS:b"}), TlsError);
}

TEST_F(SelfSignedTest, TakesALongName) {
  const std::string label(60, 'a');
  const std::string name = label + "." + label + ".example";
  const auto [cert, key] = make_self_signed({name});
  const auto checked = check_pair({cert, key}, "long");
  EXPECT_EQ(checked->names, std::vector<std::string>{name});
}

}  // namespace
}  // namespace headgate::tls
