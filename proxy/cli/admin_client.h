// SPDX-License-Identifier: Apache-2.0
// One request to the admin API of a running instance, over a unix socket or TCP. Blocking, for the command line only;
// bounded in time and in size, since whatever answers there need not be headgate.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "config/model.h"
#include "config/parsed.h"

namespace headgate::cli {

struct AdminRequest {
  std::string method;
  std::string path;
  std::string token;                          ///< sent as a bearer token; empty: none
  std::chrono::milliseconds timeout{10'000};  ///< for the whole exchange
  std::string last_event_id = {};             ///< sent as Last-Event-ID; empty: none
  std::string body = {};                      ///< JSON; empty: none
};

struct AdminReply {
  int status = 0;
  std::string body;
};

/// The answer, whatever its status; or a sentence that says why there is none, with the address in it.
config::Parsed<AdminReply> call_admin(const config::Address& address, const AdminRequest& request);

/// As call_admin, for an answer that goes on: each piece of it is given to `piece` when it comes, and the reply has
/// none of it. `timeout` is for the answer's head, and then for each silence. An answer other than 200 is given whole,
/// as by call_admin.
config::Parsed<AdminReply> follow_admin(const config::Address& address, const AdminRequest& request,
                                        const std::function<void(std::string_view)>& piece);

/// Takes a chunked body (RFC 9112 section 7.1) apart as it comes.
class ChunkReader {
 public:
  /// Gives the content of `text` to `piece`; what belongs together may come in several. False: it is no such body.
  bool read(std::string_view text, const std::function<void(std::string_view)>& piece);
  bool finished() const { return state_ == State::kEnd; }

 private:
  enum class State { kSize, kData, kDataEnd, kEnd };
  State state_ = State::kSize;
  std::string line_;  // of a size, as far as it has come
  std::size_t left_ = 0;
};

/// The head and body of one HTTP/1.1 response that was read to its end: by Content-Length, chunked, or as it stands.
config::Parsed<AdminReply> parse_reply(std::string_view text);

}  // namespace headgate::cli
