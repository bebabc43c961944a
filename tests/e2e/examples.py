# SPDX-License-Identifier: Apache-2.0
"""What the tests of the examples share: a copy of the folder, its backends as real processes, its headgate.yaml as it is,
and visitors that keep asking over TLS.

Node's packages are Debian's. Two things are stood in for, since they would need a registry: the files of a Vite build, which are
made by hand in the shape that a build has, and `next-fastapi/frontend/server.js`, which answers as the standalone server of a
Next.js build does. Django, gunicorn, FastAPI, uvicorn, Express, ws and Redis are the real ones."""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import unittest

from certs import Authority
from client import Broken, Client
from harness import GateTest, Lines, ROOT, client_tls, fetch, run_program, wait_until

NAVIGATION = [("Accept", "text/html,*/*;q=0.8"), ("Sec-Fetch-Mode", "navigate")]
NODE = shutil.which("node") or shutil.which("nodejs")
# Where Debian keeps Node's packages; a node of another make does not look there by itself.
NODE_PACKAGES = "/usr/share/nodejs"


def has_node(*packages):
    return bool(NODE) and all(os.path.isdir(f"{NODE_PACKAGES}/{one}") for one in packages)


def needs_node(*packages):
    return unittest.skipUnless(has_node(*packages), f"node or its packages are not installed: {' '.join(packages)}")


def needs_python(*modules):
    missing = [one for one in modules if importlib.util.find_spec(one) is None]
    return unittest.skipIf(missing, f"not installed for {os.path.realpath('/usr/bin/python3')}: {' '.join(missing)}")


class Backend:
    """A process that says on stderr which port it has got."""

    def __init__(self, command, folder, pattern, env):
        self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        env={**os.environ, **env})
        self.lines = Lines(self.process.stderr)
        found = self.lines.wait(lambda said: next((m.group(1) for m in (re.search(pattern, line) for line in said) if m), None), timeout=60)
        if not found:
            self.close()
            raise AssertionError(f"{command} did not start:\n{self.lines.text}")
        self.port = int(found)
        self.address = f"127.0.0.1:{self.port}"

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:  # it waits for connections that are kept
                self.process.kill()
                self.process.wait()
        self.lines.thread.join(10)
        self.process.stderr.close()


class ExampleTest(GateTest):
    """`self.place` is the copy, `self.edge` the running instance, `self.host` the name that browsers use."""

    def copied(self, name):
        self.place = self.folder() / name
        shutil.copytree(ROOT / "examples" / name, self.place, symlinks=True)
        return self.place

    def backend(self, command, folder, pattern, env=None):
        backend = Backend(command, folder, pattern, {"PYTHONDONTWRITEBYTECODE": "1", **(env or {})})
        self.addCleanup(backend.close)
        return backend

    def node(self, folder, **env):
        return self.backend([NODE, "server.js"], self.place / folder, r" on http://127\.0\.0\.1:(\d+)",
                            {"PORT": "0", "NODE_PATH": NODE_PACKAGES, "NODE_ENV": "production", **env})

    def example(self, env, listeners=2, folder=None):
        """Runs the example's file as it is. It keeps its state and its admin socket in its folder."""
        folder = folder or self.place
        self.env = {"STATE_DIR": str(folder), **env}
        text = (self.place / "headgate.yaml").read_text()
        return self.gate(text, folder=folder, env=self.env, listeners=listeners, defaults=False)

    def authority(self, *names):
        """The variables that give the example a certificate for these names, and ports of the system's choice."""
        self.ca = Authority(self.place / "ca")
        cert, key = self.ca.issue(*names)
        self.host = names[0]
        self.tls = client_tls(self.ca.cert)
        return {"LISTEN": "127.0.0.2:0", "LISTEN_TLS": "127.0.0.1:0", "CERT": cert, "KEY": key}

    def page(self, target="/", method="GET", host=None, edge=None, **more):
        host = host or self.host
        return fetch((edge or self.edge).tls_address, target, method, tls=self.tls, server_name=host, host=host, **more)

    def preflight(self, target, origin, method="POST", headers="content-type", **more):
        return self.page(target, "OPTIONS", headers=[("Origin", origin), ("Access-Control-Request-Method", method),
                                                     ("Access-Control-Request-Headers", headers)], **more)

    def run_ok(self, *arguments, code=0):
        done = self.edge.command(*arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def wait_healthy(self, upstream, pool, servers):
        """Until the checks of a pool have found so many servers well."""
        def well():
            told = next(one for one in self.status()["upstreams"] if one["name"] == upstream)
            rows = next(one for one in told["pools"] if one["name"] == pool)["servers"]
            return sum(row["health"] == "healthy" for row in rows) >= servers
        wait_until(well, timeout=30, what=f"{servers} healthy servers of {upstream} {pool}")

    def status(self):
        return json.loads(self.run_ok("status", "--json"))

    def split_of(self, upstream):
        return next(one for one in self.status()["upstreams"] if one["name"] == upstream)["split"]

    def visitors(self, *targets, **more):
        crowd = Visitors(self, targets, **more)
        self.addCleanup(crowd.stop)
        return crowd

    def check_and_explain(self, *expected):
        """`check` finds nothing wrong; `explain` says of each URL what is expected: (URL, part of what it says, ...)."""
        done = run_program("check", "-c", "headgate.yaml", cwd=self.place, env=self.env)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for url, *parts in expected:
            done = run_program("explain", "-c", "headgate.yaml", url, cwd=self.place, env=self.env)
            self.assertEqual(done.returncode, 0, done.stderr)
            for part in parts:
                self.assertIn(part, done.stdout, url)


class Visitors:
    """Browsers of a kind: each keeps a connection, and asks one thing after another until stop(). `keep` is given each answer;
    all but 2xx, and every connection that breaks, is in `failed`."""

    def __init__(self, test, targets, count=3, method="GET", headers=(), body=b"", keep=None):
        self.test, self.targets, self.method, self.headers, self.body, self.keep = test, targets, method, headers, body, keep
        self.answered, self.failed = 0, []
        self.changed = threading.Condition()
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._browse, args=(number,), daemon=True) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def _browse(self, number):
        test, client = self.test, None
        while not self.ending.is_set():
            target = self.targets[number % len(self.targets)]
            number += 1
            problem = answer = None
            try:
                client = client or Client(test.edge.tls_address, tls=test.tls, server_name=test.host)
                answer = client.request(self.method, target, self.headers, self.body, host=test.host)
                if answer.status // 100 != 2:
                    problem = (target, answer)
            except (Broken, OSError) as error:
                problem = (target, error)
            if client and (answer is None or (answer.header("Connection") or "").lower() == "close"):
                client.close()
                client = None
            with self.changed:
                self.answered += 1
                if problem:
                    self.failed.append(problem)
                elif self.keep:
                    self.keep(answer)
                self.changed.notify_all()
        if client:
            client.close()

    def wait_for_more(self, count):
        with self.changed:
            goal = self.answered + count
            assert self.changed.wait_for(lambda: self.answered >= goal, 30), "the visitors got no answers"

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(20)
        return self.failed
