// SPDX-License-Identifier: Apache-2.0
// One try to have a request answered over one connection to an origin: both directions at once, through bounded
// buffers, and a tunnel after a protocol switch.
#pragma once

#include "http/client_exchange.h"
#include "proxy/error_pages.h"
#include "proxy/handlers/body_copy.h"
#include "proxy/request.h"
#include "proxy/traffic_meter.h"
#include "upstream/server.h"

namespace headgate::proxy {

/// What one attempt may leave to another one. Outlives the attempts of its request.
struct Retrying {
  explicit Retrying(BufferPool& pool) : body(pool) {}
  Retrying(const Retrying&) = delete;
  Retrying& operator=(const Retrying&) = delete;
  /// An answer has begun, so long after the request. True: it is dropped, since another server may give a better one;
  /// not unless the request is `whole`, at hand to be sent again.
  virtual bool declines(int status, Duration until_head, bool whole) = 0;

  BodyCopy body;           ///< what has been read of the request's
  bool keep_body = false;  ///< it may be needed again

 protected:
  ~Retrying() = default;
};

/// Lives in the frame of whoever runs it, on the exchange's loop.
class Attempt : private http::Exchange::Onlooker {
 public:
  enum class Verdict {
    kDone,      ///< answered, broken off after the head, or the client is gone: nothing is left to do
    kDeclined,  ///< answered, and the answer dropped
    kStale,     ///< not answered, and most likely not seen: may be sent again, to the same server over a new connection
    kFailed,    ///< not answered
  };
  struct Result {
    Verdict verdict = Verdict::kDone;
    bool whole = false;   ///< unless kDone: all of the request is still at hand to be sent again
    bool lost = false;    ///< kFailed: the connection ended without a byte of an answer
    bool broken = false;  ///< kDone, but the origin did not finish its answer
    bool client_left = false;  ///< kDone, but the client did not take all of the answer
    int call_failed = 0;       ///< kDone: the status of HTTP that the failed status of a gRPC call stands for; 0: none
    int status = 0;            ///< kDeclined
    Error error{};        ///< kStale, kFailed
  };

  Attempt(Request& request, const config::UpstreamTimeouts& timeouts, upstream::Lease& lease, Retrying& retrying,
          AttemptMeter& meter);
  ~Attempt() { exchange_.watch(nullptr); }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  /// Sends the request and passes the answer on; gives the connection back when it can be used again.
  Task<Result> run();

 private:
  class Silence;

  void begin_request();

  // the request's body, beside everything else
  Task<> upload();
  Task<headgate::Result<>> send_body();
  Task<headgate::Result<>> send_stored();

  // the answer
  using HeadResult = headgate::Result<http::ResponseHead*>;
  using PieceResult = headgate::Result<std::span<const char>>;
  Task<HeadResult> await_final(Silence& silence, HeadResult head);
  Task<headgate::Result<>> download();
  Task<headgate::Result<>> download_waiting();
  Task<headgate::Result<>> pass_on(Task<PieceResult> reading);
  bool was_last() const;
  int failed_call(const http::Fields& head) const;
  Task<headgate::Result<>> download_encoded();
  Task<> replace(http::ResponseHead& head, ErrorPage page);
  Task<> switch_protocols(http::ResponseHead& head);
  Task<PieceResult> next_piece();
  Task<PieceResult> await_piece();
  Task<PieceResult> flush_and_await();
  Task<headgate::Result<>> tunnel(http::ResponseHead& head);

  // the client, watched while the origin is silent
  void client_departed(const Error& error) override;
  Task<> watch_client();
  Task<> stop_watching();
  void fail_client(const Error& error);
  Error blame(const Error& error) const;

  bool declined(int status);
  bool is_whole() const;
  void forget_body();
  Result judge(const Error& error);
  Task<> end_upload();

  Request& request_;
  http::Exchange& exchange_;
  const config::UpstreamTimeouts& timeouts_;
  upstream::Lease& lease_;
  std::optional<http::Http1ClientExchange> own_;
  http::ClientExchange& origin_;
  Retrying& retrying_;
  AttemptMeter& meter_;
  bool upgrade_asked_ = false;
  bool uploading_ = false;
  Task<> uploader_;
  Task<> watcher_;
  Error client_error_{};
  bool client_failed_ = false;
  bool watched_ = false;  // client_departed() will tell
};

}  // namespace headgate::proxy
