// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/commands.h"
#include "proxy/demo/demo_command.h"
#include "proxy/serve_command.h"

int main(int argc, char** argv) {
  return headgate::cli::run(argc, argv, {headgate::proxy::serve_command, headgate::proxy::demo_command});
}
