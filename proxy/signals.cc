// SPDX-License-Identifier: Apache-2.0
#include "proxy/signals.h"

#include <cerrno>
#include <csignal>
#include <system_error>

#include <sys/epoll.h>
#include <sys/signalfd.h>

namespace headgate::proxy {
namespace {

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2}) sigaddset(&set, signal);
  return set;
}

}  // namespace

void block_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  const sigset_t set = handled_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Signals::Signals(Loop& loop) : ready(loop) {
  block_signals();
  const sigset_t set = handled_signals();
  fd_ = UniqueFd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd_ || !loop.add(fd_.get(), EPOLLIN | EPOLLET, *this)) {
    throw std::system_error(errno, std::generic_category(), "signalfd");
  }
}

int Signals::take() {
  signalfd_siginfo info{};
  return ::read(fd_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace headgate::proxy
