// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <fcntl.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>

#include <cerrno>
#include <memory>
#include <mutex>
#include <system_error>

#include "base/unique_fd.h"

namespace headgate::log {
namespace {

/// Appends to a descriptor with one write(2) a line; a file can be opened again by name.
class DescriptorSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit DescriptorSink(const std::string& output) {
    if (output == "stderr") {
      fd_ = 2;
    } else if (output == "stdout") {
      fd_ = 1;
    } else {
      path_ = output;
      if (!open()) throw std::system_error(errno, std::generic_category(), output);
    }
  }

  void reopen() {
    const std::lock_guard lock(mutex_);
    if (!path_.empty()) open();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    [[maybe_unused]] const auto written = ::write(fd_, line.data(), line.size());
  }
  void flush_() override {}

 private:
  bool open() {
    UniqueFd file(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
    if (!file) return false;
    file_ = std::move(file);
    fd_ = file_.get();
    return true;
  }

  std::string path_;
  UniqueFd file_;
  int fd_ = 2;
};

/// %* : the message with JSON's escapes.
class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    for (const char c : message.payload) {
      if (c == '"' || c == '\\') {
        out.push_back('\\');
        out.push_back(c);
      } else if (static_cast<unsigned char>(c) < 0x20) {
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
      } else {
        out.push_back(c);
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<JsonMessage>(); }
};

std::shared_ptr<DescriptorSink> current;

}  // namespace

void configure(const std::string& level, Format format, const std::string& output) {
  auto sink = std::make_shared<DescriptorSink>(output);
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  if (format == Format::kJson) {
    formatter->add_flag<JsonMessage>('*').set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":"%*"})");
  } else {
    formatter->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  }
  sink->set_formatter(std::move(formatter));
  auto logger = std::make_shared<spdlog::logger>("headgate", sink);
  logger->set_level(spdlog::level::from_str(level == "warn" ? "warning" : level));
  spdlog::set_default_logger(std::move(logger));
  current = std::move(sink);
}

void reopen() {
  if (current) current->reopen();
}

}  // namespace headgate::log
