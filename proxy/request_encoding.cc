// SPDX-License-Identifier: Apache-2.0
// The part of Request that compresses answers: when one begins, whether and how.
#include "compress/rules.h"
#include "proxy/generation.h"
#include "proxy/request.h"

namespace headgate::proxy {
namespace {

using compress::EncoderStore;

/// What the encoded bytes lie in, while a client takes them.
Task<Result<>> hold([[maybe_unused]] Buffer bytes, Task<Result<>> sending) {
  co_return co_await sending;
}

/// A whole content encoded in one go. Empty: not this time.
std::span<const char> encode_whole(std::span<const char> body, const ResponseEncoder::Choice& choice,
                                   compress::Encoder& encoder, Buffer& out) {
  const std::span<char> room(out.data(), out.size());
  if (choice.coding == http::Coding::kGzip) {
    return room.first(EncoderStore::of_this_thread().gzip(body, choice.level, room));
  }
  const auto step = encoder.run(body, room, compress::Push::kEnd);
  return step.done ? room.first(step.made) : std::span<char>();
}

}  // namespace

bool Request::compresses() const {
  return route != nullptr && route->compress != CompiledRoute::Compress::kOff;
}

void Request::count_encoded(http::Coding coding) {
  encoding = http::to_string(coding);
  generation->meter.compression().responses[static_cast<std::size_t>(coding) - 1].add(1);
}

/// What is decided about the answer, and, where it has content to be encoded, an encoder for it. The head has changed.
Request::Encoding Request::settle_encoding(http::ResponseHead& head, const compress::KeptForms* forms) {
  const auto& rules = compress_rules(*site, *route);
  auto decision = compress::decide(rules, exchange.request, head);
  Encoding settled;
  settled.choice = {decision.coding, rules.level(decision.coding), decision.trickle};
  if (decision.coding != http::Coding::kIdentity && !http::has_no_content(head.status, exchange.request.method)) {
    if (forms != nullptr) settled.form = forms->find(decision.coding);
    if (settled.form == nullptr) {
      const compress::Shape shape{settled.choice.level, head.content_length, decision.trickle};
      settled.encoder.emplace(EncoderStore::of_this_thread().lease(decision.coding, shape));
      if (!*settled.encoder) {
        settled.encoder.reset();
        decision.coding = settled.choice.coding = http::Coding::kIdentity;
      }
    }
  }
  compress::apply(decision, exchange.request, exchange.arena(), head);
  const bool here = settled.encoder || settled.form != nullptr;
  if (here) count_encoded(decision.coding);
  return settled;
}

void Request::start_encoding(http::ResponseHead& head) {
  auto settled = settle_encoding(head, nullptr);
  exchange.start(head);
  if (!settled.encoder) return;
  encoder_ = std::make_unique<ResponseEncoder>(exchange, std::move(*settled.encoder), settled.choice,
                                               generation->meter.compression());
}

Task<Result<>> Request::respond_encoding(http::ResponseHead& head, std::span<const char> body,
                                         compress::KeptForms* forms) {
  auto settled = settle_encoding(head, forms);
  auto& cells = generation->meter.compression();
  if (settled.form != nullptr) {
    head.content_length = settled.form->size();
    cells.bytes_in.add(body.size());
    cells.bytes_out.add(settled.form->size());
    return exchange.respond(head, *settled.form);
  }
  if (!settled.encoder) return exchange.respond(head, body);
  const bool keep = forms != nullptr && forms->asked(settled.choice.coding);
  if (body.size() <= EncoderStore::kWhole) {
    Buffer out = exchange.loop().buffers().take(body.size() + body.size() / 64 + 1024);
    const auto encoded = encode_whole(body, settled.choice, **settled.encoder, out);
    if (encoded.empty()) {  // not seen; the head says too much by now
      error = "compression_failed";
      exchange.abort();
      return Result<>();
    }
    if (keep) forms->keep(settled.choice.coding, std::string(encoded.data(), encoded.size()));
    head.content_length = encoded.size();
    cells.bytes_in.add(body.size());
    cells.bytes_out.add(encoded.size());
    auto sending = exchange.respond(head, encoded);
    if (sending.done()) return sending;
    return hold(std::move(out), std::move(sending));
  }
  exchange.start(head);
  encoder_ = std::make_unique<ResponseEncoder>(exchange, std::move(*settled.encoder), settled.choice, cells);
  if (keep) encoder_->keep_in(*forms);
  return encoder_->write(body, true);
}

}  // namespace headgate::proxy
