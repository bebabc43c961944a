# SPDX-License-Identifier: Apache-2.0
"""The life of the program: reload, stop, signals, logs, workers. Nothing is lost by change."""

import os
import pathlib
import signal
import socket
import threading
import unittest

from client import Broken, Client
from harness import GateTest, answer, fetch, wait_until
from http2_client import Http2Client

ONE = "sites: [{ routes: [{ path: /*, respond: { status: 200, body: one } }] }]\n"
TWO = "sites: [{ routes: [{ path: /*, respond: { status: 200, body: two } }] }]\n"


class Reload(GateTest):
    def test_by_command(self):
        edge = self.gate(ONE)
        self.assertEqual(edge.fetch().text, "one")
        done = edge.reload(TWO)
        self.assertEqual(edge.fetch().text, "two")
        self.assertNotEqual(done.stdout.strip(), "")

    def test_by_signal(self):
        edge = self.gate(ONE)
        edge.write(TWO)
        edge.signal(signal.SIGHUP)
        wait_until(lambda: edge.fetch().text == "two", what="the reload")

    def test_kept_connection_gets_the_new_configuration(self):
        edge = self.gate(ONE)
        with edge.connect() as client:
            self.assertEqual(client.request().text, "one")
            edge.reload(TWO)
            self.assertEqual(client.request().text, "two")

    def test_request_in_flight_ends_with_its_own(self):
        go = threading.Event()
        self.addCleanup(go.set)

        def handler(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nold\r\n")
            go.wait(10)
            connection.send(b"4\r\n end\r\n0\r\n\r\n")
            return True

        edge, _ = self.proxied(handler)
        with edge.connect() as client:
            client.send_request()
            head = client.read_final_head()
            self.assertEqual(client.reader.chunk(), b"old")
            for text in (ONE, TWO, ONE):
                edge.reload(text)
            go.set()
            self.assertEqual(client.read_body(head).body, b" end")
            self.assertEqual(client.request().text, "one")

    def test_request_waiting_for_its_answer_survives(self):
        go = threading.Event()
        self.addCleanup(go.set)
        edge, origin = self.proxied(lambda request, connection: go.wait(10) and answer(body=b"old"))
        with edge.connect() as client:
            client.send_request()
            origin.wait_requests(1)
            edge.reload(ONE)
            go.set()
            self.assertEqual(client.read_response().text, "old")

    def test_bad_file_changes_nothing(self):
        edge = self.gate(ONE)
        for text, place, word in [("sites:\n  - routes:\n      - { path: /*, prox: x }\n", "3:", "proxy"),
                                  ("sites: [\n", ":", ""),
                                  ("sites: [{ routes: [{ path: /*, proxy: nowhere }] }]\n", "1:", "nowhere"),
                                  ("limits: { header_timeout: soon }\n" + ONE, "1:", "soon")]:
            with self.subTest(text):
                edge.write(text)
                done = edge.command("reload")
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stdout + done.stderr, rf"({place})\d+")
                self.assertIn(word, done.stdout + done.stderr)
                self.assertEqual(edge.fetch().text, "one")
        before = edge.count_log("reload")
        edge.signal(signal.SIGHUP)
        edge.wait_log("reload", before + 1)
        self.assertEqual(edge.fetch().text, "one")
        edge.reload(TWO)
        self.assertEqual(edge.fetch().text, "two")

    def test_all_mistakes_in_one_run(self):
        edge = self.gate(ONE)
        edge.write("limits:\n  header_timeout: soon\n  max_header: 1\nsites:\n  - routes:\n      - { path: /*, proxy: nowhere }\n")
        said = (lambda done: done.stdout + done.stderr)(edge.command("reload"))
        for place in (r":2:\d+", r":3:\d+", r":6:\d+"):
            self.assertRegex(said, place)

    def test_no_instance(self):
        edge = self.gate(ONE)
        edge.stop()
        done = edge.command("reload")
        self.assertEqual(done.returncode, 1)
        self.assertNotEqual(done.stderr.strip(), "")

    def test_listeners_come_and_go(self):
        edge = self.gate(ONE)
        extra = str(edge.folder / "extra.sock")
        edge.reload(f'listeners: [{{ address: "127.0.0.1:0" }}, {{ address: "unix:{extra}" }}]\n' + TWO)
        self.assertEqual(fetch(extra).text, "two")
        self.assertEqual(edge.fetch().text, "two")
        with Client(extra) as client:
            self.assertEqual(client.request().text, "two")
            edge.reload(ONE)
            try:
                self.assertEqual(client.request().text, "one")
            except (Broken, ConnectionError):
                pass  # a kept connection of a listener that is gone may be closed while it is idle
        with self.assertRaises(OSError):
            fetch(extra)

    def test_listeners_change_what_they_speak(self):
        """HTTP/2 in clear and back, on a port and on a path: the sockets stay, and who is connected stays."""
        path = self.folder() / "edge.sock"
        def config(more, body):
            return (f"listeners: [{{ address: '127.0.0.1:0'{more} }}, {{ address: 'unix:{path}'{more} }}]\n"
                    f"sites: [{{ routes: [{{ path: /*, respond: {{ status: 200, body: {body} }} }}] }}]\n")
        edge = self.gate(config("", "one"), listeners=2)
        address = edge.address
        with edge.connect() as kept:
            self.assertEqual(kept.request().text, "one")
            for body in ("two", "three"):
                edge.reload(config(", h2c: true", body))
                for place in (address, str(path)):
                    with Http2Client(place) as client:
                        self.assertEqual(client.fetch("/").body, body.encode())
                    self.assertEqual(fetch(place).text, body)
                self.assertEqual(kept.request().text, body)
            edge.reload(config("", "four"))
            for place in (address, str(path)):
                self.assertEqual(fetch(place).text, "four")
                with Http2Client(place) as client, self.assertRaises((Broken, OSError)):
                    client.fetch("/")

    def test_listener_that_cannot_be_had(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            edge = self.gate(ONE)
            edge.write(f'listeners: [{{ address: "127.0.0.1:0" }}, {{ address: "127.0.0.1:{port}" }}]\n' + TWO)
            done = edge.command("reload")
            self.assertEqual(done.returncode, 1)
            self.assertIn(str(port), done.stdout + done.stderr)
            self.assertEqual(edge.fetch().text, "one")

    def test_no_request_fails_while_reloading(self):
        origin = self.origin(lambda request, connection: answer(body=b"x" * 2000))
        config = f"workers: 2\nsites: [{{ routes: [{{ path: /*, proxy: '{origin.url}' }}] }}]\n"
        edge = self.gate(config)
        stop = threading.Event()
        failures, counts = [], []

        def load():
            count = 0
            try:
                while not stop.is_set():
                    with edge.connect() as client:
                        for _ in range(20):
                            response = client.request(target="/load")
                            count += 1
                            if (response.status, len(response.body)) != (200, 2000):
                                failures.append(response)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)
            counts.append(count)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(15):
            edge.reload(config + f"limits: {{ max_body: {number + 1}MiB }}\n")
        stop.set()
        for thread in threads:
            thread.join(20)
        self.assertEqual(failures, [])
        self.assertGreater(sum(counts), 50)

    def test_generations_do_not_pile_up(self):
        edge = self.gate(ONE)
        for _ in range(5):
            edge.reload(TWO)
        before = edge.resident()
        routes = "".join(f"      - {{ path: /r{i}/*, respond: {{ status: 200, body: r }} }}\n" for i in range(2000))
        for _ in range(3):
            edge.reload("sites:\n  - routes:\n" + routes)
        grown = edge.resident()
        for _ in range(20):
            edge.reload("sites:\n  - routes:\n" + routes)
        self.assertLess(edge.resident() - grown, 8 * max(grown - before, 2 << 20))


