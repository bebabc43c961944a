# SPDX-License-Identifier: Apache-2.0
"""`mirror`: another upstream gets copies of requests, and no client notices, whatever becomes of them."""

import re
import socket
import threading
import unittest

from client import Client
from harness import GateTest, answer, fetch, run_program, wait_until

KIB = 1024
FIGURE = "headgate_mirrored_requests_total"


class MirrorTest(GateTest):
    def metrics(self, gate):
        line = gate.wait_log(r"listening on \S+ \(metrics\)")
        port = int(re.search(r":(\d+) \(metrics\)", line).group(1))
        return fetch(("127.0.0.1", port), "/metrics").text

    def figures(self, gate):
        text = self.metrics(gate)
        return {result: int(count)
                for result, count in re.findall(rf'{FIGURE}{{upstream="shadow",result="(\w+)"}} (\d+)', text)}

    def wait_figures(self, gate, **wanted):
        wanted = {"sent": 0, "skipped": 0, "failed": 0, **wanted}
        wait_until(lambda: self.figures(gate) == wanted, what=f"{wanted}, not {self.figures(gate)}")

    def mirrored(self, shadow, percent=100, route="", settings="", top="", handler=None):
        """(gate, origin); `shadow` is a list of addresses."""
        origin = self.origin(handler or (lambda request, connection: answer(body=b"origin")))
        servers = ", ".join(f'"{address}"' for address in shadow)
        gate = self.gate(f"""
            metrics: {{ listen: "127.0.0.1:0" }}
            {top}
            upstreams:
              api: {{ servers: ["{origin.address}"] }}
              shadow: {{ servers: [{servers}]{settings} }}
            sites: [{{ routes: [{{ path: /*, proxy: api, mirror: {{ upstream: shadow, percent: {percent} }}{route} }}] }}]
            """)
        return gate, origin


