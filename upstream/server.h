// SPDX-License-Identifier: Apache-2.0
// One address that requests are sent to as one loop sees it: the connections to it, those kept for reuse among them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/intrusive/list.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include "base/byte_stream.h"
#include "base/ip.h"
#include "base/proxy_protocol.h"
#include "base/unique_fd.h"
#include "config/model.h"
#include "http/http1_client.h"
#include "tls/client_context.h"
#include "tls/stream.h"
#include "upstream/idle_limit.h"

namespace headgate::upstream {

class Lease;
class Server;
class SharedConnections;
using ServerRef = boost::intrusive_ptr<Server>;

/// An open connection to a server: out on loan or kept. Of HTTP/2 only one exchange's place on it, which has no stream.
struct OriginConnection : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  std::unique_ptr<ByteStream> stream;
  http::ClientExchangePtr place;
  std::uint64_t requests = 0;  ///< carried so far
  TimePoint idle_since{};
  Duration idle_for{};  ///< when it was leased
};

/// Loop thread only, and so counted without atomics. Shared by the generations that name it (ServerSet), so that a
/// reload keeps its connections.
class Server : public boost::intrusive_ref_counter<Server, boost::thread_unsafe_counter> {
 public:
  /// What tells servers apart: same settings, same Server.
  struct Settings {
    SocketAddress address;
    config::Scheme scheme = config::Scheme::kHttp;
    config::UpstreamTls tls;
    config::UpstreamKeepalive keepalive;
    std::string tls_name;  ///< for SNI and the certificate check
    config::ProxyProtocol proxy_protocol = config::ProxyProtocol::kOff;
    std::string identity() const;
    std::string tls_identity() const;  ///< what a ClientContext is made of; empty for the schemes in clear
  };

  /// `tls` is null for the schemes in clear.
  Server(Loop& loop, Settings settings, std::shared_ptr<tls::ClientContext> tls);
  ~Server();

  const SocketAddress& address() const { return settings_.address; }
  const std::string& name() const { return name_; }  ///< the address as text

  /// How new a connection of HTTP/1 has to be.
  enum class Age : std::uint8_t {
    kAny,    ///< a kept one that the origin should not be about to close
    kYoung,  ///< one that was used a moment ago: for a request that cannot be sent again
    kNew,
  };
  /// For HTTP/1 a kept connection or a new one; for HTTP/2 a place on a shared one, whatever the age: those that failed
  /// take no more requests. The deadline covers connect, TLS handshake and SETTINGS.
  ///
  /// Where introduces(), the connection is always a new one, and begins with a PROXY header of `client` or, null, for
  /// ourselves. `client` is used during the call and not later.
  Task<Result<Lease>> lease(TimePoint deadline, Age age, const ProxiedEnds* client = nullptr);

  /// Each connection is one client's, and says whose.
  bool introduces() const { return settings_.proxy_protocol != config::ProxyProtocol::kOff; }
  /// What a connection begins with; empty unless introduces().
  std::string introduction(const ProxiedEnds* client) const;

  /// Closes kept connections that are too old or that the origin has closed. Called about once a second.
  void sweep();
  std::size_t idle_connections() const { return idle_.size(); }
  /// A shared connection lives beside the traffic: it must not be destroyed now.
  bool busy() const;

  /// Ends every wait on a connection that is out on loan: its exchange fails.
  void cancel_leased();

  /// Closes all that is kept and waits for its end. Before the loop ends.
  Task<> stop();

 private:
  friend class Lease;
  friend class SharedConnections;
  std::unique_ptr<OriginConnection> take_kept(Age age);
  Task<Result<Lease>> lease_new(TimePoint deadline, std::string introduction);
  Task<Result<Lease>> lease_place(TimePoint deadline);
  Task<Result<Lease>> wait_place(TimePoint deadline);
  Lease lend(std::unique_ptr<OriginConnection> connection);
  Lease lend(http::ClientExchangePtr place, bool reused);
  void keep(std::unique_ptr<OriginConnection> connection);
  Task<Result<std::unique_ptr<ByteStream>>> open(TimePoint deadline, std::string introduction);

  Loop& loop_;
  const Settings settings_;
  const std::string name_;
  const std::shared_ptr<tls::ClientContext> tls_;
  std::vector<std::unique_ptr<OriginConnection>> idle_;  // the one used last at the end
  IdleLimit idle_limit_;
  boost::intrusive::list<OriginConnection, boost::intrusive::constant_time_size<false>> leased_;
  std::unique_ptr<SharedConnections> shared_;  // of HTTP/2; null for HTTP/1
};

/// One exchange's place: for HTTP/1 a connection of its own, for HTTP/2 a stream of a shared one. Destroyed: what is
/// left of the exchange is broken off, the connection of its own closed. give_back(): kept for the next one.
class Lease {
 public:
  Lease(ServerRef server, std::unique_ptr<OriginConnection> connection)
      : server_(std::move(server)), connection_(std::move(connection)) {}

  /// What the one request is sent with; `idle` bounds each wait for the origin to take bytes. An exchange of HTTP/1 is
  /// made in `own`, whose owner has it end before the lease.
  http::ClientExchange& exchange(Loop& loop, std::optional<http::Http1ClientExchange>& own, Duration idle) {
    if (!shared()) return own.emplace(loop, *connection_->stream, idle);
    return place(idle);
  }
  /// HTTP/2: others have places on the same connection.
  bool shared() const { return connection_->stream == nullptr; }
  /// Unless shared().
  ByteStream& stream() { return *connection_->stream; }
  /// Its connection has carried a request before: the origin may be closing it at this very moment.
  bool reused() const { return connection_->requests > 0; }
  /// Its answer has a Keep-Alive field.
  void told_keep_alive(std::string_view value) { server_->idle_limit_.told(value); }
  /// It was reused(), and ended without a byte of an answer: the origin was closing it.
  void lost();
  /// The exchange has ended well. Nothing may wait on it any more.
  void give_back();

 private:
  http::ClientExchange& place(Duration idle);

  ServerRef server_;
  std::unique_ptr<OriginConnection> connection_;
};

}  // namespace headgate::upstream
