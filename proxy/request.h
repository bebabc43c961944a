// SPDX-License-Identifier: Apache-2.0
// Request: one Exchange on its way through `serve`, with what serve has settled about it: who asks, for which site and
// route, under which path. Handlers get it and answer through it, so that header rules and the log see every answer.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include "base/proxy_protocol.h"
#include "http/exchange.h"
#include "observe/access_log.h"
#include "proxy/limits.h"
#include "proxy/response_encoder.h"
#include "proxy/route_walk.h"
#include "routing/template.h"

namespace headgate::traffic {
struct Trial;
}  // namespace headgate::traffic

namespace headgate::proxy {

class CorsPolicy;
class FileCache;
struct CompiledRoute;
struct CompiledSite;
class Shadow;
class StoredBody;
struct WorkerGeneration;
using WorkerGenerationRef = boost::intrusive_ptr<WorkerGeneration>;

/// Lives in the frame that serves it, on the exchange's loop. Views point into the exchange, its arena or the
/// generation, which it keeps.
class Request final : public routing::Variables, public RoutePlace {
 public:
  Request(http::Exchange& e, WorkerGeneration* g);
  ~Request();

  http::Exchange& exchange;
  const WorkerGenerationRef generation;
  FileCache* files = nullptr;  ///< the worker's, for error pages; null: none are sent

  const CompiledSite* site = nullptr;    ///< null until found
  const CompiledRoute* route = nullptr;  ///< null until found
  IpAddress client;                      ///< the one derived client address
  std::string_view client_text;
  bool peer_trusted = false;  ///< the peer is one of trusted_proxies
  std::string_view request_id;
  std::string_view host;             ///< of Host, lower case, without port
  bool grpc = false;                 ///< a call of gRPC: failures of our own are told in its words
  TimePoint deadline = kNoDeadline;  ///< of the whole request: grpc-timeout
  std::string_view scheme() const { return exchange.connection().secure ? "https" : "http"; }

  LimitAnswer limit;  ///< what the route's rate limits say
  std::string_view user;       ///< has proven to be that (basic_auth); empty: nobody has
  std::string_view challenge;  ///< WWW-Authenticate of an answer that asks for credentials

  // For the log; handlers fill what they know.
  std::string_view upstream;
  std::string_view pool;
  std::string_view server;
  Duration upstream_time{-1};
  unsigned attempts = 0;
  std::string_view set_cookie;    ///< of the server that answers: session affinity
  std::string_view split_cookie;  ///< of a client that has just been given an id for the split
  const char* error = nullptr;  ///< a reason token; null: none of ours
  std::string_view encoding;    ///< what the answer was compressed with here

  // Of a rollout, when the request counts in one; set when its pool is chosen.
  std::shared_ptr<const traffic::Trial> trial;
  bool trial_is_new = false;  ///< it was sent to the new pool
  bool shielded = false;      ///< that failed, and another pool answered

  // Of a route with body rules.
  StoredBody* stored = nullptr;    ///< all of the body, where it was taken beforehand
  std::unique_ptr<Shadow> shadow;  ///< its copy, while the body is still arriving
  bool mirrored = false;           ///< a copy was sent

  /// The rules for its answer: the route's, or the site's; null: none.
  const CorsPolicy* cors() const;

  /// As Exchange::start and respond, after what the site and the route say of every answer's head (CORS,
  /// security_headers, response_headers) has been applied to `head`.
  void start(http::ResponseHead& head);
  /// `forms`: where what is encoded of this body is kept, and found by the next; stays as long as the body.
  Task<Result<>> respond(http::ResponseHead& head, std::span<const char> body, compress::KeptForms* forms = nullptr);

  // After start(): as those of the Exchange. The content is compressed on its way where the route says so and the
  // client takes it.
  Task<Result<>> write(std::span<const char> data, bool last = false) {
    if (encoder_) [[unlikely]]
      return encoder_->write(data, last);
    return exchange.write(data, last);
  }
  Task<Result<>> write_file(int file, std::uint64_t offset, std::uint64_t count) {
    if (encoder_) [[unlikely]]
      return encoder_->write_file(file, offset, count);
    return exchange.write_file(file, offset, count);
  }
  Task<Result<>> flush() { return encoder_ ? encoder_->flush() : exchange.flush(); }
  Task<Result<>> finish(const http::Fields* trailers = nullptr) {
    if (encoder_) [[unlikely]]
      return encoder_->finish(trailers);
    return exchange.finish(trailers);
  }
  /// Bytes may wait here until flush(): who pauses must call it.
  bool encodes() const { return encoder_ != nullptr; }
  /// The route has a say about compression.
  bool compresses() const;

  /// As respond, of an answer of our own that is an error: the site's error page goes in place of `body` and of what
  /// `head` says of it, where there is one for this status and this client.
  Task<Result<>> respond_refusal(http::ResponseHead& head, std::span<const char> body);

  /// A short plain answer of our own, or an error page, with the reason for the log. `detail` is a sentence for the
  /// client and lives during the call. When a response has begun it is broken off instead. To a call of gRPC: a
  /// trailers-only answer with the status of gRPC that stands for this one.
  Task<Result<>> respond_error(int status, const char* reason, std::string_view detail = {});
  /// With the status and the fields of a head.
  Task<Result<>> respond_error(http::ResponseHead& head, const char* reason, std::string_view detail = {});

  /// Ends an answer that cannot be completed: broken off, so that nobody takes it for the whole. Where `in_trailers`,
  /// for a call of gRPC whose server has begun to answer, the stream ends in order with the status that the failure
  /// stands for, which cannot be mistaken for success either.
  Task<> break_off(const Error& failure, bool in_trailers);

  /// The template filled in, in the arena; bytes that may not stand in a field value are left out.
  std::string_view expand(const routing::Template& text);

  // routing::Variables
  void append(const routing::Variable& variable, std::string& out) const override;

  /// Everything of it that the access log prints.
  observe::AccessRecord record(TimePoint ended) const;

 private:
  void apply_response_headers(http::ResponseHead& head);
  Task<Result<>> respond_grpc_error(int status, const char* reason, std::string_view detail);

  // request_encoding.cc
  struct Encoding {
    ResponseEncoder::Choice choice;
    std::optional<compress::EncoderStore::Lease> encoder;
    const std::string* form = nullptr;  // what was kept
  };
  Encoding settle_encoding(http::ResponseHead& head, const compress::KeptForms* forms);
  void start_encoding(http::ResponseHead& head);
  Task<Result<>> respond_encoding(http::ResponseHead& head, std::span<const char> body, compress::KeptForms* forms);
  void count_encoded(http::Coding coding);

  std::unique_ptr<ResponseEncoder> encoder_;
};

/// The ends of the client's connection, with the one derived address for its source. Asks the kernel.
ProxiedEnds client_ends(const Request& request);

/// The value of a cookie (RFC 6265 section 4.2) in the request's Cookie fields; empty when there is none.
std::string_view cookie(const http::Fields& fields, std::string_view name);

}  // namespace headgate::proxy
