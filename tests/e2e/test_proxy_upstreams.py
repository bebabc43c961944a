# SPDX-License-Identifier: Apache-2.0
"""The origins' side: failures and their reasons, time limits, kept connections and the race for them, weights, TLS."""

import collections
import socket
import ssl
import threading
import unittest

from certs import Authority
from client import Broken
from harness import GateTest, answer, server_tls


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Failures(GateTest):
    def one_upstream(self, server, extra=""):
        return self.gate(f"""\
            upstreams:
              app:
                servers: ['{server}']
                {extra}
            sites:
              - routes:
                  - {{ path: /*, proxy: app }}
            """)

    def test_refused_is_502(self):
        edge = self.one_upstream(f"127.0.0.1:{free_port()}")
        response = edge.fetch("/x")
        self.assertEqual(response.status, 502)
        self.assertEqual(response.header("Cache-Control"), "no-store")
        record = edge.wait_access()
        self.assertEqual((record["status"], record["upstream"]), (502, "app"))
        self.assertIn("refused", record["error"])

    def test_missing_unix_socket_is_502(self):
        edge = self.one_upstream(f"unix:{self.folder()}/nothing.sock")
        self.assertEqual(edge.fetch("/x").status, 502)
        self.assertTrue(edge.wait_access()["error"])

    def test_first_byte_timeout_is_504(self):
        never = threading.Event()
        self.addCleanup(never.set)
        origin = self.origin(lambda request, connection: never.wait(20) and None)
        edge = self.one_upstream(origin.address, "timeouts: { first_byte: 300ms }")
        for method in ("GET", "POST"):
            self.assertEqual(edge.fetch("/slow", method).status, 504)
        records = edge.wait_access(count=2)
        self.assertTrue(all("timeout" in record["error"] for record in records), records)

    def test_route_timeout_overrides(self):
        never = threading.Event()
        self.addCleanup(never.set)
        edge, _ = self.proxied(lambda request, connection: never.wait(20) and None, route=", timeouts: { first_byte: 300ms }")
        self.assertEqual(edge.fetch("/slow").status, 504)

    def test_connect_timeout_is_504(self):
        """A listener whose queue is full takes no connection and refuses none."""
        full = socket.socket()
        self.addCleanup(full.close)
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(64):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
            self.addCleanup(filler.close)
        edge = self.one_upstream("127.0.0.1:%d" % full.getsockname()[1], "timeouts: { connect: 300ms }")
        self.assertEqual(edge.fetch("/x").status, 504)
        self.assertIn("timeout", edge.wait_access()["error"])

    def test_idle_timeout_in_the_answer(self):
        never = threading.Event()
        self.addCleanup(never.set)

        def handler(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            never.wait(20)
            return False

        origin = self.origin(handler)
        edge = self.one_upstream(origin.address, "timeouts: { idle: 300ms }")

        with edge.connect() as client:
            client.send_request(target="/stalls")
            with self.assertRaises(Broken):
                client.read_response()
        self.assertIn("timeout", edge.wait_access()["error"])

    def test_slow_but_steady_is_no_timeout(self):
        step = threading.Event()

        def handler(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(8):
                step.wait(0.1)
                connection.send(b"1\r\nx\r\n")
            connection.send(b"0\r\n\r\n")
            return True

        origin = self.origin(handler)
        edge = self.one_upstream(origin.address, "timeouts: { idle: 500ms, first_byte: 5s }")
        self.assertEqual(edge.fetch("/steady").body, b"x" * 8)

    def test_end_without_an_answer_is_502(self):
        origin = self.origin(lambda request, connection: False)
        edge = self.one_upstream(origin.address)
        for method in ("GET", "POST"):
            self.assertEqual(edge.fetch("/gone", method).status, 502)
        self.assertTrue(all(record["error"] for record in edge.wait_access(count=2)))

    def test_name_without_an_address_is_502(self):
        edge = self.one_upstream("no-such-name.invalid:80")
        self.assertIn(edge.fetch("/x").status, (502, 503, 504))
        self.assertTrue(edge.wait_access()["error"])


class KeptConnections(GateTest):
    def test_connection_is_kept(self):
        edge, origin = self.proxied()
        for i in range(30):
            self.assertEqual(edge.fetch(f"/{i}").status, 200)
        self.assertEqual(origin.connections, 1)

    def test_origin_that_says_close(self):
        edge, origin = self.proxied(lambda request, connection: (connection.send(answer(headers=[("Connection", "close")])), False)[1])
        for _ in range(5):
            self.assertEqual(edge.fetch("/", "POST", body=b"x").status, 200)
        self.assertEqual(origin.connections, 5)

    def test_closed_while_idle(self):
        """The origin has closed the kept connection before the next request: nobody notices, not even a POST."""
        def handler(request, connection):
            connection.send(answer())
            return False

        edge, origin = self.proxied(handler)
        for number, method in enumerate(["GET", "POST", "PUT", "POST", "GET"], start=1):
            self.assertEqual(edge.fetch("/", method, body=b"").status, 200)
            origin.wait_for(lambda number=number: origin.closed == number)

    def test_the_race_is_retried(self):
        """The classic 502: the origin closes the kept connection just as the next request arrives on it."""
        def handler(request, connection):
            if request.target == "/race" and connection.number == 0:
                return False  # read, then closed without a word
            return answer(body=request.target.encode())

        for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
            with self.subTest(method):
                edge, origin = self.proxied(handler)
                self.assertEqual(edge.fetch("/first").status, 200)
                self.assertEqual(edge.fetch("/race", method).status, 200)
                self.assertEqual(origin.targets, ["/first", "/race", "/race"])
                self.assertEqual(edge.wait_access(lambda r: r["uri"] == "/race")["attempts"], 2)

    def test_race_with_a_small_body(self):
        def handler(request, connection):
            if request.target == "/race" and connection.number == 0:
                return False
            return answer(body=request.body)

        edge, origin = self.proxied(handler)
        self.assertEqual(edge.fetch("/first").status, 200)
        response = edge.fetch("/race", "PUT", body=b"payload")
        # A body that is gone cannot be sent again; one that was kept can. Never a half one.
        self.assertIn(response.status, (200, 502))
        if response.status == 200:
            self.assertEqual(response.body, b"payload")
        self.assertTrue(all(r.body == b"payload" for r in origin.requests if r.target == "/race" and r.complete))

    def test_post_is_not_retried(self):
        def handler(request, connection):
            return False if request.target == "/race" else answer()

        for method, body in (("POST", b"pay"), ("POST", b""), ("PATCH", b"x")):
            with self.subTest(method=method, body=body):
                edge, origin = self.proxied(handler)
                self.assertEqual(edge.fetch("/first").status, 200)
                self.assertEqual(edge.fetch("/race", method, body=body).status, 502)
                self.assertEqual(origin.targets.count("/race"), 1)

    def test_half_an_answer_is_not_retried(self):
        def handler(request, connection):
            if request.target == "/race":
                connection.send(b"HTTP/1.1 200 OK\r\nX-Ha")
                return False
            return answer()

        edge, origin = self.proxied(handler)
        self.assertEqual(edge.fetch("/first").status, 200)
        self.assertEqual(edge.fetch("/race").status, 502)
        self.assertEqual(origin.targets.count("/race"), 1)

    def test_max_requests(self):
        origin = self.origin()
        edge = self.gate(f"""\
            upstreams: {{ app: {{ servers: ['{origin.address}'], keepalive: {{ max_requests: 3 }} }} }}
            sites: [{{ routes: [{{ path: /*, proxy: app }}] }}]
            """)
        for _ in range(9):
            self.assertEqual(edge.fetch().status, 200)
        self.assertEqual(origin.connections, 3)

    def test_no_idle_connections(self):
        origin = self.origin()
        edge = self.gate(f"""\
            upstreams: {{ app: {{ servers: ['{origin.address}'], keepalive: {{ idle_connections: 0 }} }} }}
            sites: [{{ routes: [{{ path: /*, proxy: app }}] }}]
            """)
        for _ in range(4):
            self.assertEqual(edge.fetch().status, 200)
        self.assertEqual(origin.connections, 4)

    def test_idle_timeout_closes(self):
        origin = self.origin()
        edge = self.gate(f"""\
            upstreams: {{ app: {{ servers: ['{origin.address}'], keepalive: {{ idle_timeout: 200ms }} }} }}
            sites: [{{ routes: [{{ path: /*, proxy: app }}] }}]
            """)
        self.assertEqual(edge.fetch().status, 200)
        origin.wait_for(lambda: origin.closed == 1)


class Balancing(GateTest):
    def spread(self, servers, count):
        """How many of `count` requests each origin got."""
        names = collections.Counter()
        origins = [self.origin(lambda request, connection, n=n: answer(body=str(n).encode())) for n in range(len(servers))]
        listed = ", ".join(f"{{ address: '{o.address}', weight: {w} }}" for o, w in zip(origins, servers))
        edge = self.gate(f"""\
            upstreams: {{ app: {{ servers: [{listed}] }} }}
            sites: [{{ routes: [{{ path: /*, proxy: app }}] }}]
            """)
        order = []
        for _ in range(count):
            got = edge.fetch().text
            names[got] += 1
            order.append(got)
        servers_logged = {record["server"] for record in edge.wait_access(count=count)}
        self.assertEqual(servers_logged, {o.address for o in origins})
        return names, order

    def test_round_robin(self):
        names, order = self.spread([1, 1, 1], 30)
        self.assertEqual(names, {"0": 10, "1": 10, "2": 10})
        self.assertTrue(all(len(set(order[i:i + 3])) == 3 for i in range(0, 30, 3)))

    def test_weights(self):
        names, order = self.spread([3, 1], 40)
        self.assertEqual(names, {"0": 30, "1": 10})
        self.assertNotIn("11", "".join(order), "the light server's turns are spread out")

    def test_uneven_weights_with_one_light_server(self):
        origins = [self.origin(), self.origin()]
        edge = self.gate(f"""\
            upstreams:
              app:
                servers:
                  - {{ address: '{origins[0].address}', weight: 1 }}
                  - {{ address: '{origins[1].address}', weight: 5 }}
            sites: [{{ routes: [{{ path: /*, proxy: app }}] }}]
            """)
        for _ in range(12):
            self.assertEqual(edge.fetch().status, 200)
        self.assertEqual([len(origin.requests) for origin in origins], [2, 10])


class OtherWays(GateTest):
    def test_unix_socket(self):
        origin = self.origin(unix_path=f"{self.folder()}/app.sock")
        edge = self.gate(f"""\
            upstreams: {{ app: {{ servers: ['{origin.address}'] }} }}
            sites: [{{ routes: [{{ path: /*, proxy: app }}] }}]
            """)
        for _ in range(3):
            self.assertEqual(edge.fetch("/u", "POST", body=b"x").status, 200)
        self.assertEqual(origin.connections, 1)
        self.assertEqual(origin.requests[0].header("Host"), "example.test")

    def test_host_name(self):
        origin = self.origin()
        edge = self.gate(f"""\
            sites: [{{ routes: [{{ path: /*, proxy: 'http://localhost:{origin.port}' }}] }}]
            """)
        self.assertEqual(edge.fetch().status, 200)

    def tls_upstream(self, names, settings):
        """(edge, origin) with an origin over TLS whose certificate is for `names`."""
        folder = self.folder()
        authority = Authority(folder / "ca")
        origin = self.origin(tls=server_tls(*authority.issue(*names)))
        edge = self.gate(f"""\
            upstreams:
              app: {{ scheme: https, servers: ['localhost:{origin.port}'], tls: {{ {settings.format(ca=authority.cert)} }} }}
            sites: [{{ routes: [{{ path: /*, proxy: app }}] }}]
            """)
        return edge, origin

    def test_https_verified(self):
        edge, origin = self.tls_upstream(["localhost"], "ca: '{ca}'")
        for _ in range(3):
            self.assertEqual(edge.fetch("/s").status, 200)
        self.assertEqual(origin.connections, 1)
        self.assertEqual(origin.requests[0].header("X-Forwarded-Proto"), "http")

    def test_https_unknown_authority(self):
        edge, origin = self.tls_upstream(["localhost"], "verify: true")
        self.assertEqual(edge.fetch("/s").status, 502)
        record = edge.wait_access()
        self.assertRegex(record["error"], "tls|certificate")
        self.assertEqual(origin.requests, [])

    def test_https_wrong_name(self):
        edge, origin = self.tls_upstream(["other.test"], "ca: '{ca}'")
        self.assertEqual(edge.fetch("/s").status, 502)
        self.assertEqual(origin.requests, [])

    def test_https_server_name(self):
        edge, origin = self.tls_upstream(["backend.test"], "ca: '{ca}', server_name: backend.test")
        self.assertEqual(edge.fetch("/s").status, 200)

    def test_https_not_verified(self):
        edge, origin = self.tls_upstream(["other.test"], "verify: false")
        self.assertEqual(edge.fetch("/s", "POST", body=b"x" * 200_000).status, 200)
        self.assertEqual(len(origin.requests[0].body), 200_000)

    def test_https_plain_origin(self):
        origin = self.origin()
        edge = self.gate(f"""\
            upstreams: {{ app: {{ scheme: https, servers: ['{origin.address}'], timeouts: {{ connect: 1s }}, tls: {{ verify: false }} }} }}
            sites: [{{ routes: [{{ path: /*, proxy: app }}] }}]
            """)
        self.assertIn(edge.fetch("/s").status, (502, 504))  # this origin waits for a request for ever, or breaks off
        self.assertRegex(edge.wait_access()["error"], "tls|reset|closed|timeout")
        self.assertEqual(origin.requests, [])

    def test_https_client_certificate(self):
        folder = self.folder()
        authority = Authority(folder / "ca")
        settings = server_tls(*authority.issue("localhost"))
        settings.load_verify_locations(authority.cert)

        settings.verify_mode = ssl.CERT_REQUIRED
        origin = self.origin(tls=settings)
        cert, key = authority.issue("edge.test")
        edge = self.gate(f"""\
            upstreams:
              app:
                scheme: https
                servers: ['localhost:{origin.port}']
                tls: {{ ca: '{authority.cert}', cert: '{cert}', key: '{key}' }}
            sites: [{{ routes: [{{ path: /*, proxy: app }}] }}]
            """)
        self.assertEqual(edge.fetch("/s").status, 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
