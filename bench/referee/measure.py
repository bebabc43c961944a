# SPDX-License-Identifier: Apache-2.0
"""How a case is measured. Each measure starts the subjects, checks one answer of each, and gives for each of them a row:
the figures (medians of the rounds) and the rounds themselves. Who cannot take part is told with the reason."""

import contextlib
import dataclasses
import gzip
import http.client
import json
import os
import resource
import socket
import ssl
import statistics
import subprocess

from . import load, subjects
from .program import DidNotStart, Program, cores
from .subjects import CannotDo


LARGE = 256 * 1024  # bodies that outgrow socket buffers: who pays for a segment is a matter of luck


@dataclasses.dataclass
class Options:
    rounds: int
    seconds: float
    smoke: bool = False


@dataclasses.dataclass
class Result:
    rows: dict = dataclasses.field(default_factory=dict)    # name: {figure: value, "rounds": {figure: [values]}}
    absent: dict = dataclasses.field(default_factory=dict)  # name: why
    notes: list = dataclasses.field(default_factory=list)


class Field:
    """Those who take part in one case, while it runs."""

    def __init__(self, stage, case, names):
        self.stage, self.case, self.names = stage, case, names
        self.result = Result()
        self.running = contextlib.ExitStack()

    def __enter__(self):
        self.stage.load_cores = cores(self.case.workers)[1]
        self.stage.origin = Program("origin", [self.stage.programs / "origin", 0], self.stage.load_cores, self.stage.folder)
        self.running.callback(self.stage.origin.stop)
        return self

    def __exit__(self, *_):
        self.running.close()

    def start_all(self, setup=None):
        """The subjects that can serve this, each having given a right answer."""
        started = [self.start(name, setup) for name in self.names]
        return [one for one in started if one]

    def start(self, name, setup=None):
        setup = setup or self.case.setup
        try:
            one = subjects.start(name, self.stage, setup)
            self.running.callback(one.stop)
            if setup.gzip:
                self.result.notes.append(f"{name}: {check_gzip(one, self.case)} bytes of 20,480")
            else:
                check_answer(one, self.case, setup)
            return one
        except CannotDo as why:
            self.result.absent[name] = str(why)
        except DidNotStart as why:
            if name not in subjects.PEERS:
                raise
            self.result.absent[name] = str(why).strip().splitlines()[-1]
        return None

    def row(self, name, **figures):
        """From {figure: values of the rounds}."""
        row = {figure: statistics.median(values) for figure, values in figures.items()}
        self.result.rows[name] = row | {"rounds": {figure: [round(value, 3) for value in values] for figure, values in figures.items()}}


def client_tls(h2=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"] if h2 else ["http/1.1"])
    return context


def speaks_h2(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as plain, client_tls(h2=True).wrap_socket(plain) as secure:
            return secure.selected_alpn_protocol() == "h2"
    except ssl.SSLError:
        return False


def check_gzip(one, case):
    """One answer, decoded and read. Returns how many bytes it took."""
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=60)
    try:
        connection.request("GET", case.path, headers={"Host": "localhost", "Accept-Encoding": "gzip, deflate, br, zstd"})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200 or answer.getheader("Content-Encoding") != "gzip":
        raise load.WrongAnswers(f"{one.name}: status {answer.status}, {answer.getheader('Content-Encoding')}")
    content = gzip.decompress(body)
    if len(content) != 20 * 1024 or not json.loads(content):
        raise load.WrongAnswers(f"{one.name}: {len(content)} bytes of JSON")
    return len(body)


def check_answer(one, case, setup):
    """One request before any is counted: status, length and every byte of what comes."""
    if setup.h2:
        if not speaks_h2(one.port):
            raise CannotDo("does not speak HTTP/2 yet" if one.name == "headgate" else "does not speak HTTP/2")
        # Status and length are checked by the load generator.
        return
    if setup.tls:
        connection = http.client.HTTPSConnection("127.0.0.1", one.port, timeout=60, context=client_tls())
    else:
        connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=60)
    host = f"host-{setup.sites}.example.com" if setup.sites else "localhost"
    path = f"/section-{setup.routes}/products/42" if setup.sites else case.path
    try:
        connection.request("GET", path, headers={"Host": host, "Accept-Encoding": "identity"})
        answer = connection.getresponse()
        body = answer.read()
    except ssl.SSLError as why:
        raise CannotDo(f"no TLS 1.3: {why.reason}") from None
    finally:
        connection.close()
    if answer.status != 200 or body != b"x" * case.size:
        raise load.WrongAnswers(f"{one.name}: {path}: status {answer.status}, {len(body)} bytes: {body[:200]!r}\n{one.output()[-1000:]}")


