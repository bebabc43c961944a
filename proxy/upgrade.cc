// SPDX-License-Identifier: Apache-2.0
#include "proxy/upgrade.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "proxy/state_file.h"

namespace headgate::proxy {
namespace {

using nlohmann::json;

/// {"line": 7, "listeners": [{"address": "0.0.0.0:443", "sockets": [8, 9]}]}
constexpr const char* kVariable = "HEADGATE_HANDOVER";
constexpr char kServes = 's';
constexpr Duration kReapRound = std::chrono::milliseconds(20);
/// From the friendly signal to the other one.
constexpr Duration kLongestEnd = std::chrono::seconds(10);

std::runtime_error damaged(const std::string& what) {
  return std::runtime_error(std::string(kVariable) + ", which only headgate itself sets for an upgrade: " + what);
}

/// A descriptor that was left open for this process, and for no program that it starts.
UniqueFd inherited(const json& number, int option) {
  if (!number.is_number_integer()) throw damaged("expected a descriptor");
  const int fd = number.get<int>();
  int value = 0;
  socklen_t length = sizeof value;
  if (fd <= STDERR_FILENO || ::getsockopt(fd, SOL_SOCKET, option, &value, &length) != 0) {
    throw damaged("there is no socket " + std::to_string(fd));
  }
  if (option == SO_ACCEPTCONN && value == 0) throw damaged("socket " + std::to_string(fd) + " does not listen");
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return UniqueFd(fd);
}

/// Nobody listens there any more.
void remove_file_of(const HandedSockets& handed) {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  const int fd = handed.sockets.front().get();
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return;
  if (address.sun_family == AF_UNIX) ::unlink(address.sun_path);
}

/// As the process was started.
std::vector<std::string> command_line() {
  const auto text = load_file("/proc/self/cmdline").value_or(std::string());
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\0', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  if (words.empty()) throw std::system_error(ENOENT, std::generic_category(), "/proc/self/cmdline");
  return words;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// What the new process finds open beside the three that every program has.
class Legacy {
 public:
  Legacy() { ::posix_spawn_file_actions_init(&actions_); }
  ~Legacy() { ::posix_spawn_file_actions_destroy(&actions_); }
  Legacy(const Legacy&) = delete;
  Legacy& operator=(const Legacy&) = delete;

  /// Under the same number: a copy onto itself takes the mark off that would close it.
  int add(int fd) {
    ::posix_spawn_file_actions_adddup2(&actions_, fd, fd);
    return fd;
  }
  const posix_spawn_file_actions_t* actions() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

/// Signals as any program finds them, not as this one has set them.
class DefaultSignals {
 public:
  DefaultSignals() {
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
  }
  ~DefaultSignals() { ::posix_spawnattr_destroy(&attributes_); }
  DefaultSignals(const DefaultSignals&) = delete;
  DefaultSignals& operator=(const DefaultSignals&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

json hand_over(const BoundListeners& listeners, Legacy& legacy, ListeningSockets::List& open) {
  json told = json::array();
  for (const auto& listener : listeners) {
    json sockets = json::array();
    for (auto& socket : listener->sockets->open()) {
      sockets.push_back(legacy.add(socket->fd()));
      open.push_back(std::move(socket));  // until it is done
    }
    if (!sockets.empty()) told.push_back({{"address", listener->config.address.text}, {"sockets", sockets}});
  }
  return told;
}

std::vector<std::string> environment_with(const std::string& variable) {
  std::vector<std::string> all{variable};
  const auto name = variable.substr(0, variable.find('=') + 1);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::string_view(*entry).substr(0, name.size()) != name) all.emplace_back(*entry);
  }
  return all;
}

std::string how_it_ended(int status) {
  if (WIFEXITED(status)) return "it ended with exit code " + std::to_string(WEXITSTATUS(status));
  return "it was ended by signal " + std::to_string(WTERMSIG(status));
}

}  // namespace

// --- the one before -------------------------------------------------------------------------------------------------

Predecessor Predecessor::from_environment() {
  Predecessor found;
  const char* const text = std::getenv(kVariable);
  if (text == nullptr) return found;
  const json told = json::parse(text, nullptr, false);
  ::unsetenv(kVariable);
  if (!told.is_object() || !told.contains("line") || !told.contains("listeners") || !told["listeners"].is_array()) {
    throw damaged("not what it should be");
  }
  for (const auto& listener : told["listeners"]) {
    const bool whole = listener.is_object() && listener.contains("address") && listener["address"].is_string() &&
                       listener.contains("sockets") && listener["sockets"].is_array() && !listener["sockets"].empty();
    if (!whole) throw damaged("not what it should be");
    HandedSockets handed{listener["address"].get<std::string>(), {}};
    for (const auto& number : listener["sockets"]) handed.sockets.push_back(inherited(number, SO_ACCEPTCONN));
    found.sockets_.push_back(std::move(handed));
  }
  found.line_ = inherited(told["line"], SO_TYPE);
  return found;
}

std::shared_ptr<const BoundListener> Predecessor::take(const config::Listener& listener) {
  const auto same = [&](const HandedSockets& handed) { return handed.address == listener.address.text; };
  const auto found = std::find_if(sockets_.begin(), sockets_.end(), same);
  if (found == sockets_.end()) return nullptr;
  auto bound = adopt_listener(listener, std::move(found->sockets));
  sockets_.erase(found);
  for (const auto& socket : bound->sockets->open()) {
    socket->hand_over();
    taken_.push_back(socket);
  }
  return bound;
}

BoundListeners Predecessor::take(const std::vector<config::Listener>& listeners) {
  BoundListeners taken;
  for (const auto& listener : listeners) {
    if (auto bound = take(listener)) taken.push_back(std::move(bound));
  }
  return taken;
}

void Predecessor::retire() {
  for (const auto& taken : taken_) {
    if (const auto socket = taken.lock()) socket->take_over();
  }
  taken_.clear();
  for (const auto& handed : sockets_) remove_file_of(handed);
  sockets_.clear();
  // One that has ended meanwhile need not be told.
  if (line_) std::ignore = ::send(line_.get(), &kServes, 1, MSG_NOSIGNAL);
}

Task<> Predecessor::quiet(Loop& loop) {
  watched_ = std::make_unique<Socket>(loop, std::move(line_), Side::kInternal);
  char nothing = 0;
  auto reading = read_some(*watched_, {&nothing, 1}, kNoDeadline, Side::kInternal);
  co_await reading;
}

void Predecessor::forget() {
  if (watched_) watched_->cancel();
}

// --- the one after --------------------------------------------------------------------------------------------------

Successor::Successor(Loop& loop, const BoundListeners& listeners) : loop_(loop), pause_(loop) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  line_.emplace(loop, UniqueFd(ends[0]), Side::kInternal);
  const UniqueFd its_end(ends[1]);
  Legacy legacy;
  ListeningSockets::List open;
  json told = {{"line", legacy.add(its_end.get())}};
  told["listeners"] = hand_over(listeners, legacy, open);
  auto words = command_line();
  program_ = words.front();
  auto environment = environment_with(std::string(kVariable) + "=" + told.dump());
  const DefaultSignals signals;
  const int error = ::posix_spawnp(&pid_, program_.c_str(), legacy.actions(), signals.get(), pointers_to(words).data(),
                                   pointers_to(environment).data());
  if (error != 0) throw std::system_error(error, std::generic_category(), program_);
}

Task<std::optional<std::string>> Successor::serves(TimePoint deadline) {
  char word = 0;
  auto reading = read_some(*line_, {&word, 1}, deadline, Side::kInternal);
  const auto got = co_await reading;
  if (got && *got == 1 && word == kServes) co_return std::nullopt;
  const bool late = !got && got.error().code == Errc::kTimeout;
  if (late) end();
  auto reaping = reap();
  std::string how = co_await reaping;
  if (late) how = "it did not serve in time";
  co_return how;
}

void Successor::end() {
  ::kill(pid_, SIGTERM);
}

/// Its end is near: the line is closed, or it has been asked to end.
Task<std::string> Successor::reap() {
  const TimePoint latest = loop_.now() + kLongestEnd;
  int status = 0;
  for (pid_t ended = 0; (ended = ::waitpid(pid_, &status, WNOHANG)) == 0;) {
    if (loop_.now() >= latest) ::kill(pid_, SIGKILL);
    co_await pause_.wait(loop_.now() + kReapRound);
  }
  co_return how_it_ended(status);
}

}  // namespace headgate::proxy
