// SPDX-License-Identifier: Apache-2.0
// A client that waits: one connection to a server on loopback, plain or TLS, for the load programs that count
// connections rather than requests. Every wait ends after twenty seconds. It trusts the server it measures: it finds
// the end of an answer by Content-Length and looks at the status, no more. Certificates are not checked.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace headgate::bench {

struct FreeSsl {
  void operator()(SSL_CTX* one) const { SSL_CTX_free(one); }
  void operator()(SSL* one) const { SSL_free(one); }
  void operator()(SSL_SESSION* one) const { SSL_SESSION_free(one); }
};
using SslContext = std::unique_ptr<SSL_CTX, FreeSsl>;
using SslSession = std::unique_ptr<SSL_SESSION, FreeSsl>;

/// TLS 1.3 only, with one cipher suite and one group, so that every server does the same arithmetic.
inline SslContext make_context() {
  SslContext context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_128_GCM_SHA256");
  SSL_CTX_set1_groups_list(context.get(), "X25519");
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  return context;
}

class Client {
 public:
  Client() = default;
  Client(Client&& other) noexcept : fd_(other.fd_), ssl_(std::move(other.ssl_)) { other.fd_ = -1; }
  Client& operator=(Client&&) = delete;
  ~Client() {
    // Without this OpenSSL takes the connection for a broken one, and its session is never offered again.
    if (ssl_) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    ssl_.reset();
    if (fd_ >= 0) ::close(fd_);
  }

  /// `number` spreads connections over source addresses, so that no run is short of ports.
  bool connect(std::uint16_t port, std::uint32_t number) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return false;
    const timeval limit{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ::setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number % 32);
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return false;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }

  /// `session`: to be resumed; null for a full handshake.
  bool handshake(SSL_CTX* context, SSL_SESSION* session) {
    ssl_.reset(SSL_new(context));
    SSL_set_fd(ssl_.get(), fd_);
    SSL_set_tlsext_host_name(ssl_.get(), "localhost");
    if (session != nullptr) SSL_set_session(ssl_.get(), session);
    return SSL_connect(ssl_.get()) == 1;
  }
  bool resumed() const { return ssl_ && SSL_session_reused(ssl_.get()) == 1; }

  /// Sends a request and reads its answer: the status, or 0 when the connection failed.
  int ask(std::string_view request) {
    if (!send(request)) return 0;
    std::string in;
    std::size_t end = 0;
    while ((end = in.find("\r\n\r\n")) == std::string::npos) {
      if (in.size() > 64 * 1024 || !more(in)) return 0;
    }
    std::size_t rest = content_length(std::string_view(in).substr(0, end + 2));
    const int status = in.size() > 12 ? std::atoi(in.c_str() + 9) : 0;
    const std::size_t got = in.size() - end - 4;
    for (rest = rest > got ? rest - got : 0; rest > 0;) {
      in.clear();
      if (!more(in)) return 0;
      rest -= in.size() < rest ? in.size() : rest;
    }
    return status;
  }

  /// Reads until the server ends the connection. False: it did not in time.
  bool until_end() {
    std::string in;
    while (more(in)) in.clear();
    return errno != EAGAIN;
  }

 private:
  bool send(std::string_view text) {
    while (!text.empty()) {
      const int size = static_cast<int>(text.size());
      const ssize_t n =
          ssl_ ? SSL_write(ssl_.get(), text.data(), size) : ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  bool more(std::string& in) {
    char block[16 * 1024];
    errno = 0;
    const ssize_t n = ssl_ ? SSL_read(ssl_.get(), block, sizeof block) : ::recv(fd_, block, sizeof block, 0);
    if (n <= 0) return false;
    in.append(block, static_cast<std::size_t>(n));
    return true;
  }
  static std::size_t content_length(std::string_view head) {
    static constexpr std::string_view kName = "\r\ncontent-length:";
    for (std::size_t at = 0; at + kName.size() < head.size(); ++at) {
      if (::strncasecmp(head.data() + at, kName.data(), kName.size()) != 0) continue;
      at += kName.size();
      while (at < head.size() && head[at] == ' ') ++at;
      std::size_t value = 0;
      std::from_chars(head.data() + at, head.data() + head.size(), value);
      return value;
    }
    return 0;
  }

  int fd_ = -1;
  std::unique_ptr<SSL, FreeSsl> ssl_;
};

}  // namespace headgate::bench
