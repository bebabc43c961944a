// SPDX-License-Identifier: Apache-2.0
// One question to an authorisation service over one connection, while the client is watched.
#pragma once

#include <optional>
#include <string>

#include "http/client_exchange.h"
#include "proxy/handlers/forward_auth.h"
#include "proxy/request.h"
#include "upstream/server.h"

namespace headgate::proxy {

/// What the service has said; views of the client's exchange's arena.
struct ServiceAnswer {
  int status = 0;
  http::Fields fields;  ///< of 2xx those that are copied, else all that may go on
  std::string body;     ///< not of 2xx
};

/// Lives in the frame that asks, on the exchange's loop, over all the attempts of one request.
class AuthInquiry final : private http::Exchange::Onlooker {
 public:
  /// What of an answer's content goes to the client; a longer one is a failure.
  static constexpr std::size_t kMostBody = 64 * 1024;

  AuthInquiry(Request& request, const ForwardAuthRule& rule);
  ~AuthInquiry() { exchange_.watch(nullptr); }
  AuthInquiry(const AuthInquiry&) = delete;
  AuthInquiry& operator=(const AuthInquiry&) = delete;

  TimePoint deadline() const { return deadline_; }
  bool client_gone() const { return client_gone_; }

  struct Result {
    headgate::Result<ServiceAnswer> answer = Error{};
    http::ClientExchange::Fate fate = http::ClientExchange::Fate::kUnknown;  ///< without an answer
    Duration until_head{};
  };
  /// Asks, and gives the connection back when it can be used again. `server`: its name, as the Host of last resort.
  Task<Result> run(upstream::Lease& lease, std::string_view server);

  /// Before the request goes on: nobody reads from the client any more.
  Task<> stop_watching();

 private:
  http::RequestHead question(std::string_view server);
  Task<headgate::Result<http::ResponseHead*>> await_head(http::ClientExchange& service);
  Task<headgate::Result<>> take_body(http::ClientExchange& service, std::string& body);
  void take_fields(http::Fields& from, ServiceAnswer& answer);
  TimePoint next_wake() const;
  bool goes_on(const Error& error);
  void client_departed(const Error& error) override;
  Task<> watch_client();

  Request& request_;
  http::Exchange& exchange_;
  const ForwardAuthRule& rule_;
  const TimePoint deadline_;
  http::ClientExchange* service_ = nullptr;  // while it is being waited for
  Task<> watcher_;
  bool watched_ = false;  // client_departed() will tell
  bool client_gone_ = false;
};

}  // namespace headgate::proxy