def in_turns(field, options, taking_part, once):
    """once(one, seconds) for each in turn, round after round; the first round only warms up and is not given."""
    given = {one.name: [] for one in taking_part}
    for number in range(1 if options.smoke else 0, options.rounds + 1):
        for one in taking_part:
            try:
                try:
                    found = once(one, options.seconds if number else min(1, options.seconds))
                except load.NoAnswers:
                    # A machine that is busy with something else. Once it is told and tried again; twice ends the run.
                    field.result.notes.append(f"{one.name}, round {number}: no answer in time, measured again")
                    found = once(one, max(20, options.seconds) if options.smoke else options.seconds)
            except load.WrongAnswers as why:
                raise load.WrongAnswers(f"{one.name}: {why}\n{one.output()[-1000:]}") from None
            if number:
                given[one.name].append(found)
    return given


def priced(one, work):
    """(what work() gives, CPU microseconds of the subject per request)."""
    before = one.cpu()
    outcome = work()
    return outcome, (one.cpu() - before) / outcome.requests * 1e6


def cost(field, options):
    """CPU time per request, and requests per second. Also the CPU time of load and origin: the kernel charges its work for
    a segment to whoever runs at that moment, so a subject that costs less may only have others pay."""
    case = field.case

    def spent_elsewhere():
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime + field.stage.origin.cpu()

    def once(one, seconds):
        before = spent_elsewhere()
        outcome, cpu = priced(one, lambda: case.load(field.stage, one, case, seconds))
        return outcome.rate, cpu, (spent_elsewhere() - before) / outcome.requests * 1e6

    for name, rounds in in_turns(field, options, field.start_all(), once).items():
        rates, costs, elsewhere = zip(*rounds)
        field.row(name, cpu_us=costs, requests_s=rates, elsewhere_us=elsewhere)
    rows = field.result.rows
    if case.size >= LARGE and "nginx" in rows and "headgate" in rows:
        ours, theirs = (rows[name]["cpu_us"] + rows[name]["elsewhere_us"] for name in ("headgate", "nginx"))
        field.result.notes.append(f"with what load and origin spend, headgate costs {ours / theirs:.2f} of nginx")


def idle(field, options):
    """Resident size with that many connections kept open after one request each. No rounds: memory does not vary."""
    held = 200 if options.smoke else field.case.held
    # A proxy may need two descriptors for each, and pipes beside them.
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 3 * held + 100:
        raise CannotDo(f"the descriptor limit is too low for {held} connections")
    for name in field.names:
        one = field.start(name)
        if not one:
            continue
        before = one.resident()
        command = ["taskset", "-c", field.stage.load_cores, field.stage.programs / "idle", "tls" if field.case.setup.tls else "plain", one.port,
                   field.case.path, held]
        with subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            said = holder.stdout.readline()
            if not said or json.loads(said)["held"] != held:
                raise load.WrongAnswers(f"{name}: not all of {held} connections were answered\n{one.output()[-1000:]}")
            total = one.resident()
            holder.stdin.close()
        field.row(name, resident_mib=[total / 2**20], kib_each=[total / 1024 / held], growth_kib_each=[(total - before) / 1024 / held])
        one.stop()
    field.result.notes.append(f"{held} connections; KiB each is the whole process over their number, growth what they added")


def in_two_forms(field, forms):
    """Each subject once for each form, named "nginx one" and so on; who cannot do all of them does none."""
    taking_part = []
    for name in field.names:
        pair = {form: field.start(name, setup) for form, setup in forms.items() if name not in field.result.absent}
        for form, one in pair.items():
            if name not in field.result.absent:
                one.name = f"{name} {form}"
                taking_part.append(one)
    return taking_part


