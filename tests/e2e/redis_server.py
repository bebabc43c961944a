# SPDX-License-Identifier: Apache-2.0
"""A redis-server of a test's own: on a unix socket in the test's folder, or on a free port with a password."""

import contextlib
import pathlib
import shutil
import signal
import socket
import subprocess

from harness import wait_until

PROGRAM = shutil.which("redis-server", path="/usr/bin:/usr/local/bin:/usr/sbin")


class RedisError(Exception):
    pass


class RedisServer:
    def __init__(self, folder, name="redis", port=0, password=""):
        self.folder = pathlib.Path(folder)
        self.socket = self.folder / f"{name}.sock"
        self.name, self.port, self.password = name, port, password
        self.process = None
        self.start()

    @property
    def url(self):
        return f"unix:{self.socket}"

    def start(self):
        command = [PROGRAM, "--port", self.port, "--bind", "127.0.0.1", "--unixsocket", self.socket, "--save", "", "--appendonly", "no",
                   "--dir", self.folder, "--logfile", self.folder / f"{self.name}.log"]
        if self.password:
            command += ["--requirepass", self.password]
        self.process = subprocess.Popen([str(one) for one in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_until(self.answers, what="redis-server")

    def answers(self):
        with contextlib.suppress(OSError, RedisError):
            return self.command("PING") == "PONG"
        return False

    def command(self, *arguments, database=0):
        """One command over a connection of its own."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(str(self.socket))
            reader = sock.makefile("rb")
            if self.password:
                self._ask(sock, reader, "AUTH", self.password)
            if database:
                self._ask(sock, reader, "SELECT", database)
            return self._ask(sock, reader, *arguments)

    def _ask(self, sock, reader, *arguments):
        texts = [str(one).encode() for one in arguments]
        sock.sendall(b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%s\r\n" % (len(one), one) for one in texts))
        return self._read(reader)

    def _read(self, reader):
        line = reader.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else reader.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return [self._read(reader) for _ in range(int(rest))]
        raise OSError(f"no answer: {line!r}")

    def keys(self, **more):
        return sorted(one for one in self.command("KEYS", "headgate:limit*", **more))

    def questions(self):
        """How many commands have asked for tokens so far: one for each question of a scripted call."""
        calls = {}
        for line in self.command("INFO", "commandstats").splitlines():
            if line.startswith("cmdstat_"):
                name, _, figures = line.partition(":")
                calls[name.removeprefix("cmdstat_")] = int(figures.split(",")[0].removeprefix("calls="))
        # A heartbeat is an EVAL as well, and the only one to count instances.
        return calls.get("eval", 0) + calls.get("evalsha", 0) - calls.get("zcard", 0)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.resume()
            self.kill()
