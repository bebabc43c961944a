// SPDX-License-Identifier: Apache-2.0
// One client connection from accept to close: TLS handshake where the listener asks for it, then its session.
#pragma once

#include <memory>

#include <boost/intrusive/list.hpp>

#include "base/proxy_protocol.h"
#include "base/socket.h"
#include "http/http1_session.h"
#include "http/http2_session.h"
#include "observe/metric_cells.h"
#include "proxy/connection_count.h"
#include "proxy/listener_sockets.h"
#include "tls/server_context.h"

namespace headgate::proxy {

/// What a client's connection knows beside what exchanges need: where it is counted.
struct ClientConnectionInfo : http::ConnectionInfo {
  observe::ListenerCells* cells = nullptr;  ///< null: it is not counted
  mutable std::uint32_t under_way = 0;      ///< its exchanges that are being served
  int descriptor = -1;                      ///< of its socket, while it is open
  IpAddress destination;                    ///< as a PROXY header says; unknown without one
  std::uint16_t destination_port = 0;

  /// The ends of the client's own connection: its socket's, or those that a PROXY header tells of. Asks the kernel.
  ProxiedEnds ends() const;
};

/// Loop thread only. Made by whoever accepts; owned by its serve().
class Connection : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  /// `counted`: what it is taken out of at its end; null: nothing. `cells`: likewise for its listener's figures.
  Connection(Loop& loop, UniqueFd fd, const SocketAddress& peer, std::shared_ptr<const BoundListener> listener,
             http::Handler& handler, ConnectionCount* counted = nullptr, observe::ListenerCells* cells = nullptr);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// A PROXY header must come before anything else, and says who the client is. Who that is may have so many
  /// connections; 0: no limit. Before serve().
  void expect_proxy_header(std::uint64_t most_per_address) {
    awaits_proxy_header_ = true;
    most_per_address_ = most_per_address;
  }

  /// Serves until the connection ends. `tls` must live until the first wait only; null on a plain listener.
  static Task<> serve(std::unique_ptr<Connection> connection, tls::ServerContext* tls, Duration handshake_timeout);

  /// The current answer, or the next one, is the last; one that idles waits for it.
  void announce_end();
  /// The current answer, or the first one, is the last; idle ones close.
  void drain();
  /// A request is under way on it.
  bool busy() const { return info_.under_way > 0; }
  /// Everything it waits for ends now.
  void cancel();

 private:
  /// False: no header that can be believed came, or whom it names has too many connections.
  Task<bool> read_proxy_header(TimePoint deadline);
  bool become(const ProxiedEnds& ends);
  /// Settles what the session speaks, and over what. False: the handshake failed.
  Task<bool> begin(tls::ServerContext* tls, TimePoint deadline);
  Task<bool> run_session();
  Task<bool> handshake(tls::ServerContext& tls, TimePoint deadline);
  Task<bool> look_for_preface(TimePoint deadline);

  Loop& loop_;
  const std::shared_ptr<const BoundListener> listener_;
  http::Handler& handler_;
  ConnectionCount* const counted_;
  ClientConnectionInfo info_;
  std::unique_ptr<Socket> socket_;             // until the handshake takes it
  Socket* transport_;                          // the same, wherever it is owned
  std::unique_ptr<ByteStream> stream_;         // what the session speaks over
  std::unique_ptr<http::Http1Session> http1_;  // one of the two
  std::unique_ptr<http::Http2Session> http2_;
  bool speaks_http2_ = false;  // by ALPN, or as its first bytes say
  bool draining_ = false;
  bool awaits_proxy_header_ = false;
  std::uint64_t most_per_address_ = 0;
};

/// An exchange of a Connection while it is served: its connection counts as active.
class BusyConnection {
 public:
  explicit BusyConnection(const http::Exchange& exchange)
      : info_(static_cast<const ClientConnectionInfo&>(exchange.connection())) {
    if (info_.under_way++ == 0 && info_.cells != nullptr) info_.cells->active.add(1);
  }
  ~BusyConnection() {
    if (--info_.under_way == 0 && info_.cells != nullptr) info_.cells->active.subtract(1);
  }
  BusyConnection(const BusyConnection&) = delete;
  BusyConnection& operator=(const BusyConnection&) = delete;

 private:
  const ClientConnectionInfo& info_;
};

using ConnectionList = boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>>;

}  // namespace headgate::proxy