def sites(field, options):
    """One site with one route against many of both: CPU per request, memory, start."""
    case, small = field.case, field.case.setup
    large = dataclasses.replace(case.large, sites=50, routes=10) if options.smoke else case.large
    taking_part = in_two_forms(field, {"one": small, "many": large})

    def once(one, seconds):
        setup = large if one.name.endswith(" many") else small
        return priced(one, lambda: load.spread(field.stage, one, case, seconds, setup))

    given = in_turns(field, options, taking_part, once)
    for one in taking_part:
        name, _, many = one.name.rpartition(" ")
        if many != "many":
            continue
        base, grown = ([cpu for _, cpu in given[f"{name} {which}"]] for which in ("one", "many"))
        field.row(name, cpu_us=grown, cpu_us_one=base, of_one=[a / b for a, b in zip(grown, base)], resident_mib=[one.resident() / 2**20],
                  start_s=[one.start_seconds], requests_s=[outcome.rate for outcome, _ in given[one.name]])
    field.result.notes.append(f"{large.sites} sites of {large.routes} routes against one of each, requests spread over all of them")


def limited(field, options):
    """A route without a rate limit, with one that is counted in the process, and with one that is shared through Redis."""
    case = field.case
    taking_part = in_two_forms(field, {"free": case.setup, "local": case.large})
    if "headgate" in field.names and "headgate" not in field.result.absent:
        try:
            field.stage.redis = subjects.redis(field.stage)
            field.running.callback(field.stage.redis.stop)
            shared = field.start("headgate", dataclasses.replace(case.large, limit="redis"))
            shared.name = "headgate redis"
            taking_part.append(shared)
        except CannotDo as why:
            field.result.notes.append(f"not through Redis: {why}")

    def once(one, seconds):
        return priced(one, lambda: case.load(field.stage, one, case, seconds))

    given = in_turns(field, options, taking_part, once)
    costs = {name: [cpu for _, cpu in rounds] for name, rounds in given.items()}
    for name in [label[:-len(" local")] for label in given if label.endswith(" local")]:
        figures = {"cpu_us": costs[f"{name} local"], "cpu_us_free": costs[f"{name} free"]}
        figures["of_free"] = [a / b for a, b in zip(figures["cpu_us"], figures["cpu_us_free"])]
        if f"{name} redis" in costs:
            figures["cpu_us_redis"] = costs[f"{name} redis"]
            figures["redis_of_free"] = [a / b for a, b in zip(figures["cpu_us_redis"], figures["cpu_us_free"])]
        field.row(name, **figures)


def latency(field, options):
    """The tail at one rate for all, open loop: 70 % of what nginx does (or headgate, where nginx is not there)."""
    case = field.case
    taking_part = field.start_all()
    yardstick = next((one for one in taking_part if one.name == "nginx"), taking_part[-1])
    if options.smoke:
        rate = 500
    else:
        before = yardstick.cpu()
        seconds = max(2, options.seconds)
        most = statistics.median(load.paced(field.stage, yardstick, case, seconds, 0)["rate"] for _ in range(3))
        busy = (yardstick.cpu() - before) / (3 * seconds)
        rate = 0.7 * most
        field.result.notes.append(f"{rate:.0f} requests/s for all: 70 % of {most:.0f}, {yardstick.name}'s saturation (its core {busy:.0%} busy)")

    def once(one, seconds):
        before = one.cpu()
        told = load.paced(field.stage, one, case, seconds, rate)
        return told | {"busy": (one.cpu() - before) / seconds}

    for name, rounds in in_turns(field, options, taking_part, once).items():
        field.row(name, p99_us=[told["p99_us"] for told in rounds], p50_us=[told["p50_us"] for told in rounds],
                  p999_us=[told["p999_us"] for told in rounds], requests_s=[told["rate"] for told in rounds],
                  busy=[told["busy"] for told in rounds])


def workers(field, options):
    """The same load on one worker and on two."""
    case = field.case
    available = len(os.sched_getaffinity(0))
    if available < 2:
        raise CannotDo("one core only")
    taking_part = in_two_forms(field, {"1": case.setup, "2": case.large})

    def once(one, seconds):
        return priced(one, lambda: case.load(field.stage, one, case, seconds))

    given = in_turns(field, options, taking_part, once)
    for label in [label for label in given if label.endswith(" 2")]:
        name = label[:-2]
        rates = [[outcome.rate for outcome, _ in given[f"{name} {count}"]] for count in (1, 2)]
        costs = [[cpu for _, cpu in given[f"{name} {count}"]] for count in (1, 2)]
        field.row(name, scaling=[b / a for a, b in zip(*rates)], requests_s=rates[1], requests_s_one=rates[0], cpu_us=costs[1],
                  cpu_us_one=costs[0])
    if available < 4:
        field.result.notes.append(f"{available} cores: load and origin compete with the second worker, so requests/s are theirs; "
                                  "what can be compared is CPU per request")
