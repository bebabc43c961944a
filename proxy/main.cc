// SPDX-License-Identifier: Apache-2.0
#include "proxy/serve_command.h"

int main(int argc, char** argv) { return headgate::proxy::serve_command(argc > 1 ? argv[argc - 1] : "headgate.yaml"); }
