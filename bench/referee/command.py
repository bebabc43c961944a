# SPDX-License-Identifier: Apache-2.0
"""The command: bench/run."""

import argparse
import dataclasses
import json
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

from . import load, measure, report, subjects, syscalls, training
from .cases import CASES
from .program import DidNotStart

ROOT = pathlib.Path(__file__).resolve().parents[2]
DESCRIPTION = """Load benchmarks side by side, on loopback, each subject with one worker: headgate, nginx, HAProxy, h2o, and the floor.

bench/run                  every case: about forty minutes, on a machine that does nothing else
bench/run --quick          two short rounds of each: a first look
bench/run --smoke          does everything run, and are all answers right? judges no speed; without peers
bench/run --case proxy     some of the cases; --list names all
bench/run --against before=/path/to/headgate --without haproxy --without h2o
                           a change beside the version before it, in the same rounds
bench/run --write          puts table and chart into bench/README.md
bench/run --syscalls       system calls per request, by strace
bench/run --train --headgate PROGRAM
                           the traffic of profile-guided optimisation: see scripts/build-pgo

The environment's NGINX, HAPROXY and H2O name other binaries than the installed ones. README.md says how it is measured."""


def parse(arguments):
    parser = argparse.ArgumentParser(prog="bench/run", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one short round of each case, without peers")
    parser.add_argument("--quick", action="store_true", help="two rounds of two seconds")
    parser.add_argument("--syscalls", action="store_true", help="count system calls of proxy and static, and nothing else")
    parser.add_argument("--train", action="store_true", help="let --headgate have a second of each kind of traffic, and nothing else")
    parser.add_argument("--write", action="store_true", help="write table and chart into bench/README.md")
    parser.add_argument("--case", action="append", choices=CASES, help="only this one (may be repeated)")
    parser.add_argument("--list", action="store_true", help="name the cases")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--headgate", help="this program; the release build by default, built first")
    parser.add_argument("--programs", type=pathlib.Path, help="folder of origin, relays and load generators; built by default")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="leave this subject out (may be repeated)")
    parser.add_argument("--against", action="append", default=[], metavar="NAME=BINARY", help="another headgate, in every case")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=COMMAND",
                        help="another relay, called as COMMAND 0 ORIGIN_PORT, in the proxy cases")
    parser.add_argument("--json", type=pathlib.Path, help="write the results here, too, after each case")
    parser.add_argument("--from", type=pathlib.Path, action="append", dest="recorded", metavar="JSON",
                        help="run nothing: what --json wrote, judged and with --write written (several are put together)")
    options = parser.parse_args(arguments)
    if options.train and (not options.headgate or options.case):
        parser.error("--train needs --headgate, the program that counts, and knows its cases itself")
    rounds, seconds = (1, 0.5) if options.smoke else (2, 2) if options.quick else (5, 4)
    options.rounds = options.rounds or rounds
    options.seconds = options.seconds or seconds
    for kind in ("against", "also"):
        pairs = [text.partition("=") for text in getattr(options, kind)]
        if any(not (name and value) for name, _, value in pairs):
            parser.error(f"--{kind} needs NAME=...")
        setattr(options, kind, {name: value for name, _, value in pairs})
    options.against = {name: str(pathlib.Path(value).resolve()) for name, value in options.against.items()}
    known = {"headgate", *subjects.PEERS, *subjects.RELAYS, subjects.FLOOR_SERVER}
    if taken := known & (set(options.against) | set(options.also)):
        parser.error(f"{', '.join(taken)}: this name is taken")
    if strangers := set(options.without) - known - set(options.against) - set(options.also):
        parser.error(f"--without {', '.join(strangers)}: there is nobody of that name")
    for name, program in [*options.against.items(), *((peer, subjects.named(peer)) for peer in subjects.PEERS)]:
        if program and not shutil.which(program):
            parser.error(f"{name}: {program} is not a program")
    return options


def make_stage(options, folder):
    folder.chmod(0o755)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90", "-subj",
                    "/CN=localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    (folder / "client.cnf").write_text(load.CLIENT_TLS)
    (folder / "files").mkdir()
    for name, size in (("1k", 1024), ("10k", 10 * 1024), ("10m", 10 * 1024 * 1024)):
        (folder / "files" / f"{name}.txt").write_bytes(b"x" * size)
    without = set(options.without) | (set(subjects.PEERS) if options.smoke else set())
    return subjects.Stage(folder, options.programs, options.headgate, options.against, options.also, without)


def taking_part(stage, case):
    """The names, in the order in which they take turns."""
    also = stage.also if case.floors == subjects.RELAYS else ()
    names = [*case.floors, *also, *case.peers, "headgate", *stage.against]
    return [name for name in names if name not in stage.without]


def run_case(name, stage, options):
    case = CASES[name]
    try:
        with measure.Field(stage, case, taking_part(stage, case)) as field:
            try:
                case.measure(field, measure.Options(options.rounds, options.seconds, options.smoke))
            except subjects.CannotDo as why:
                field.result.notes.append(f"left out: {why}")
            return field.result
    except (load.WrongAnswers, DidNotStart) as why:
        raise SystemExit(f"{name}: {why}") from None


def prepare(options):
    tools = ("strace", "taskset", "openssl") if options.syscalls else ("wrk", "h2load", "openssl", "taskset")
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing and options.smoke:
        print(f"skipped: {', '.join(missing)} not installed")
        sys.exit(77)
    if missing:
        raise SystemExit(f"missing: {', '.join(missing)} (scripts/install-deps --bench)")
    wanted = ([] if options.headgate or "headgate" in options.without else ["headgate"]) + ([] if options.programs else ["bench_programs"])
    if wanted:
        subprocess.run([ROOT / "scripts" / "build", "release", *wanted], check=True)
    options.headgate = str(pathlib.Path(options.headgate or ROOT / "build" / "release" / "headgate").resolve())
    options.programs = (options.programs or ROOT / "build" / "release" / "bench").resolve()


def raise_descriptor_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # every program we start has it, too


def recorded(files):
    """(results, about) of what --json wrote; where two files have a case, the later one is taken."""
    results, about = {}, None
    for file in files:
        told = json.loads(file.read_text())
        results |= {name: measure.Result(**one) for name, one in told.pop("cases").items() if name in CASES}
        about = told
    return {name: results[name] for name in CASES if name in results}, about


def record(file, results, about):
    cases = {name: dataclasses.asdict(one) for name, one in results.items()}
    file.write_text(json.dumps(about | {"cases": cases}, indent=2) + "\n")


def run_all(options, folder):
    stage = make_stage(options, folder)
    if options.syscalls:
        syscalls.count(stage, options)
        return None, None
    if options.train:
        training.run(stage)
        return None, None
    about = {"machine": report.machine(), "versions": report.versions(stage, ROOT),
             "run": {"rounds": options.rounds, "seconds": options.seconds}}
    results = {}
    for name in options.case or CASES:
        results[name] = run_case(name, stage, options)
        report.terminal(name, results[name])
        sys.stdout.flush()
        if options.json:
            record(options.json, results, about)
    return results, about


def main(arguments=None):
    options = parse(arguments)
    if options.list:
        for name, case in CASES.items():
            print(f"{name:18}{case.title}")
        return
    if options.recorded:
        results, about = recorded(options.recorded)
    else:
        raise_descriptor_limit()
        prepare(options)
        with tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
            results, about = run_all(options, pathlib.Path(folder))
    if results and not options.smoke:
        report.judgement(results, about["machine"]["cores"])
    if results and options.write:
        report.write(ROOT / "bench" / "README.md", results, about)
