// SPDX-License-Identifier: Apache-2.0
// What owns nghttp2's objects, and where nghttp2 takes its memory from. Both ends of HTTP/2 use it; private to http2_*.
#pragma once

#include <memory>

#include <nghttp2/nghttp2.h>

namespace headgate::http {

struct Http2Deleter {
  void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  void operator()(nghttp2_session_callbacks* callbacks) const { nghttp2_session_callbacks_del(callbacks); }
  void operator()(nghttp2_option* option) const { nghttp2_option_del(option); }
};

using Http2SessionPtr = std::unique_ptr<nghttp2_session, Http2Deleter>;
using Http2CallbacksPtr = std::unique_ptr<nghttp2_session_callbacks, Http2Deleter>;
using Http2OptionPtr = std::unique_ptr<nghttp2_option, Http2Deleter>;

/// Memory for a session that lives and dies on one thread: nghttp2 allocates several small blocks for each stream and
/// frame, and the lists that coroutine frames come from have them at hand.
nghttp2_mem* http2_memory();

Http2CallbacksPtr new_http2_callbacks();  ///< throws std::bad_alloc
Http2OptionPtr new_http2_option();        ///< throws std::bad_alloc

/// "ENHANCE_YOUR_CALM"; "unknown" for a code without a name (RFC 9113 section 7).
const char* http2_error_name(std::uint32_t code);

}  // namespace headgate::http