class Copies(MirrorTest):
    def test_all_of_a_request_is_copied_and_the_answer_dropped(self):
        shadow = self.origin(lambda request, connection: answer(500, b"shadow", [("Set-Cookie", "shadow=1")]))
        gate, origin = self.mirrored([shadow.address], route=", request_headers: { set: { X-Own: $method }, remove: [X-Gone] }")
        headers = [("X-Custom", "1"), ("X-Gone", "2"), ("Connection", "X-Hop"), ("X-Hop", "3")]
        for number in range(10):
            got = gate.fetch(f"/get/{number}?q=1", headers=headers)
            self.assertEqual((got.status, got.text, got.header("Set-Cookie")), (200, "origin", None))
            got = gate.fetch(f"/post/{number}", "POST", headers=headers, body=b"body %d" % number)
            self.assertEqual((got.status, got.text), (200, "origin"))
        self.wait_figures(gate, sent=20)
        copies = {request.target: request for request in shadow.requests}
        self.assertEqual(len(copies), 20)
        for request in origin.requests:
            copy = copies[request.target]
            self.assertEqual((copy.method, copy.body), (request.method, request.body))
            self.assertEqual(copy.header("X-Mirrored"), "1")
            self.assertIsNone(request.header("X-Mirrored"))
            self.assertEqual(sorted(field for field in copy.headers if field[0] != "X-Mirrored"), sorted(request.headers))
            self.assertEqual((copy.header("X-Own"), copy.header("X-Gone"), copy.header("X-Hop")), (request.method, None, None))
            self.assertEqual(copy.header("X-Forwarded-For"), "127.0.0.1")
        self.assertTrue(all(one["mirrored"] for one in gate.wait_access(count=20)))

    def test_a_chunked_body_gets_a_length(self):
        shadow = self.origin()
        gate, origin = self.mirrored([shadow.address])
        with Client(gate.address) as client:
            client.send(b"POST /chunked HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            origin.wait_requests(1)
            client.send(b"3\r\ndef\r\n0\r\n\r\n")
            self.assertEqual(client.read_response().status, 200)
        self.wait_figures(gate, sent=1)
        self.assertEqual((shadow.requests[0].body, shadow.requests[0].header("Content-Length")), (b"abcdef", "6"))

    def test_bodies_beyond_the_bound_are_not_copied(self):
        for route in ("", ", buffering: request"):
            for top in ("", "limits: { body_memory: 0 }"):
                with self.subTest(route=route, top=top):
                    shadow = self.origin()
                    gate, origin = self.mirrored([shadow.address], route=route, top=top)
                    for size in (64 * KIB + 1, 300 * KIB, 64 * KIB):
                        self.assertEqual(gate.fetch(f"/{size}", "PUT", body=bytes(size)).status, 200)
                    self.wait_figures(gate, sent=1, skipped=2)
                    self.assertEqual(shadow.targets, [f"/{64 * KIB}"])
                    self.assertEqual(len(shadow.requests[0].body), 64 * KIB)
                    self.assertEqual([len(request.body) for request in origin.requests], [64 * KIB + 1, 300 * KIB, 64 * KIB])

    def test_percent_0_copies_nothing(self):
        shadow = self.origin()
        gate, _ = self.mirrored([shadow.address], percent=0)
        for _ in range(20):
            self.assertEqual(gate.fetch().status, 200)
        self.assertNotIn(FIGURE + "{", self.metrics(gate))
        gate.stop()
        self.assertEqual(shadow.connections, 0)

    def test_a_share_is_about_that_share(self):
        shadow = self.origin()
        gate, _ = self.mirrored([shadow.address], percent=50)
        with Client(gate.address) as client:
            for _ in range(400):
                self.assertEqual(client.request().status, 200)
        records = gate.wait_access(count=400)
        copied = sum(1 for one in records if one.get("mirrored"))
        self.assertTrue(100 < copied < 300, copied)
        wait_until(lambda: sum(self.figures(gate).values()) == copied, what="all copies counted")
        self.assertEqual(len(shadow.requests), self.figures(gate)["sent"])

    def test_upgrades_and_copies_are_not_copied(self):
        def switch(request, connection):
            if not request.header("Upgrade"):
                return answer()
            connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            connection.send(connection.reader.exactly(5))
            return False

        shadow = self.origin()
        gate, _ = self.mirrored([shadow.address], handler=switch)
        with Client(gate.address) as client:
            client.send(b"GET /up HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello")
            self.assertEqual(client.read_head().status, 101)
            self.assertEqual(client.rest(), b"hello")
        self.assertEqual(gate.fetch("/copy", headers=[("X-Mirrored", "1")]).status, 200)
        self.assertEqual(gate.fetch("/plain").status, 200)
        self.wait_figures(gate, sent=1)
        self.assertEqual(shadow.targets, ["/plain"])

    def test_pools_by_their_weights_and_without_cookies(self):
        blue, green = self.origin(), self.origin()
        origin = self.origin()
        gate = self.gate(f"""
            metrics: {{ listen: "127.0.0.1:0" }}
            upstreams:
              api: {{ servers: ["{origin.address}"] }}
              shadow:
                pools: {{ blue: {{ servers: ["{blue.address}"] }}, green: {{ servers: ["{green.address}"] }} }}
                split: {{ blue: 0, green: 1 }}
                split_by: client
                sticky: {{ cookie: srv }}
            sites: [{{ routes: [{{ path: /*, proxy: api, mirror: {{ upstream: shadow, percent: 100 }} }}] }}]
            """)
        for _ in range(10):
            self.assertEqual(gate.fetch().header_list("Set-Cookie"), [])
        self.wait_figures(gate, sent=10)
        self.assertEqual((len(blue.requests), len(green.requests)), (0, 10))

    def test_explain_says_it(self):
        shadow = self.origin()
        gate, _ = self.mirrored([shadow.address], percent=2.5)
        said = run_program("explain", "-c", str(gate.file), "http://a.test/")
        self.assertIn("2.5 % of requests also to upstream shadow, with X-Mirrored: 1; bodies up to 64KiB", said.stdout)


class Failures(MirrorTest):
    def test_a_mirror_that_is_down(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # and nobody listens
            gate, _ = self.mirrored(["127.0.0.1:%d" % closed.getsockname()[1]])
            for _ in range(10):
                self.assertEqual(gate.fetch("/", "POST", body=b"x").text, "origin")
            self.wait_figures(gate, failed=10)
        self.assertTrue(all(one["error"] == "" for one in gate.wait_access(count=10)))

    def test_a_mirror_that_hangs_holds_up_nobody_and_is_bounded(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        shadow = self.origin(lambda request, connection: go_on.wait(30) and answer())
        gate, _ = self.mirrored([shadow.address])
        with Client(gate.address) as client:
            for _ in range(70):
                self.assertEqual(client.request().text, "origin")
        self.wait_figures(gate, skipped=6)
        go_on.set()
        self.wait_figures(gate, skipped=6, sent=64)
        with Client(gate.address) as client:
            self.assertEqual(client.request().text, "origin")
        self.wait_figures(gate, skipped=6, sent=65)

    def test_a_mirror_that_hangs_does_not_hold_up_the_end(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        shadow = self.origin(lambda request, connection: go_on.wait(60) and None)
        gate, _ = self.mirrored([shadow.address], top="shutdown_grace: 5m")
        self.assertEqual(gate.fetch().status, 200)
        shadow.wait_requests(1)
        gate.signal(15)
        self.assertEqual(gate.wait_exit(), 0)

    def test_a_mirror_that_answers_too_late_or_without_end(self):
        def drip(request, connection):
            if request.target == "/late":
                connection.reader.fill()  # until the gate has gone
                return False
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:  # until the gate has had enough
                connection.send(b"10000\r\n" + bytes(0x10000) + b"\r\n")

        shadow = self.origin(drip)
        gate, _ = self.mirrored([shadow.address], settings=", timeouts: { first_byte: 50ms, idle: 10s }")
        self.assertEqual(gate.fetch("/endless").text, "origin")
        self.wait_figures(gate, sent=1)
        self.assertEqual(gate.fetch("/late").text, "origin")
        self.wait_figures(gate, sent=1, failed=1)
        shadow.wait_for(lambda: shadow.closed == 2)

    def test_its_errors_are_its_own(self):
        bad = self.origin(lambda request, connection: answer(503))
        good = self.origin()
        gate, origin = self.mirrored([bad.address, good.address], settings=", ejection: { consecutive_errors: 3 }")
        for number in range(30):
            self.assertEqual(gate.fetch().text, "origin")
            wait_until(lambda: self.figures(gate)["sent"] == number + 1, what="the copy's answer")
        text = self.metrics(gate)
        self.assertIn(f'headgate_upstream_ejections_total{{upstream="shadow",pool="default",server="{bad.address}"}} 1\n', text)
        self.assertIn(f'headgate_upstream_ejections_total{{upstream="api",pool="default",server="{origin.address}"}} 0\n', text)
        self.assertIn(f'headgate_upstream_requests_total{{upstream="api",pool="default",server="{origin.address}",code="200"}} 30\n', text)
        self.assertNotIn('upstream="api",pool="default",server="%s",code="503"' % origin.address, text)
        self.assertLess(len(bad.requests), 15)

    def test_a_client_that_leaves_in_its_body_is_not_copied(self):
        shadow = self.origin()
        gate, origin = self.mirrored([shadow.address])
        client = self.client(gate.address)
        client.send(b"POST /left HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc")
        origin.wait_requests(1)
        client.close()
        self.wait_figures(gate, skipped=1)
        self.assertEqual(shadow.requests, [])


if __name__ == "__main__":
    unittest.main()
