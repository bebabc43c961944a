# SPDX-License-Identifier: Apache-2.0
"""A server that runs: pinned to cores, ended by its process id; the CPU time and the memory of all its processes."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time

PATIENCE = 60  # seconds for a start; a hundred thousand routes take a while


class DidNotStart(Exception):
    pass


def process_cpu(pid):
    """Seconds of CPU (user and system) of a process and of its threads that have ended, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | 2)  # the kernel's own number for a process's scheduler clock


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


class Program:
    def __init__(self, name, command, cores, folder, port=None):
        """`port`: where it will listen; without one it announces "listening on 127.0.0.1:PORT"."""
        self.name = name
        self.log = open(folder / f"{name}.log", "wb+")
        begin = time.monotonic()
        self.process = subprocess.Popen(["taskset", "-c", cores, *map(str, command)], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT, cwd=folder)
        try:
            self.port = port or self._announced()
            self._until_it_answers()
        except DidNotStart:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - begin

    def _announced(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = re.search(r"listening on 127\.0\.0\.1:(\d+)\b(?! \((?:admin|metrics))", self.output())
            if found:
                return int(found.group(1))
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        raise DidNotStart(f"{self.name} did not start:\n{self.output()[-2000:]}")

    def _until_it_answers(self):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise DidNotStart(f"{self.name} does not answer:\n{self.output()[-2000:]}") from None
                time.sleep(0.005)

    def output(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def cpu(self):
        """Seconds of CPU used so far by the process and its children that live."""
        return self._sum(process_cpu)

    def resident(self):
        """Bytes in memory, of the process and its children. What two of them share counts twice."""
        return self._sum(resident)

    def _sum(self, of):
        total = 0
        for pid in self.family():
            try:
                total += of(pid)
            except OSError:  # it has ended meanwhile
                continue
        return total

    def family(self):
        pids, new = [], [self.process.pid]
        while new:
            pid = new.pop()
            pids.append(pid)
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    new += map(int, task.read_text().split())
                except OSError:
                    continue
        return pids

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


def cores(workers=1):
    """(the proxy's, the load's), as taskset writes them: as many cores for the proxy as it has workers, all the others for
    load and origin. On a small machine they share what there is."""
    mine = sorted(os.sched_getaffinity(0))
    return ",".join(map(str, mine[:workers])), ",".join(map(str, mine[workers:] or mine[1:] or mine))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
