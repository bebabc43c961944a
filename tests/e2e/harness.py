# SPDX-License-Identifier: Apache-2.0
"""Runs the real program for a test: its own folder, ports chosen by the system, its logs read as they are written.

A test derives from GateTest, starts what it needs with self.gate(), self.origin() and self.folder(), and leaves the
end of all of it to the framework. The program is $HEADGATE, or build/release/headgate of this tree."""

import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import textwrap
import threading
import time
import unittest

from client import Broken, Client, Response, TIMEOUT, fetch  # noqa: F401  (for the tests)
from origin import Origin, OriginRequest, answer  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("HEADGATE") or str(ROOT / "build" / "release" / "headgate")
SANITIZER = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ThreadSanitizer")


def wait_until(condition, timeout=TIMEOUT, what="a condition"):
    """For what no event tells of. Returns the first true value of condition()."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(0.01)


def run_program(*arguments, stdin="", cwd=None, env=None, timeout=30):
    """A command that ends by itself."""
    return subprocess.run([PROGRAM, *arguments], input=stdin, capture_output=True, text=True, cwd=cwd, timeout=timeout,
                          env={**os.environ, **(env or {})}, check=False)


class Lines:
    """The lines of a pipe, collected by a thread."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.lines = []
        self.ended = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for raw in self.pipe:
            with self.changed:
                self.lines.append(raw.decode("utf-8", "backslashreplace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait(self, find, timeout=TIMEOUT):
        """Waits until find(lines) is true and returns it; None when the pipe ends or the time is over."""
        with self.changed:
            self.changed.wait_for(lambda: self.ended or find(self.lines), timeout)
            return find(self.lines)

    @property
    def text(self):
        with self.changed:
            return "\n".join(self.lines)


class AdoptedProcess:
    """A process that another one has started and left behind, as far as subprocess.Popen would offer it."""

    def __init__(self, pid, pipes):
        self.pid = pid
        self.stdout, self.stderr = pipes.stdout, pipes.stderr
        self.code = None

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def poll(self):
        if self.code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                return None  # not ours yet: its parent lives
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait(self, timeout=None):
        end = time.monotonic() + (timeout or 3600)
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.01)
        return self.code


def adopt_orphans():
    """From now on processes that the programs of a test have left behind are this process's children."""
    set_child_subreaper = 36
    if ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class Headgate:
    """`serve -c FILE` in a folder of its own. Sections that the text leaves out and a test needs are added: one plain
    listener on a free port of 127.0.0.1, one worker, an admin socket and a state directory in the folder."""

    def __init__(self, config, folder, listeners=1, start=True, env=None, defaults=True, umask=-1, program=PROGRAM):
        self.umask = umask
        self.program = program
        self.folder = pathlib.Path(folder)
        self.file = self.folder / "headgate.yaml"
        self.admin = f"unix:{self.folder}/admin.sock"
        self.expected = listeners
        self.defaults = defaults
        self.env = env or {}
        self.process = None
        self.stopped = False
        self.upgrades = 0
        self.write(config)
        if start:
            self.start()

    def write(self, config):
        """Writes the configuration; takes effect at the next start or reload."""
        text = textwrap.dedent(config)
        additions = {
            "listeners": 'listeners: [{ address: "127.0.0.1:0" }]',
            "workers": "workers: 1",
            "admin": f"admin: {{ listen: '{self.admin}' }}",
            "state_dir": f"state_dir: {self.folder}/state",
        }
        if self.defaults:
            for key, line in additions.items():
                if not re.search(rf"^{key}:", text, re.MULTILINE):
                    text = text.rstrip("\n") + "\n" + line + "\n"  # at the end: line numbers of the test's text stay
        temporary = self.file.with_suffix(".new")
        temporary.write_text(text)
        temporary.rename(self.file)

    def start(self):
        self.process = subprocess.Popen([self.program, "serve", "-c", str(self.file)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder,
                                        env={**os.environ, **self.env}, umask=self.umask)
        self.out = Lines(self.process.stdout)
        self.err = Lines(self.process.stderr)
        ready = self.err.wait(lambda lines: len(self._listeners(lines)) >= self.expected, timeout=30)
        if not ready:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.expected} listeners expected, the program said:\n{self.err.text}\n{self.out.text}")

    @staticmethod
    def _listeners(lines):
        """(address, kind) of what the log has announced; the admin's own address is of another kind."""
        found = []
        for line in lines:
            match = re.search(r"listening on (\S+) \((plain|tls)\)", line)
            if match:
                found.append(match.groups())
        return found

    @property
    def listeners(self):
        return self._listeners(self.err.lines)

    def address_of(self, kind, index=0):
        """(host, port) of a listener that is "plain" or "tls"."""
        addresses = [address for address, what in self.listeners if what == kind and not address.startswith("unix:")]
        host, _, port = addresses[index].rpartition(":")
        return (host.strip("[]").replace("0.0.0.0", "127.0.0.1"), int(port))

    @property
    def address(self):
        return self.address_of("plain")

    @property
    def port(self):
        return self.address[1]

    @property
    def tls_address(self):
        return self.address_of("tls")

    def connect(self, **more):
        return Client(self.address, **more)

    def fetch(self, target="/", method="GET", **more):
        return fetch(self.address, target, method, **more)

    # --- what it says -------------------------------------------------------------------------------------------

    def access_log(self):
        return [json.loads(line) for line in self.out.lines if line.startswith("{")]

    def wait_access(self, match=lambda record: True, count=1):
        """The first `count` records that match; a single record when count is 1."""
        def find(lines):
            records = [json.loads(line) for line in lines if line.startswith("{")]
            records = [record for record in records if match(record)]
            return records[:count] if len(records) >= count else None
        found = self.out.wait(find)
        if found is None:
            raise AssertionError(f"no such access log line in:\n{self.out.text}\nlog:\n{self.err.text}")
        return found[0] if count == 1 else found

    def wait_log(self, pattern, count=1):
        """The `count`th line of the program's log that matches."""
        def find(lines):
            found = [line for line in lines if re.search(pattern, line)]
            return found[count - 1] if len(found) >= count else None
        line = self.err.wait(find)
        if line is None:
            raise AssertionError(f"no line like {pattern!r} in:\n{self.err.text}")
        return line

    def count_log(self, pattern):
        return sum(1 for line in list(self.err.lines) if re.search(pattern, line))

    def resident(self):
        """Bytes of memory in use now."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    # --- its life -----------------------------------------------------------------------------------------------

    def signal(self, number):
        self.process.send_signal(number)

    def command(self, *arguments, **more):
        """A command that talks to this instance."""
        return run_program(*arguments, "--admin", self.admin, cwd=self.folder, **more)

    def reload(self, config=None):
        """Writes a new configuration, reloads by the command, and insists that it was applied."""
        if config is not None:
            self.write(config)
        done = self.command("reload")
        if done.returncode != 0:
            raise AssertionError(f"reload: {done.returncode}\n{done.stdout}\n{done.stderr}\nlog:\n{self.err.text}")
        return done

    def begin_upgrade(self):
        adopt_orphans()
        self.signal(signal.SIGUSR2)

    def upgraded(self):
        """Waits until the next process has taken this one's place: it is `process` from then on. Returns the one before,
        which has been told to retire."""
        self.upgrades += 1
        line = self.wait_log("replaced by process", self.upgrades)
        old = self.process
        self.process = AdoptedProcess(int(re.search(r"replaced by process (\d+)", line).group(1)), old)
        return old

    def wait_exit(self, timeout=15):
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end within {timeout} s; its log:\n{self.err.text}") from error
        self.out.thread.join(TIMEOUT)
        self.err.thread.join(TIMEOUT)
        self.stopped = True
        return code

    def stop(self):
        """Ends it and insists on a clean end."""
        if self.process is None or self.stopped:
            return
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            # A second signal ends what a test has left open; by then the graceful way has been tried.
            try:
                self.process.wait(0.5)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGTERM)
        code = self.wait_exit()
        if code != 0 or any(mark in self.err.text for mark in SANITIZER):
            raise AssertionError(f"it ended with {code}; its log:\n{self.err.text}")


class GateTest(unittest.TestCase):
    maxDiff = None

    def folder(self):
        """A new folder, gone after the test."""
        path = pathlib.Path(tempfile.mkdtemp(prefix="headgate-"))
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def gate(self, config, folder=None, **more):
        gate = Headgate(config, folder or self.folder(), start=False, **more)
        self.addCleanup(self._end, gate)
        gate.start()
        return gate

    def origin(self, handler=None, **more):
        origin = Origin(handler, **more)
        self.addCleanup(origin.close)
        return origin

    def client(self, address, **more):
        client = Client(address, **more)
        self.addCleanup(client.close)
        return client

    def proxied(self, handler=None, route="", top="", origin=None, **more):
        """The commonest set-up: everything goes to one scripted origin. Returns (gate, origin)."""
        origin = origin or self.origin(handler)
        text = f"{textwrap.dedent(top)}\nsites:\n  - routes:\n      - {{ path: /*, proxy: '{origin.url}'{route} }}\n"
        return self.gate(text, **more), origin

    def _end(self, gate):
        if gate.process is None:
            return  # there was no program to start
        result = getattr(self._outcome, "result", None)
        failed = result is not None and any(test is self for test, _ in result.failures + result.errors)
        try:
            gate.stop()
        finally:
            if failed:
                print(f"--- log of {self.id()}\n{gate.err.text}\n--- access\n{gate.out.text}\n---", flush=True)
            gate.process.stdout.close()
            gate.process.stderr.close()


def write_files(folder, files):
    """{name: text or bytes} below a folder."""
    for name, content in files.items():
        path = pathlib.Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def client_tls(ca=None, minimum=None, maximum=None, cert=None):
    """A client's TLS settings: verifies against `ca` when there is one."""
    settings = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    if ca is None:
        settings.check_hostname = False
        settings.verify_mode = ssl.CERT_NONE
    if minimum:
        settings.minimum_version = minimum
    if maximum:
        settings.maximum_version = maximum
    if cert:
        settings.load_cert_chain(*cert)
    return settings


def server_tls(cert, key):
    settings = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    settings.load_cert_chain(cert, key)
    return settings
