# SPDX-License-Identifier: Apache-2.0
"""SIGUSR2: another process takes the program's place on the same sockets, and nobody notices."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import unittest

from certs import Authority
from client import Client
from harness import PROGRAM, Lines, answer, client_tls, fetch, run_program, wait_until
from http2_client import Http2Client
from server_process import Traffic
from test_admin_upstreams import UPGRADE, Gated
from test_rollout import QUICK
from test_traffic import TrafficTest

ONE = "sites: [{ routes: [{ path: /*, respond: { status: 200, body: one } }] }]\n"
TWO = "sites: [{ routes: [{ path: /*, respond: { status: 200, body: two } }] }]\n"


def script(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


class UpgradeTest(TrafficTest):
    def pid(self, edge):
        return self.ask(edge, "/v1/status")[1]["pid"]

    def traffic(self, edge, **more):
        traffic = Traffic(edge.address, clients=2, **more)
        self.addCleanup(traffic.stop)
        return traffic

    def upgrade(self, edge):
        """Returns the process that has been replaced."""
        edge.begin_upgrade()
        return self.upgraded(edge)

    def upgraded(self, edge):
        old = edge.upgraded()

        def end():
            if old.poll() is None:
                old.kill()
                old.wait()
        self.addCleanup(end)
        return old

    def edge_of_a_program(self):
        """(edge, the file of its program): for a test that changes what an upgrade starts."""
        folder = self.folder()
        program = folder / "headgate"
        program.symlink_to(PROGRAM)
        edge = self.gate(ONE, folder=folder, program=str(program))
        program.unlink()
        return edge, program


class Upgrade(UpgradeTest):
    def test_another_process_serves_on_the_same_port(self):
        edge = self.gate(ONE)
        first = self.pid(edge)
        self.assertEqual(first, edge.process.pid)
        edge.write(TWO)
        old = self.upgrade(edge)
        self.assertEqual(edge.fetch().text, "two")
        self.assertEqual(old.wait(10), 0)
        self.assertEqual(self.pid(edge), edge.process.pid)
        self.assertNotEqual(edge.process.pid, first)
        self.assertEqual(edge.fetch().text, "two")
        self.assertEqual(edge.command("reload").returncode, 0)
        edge.wait_log("serving in the place of the process before this one")

    def test_no_request_is_lost_under_load(self):
        blue = self.origin(lambda request, connection: answer(body=b"x" * 2000))
        edge = self.gate(f"workers: 2\nsites: [{{ routes: [{{ path: /*, proxy: '{blue.url}' }}] }}]\n")
        loads = [self.traffic(edge), self.traffic(edge, method="POST")]
        for _ in range(3):
            for load in loads:
                load.wait_for_more(50)
            old = self.upgrade(edge)
            for load in loads:
                load.wait_for_more(50)
            self.assertEqual(old.wait(20), 0)
        for load in loads:
            load.stop()
            self.assertEqual(load.failed(), [])

    def test_requests_under_way_end_where_they_began(self):
        go = threading.Event()
        self.addCleanup(go.set)
        edge, origin = self.proxied(lambda request, connection: go.wait(20) and answer(body=b"finished"))
        client = self.client(edge.address)
        client.send_request()
        origin.wait_requests(1)
        edge.write(TWO)
        old = self.upgrade(edge)
        self.assertEqual(edge.fetch().text, "two")
        self.assertIsNone(old.poll())
        go.set()
        response = client.read_response()
        self.assertEqual((response.text, response.header("Connection")), ("finished", "close"))
        self.assertEqual(old.wait(10), 0)

    def test_an_idle_connection_may_ask_once_more(self):
        edge = self.gate(ONE)
        with edge.connect() as kept:
            self.assertEqual(kept.request().text, "one")
            edge.write(TWO)
            old = self.upgrade(edge)
            response = kept.request()
            self.assertEqual((response.text, response.header("Connection")), ("one", "close"))
            self.assertEqual(kept.rest(), b"")
        self.assertEqual(old.wait(10), 0)

    def test_an_idle_connection_that_does_not_ask_is_closed(self):
        edge = self.gate(ONE)
        with edge.connect() as kept:
            self.assertEqual(kept.request().text, "one")
            old = self.upgrade(edge)
            self.assertEqual(kept.rest(), b"")
        self.assertEqual(old.wait(10), 0)

    def test_a_connection_of_http2_may_begin_what_it_had_in_mind(self):
        edge = self.gate("listeners: [{ address: '127.0.0.1:0', h2c: true }]\n" + ONE)
        with Http2Client(edge.address) as client:
            self.assertEqual(client.fetch("/").body, b"one")
            edge.write(TWO)
            old = self.upgrade(edge)
            self.assertEqual(client.fetch("/").body, b"one")
            self.assertIsNone(old.poll())
        self.assertEqual(edge.fetch().text, "two")
        self.assertEqual(old.wait(20), 0)

    def test_websockets_live_on_and_the_old_process_with_them(self):
        edge, _ = self.proxied(origin=Gated(self).origin)
        sockets = [self.client(edge.address) for _ in range(2)]
        for client in sockets:
            client.send_request(headers=UPGRADE)
            self.assertEqual(client.read_head().status, 101)
        old = self.upgrade(edge)
        for client in sockets:
            client.send(b"ping")
            self.assertEqual(client.reader.exactly(4), b"ping")
        sockets[0].close()
        self.assertIsNone(old.poll())
        old.send_signal(signal.SIGTERM)  # for who does not want to wait any longer: shutdown_grace ...
        edge.wait_log("stopping: ")
        old.send_signal(signal.SIGTERM)  # ... and at once
        self.assertEqual(old.wait(10), 0)
        self.assertEqual(sockets[1].rest(), b"")

    def test_sockets_with_a_path_stay(self):
        folder = self.folder()
        path = folder / "edge.sock"
        edge = self.gate(f"listeners: [{{ address: 'unix:{path}' }}, {{ address: '127.0.0.1:0' }}]\n" + ONE, folder=folder, listeners=2)
        old = self.upgrade(edge)
        self.assertEqual(old.wait(10), 0)
        self.assertEqual(fetch(str(path)).text, "one")
        self.assertEqual(edge.command("status").returncode, 0)
        edge.stop()
        self.assertFalse(path.exists())
        self.assertFalse(pathlib.Path(edge.admin.removeprefix("unix:")).exists())

    def test_listeners_and_workers_may_change_with_it(self):
        extra = self.folder() / "extra.sock"
        both = f"listeners: [{{ address: '127.0.0.1:0' }}, {{ address: 'unix:{extra}' }}]\n"
        edge = self.gate("workers: 3\nmetrics: { listen: '127.0.0.1:0' }\n" + ONE)
        for config, workers in ((both, 1), ("", 4), (both + "metrics: { listen: '127.0.0.1:0' }\n", 2)):
            with self.subTest(workers=workers):
                edge.write(f"workers: {workers}\n{config}" + TWO)
                old = self.upgrade(edge)
                self.assertEqual([edge.fetch().text for _ in range(30)], ["two"] * 30)
                self.assertEqual(old.wait(15), 0)
                self.assertEqual([edge.fetch().text for _ in range(30)], ["two"] * 30)
                self.assertEqual(extra.exists(), bool(config))
                if config:
                    self.assertEqual([fetch(str(extra)).text for _ in range(10)], ["two"] * 10)

    def test_tls_sessions_are_resumed(self):
        cert, key = Authority(self.folder()).issue("localhost")
        edge = self.gate("listeners: [{ address: '127.0.0.1:0', tls: true }]\n"
                         f"tls: {{ certificates: [{{ cert: '{cert}', key: '{key}' }}] }}\n" + ONE)
        settings = client_tls()
        with Client(edge.tls_address, tls=settings, server_name="localhost") as first:
            self.assertEqual(first.request().text, "one")
            session = first.sock.session
        self.assertEqual(self.upgrade(edge).wait(10), 0)
        with Client(edge.tls_address, tls=settings, server_name="localhost", session=session) as again:
            self.assertEqual(again.request().text, "one")
            self.assertTrue(again.sock.session_reused)


class State(UpgradeTest):
    def test_what_operators_have_set_survives(self):
        edge = self.split(self.named("blue"), self.named("green"))
        self.run_ok(edge, "switch", "api", "green")
        self.assertEqual(self.upgrade(edge).wait(15), 0)
        self.assertEqual(edge.fetch().text, "green")
        self.run_ok(edge, "rollback", "api")
        self.assertEqual(self.upgrade(edge).wait(15), 0)
        self.assertEqual(edge.fetch().text, "blue")

    def test_a_rollout_goes_on(self):
        edge = self.split(self.named("blue"), self.named("green"), f"split: {{ blue: 1 }}\n    rollout: {{ {QUICK} }}")
        load = self.traffic(edge)
        load.wait_for_more(20)
        self.run_ok(edge, "rollout", "start", "api", "green")
        self.upgrade(edge)
        wait_until(lambda: self.ask(edge, "/v1/upstreams/api/rollout")[1]["state"] == "promoted", timeout=30,
                   what="the rollout's end")
        load.stop()
        self.assertEqual(load.failed(), [])
        self.assertEqual(edge.fetch().text, "green")

    def test_a_switch_right_behind_it_speaks_for_both_processes(self):
        blue = self.named("blue")
        edge = self.split(blue, self.named("green"))
        loads = [self.traffic(edge), self.traffic(edge, method="POST")]
        kept = self.client(edge.address)
        self.assertEqual(kept.request().text, "blue")
        for load in loads:
            load.wait_for_more(30)
        old = self.upgrade(edge)
        self.assertEqual(kept.request().text, "blue")  # of the old process, and its last one
        self.run_ok(edge, "switch", "api", "green", "--wait")
        after = len(blue.requests)
        for load in loads:
            load.wait_for_more(50)
        self.assertEqual(len(blue.requests), after)
        self.assertEqual(old.wait(15), 0)
        for load in loads:
            load.stop()
            self.assertEqual(load.failed(), [])

    def test_operators_wait_for_the_next_process(self):
        edge, program = self.edge_of_a_program()
        go = edge.folder / "go"
        os.mkfifo(go)
        script(program, f'read line <"{go}"\nexec "{PROGRAM}" "$@"\n')
        edge.begin_upgrade()
        edge.wait_log("is started as process")
        told = []
        asking = threading.Thread(target=lambda: told.append(edge.command("status", "--json")))
        asking.start()
        edge.signal(signal.SIGUSR2)
        edge.wait_log("upgrade refused: one is under way")
        edge.signal(signal.SIGHUP)
        edge.wait_log("reload refused: an upgrade is under way")
        self.assertEqual(edge.fetch().text, "one")
        self.assertEqual(told, [])
        go.write_text("\n")
        asking.join(20)
        self.assertEqual(self.upgraded(edge).wait(10), 0)
        self.assertEqual(json.loads(told[0].stdout)["pid"], edge.process.pid)


class Failure(UpgradeTest):
    def goes_on(self, edge, why):
        edge.wait_log(f"upgrade failed, and this process goes on: {why}")
        self.assertEqual(edge.fetch().text, "one")
        self.assertEqual(self.pid(edge), edge.process.pid)
        self.assertEqual(edge.reload(ONE).returncode, 0)

    def test_a_mistake_in_the_file(self):
        edge = self.gate(ONE)
        edge.write("sites: [{ routes: [{ path: /*, prox: x }] }]\n")
        edge.signal(signal.SIGUSR2)
        self.goes_on(edge, "it ended with exit code 1")
        self.assertIn(":1:", edge.err.text)
        self.assertEqual(self.scrape(edge).sum("headgate_upgrades_failed_total"), 1)
        old = self.upgrade(edge)
        self.assertEqual(old.wait(10), 0)
        self.assertEqual(edge.fetch().text, "one")

    def test_a_new_listener_that_cannot_be_had(self):
        """The new process has everything else by then, and lets go of it: the files of sockets stay with the old one."""
        folder = self.folder()
        path = folder / "edge.sock"
        both = f"listeners: [{{ address: '127.0.0.1:0' }}, {{ address: 'unix:{path}' }}"
        edge = self.gate(f"{both}]\n" + ONE, folder=folder, listeners=2)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for more in (f"listeners: [{{ address: '127.0.0.1:{port}' }}]", f"metrics: {{ listen: '127.0.0.1:{port}' }}"):
                with self.subTest(more):
                    wanted = f"{both}, {{ address: '127.0.0.1:{port}' }}]\n" if "listeners" in more else f"{both}]\n{more}\n"
                    edge.write(wanted + ONE)
                    failed = edge.count_log("upgrade failed")
                    edge.signal(signal.SIGUSR2)
                    edge.wait_log("upgrade failed", failed + 1)
                    self.assertIn(str(port), edge.err.text)
                    self.assertEqual(fetch(str(path)).text, "one")
                    self.assertEqual(edge.command("status").returncode, 0)
        edge.stop()
        self.assertFalse(path.exists())

    def test_a_program_that_is_not_there(self):
        edge, _ = self.edge_of_a_program()
        edge.signal(signal.SIGUSR2)
        self.goes_on(edge, "it cannot be started")

    def test_a_program_that_does_not_serve_is_ended_with_this_one(self):
        edge, program = self.edge_of_a_program()
        script(program, "exec sleep 600\n")
        edge.signal(signal.SIGUSR2)
        pid = int(edge.wait_log("is started as process").split()[-1])
        edge.stop()
        self.assertFalse(pathlib.Path(f"/proc/{pid}").exists())

    def test_a_demo(self):
        demo = subprocess.Popen([PROGRAM, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        said = Lines(demo.stderr)
        out = Lines(demo.stdout)
        try:
            self.assertTrue(out.wait(lambda lines: any("Ctrl-C" in line for line in lines)))
            demo.send_signal(signal.SIGUSR2)
            self.assertTrue(said.wait(lambda lines: any("upgrade refused: a demo" in line for line in lines)))
        finally:
            demo.send_signal(signal.SIGTERM)
            self.assertEqual(demo.wait(15), 0)
            demo.stdout.close()
            demo.stderr.close()

    def test_a_handover_that_is_none(self):
        for text in ("", "x", "{}", '{"line": 99, "listeners": []}', '{"line": 0, "listeners": []}',
                     '{"line": 1, "listeners": [{"address": "127.0.0.1:0", "sockets": [77]}]}'):
            with self.subTest(text):
                file = self.folder() / "headgate.yaml"
                file.write_text("listeners: [{ address: '127.0.0.1:0' }]\n" + ONE)
                done = run_program("serve", "-c", file, env={"HEADGATE_HANDOVER": text})
                self.assertEqual(done.returncode, 1)
                self.assertIn("HEADGATE_HANDOVER", done.stderr)


class ServiceManager(UpgradeTest):
    def test_is_told_who_serves(self):
        folder = self.folder()
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(str(folder / "notify"))
        manager.settimeout(10)
        edge = self.gate(ONE, env={"NOTIFY_SOCKET": str(folder / "notify")})
        self.assertEqual(manager.recv(100), b"READY=1")
        old = self.upgrade(edge)
        self.assertEqual({manager.recv(100) for _ in range(2)}, {b"READY=1", f"MAINPID={edge.process.pid}".encode()})
        self.assertEqual(old.wait(10), 0)
        edge.stop()
        self.assertEqual(manager.recv(100), b"STOPPING=1")


if __name__ == "__main__":
    unittest.main()
