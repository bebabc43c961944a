# SPDX-License-Identifier: Apache-2.0
"""Traffic for profile-guided optimisation (scripts/build-pgo): a second of each kind that counts, through a program that
counts which way its branches go. It writes what it counted when it ends, so it has to end by itself and well. No peer
takes part, nothing is measured, and every answer must be right."""

import dataclasses

from . import load, measure
from .cases import CASES
from .program import DidNotStart

SECONDS = 1
LIKE_CASES = ("proxy", "proxy-10k", "proxy-1m", "proxy-tls", "everything", "gzip", "static-1k", "static-10k", "static-10k-tls",
              "static-10m", "h2static", "h2proxy", "handshake-full", "handshake-resumed", "sites")

# What the cases have none of: forms and JSON on their way in, cookies, queries, parts of files, encoded paths.
MIXED = """-- SPDX-License-Identifier: Apache-2.0
local requests, next_one = {}, 0
local function add(method, path, body, more)
  local headers = {}
  for name, value in pairs(wrk.headers) do headers[name] = value end
  for name, value in pairs(more) do headers[name] = value end
  headers["Host"] = "localhost"
  requests[#requests + 1] = wrk.format(method, path, headers, body)
end
function init()
  local cookie = { Cookie = "session=6f1c2a9be04d4d0f; theme=dark" }
  add("GET", "PATH?page=2&sort=-created", nil, cookie)
  add("GET", "PATH", nil, { Range = "bytes=0-99" })
  add("GET", "/.PATH?q=a%20b", nil, { ["Accept-Encoding"] = "gzip, deflate, br, zstd" })
  if "ACTION" == "proxy" then
    add("POST", "PATH", "name=value&other=" .. string.rep("v", 300), { ["Content-Type"] = "application/x-www-form-urlencoded" })
    add("POST", "PATH", string.rep("1,", 2000), { ["Content-Type"] = "application/json", Cookie = cookie.Cookie })
  end
end
function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end
"""


def mixed(stage, subject, case, seconds):
    script = stage.path("mixed", "lua")
    script.write_text(MIXED.replace("PATH", case.path).replace("ACTION", case.setup.action))
    return load.wrk(stage, subject, dataclasses.replace(case, size=0), seconds, script)


def many_sites(stage, subject, case, seconds):
    return load.spread(stage, subject, case, seconds, case.setup)


def trainings():
    """{name: case}"""
    chosen = {name: CASES[name] for name in LIKE_CASES}
    chosen["sites"] = dataclasses.replace(chosen["sites"], load=many_sites, setup=dataclasses.replace(chosen["sites"].large, sites=50, routes=20))
    for name in ("proxy", "static-1k"):
        chosen[f"{name}-mixed"] = dataclasses.replace(chosen[name], load=mixed)
    return chosen


def ended_well(name, code, output):
    if code != 0:
        raise SystemExit(f"{name}: the program ended with {code}, and what it counted is lost\n{output[-1000:]}")


def train(name, case, stage):
    with measure.Field(stage, case, ["headgate"]) as field:
        one = field.start("headgate")
        if not one:
            raise SystemExit(f"{name}: cannot be trained: {field.result.absent['headgate']}")
        outcome = case.load(stage, one, case, SECONDS)
        one.stop()
        ended_well(name, one.process.returncode, one.output())
        print(f"{name:18}{outcome.requests:>9,} requests", flush=True)


def run(stage):
    for name, case in trainings().items():
        try:
            train(name, case, stage)
        except (load.WrongAnswers, DidNotStart) as why:
            raise SystemExit(f"{name}: {why}") from None
