# SPDX-License-Identifier: Apache-2.0
"""System calls per request, counted by strace. Tracing changes the times, and with them how many events come at once, so
that the shares of epoll_wait are upper bounds; receives and sends are exact."""

import re
import signal
import subprocess
import time

from . import load, measure
from .cases import CASES

COUNTED = ("proxy", "static-1k")


def traced(stage, one, case, seconds):
    """{system call: number} for the requests of one load, and how many those were."""
    table = stage.path("strace", "txt")
    pids = [part for pid in one.family() for part in ("-p", str(pid))]
    # -f follows every thread of the processes it attaches to.
    tracer = subprocess.Popen(["strace", "-f", "-c", "-U", "calls,name", "-o", table, *pids], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        until_attached(tracer, one)
        outcome = case.load(stage, one, case, seconds)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=30)
    calls = {name: int(number) for number, name in re.findall(r"^\s*(\d+) (\w+)$", table.read_text(), re.MULTILINE) if name != "total"}
    return calls, outcome.requests


def until_attached(tracer, one):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        status = [line for pid in one.family() for line in open(f"/proc/{pid}/status") if line.startswith("TracerPid:")]
        if status and all(line.split()[1] != "0" for line in status):
            return
        if tracer.poll() is not None:
            raise SystemExit(f"strace: {tracer.stderr.read()}")
        time.sleep(0.01)
    raise SystemExit("strace did not attach")


def count(stage, options):
    for name in options.case or COUNTED:
        case = CASES[name]
        if case.measure is not measure.cost:
            raise SystemExit(f"{name}: system calls are counted in cases of plain requests only")
        names = [one for one in (next(iter(case.floors), None), "nginx", "headgate", *stage.against) if one and one not in stage.without]
        print(f"\n{name}: system calls per request")
        with measure.Field(stage, case, names) as field:
            for one in field.start_all():
                case.load(stage, one, case, 1)  # connections to the origin are there, files are open
                calls, requests = traced(stage, one, case, min(2, options.seconds))
                shares = sorted(((number / requests, call) for call, number in calls.items()), reverse=True)
                rest = sum(share for share, _ in shares if share < 0.005)
                text = "  ".join(f"{call} {share:.2f}" for share, call in shares if share >= 0.005)
                print(f"  {one.name:14}{sum(calls.values()) / requests:6.2f}   {text}" + (f"  others {rest:.3f}" if rest else ""))
            for who, why in field.result.absent.items():
                print(f"  {who:14}absent: {why}")
