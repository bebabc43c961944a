# SPDX-License-Identifier: Apache-2.0
"""An origin in a process of its own, which can be killed, stopped and started again, and clients that keep asking.

The process says on its standard output what it begins and ends, one line each, so that nothing of it is lost when it
is killed: a test knows which requests it had taken by then."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

from client import Broken, Client, TIMEOUT
from harness import Lines
from origin import Origin, answer


class ServerProcess:
    """Answers everything with 200 and its name. Requests are told apart by their X-Id. With two times in seconds it is
    Impatient."""

    def __init__(self, name, *times):
        self.name, self.times = name, times
        self.port = 0
        self.lives = []
        self.start()

    def start(self):
        """Again on the same port, when it has run before."""
        self.process = subprocess.Popen([sys.executable, __file__, self.name, str(self.port), *self.times], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE)
        self.lives.append(Lines(self.process.stdout))
        ready = self.lives[-1].wait(lambda lines: lines[0] if lines else None)
        assert ready, "the origin did not start"
        self.port = int(ready)
        self.address = f"127.0.0.1:{self.port}"

    def kill(self):
        """When this returns, its sockets are closed and all that it has said has been read."""
        self.process.kill()
        self.process.wait()
        self.lives[-1].thread.join(TIMEOUT)
        self.process.stdout.close()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def begun(self):
        """(method, id) of every request that it has read."""
        lines = [line.split() for life in self.lives for line in list(life.lines)]
        return [tuple(line[1:]) for line in lines if line[0] == "begin"]

    def count(self, what):
        return sum(line.startswith(what) for life in self.lives for line in list(life.lines))

    def wait_for_more(self, count=1):
        """Until it has begun so many more requests than now."""
        lines = self.lives[-1]
        goal = sum(line.startswith("begin") for line in list(lines.lines)) + count
        assert lines.wait(lambda all_lines: sum(line.startswith("begin") for line in all_lines) >= goal), "no more requests"

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.lives[-1].thread.join(TIMEOUT)
        self.process.stdout.close()


class Asked:
    """One request and what came of it. Times are those of the system's clock, as in the program's log."""

    def __init__(self, number):
        self.id = number
        self.begun = time.time()
        self.ended = None
        self.status = None  # None: no answer
        self.answer = None
        self.error = None

    def __repr__(self):
        return f"<{self.id} {self.status} {self.error or ''} {self.ended - self.begun:.3f} s>"


class Traffic:
    """So many clients, each over a connection of its own, ask one thing after another until stop(). `pause()` gives the
    seconds that a client waits before the next."""

    def __init__(self, address, clients=3, method="GET", target="/", pause=None):
        self.address, self.method, self.target, self.pause = address, method, target, pause
        self.results = []
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def _ask(self, client_number):
        client, number = None, 0
        while not self.stopping.is_set():
            asked = Asked(f"{self.method}-{id(self)}-{client_number}-{number}")
            number += 1
            try:
                client = client or Client(self.address)
                body = b"x" if self.method == "POST" else b""
                asked.answer = client.request(self.method, self.target, [("X-Id", asked.id)], body)
                asked.status = asked.answer.status
            except (Broken, OSError) as error:
                asked.error = error
            if client and (asked.error or asked.answer.header("Connection") == "close"):
                client.close()
                client = None
            asked.ended = time.time()
            with self.changed:
                self.results.append(asked)
                self.changed.notify_all()
            if self.pause:
                self.stopping.wait(self.pause())
        if client:
            client.close()

    def wait_for_more(self, count):
        """Until so many more requests than now have been answered."""
        with self.changed:
            goal = len(self.results) + count
            assert self.changed.wait_for(lambda: len(self.results) >= goal, TIMEOUT), "the clients got no answers"

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(TIMEOUT)
        return self.results

    def failed(self):
        with self.changed:
            return [asked for asked in self.results if asked.status != 200]


class Impatient(Origin):
    """Closes each connection after an idle time of its own, whatever may be on its way: as over a network, it takes two
    milliseconds until the other end knows of it."""

    def __init__(self, say, shortest, longest, handler, **more):
        self.say, self.shortest, self.longest = say, shortest, longest
        self.way = threading.Event()
        super().__init__(handler, **more)

    def _requests(self, connection):
        while connection.open:
            connection.sock.settimeout(random.uniform(self.shortest, self.longest))
            try:
                while not connection.reader.buffer:
                    if not connection.reader.fill():
                        return
            except TimeoutError:
                self.way.wait(0.002)
                self.say("closes")
                return
            connection.sock.settimeout(20)
            request = self.take(connection)
            connection.send(self.handler(request, connection))


def main():
    name, port, times = sys.argv[1], int(sys.argv[2]), [float(text) for text in sys.argv[3:]]

    def say(line):
        os.write(1, line.encode() + b"\n")

    def handle(request, _):
        number = request.header("X-Id") or "-"
        say(f"begin {request.method} {number}")
        reply = answer(body=name.encode(), headers=[("X-From", name)])
        say(f"end {request.method} {number}")
        return reply

    origin = Impatient(say, *times, handle, port=port) if times else Origin(handle, port=port)
    say(str(origin.port))
    threading.Event().wait()


if __name__ == "__main__":
    main()
