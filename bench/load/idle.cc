// SPDX-License-Identifier: Apache-2.0
// idle plain|tls PORT PATH NUMBER: opens that many connections, one request on each, prints one line of JSON and keeps
// them open until its standard input ends. What the server holds meanwhile is what idle connections cost it.
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <sys/resource.h>

#include "bench/load/client.h"

int main(int argc, char** argv) {
  using headgate::bench::Client;
  if (argc != 5) {
    std::fprintf(stderr, "usage: idle plain|tls PORT PATH NUMBER\n");
    return 64;
  }
  std::signal(SIGPIPE, SIG_IGN);
  const bool tls = std::strcmp(argv[1], "tls") == 0;
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  const std::string request = std::string("GET ") + argv[3] + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const auto number = static_cast<std::uint32_t>(std::atoi(argv[4]));
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);

  const auto context = headgate::bench::make_context();
  std::vector<Client> clients;
  clients.reserve(number);
  for (std::uint32_t i = 0; i < number; ++i) {
    Client client;
    const bool ready = client.connect(port, i) && (!tls || client.handshake(context.get(), nullptr));
    const int status = ready ? client.ask(request) : 0;
    if (status != 200) {
      std::fprintf(stderr, "connection %u: %s\n", i, ready ? "the answer was not 200" : "not connected");
      return 1;
    }
    clients.push_back(std::move(client));
  }
  std::printf("{\"held\": %u}\n", number);
  std::fflush(stdout);
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}
