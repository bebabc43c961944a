// SPDX-License-Identifier: Apache-2.0
// ResponseEncoder: what stands between a handler and the exchange while an answer is compressed. It takes the content
// as the exchange would, and sends it encoded.
//
// An answer holds here its encoder (EncoderStore::cost) and one block of 64 KiB while bytes wait in it, however large
// it is: a call returns when the transport has taken what is ready. Encoding goes in slices, and between two of them
// the loop has its turn.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "compress/encoder_store.h"
#include "compress/kept_forms.h"
#include "http/exchange.h"
#include "observe/metric_cells.h"

namespace headgate::proxy {

/// One answer's, whose head has been started. Loop thread; one writer at a time. The exchange outlives it.
class ResponseEncoder {
 public:
  struct Choice {
    http::Coding coding = http::Coding::kIdentity;
    int level = 0;
    bool trickle = false;  ///< each write is to be heard at once
  };
  ResponseEncoder(http::Exchange& exchange, compress::EncoderStore::Lease encoder, const Choice& choice,
                  observe::CompressionCells& cells)
      : exchange_(exchange), encoder_(std::move(encoder)), choice_(choice), cells_(cells) {}
  ResponseEncoder(const ResponseEncoder&) = delete;
  ResponseEncoder& operator=(const ResponseEncoder&) = delete;

  /// When it has all been sent, it is kept there as well; `forms` lives as long as this.
  void keep_in(compress::KeptForms& forms) { forms_ = &forms; }

  // As those of the Exchange.
  Task<Result<>> write(std::span<const char> data, bool last);
  Task<Result<>> write_file(int file, std::uint64_t offset, std::uint64_t count);
  /// What has been written can be decoded by the client then.
  Task<Result<>> flush();
  Task<Result<>> finish(const http::Fields* trailers);

 private:
  Task<Result<>> encode(std::span<const char> data, compress::Push push);
  Task<Result<>> encode_slice(std::span<const char> slice, compress::Push push);
  Task<Result<>> end(std::span<const char> data, const http::Fields* trailers);
  bool encode_at_once(std::span<const char> data);
  Task<Result<>> send(bool last);
  void collect(std::span<const char> encoded);
  Error failed();

  http::Exchange& exchange_;
  compress::EncoderStore::Lease encoder_;
  const Choice choice_;
  observe::CompressionCells& cells_;
  compress::KeptForms* forms_ = nullptr;
  std::string collected_;  // for forms_
  Buffer out_;
  std::size_t filled_ = 0;
  std::size_t worked_ = 0;  // bytes of input since the loop had its turn
  bool begun_ = false;
  bool pending_ = false;  // bytes went in since the last push
};

}  // namespace headgate::proxy
