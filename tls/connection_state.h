// SPDX-License-Identifier: Apache-2.0
// What the callbacks of a handshake learn about one connection and leave for its TlsStream. The SSL carries a pointer
// to it as its application data. Internal to this folder.
#pragma once

#include <memory>
#include <string>

namespace headgate::tls {

class SessionCache;
struct Wire;

struct ConnectionState {
  /// Client side: where the origin's tickets go.
  struct Tickets {
    std::shared_ptr<SessionCache> sessions;
    std::string key;
  };

  std::string server_name;           ///< SNI, lower case, without a final dot; empty when none or not a host name
  bool name_refused = false;         ///< strict_sni, and no certificate has that name
  Wire* wire = nullptr;              ///< what OpenSSL writes goes here
  std::unique_ptr<Tickets> tickets;  ///< null: nowhere
};

}  // namespace headgate::tls
