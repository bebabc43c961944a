# SPDX-License-Identifier: Apache-2.0
"""Servers that die, hang, err, flap or are full, while clients go on asking: what the clients see of it, what reaches
the servers, and how soon a server that is not well is left alone."""

import datetime
import threading
import time
import unittest

from client import Broken
from harness import GateTest, answer
from server_process import ServerProcess, Traffic
from test_proxy_upstreams import free_port


class FailureTest(GateTest):
    def server(self, name):
        server = ServerProcess(name)
        self.addCleanup(server.close)
        return server

    def gate_to(self, servers, settings="", top="", route="", access_log=False, **more):
        if not access_log:
            top += "\naccess_log: { format: off }"
        listed = ", ".join(getattr(server, "address", server) for server in servers)
        return self.gate(f"{top}\nupstreams:\n  app: {{ servers: [{listed}]{', ' if settings else ''}{settings} }}\n"
                         f"sites: [{{ routes: [{{ path: /*, proxy: app{route} }}] }}]\n", **more)

    def traffic(self, edge, *arguments, **more):
        traffic = Traffic(edge.address, *arguments, **more)
        self.addCleanup(traffic.stop)
        return traffic

    def named(self, name, status=lambda: 200, **more):
        """An origin that answers with its name and the status of the moment."""
        def handler(request, connection):
            code = status()
            return answer(code, f"{name} says {code}".encode(), [("X-From", name), ("X-Code", str(code))])
        return self.origin(handler, **more)


def logged_at(line):
    """The time of a log line, in seconds of the system's clock."""
    return datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp()


