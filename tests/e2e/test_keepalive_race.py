# SPDX-License-Identifier: Apache-2.0
"""Connections that an origin closes while a request is on its way to it: how many requests that costs, before it has
been learnt how long this origin keeps them, and after."""

import random
import threading
import time
import unittest

from client import Client
from harness import answer
from server_process import ServerProcess
from test_upstream_failures import FailureTest


class Race(FailureTest):
    def impatient(self):
        """In a process of its own, so that nothing but the network is between it and the program."""
        server = ServerProcess("impatient", "0.005", "0.05")
        self.addCleanup(server.close)
        return server

    def paced(self, edge, clients, method, longest):
        pace = random.Random(method)
        return self.traffic(edge, clients, method, pause=lambda: pace.uniform(0, longest))

    def test_requests_that_can_be_repeated(self):
        origin = self.impatient()
        edge = self.gate_to([origin], top="workers: 2")
        all_traffic = [self.paced(edge, 2, "GET", longest) for longest in (0.005, 0.02, 0.06, 0.12)]
        for traffic in all_traffic:
            traffic.wait_for_more(100)
        for traffic in all_traffic:
            traffic.stop()
            self.assertEqual(traffic.failed(), [])
        self.assertGreater(origin.count("closes"), 20)

    def test_requests_that_cannot(self):
        origin = self.impatient()
        edge = self.gate_to([origin])
        gets = self.paced(edge, 2, "GET", 0.06)
        posts = [self.paced(edge, 2, "POST", longest) for longest in (0.005, 0.02, 0.06, 0.12)]
        time_to_learn = time.time() + 1
        for traffic in [gets, *posts]:
            traffic.wait_for_more(80)
        while time.time() < time_to_learn:
            gets.wait_for_more(5)
        learned = time.time()
        for traffic in [gets, *posts]:
            traffic.wait_for_more(80)
            traffic.stop()
        self.assertEqual(gets.failed(), [])
        failed = [asked for traffic in posts for asked in traffic.failed()]
        asked = sum(len(traffic.results) for traffic in posts)
        self.assertLessEqual(len(failed), 8, f"of {asked}")
        # Not one, on a machine that lets the program run when its turn is; one that holds it up for longer than the origin
        # waits makes it find an answer that has lain there for as long, on a connection that looks young.
        late = [one for one in failed if one.begun > learned]
        self.assertLessEqual(len(late), asked // 1000, late)
        ids = [number for method, number in origin.begun() if method == "POST"]
        self.assertEqual(len(ids), len(set(ids)), "a POST was sent twice")


class Told(FailureTest):
    def test_what_the_origin_says_is_kept_to(self):
        """Keep-Alive: timeout=1. No request arrives on a connection that has been idle for longer."""
        idle_since, ages = {}, []

        def handler(request, connection):
            since = idle_since.get(connection.number)
            if since is not None:
                ages.append(time.monotonic() - since)
            connection.send(answer(headers=[("Keep-Alive", "timeout=1, max=100")]))
            idle_since[connection.number] = time.monotonic()

        origin = self.origin(handler)
        edge = self.gate_to([origin])
        gap = threading.Event()
        for seconds in (0, 0.3, 0.6, 1.05, 0.2, 1.3, 0.5, 0.95, 0):
            gap.wait(seconds)
            self.assertEqual(edge.fetch("/").status, 200)
        self.assertGreaterEqual(len(ages), 4, "younger ones are used again")
        self.assertLess(max(ages), 1)
        self.assertGreaterEqual(origin.connections, 3)

    def test_the_client_is_not_told(self):
        edge = self.gate_to([self.origin(lambda request, connection: answer(headers=[("Keep-Alive", "timeout=1")]))])
        with edge.connect() as client:
            self.assertIsNone(client.request().header("Keep-Alive"))
            self.assertEqual(client.request().status, 200)


class Order(FailureTest):
    def test_most_recently_used_first(self):
        go = threading.Semaphore(0)

        def handler(request, connection):
            if request.target == "/hold":
                go.acquire(timeout=20)
            return answer(body=str(connection.number).encode())

        origin = self.origin(handler)
        edge = self.gate_to([origin])
        clients = [Client(edge.address) for _ in range(5)]
        for client in clients:
            self.addCleanup(client.close)
            client.send_request(target="/hold")
        origin.wait_requests(5)
        last = None
        for _ in clients:
            go.release()
        for client in clients:
            last = client.read_response().text
        self.assertEqual(origin.connections, 5)
        # The first request takes the one that came back last, whichever that was, and so do all others.
        used = {edge.fetch("/").text for _ in range(20)}
        self.assertEqual(len(used), 1, (used, last))
        self.assertEqual(origin.connections, 5)

    def test_a_connection_that_is_closed_already_is_not_used(self):
        """Not even by a POST, and nobody has to wait or learn anything for that."""
        origin = self.origin(lambda request, connection: connection.send(answer()) or False)
        edge = self.gate_to([origin])
        for count in range(1, 21):
            self.assertEqual(edge.fetch("/", "POST", body=b"x").status, 200)
            origin.wait_for(lambda count=count: origin.closed == count)
        self.assertEqual(len(origin.requests), 20)


if __name__ == "__main__":
    unittest.main(verbosity=2)
