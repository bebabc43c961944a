// SPDX-License-Identifier: Apache-2.0
// An Exchange without a connection: keeps what a handler answers, and can be told to fail.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include "http/exchange.h"

namespace headgate::proxy {

class FakeExchange final : public http::Exchange {
 public:
  FakeExchange(Loop& loop, const http::ConnectionInfo& connection) : Exchange(loop, connection) {}

  // What was answered.
  std::vector<std::pair<std::string, std::string>> head;
  std::optional<std::uint64_t> content_length;
  std::string body;
  bool finished = false;
  bool aborted = false;
  unsigned sends = 0;  ///< calls that would have been system calls of their own

  /// Set: the write with this number (from 0) and all later ones fail.
  std::optional<unsigned> fail_from;
  Error failure{Errc::kReset, Side::kDownstream, "client_reset", 0};

  std::string field(std::string_view name) const {
    std::string value = "<none>";
    for (const auto& [field_name, field_value] : head) {
      if (!http::iequals(field_name, name)) continue;
      if (value != "<none>") return "<twice>";
      value = field_value;
    }
    return value;
  }

  Task<Result<std::span<const char>>> read_body() override { co_return std::span<const char>(); }
  bool has_body() const override { return false; }
  bool body_ready() const override { return false; }
  Task<bool> departed() override { co_return false; }
  bool body_finished() const override { return true; }
  const http::Fields& trailers() const override { return trailers_; }
  void cancel_read() override {}
  void resume_read() override {}
  Task<Result<>> send_interim(const http::ResponseHead&) override { return Result<>(); }

  void start(const http::ResponseHead& response) override {
    status_ = response.status;
    content_length = response.content_length;
    for (const auto& field : response.fields) head.emplace_back(field.name, field.value);
  }

  using Exchange::write;
  Task<Result<>> write(std::span<const char> data, bool last) override {
    if (fails()) return failure;
    body.append(data.data(), data.size());
    finished = finished || last;
    return Result<>();
  }

  Task<Result<>> write_file(int file, std::uint64_t offset, std::uint64_t count) override {
    if (fails()) co_return failure;
    std::string data(count, '\0');
    if (::pread(file, data.data(), count, static_cast<off_t>(offset)) != static_cast<ssize_t>(count)) {
      co_return Error{Errc::kInternal, Side::kInternal, "short_file", 0};
    }
    body += data;
    co_return Result<>();
  }

  Task<Result<>> flush() override { return Result<>(); }

  Task<Result<>> finish(const http::Fields*) override {
    if (fails()) return failure;
    finished = true;
    return Result<>();
  }

  Task<Result<>> respond(const http::ResponseHead& response, std::span<const char> data) override {
    start(response);
    if (fails()) return failure;
    body.assign(data.data(), data.size());
    finished = true;
    return Result<>();
  }

  void abort() override { aborted = true; }
  Task<Result<Tunnel>> upgrade(const http::ResponseHead&) override {
    co_return Error{Errc::kInternal, Side::kInternal, "not_supported", 0};
  }
  void close_after() override {}

 private:
  bool fails() { return sends++ >= fail_from.value_or(~0u); }

  http::Fields trailers_;
};

}  // namespace headgate::proxy