class Stop(GateTest):
    def held(self, top=""):
        """(edge, origin, client, release) with one request whose answer waits for release()."""
        go = threading.Event()
        self.addCleanup(go.set)
        edge, origin = self.proxied(lambda request, connection: go.wait(15) and answer(body=b"finished"), top=top)
        client = self.client(edge.address)
        client.send_request(target="/held")
        origin.wait_requests(1)
        return edge, origin, client, go.set

    def refuses(self, edge):
        try:
            socket.create_connection(edge.address, timeout=1).close()
            return False
        except OSError:
            return True

    def test_finishes_what_is_in_flight(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            with self.subTest(number):
                edge, _, client, release = self.held()
                address = edge.address
                edge.signal(number)
                wait_until(lambda: self.refuses(edge), what="no more connections to be taken")
                self.assertIsNone(edge.process.poll())
                release()
                response = client.read_response()
                self.assertEqual(response.text, "finished")
                self.assertEqual(response.header("Connection").lower(), "close")
                self.assertEqual(client.rest(), b"")
                self.assertEqual(edge.wait_exit(), 0)
                self.assertEqual(edge.wait_access(lambda r: r["uri"] == "/held")["status"], 200)
                self.assertRaises(OSError, Client, address)

    def test_idle_connections_are_closed(self):
        edge = self.gate(ONE)
        with edge.connect() as client:
            self.assertEqual(client.request().text, "one")
            edge.signal(signal.SIGTERM)
            self.assertEqual(client.rest(), b"")
        self.assertEqual(edge.wait_exit(), 0)

    def test_accepted_connection_is_served(self):
        """A browser that has connected and is about to send: its request is answered, not cut."""
        edge, _, held, release = self.held()
        with edge.connect() as early:
            with edge.connect() as begun:
                begun.send(b"GET /begun HTTP/1.1\r\nHo")
                self.assertEqual(self.own_answer(edge), 400)  # taken after the other two: they were accepted, too
                edge.signal(signal.SIGTERM)
                wait_until(lambda: self.refuses(edge), what="no more connections to be taken")
                release()
                self.assertEqual(held.read_response().text, "finished")
                begun.send(b"st: example.test\r\n\r\n")
                response = begun.read_response()
                self.assertEqual((response.text, response.header("Connection").lower()), ("finished", "close"))
            early.send_request(target="/early")
            response = early.read_response()
            self.assertEqual((response.text, response.header("Connection").lower()), ("finished", "close"))
        self.assertEqual(edge.wait_exit(), 0)

    @staticmethod
    def own_answer(edge):
        """The status of a request that the edge answers by itself, whatever the origin does."""
        with edge.connect() as client:
            client.send(b"GET /%00 HTTP/1.1\r\nHost: example.test\r\n\r\n")
            return client.read_response().status

    def test_grace_ends(self):
        edge, _, client, _ = self.held("shutdown_grace: 500ms")
        edge.signal(signal.SIGTERM)
        edge.wait_exit()
        self.assertEqual(client.read_response().status, 503)
        self.assertEqual(edge.wait_access()["error"], "stopping")

    def test_second_signal_stops_at_once(self):
        edge, _, client, _ = self.held("shutdown_grace: 1h")
        edge.signal(signal.SIGTERM)
        wait_until(lambda: self.refuses(edge), what="no more connections to be taken")
        self.assertIsNone(edge.process.poll())
        edge.signal(signal.SIGTERM)
        edge.wait_exit()
        self.assertEqual(client.read_response().status, 503)
        self.assertEqual(edge.wait_access()["error"], "stopping")

    def test_sockets_are_removed(self):
        edge = self.gate(f'listeners: [{{ address: "127.0.0.1:0" }}, {{ address: "unix:{self.folder()}/a.sock" }}]\n' + ONE, listeners=2)
        path = next(a for a, _ in edge.listeners if a.startswith("unix:")).removeprefix("unix:")
        self.assertEqual(fetch(path).text, "one")
        edge.stop()
        self.assertFalse(os.path.exists(path))
        self.assertFalse(os.path.exists(edge.admin.removeprefix("unix:")))

    def test_starts_over_a_socket_left_behind(self):
        folder = self.folder()
        config = f'listeners: [{{ address: "127.0.0.1:0" }}, {{ address: "unix:{folder}/a.sock" }}]\n' + ONE
        edge = self.gate(config, folder=folder, listeners=2)
        edge.process.kill()
        edge.process.wait()
        edge.stopped = True
        self.assertTrue(os.path.exists(f"{folder}/a.sock"))
        self.gate(config, folder=folder, listeners=2)
        self.assertEqual(fetch(f"{folder}/a.sock").text, "one")


class Logs(GateTest):
    def test_reopen(self):
        folder = self.folder()
        edge = self.gate(f"access_log: {{ format: json, output: '{folder}/access.log' }}\nlog: {{ output: stderr }}\n" + ONE)
        access = pathlib.Path(folder / "access.log")
        edge.fetch("/first")
        wait_until(lambda: "/first" in access.read_text(), what="the first line")
        access.rename(folder / "access.log.1")
        edge.signal(signal.SIGUSR1)
        wait_until(access.exists, what="the new file")
        edge.fetch("/second")
        wait_until(lambda: "/second" in access.read_text(), what="the second line")
        self.assertNotIn("/second", (folder / "access.log.1").read_text())
        self.assertNotIn("/first", access.read_text())

    def test_reopen_of_the_programs_own_log(self):
        folder = self.folder()
        log = folder / "headgate.log"
        edge = self.gate(f"log: {{ output: '{log}' }}\nlisteners: [{{ address: 'unix:{folder}/a.sock' }}]\n" + ONE, folder=folder, listeners=0)
        wait_until(lambda: log.exists() and "listening on" in log.read_text(), what="the first lines")
        log.rename(folder / "headgate.log.1")
        edge.signal(signal.SIGUSR1)
        wait_until(log.exists, what="the new file")
        edge.signal(signal.SIGHUP)
        wait_until(lambda: "reload" in log.read_text(), what="a line in the new file")
        self.assertNotIn("listening on", log.read_text())
        self.assertEqual(fetch(f"{folder}/a.sock").text, "one")

    def test_one_line_a_request(self):
        edge = self.gate("workers: 2\n" + ONE)
        for i in range(200):
            edge.fetch(f"/line-{i}")
        edge.stop()
        self.assertEqual(sorted(record["uri"] for record in edge.access_log()), sorted(f"/line-{i}" for i in range(200)))

    def test_hostile_text_stays_in_its_line(self):
        edge = self.gate(ONE)
        edge.fetch('/x?"a"=\\b', headers=[("User-Agent", 'a"\\\tb\u00e9')])
        record = edge.wait_access()
        self.assertEqual(record["uri"], '/x?"a"=\\b')
        self.assertTrue(record["user_agent"].startswith('a"\\\tb'))

    def test_off(self):
        edge = self.gate("access_log: { format: off }\n" + ONE)
        self.assertEqual(edge.fetch().status, 200)
        edge.stop()
        self.assertEqual(edge.out.text, "")


class Workers(GateTest):
    def test_two_workers(self):
        origin = self.origin()
        edge = self.gate(f"workers: 2\nsites: [{{ routes: [{{ path: /*, proxy: '{origin.url}' }}] }}]\n")
        clients = [self.client(edge.address) for _ in range(40)]
        for number, client in enumerate(clients):
            client.send_request(target=f"/{number}")
        for client in clients:
            self.assertEqual(client.read_response().status, 200)
        self.assertEqual(len(list(pathlib.Path(f"/proc/{edge.process.pid}/task").iterdir())) >= 2, True)
        self.assertEqual(sorted(origin.targets), sorted(f"/{n}" for n in range(40)))

    def test_max_connections_per_ip(self):
        edge = self.gate("limits: { max_connections_per_ip: 3 }\n" + ONE)
        kept = [self.client(edge.address) for _ in range(3)]
        for client in kept:
            self.assertEqual(client.request().status, 200)
        with edge.connect() as refused:
            try:
                self.assertIn(refused.request().status, (429, 503))
            except (Broken, ConnectionError):
                pass  # closed at once
        kept.pop().close()
        wait_until(lambda: self.served(edge), what="room for one more")

    @staticmethod
    def served(edge):
        try:
            return edge.fetch().status == 200
        except (Broken, ConnectionError):
            return False


if __name__ == "__main__":
    unittest.main(verbosity=2)