class OneOfTwo(FailureTest):
    """Two real processes, one of which gets into trouble under load."""

    def test_killed(self):
        servers = [self.server("a"), self.server("b")]
        edge = self.gate_to(servers, "ejection: { base_time: 60s }", top="workers: 2")
        gets, posts = self.traffic(edge, 6), self.traffic(edge, 3, "POST")
        for traffic in (gets, posts):
            traffic.wait_for_more(60)
        begun = time.time()
        servers[0].kill()
        dead = time.time()
        ejected = logged_at(edge.wait_log(f"server {servers[0].address}: ejected"))
        for traffic in (gets, posts):
            traffic.wait_for_more(60)
            traffic.stop()
        self.assertLess(ejected - begun, 1)
        self.assertEqual(gets.failed(), [])
        # What was being answered when it died is lost, or came while it was dying, and nothing later.
        lost = posts.failed()
        self.assertEqual([asked for asked in lost if asked.begun > dead or asked.ended < begun], [])
        self.assertTrue(all(asked.status == 502 for asked in lost), lost)
        taken = [number for server in servers for method, number in server.begun() if method == "POST"]
        self.assertEqual(len(taken), len(set(taken)), "a POST was sent twice")

    def test_dies_with_all_that_it_has_taken(self):
        """More than the budget's three, over connections that are new, and it was well until then: each is answered by the
        other."""
        clients, here, full = 16, [], threading.Event()

        def die(request, connection):
            if request.target == "/well":
                return answer()
            here.append(request)
            if len(here) >= clients // 2:
                full.set()
            full.wait(20)
            return False

        dying, good = self.origin(die), self.named("good")
        edge = self.gate_to([dying, good])
        for _ in range(60):
            self.assertEqual(edge.fetch("/well").status, 200)
        waiting = [edge.connect() for _ in range(clients)]
        for client in waiting:
            self.addCleanup(client.close)
            client.send_request()
        self.assertEqual([client.read_response().status for client in waiting], [200] * clients)
        # The one on the kept connection may have been sent to it again.
        self.assertIn(len(here), (clients // 2, clients // 2 + 1))
        self.assertEqual(good.targets.count("/"), clients)

    def test_hangs_and_goes_on(self):
        servers = [self.server("a"), self.server("b")]
        edge = self.gate_to(servers, "timeouts: { first_byte: 300ms }, ejection: { base_time: 400ms, max_time: 1s }")
        traffic = self.traffic(edge, 6)
        traffic.wait_for_more(60)
        servers[0].pause()
        stopped = time.time()
        name = f"server {servers[0].address}"
        detected = logged_at(edge.wait_log(f"{name}: ejected"))
        edge.wait_log(f"{name}: ejected: its trial failed")
        traffic.wait_for_more(30)
        servers[0].resume()
        edge.wait_log(f"{name}: returned")
        servers[0].wait_for_more(20)
        traffic.stop()
        self.assertLess(detected - stopped, 0.3 + 1)
        failed = traffic.failed()
        # Each of the six may have come once more before the news had reached all.
        self.assertEqual([asked for asked in failed if asked.begun > detected + 0.3], [])
        self.assertLessEqual(len(failed), 12)

    def test_errors_of_one(self):
        said = []

        def status():
            said.append(1)
            return 503 if len(said) % 5 < 3 else 200

        bad, good = self.named("bad", status), self.named("good")
        edge = self.gate_to([bad, good], "ejection: { base_time: 60s }")
        # At a rate at which a machine that is busy with other things does not get hundreds of requests behind.
        traffic = self.traffic(edge, 3, pause=lambda: 0.01)
        line = edge.wait_log(f"server {bad.address}: ejected")
        self.assertRegex(line, r"(\d+ of \d+ requests failed|\d+ errors in a row); for 60 s")
        traffic.wait_for_more(50)
        traffic.stop()
        self.assertEqual(traffic.failed(), [])
        asked = len(bad.requests)
        self.assertLess(asked, 60, "20 requests are enough for a judgement, and all know of it soon")
        for _ in range(10):
            self.assertEqual(edge.fetch().header("X-From"), "good")
        self.assertEqual(len(bad.requests), asked)

    def test_answers_that_are_broken_off(self):
        """They cannot be saved, but a server that breaks off each of its answers is not well, whatever their heads say."""
        breaking = self.origin(lambda request, connection: connection.send(answer(body=b"whole")[:-2]) or False)
        good = self.named("good")
        edge = self.gate_to([breaking, good], "ejection: { base_time: 60s }")
        broken = 0
        for _ in range(30):
            try:
                self.assertEqual(edge.fetch().status, 200)
            except Broken:
                broken += 1
        edge.wait_log(f"server {breaking.address}: ejected: 5 errors in a row")
        self.assertLess(broken, 15)

    def test_flapping(self):
        now = [503]
        bad, good = self.named("flapping", lambda: now[0]), self.named("good")
        edge = self.gate_to([bad, good], "ejection: { base_time: 100ms, max_time: 5m }")
        traffic = self.traffic(edge, 3)
        edge.wait_log("ejected:")
        for _ in range(3):
            seen = edge.count_log("returned")
            now[0] = 200
            edge.wait_log("returned", seen + 1)
            seen = edge.count_log("ejected:")
            now[0] = 503
            edge.wait_log("ejected:", seen + 1)
        traffic.stop()
        self.assertEqual(traffic.failed(), [])
        times = [float(line.split("; for ")[1].split()[0]) for line in edge.err.lines if ": ejected:" in line]
        self.assertGreaterEqual(len(times), 4)
        self.assertEqual(times, [float(f"{0.1 * 2 ** i:.3g}") for i in range(len(times))], "each twice the one before")

    def test_absent_at_the_start(self):
        port = free_port()
        edge = self.gate_to([f"127.0.0.1:{port}"])
        for _ in range(10):
            self.assertEqual(edge.fetch().status, 502)
        self.named("late", port=port)
        self.assertEqual(edge.fetch().text, "late says 200")

    def test_one_of_two_absent_at_the_start(self):
        port = free_port()
        good = self.named("good")
        edge = self.gate_to([f"127.0.0.1:{port}", good], "ejection: { base_time: 100ms, max_time: 200ms }")
        for method in ("GET", "POST") * 10:
            self.assertEqual(edge.fetch("/", method).status, 200)
        late = self.named("late", port=port)
        traffic = self.traffic(edge, 2)
        late.wait_requests(5)
        traffic.stop()
        self.assertEqual(traffic.failed(), [])


class LastOnes(FailureTest):
    def test_the_only_server_is_never_ejected(self):
        now = [503]
        only = self.named("only", lambda: now[0])
        edge = self.gate_to([only], "ejection: { max_ejected: 100% }")
        for _ in range(30):
            response = edge.fetch()
            self.assertEqual((response.status, response.text), (503, "only says 503"))
        edge.wait_log("ejection_refused")
        now[0] = 200
        self.assertEqual(edge.fetch().text, "only says 200")
        self.assertEqual(edge.count_log(": ejected:"), 0)

    def test_all_fail(self):
        """Nobody hears an error of the proxy's own while a server answers, whatever it answers."""
        now = [503]
        servers = [self.named(name, lambda: now[0]) for name in ("a", "b")]
        edge = self.gate_to(servers, "ejection: { max_ejected: 100%, base_time: 100ms, max_time: 200ms }")
        traffic = self.traffic(edge, 4)
        edge.wait_log("ejection_refused")
        traffic.wait_for_more(100)
        self.assertTrue(all(asked.answer and asked.answer.header("X-From") for asked in traffic.results))
        now[0] = 200
        edge.wait_log("returned")
        well = time.time()
        traffic.wait_for_more(50)
        traffic.stop()
        self.assertEqual([asked for asked in traffic.failed() if asked.begun > well], [])

    def test_the_servers_own_answer(self):
        servers = [self.named(name, lambda: 503) for name in ("a", "b")]
        edge = self.gate_to(servers, access_log=True)
        response = edge.fetch()
        self.assertEqual(response.status, 503)
        self.assertIn(response.header("X-From"), ("a", "b"))
        self.assertEqual(response.header("X-Code"), "503")
        self.assertEqual(response.text, f"{response.header('X-From')} says 503")
        self.assertEqual([len(server.requests) for server in servers], [1, 1])
        self.assertEqual(edge.wait_access()["attempts"], 2)


class Bodies(FailureTest):
    def test_sent_again_whole_or_not_at_all(self):
        """What was kept of it can be sent again; what was not leaves the client the first server's own answer."""
        bad = self.named("bad", lambda: 503)
        good = self.origin(lambda request, connection: answer(body=str(len(request.body)).encode()))
        edge = self.gate_to([bad, good], "ejection: { consecutive_errors: 0, error_rate: 0% }", route=", max_body: 20MiB")
        for size in (1, 20_000, 60_000):
            for _ in range(2):
                response = edge.fetch("/", "PUT", body=b"x" * size)
                self.assertEqual((response.status, response.text), (200, str(size)))
        texts = [edge.fetch("/", "PUT", body=b"x" * 1_000_000).text for _ in range(4)]
        self.assertEqual(sorted(texts), ["1000000"] * 2 + ["bad says 503"] * 2)


class Once(FailureTest):
    """What may not be repeated reaches a server once."""

    def taken(self, *origins):
        ids = [request.header("X-Id") for origin in origins for request in origin.requests]
        self.assertEqual(len(ids), len(set(ids)), "a request was sent twice")
        return ids

    def posts(self, edge, count):
        return [edge.fetch("/", "POST", headers=[("X-Id", str(i))], body=b"pay").status for i in range(count)]

    def test_a_broken_connection(self):
        breaking = self.origin(lambda request, connection: False)
        good = self.named("good")
        edge = self.gate_to([breaking, good], "ejection: { consecutive_errors: 0, error_rate: 0% }")
        self.assertEqual(sorted(self.posts(edge, 20)), [200] * 10 + [502] * 10)
        self.assertEqual(len(self.taken(breaking, good)), 20)

    def test_an_error(self):
        bad, good = self.named("bad", lambda: 503), self.named("good")
        edge = self.gate_to([bad, good], "ejection: { consecutive_errors: 0, error_rate: 0% }")
        self.assertEqual(sorted(self.posts(edge, 20)), [200] * 10 + [503] * 10)
        self.assertEqual(len(self.taken(bad, good)), 20)

    def test_a_timeout(self):
        release = threading.Event()
        self.addCleanup(release.set)
        hanging = self.origin(lambda request, connection: not release.wait(20))
        good = self.named("good")
        edge = self.gate_to([hanging, good], "timeouts: { first_byte: 100ms }, "
                            "ejection: { consecutive_errors: 0, error_rate: 0% }")
        self.assertEqual(sorted(self.posts(edge, 8)), [200] * 4 + [504] * 4)
        self.assertEqual(len(self.taken(hanging, good)), 8)

    def test_a_refused_connection_costs_nothing(self):
        good = self.named("good")
        edge = self.gate_to([f"127.0.0.1:{free_port()}", good], "ejection: { consecutive_errors: 0, error_rate: 0% }")
        self.assertEqual(self.posts(edge, 20), [200] * 20)
        self.assertEqual(len(self.taken(good)), 20)


class Budget(FailureTest):
    def test_retries_do_not_multiply_the_load(self):
        taking_time = threading.Event()
        self.addCleanup(taking_time.set)

        def overloaded(request, connection):
            taking_time.wait(0.02)
            return answer(503, b"too much", [("X-From", "origin")])

        servers = [self.origin(overloaded) for _ in range(3)]
        edge = self.gate_to(servers, "ejection: { consecutive_errors: 0, error_rate: 0% }", top="workers: 2")
        traffic = self.traffic(edge, 25)
        traffic.wait_for_more(600)
        results = traffic.stop()
        attempts = sum(len(server.requests) for server in servers)
        self.assertTrue(all(asked.status == 503 and asked.answer.header("X-From") for asked in results))
        self.assertGreater(attempts, len(results))
        self.assertLess(attempts, 1.3 * len(results) + 3)


class Places(FailureTest):
    """max_connections."""

    def test_never_more_at_a_server_over_all_workers(self):
        here, most, lock = [0], [0], threading.Lock()
        taking_time = threading.Event()
        self.addCleanup(taking_time.set)

        def handler(request, connection):
            with lock:
                here[0] += 1
                most[0] = max(most[0], here[0])
            taking_time.wait(0.005)
            with lock:
                here[0] -= 1
            return answer()

        origin = self.origin(handler)
        edge = self.gate_to([f"{{ address: '{origin.address}', max_connections: 3 }}"], top="workers: 2")
        traffic = self.traffic(edge, 16)
        traffic.wait_for_more(400)
        traffic.stop()
        self.assertEqual(traffic.failed(), [], "those without a place wait for one")
        self.assertEqual(most[0], 3)

    def test_no_place_in_time(self):
        release = threading.Event()
        self.addCleanup(release.set)
        origin = self.origin(lambda request, connection: release.wait(20) and answer())
        edge = self.gate_to([f"{{ address: '{origin.address}', max_connections: 2 }}"], access_log=True)
        holding = self.traffic(edge, 2)
        origin.wait_requests(2)
        response = edge.fetch("/late")
        self.assertEqual(response.status, 503)
        self.assertEqual(edge.wait_access(lambda record: record["uri"] == "/late")["error"], "servers_busy")
        self.assertEqual(len(origin.requests), 2)
        release.set()
        holding.stop()
        self.assertEqual(edge.fetch("/now").status, 200)
        self.assertEqual(holding.failed(), [])

    def test_full_servers_are_passed_over(self):
        release = threading.Event()
        self.addCleanup(release.set)
        full, free = self.origin(lambda request, connection: release.wait(20) and answer()), self.named("free")
        edge = self.gate_to([f"{{ address: '{full.address}', max_connections: 1 }}", free])
        holding = self.traffic(edge, 1)
        full.wait_requests(1)
        for _ in range(10):
            self.assertEqual(edge.fetch().text, "free says 200")
        release.set()
        holding.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
