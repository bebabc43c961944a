# SPDX-License-Identifier: Apache-2.0
"""The load generators, each pinned to the load's cores. An answer that was not right ends the run."""

import dataclasses
import json
import os
import re
import subprocess
HEADS = [  # what a browser sends with a request
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: identity",
]
HEADER_OPTIONS = [part for head in HEADS for part in ("-H", head)]
GZIP_OPTIONS = [part.replace("identity", "gzip, deflate, br, zstd") for part in HEADER_OPTIONS]

# One version, suite and group, so that every server does the same arithmetic.
CLIENT_TLS = """
openssl_conf = start
[start]
ssl_conf = ssl
[ssl]
system_default = defaults
[defaults]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
Groups = X25519
"""


class WrongAnswers(Exception):
    pass


class NoAnswers(WrongAnswers):
    """Not one in the time there was."""


@dataclasses.dataclass
class Outcome:
    requests: int
    rate: float  # a second


def run(stage, command, seconds):
    environment = dict(os.environ, OPENSSL_CONF=str(stage.folder / "client.cnf"))
    done = subprocess.run(["taskset", "-c", stage.load_cores, *map(str, command)], capture_output=True, text=True, timeout=seconds + 120,
                          check=False, env=environment)
    if done.returncode != 0:
        raise WrongAnswers(f"{command[0]} ended with {done.returncode}: {(done.stdout + done.stderr)[-1000:]}")
    return done.stdout


def url(subject, case):
    return f"{'https' if case.setup.tls else 'http'}://127.0.0.1:{subject.port}{case.path}"


def in_bytes(text):
    number, unit = re.fullmatch(r"([\d.]+)([KMGT]?)i?B", text).groups()
    return float(number) * 1024 ** " KMGT".index(unit or " ")


def judge(bad, requests, read, size):
    """`read`: bytes that came, of all answers; rounded by the generator."""
    if bad:
        raise WrongAnswers(f"{bad} answers were bad, {requests} in all")
    if not requests:
        raise NoAnswers("not one request was answered")
    if read < 0.98 * requests * size:
        raise WrongAnswers(f"{requests} answers of {size} bytes, but only {read:.0f} bytes came")


def wrk(stage, subject, case, seconds, script=None):
    seconds = max(1, round(seconds))
    threads = case.workers if len(stage.load_cores.split(",")) > case.workers else 1
    command = ["wrk", f"-t{threads}", f"-c{case.connections}", f"-d{seconds}s", "--timeout", "60s",
               *(GZIP_OPTIONS if case.setup.gzip else HEADER_OPTIONS)]
    out = run(stage, [*command, *(["-s", script] if script else []), url(subject, case)], seconds)
    requests, read = re.search(r"(\d+) requests in [\d.]+\w+, ([\d.]+\w+) read", out).groups()
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    judge((int(bad.group(1)) if bad else 0) + (sum(map(int, errors.groups())) if errors else 0), int(requests), in_bytes(read), case.size)
    return Outcome(int(requests), float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)))


def h2load(stage, subject, case, seconds):
    seconds = max(1, round(seconds))
    protocol = [f"-m{case.streams}"] if case.setup.h2 else ["--h1"]
    command = ["h2load", *protocol, "-t1", f"-c{case.connections}", f"-D{seconds}", *HEADER_OPTIONS, url(subject, case)]
    out = run(stage, command, seconds)
    if case.setup.h2 and "Application protocol: h2\n" not in out:
        raise WrongAnswers("h2 was not spoken")
    # The status codes count what came in the measured time; the total would include requests cut off at its end.
    codes = [int(count) for count in re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", out).groups()]
    read = int(re.search(r"traffic: .* \((\d+)\) total", out).group(1))
    judge(sum(codes[1:]), codes[0], read, case.size)
    return Outcome(codes[0], float(re.search(r"finished in [\d.]+\w+, ([\d.]+) req/s", out).group(1)))


def generator(stage, name, *arguments, seconds):
    return json.loads(run(stage, [stage.programs / name, *arguments], seconds))


def handshakes(stage, subject, case, seconds):
    told = generator(stage, "handshakes", case.mode, subject.port, case.path, seconds, seconds=seconds)
    judge(told["failed"], told["done"], 0, 0)
    return Outcome(told["done"], told["done"] / told["seconds"])


def paced(stage, subject, case, seconds, rate):
    """`rate` 0: as many as the server can do."""
    return generator(stage, "paced", subject.port, case.path, seconds, case.connections, round(rate), seconds=seconds)


# Asks for hosts and sections in an order that no cache could guess; each round goes through the same ones.
SPREAD = """-- SPDX-License-Identifier: Apache-2.0
local sites, routes, wanted = %d, %d, %d
local requests, next_one = {}, 0
function init()
  local number = math.min(wanted, sites * routes)
  for i = 0, number - 1 do
    local at = (i * 7919) %% (sites * routes)
    local headers = {}
    for name, value in pairs(wrk.headers) do headers[name] = value end
    headers["Host"] = "host-" .. (math.floor(at / routes) + 1) .. ".example.com"
    requests[i] = wrk.format("GET", "/section-" .. (at %% routes + 1) .. "/products/42", headers)
  end
  wanted = number
end
function request()
  next_one = (next_one + 1) %% wanted
  return requests[next_one]
end
"""


def spread(stage, subject, case, seconds, setup):
    script = stage.folder / f"spread-{setup.sites}-{setup.routes}.lua"
    script.write_text(SPREAD % (setup.sites, setup.routes, 20011))
    return wrk(stage, subject, case, seconds, script)
