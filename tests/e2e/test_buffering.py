# SPDX-License-Identifier: Apache-2.0
"""`buffering: request`: the body is taken whole before an origin is asked, which then gets its length; and max_body, to
the byte, with and without."""

import hashlib
import os
import re
import shutil
import unittest

from client import Client
from harness import GateTest, answer, fetch, run_program, wait_until
from http2_client import Http2Client

KIB = 1024
MIB = 1024 * KIB
H2C = "listeners: [{ address: '127.0.0.1:0', h2c: true }]\n"
METRICS = "metrics: { listen: '127.0.0.1:0' }\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def echo_size(request, connection):
    """As a WSGI server: a body without Content-Length is no body."""
    length = request.header("Content-Length")
    return answer(body=f"{length} {len(request.body)} {hashlib.sha256(request.body).hexdigest()}".encode())


class BufferingTest(GateTest):
    def metrics(self, gate):
        line = gate.wait_log(r"listening on \S+ \(metrics\)")
        port = int(re.search(r":(\d+) \(metrics\)", line).group(1))
        return fetch(("127.0.0.1", port), "/metrics").text

    def figure(self, gate, name):
        return int(re.search(rf"^{re.escape(name)} (\d+)$", self.metrics(gate), re.MULTILINE).group(1))

    def buffered(self, handler=echo_size, top="", route="", **more):
        return self.proxied(handler, route=", buffering: request" + route, top=METRICS + top, **more)

    def test_the_origin_is_asked_when_all_has_arrived_and_gets_the_length(self):
        gate, origin = self.buffered()
        client = self.client(gate.address)
        client.send(b"POST /slow HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
                    b"Trailer: X-Sum\r\n\r\n")
        self.assertEqual(client.read_head().status, 100)
        client.send(chunk(b"first "))
        # A request that streams would have its connection to the origin by now.
        self.assertEqual(gate.fetch("/other").status, 200)
        self.assertEqual(origin.targets, ["/other"])
        client.send(chunk(b"second") + b"0\r\nX-Sum: 1\r\n\r\n")
        answered = client.read_response()
        self.assertEqual(answered.text.split()[:2], ["12", "12"])
        request = origin.requests[1]
        self.assertEqual((request.target, request.body), ("/slow", b"first second"))
        self.assertIsNone(request.header("Transfer-Encoding"))
        self.assertIsNone(request.header("Expect"))
        self.assertEqual(client.request("GET", "/again").status, 200)

    def test_a_chunked_body_of_nothing_has_a_length_too(self):
        gate, origin = self.buffered()
        client = self.client(gate.address)
        client.send(b"PATCH / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        self.assertEqual(client.read_response().text.split()[:2], ["0", "0"])
        self.assertEqual(origin.requests[0].header_list("Content-Length"), ["0"])

    def test_a_long_body_lies_in_a_file_without_a_name(self):
        gate, _ = self.buffered(route=", max_body: 20MiB")
        body = os.urandom(20 * MIB)
        gate.fetch("/warm", "POST", body=b"x")
        before = gate.resident()
        answered = gate.fetch("/upload", "POST", body=body)
        size = len(body)
        self.assertEqual(answered.text.split(), [str(size), str(size), hashlib.sha256(body).hexdigest()])
        self.assertLess(gate.resident() - before, 10 * MIB)
        self.assertEqual([name for name in os.listdir(gate.folder / "state") if "body" in name], [])
        record = gate.wait_access(lambda one: one["uri"] == "/upload")
        self.assertEqual((record["bytes_in"], record["status"], record["error"]), (size, 200, ""))
        self.assertEqual(self.figure(gate, 'headgate_buffered_bodies_total{where="file"}'), 1)
        self.assertEqual(self.figure(gate, 'headgate_buffered_bodies_total{where="memory"}'), 1)
        wait_until(lambda: self.figure(gate, "headgate_buffered_body_bytes") == 0, what="nothing stored")

    def test_body_memory_is_what_needs_no_file(self):
        gate, _ = self.buffered(top="limits: { body_memory: 10KiB }\n")
        for size in (10 * KIB, 10 * KIB + 1, 300 * KIB):
            body = os.urandom(size)
            self.assertEqual(gate.fetch("/", "POST", body=body).text.split()[2], hashlib.sha256(body).hexdigest())
        self.assertEqual(self.figure(gate, 'headgate_buffered_bodies_total{where="memory"}'), 1)
        self.assertEqual(self.figure(gate, 'headgate_buffered_bodies_total{where="file"}'), 2)

    def test_a_client_that_leaves_reaches_nobody(self):
        gate, origin = self.buffered()
        for framing in (b"Content-Length: 200000", b"Transfer-Encoding: chunked"):
            client = Client(gate.address)
            client.send(b"POST /left HTTP/1.1\r\nHost: a.test\r\n" + framing + b"\r\n\r\n" + chunk(bytes(100000)))
            wait_until(lambda: self.figure(gate, "headgate_buffered_body_bytes") >= 100000, what="its bytes")
            client.close()
        for record in gate.wait_access(lambda one: one["uri"] == "/left", count=2):
            self.assertEqual(record["status"], 499)
            self.assertIn(record["error"], ("client_closed", "client_reset"))
        self.assertEqual(origin.requests, [])
        wait_until(lambda: self.figure(gate, "headgate_buffered_body_bytes") == 0, what="nothing stored")

    def test_a_client_that_stops_sending_is_told(self):
        gate, origin = self.buffered(top="limits: { body_idle_timeout: 100ms }\n")
        client = self.client(gate.address)
        client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc")
        self.assertEqual(client.read_response().status, 408)
        self.assertEqual(gate.wait_access()["error"], "body_timeout")
        self.assertEqual(origin.requests, [])

    def test_a_request_that_may_be_repeated_is_also_beyond_what_streams_keep(self):
        body = os.urandom(300 * KIB)
        for buffering, status in (("request", 200), ("off", 502)):
            with self.subTest(buffering=buffering):
                lost = []

                def lose_once(request, connection):
                    if lost.count(request.method):
                        return answer(body=hashlib.sha256(request.body).hexdigest().encode())
                    lost.append(request.method)
                    return False

                origins = [self.origin(lose_once), self.origin(lose_once)]
                gate = self.gate(f"""
                    upstreams: {{ api: {{ servers: ["{origins[0].address}", "{origins[1].address}"], retry: {{ budget: 100% }} }} }}
                    sites: [{{ routes: [{{ path: /*, proxy: api, buffering: {buffering} }}] }}]
                    """)
                answered = gate.fetch("/", "PUT", body=body)
                self.assertEqual(answered.status, status)
                if status == 200:
                    self.assertEqual(answered.text, hashlib.sha256(body).hexdigest())
                # What may have been taken is not sent twice, stored or not.
                self.assertEqual(gate.fetch("/", "POST", body=body).status, 502)

    def test_all_bodies_together_have_a_bound(self):
        gate, origin = self.buffered(top="limits: { body_buffers: 1MiB, body_memory: 0 }\n")
        held = self.client(gate.address)
        held.send(b"POST /held HTTP/1.1\r\nHost: a.test\r\nContent-Length: 700000\r\n\r\n" + bytes(600000))
        wait_until(lambda: self.figure(gate, "headgate_buffered_body_bytes") == 600000, what="the first body")
        refused = self.client(gate.address)
        refused.send_request("POST", "/refused", body=bytes(600000))
        self.assertEqual(refused.read_response().status, 503)
        self.assertEqual(gate.wait_access()["error"], "body_buffers_full")
        held.send(bytes(100000))
        self.assertEqual(held.read_response().status, 200)
        self.assertEqual(origin.targets, ["/held"])
        self.assertEqual(gate.fetch("/", "POST", body=bytes(600000)).status, 200)

    def test_no_place_for_a_file_is_our_failure(self):
        gate, origin = self.buffered()
        shutil.rmtree(gate.folder / "state")
        client = self.client(gate.address)
        client.send_request("POST", "/", body=bytes(100000))
        self.assertEqual(client.read_response().status, 500)
        self.assertEqual(gate.wait_access()["error"], "body_file_failed")
        self.assertEqual(gate.fetch("/", "POST", body=bytes(1000)).status, 200)
        self.assertEqual(len(origin.requests), 1)

    def test_upgrades_pass(self):
        def switch(request, connection):
            connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            connection.send(connection.reader.exactly(5))
            return False

        gate, _ = self.buffered(switch)
        client = self.client(gate.address)
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello")
        self.assertEqual(client.read_head().status, 101)
        self.assertEqual(client.rest(), b"hello")

    def test_http2_clients_too(self):
        gate, origin = self.buffered(top=H2C)
        with Http2Client(gate.address) as client:
            stream = client.request("/slow", body=b"first ", end=False, method="POST")
            client.ping()
            self.assertEqual(gate.fetch("/other").status, 200)
            self.assertEqual(origin.targets, ["/other"])
            client.data(stream, b"second", end=True)
            answered = client.answer(stream)
        self.assertEqual((answered.status, answered.body.split()[:2]), (200, [b"12", b"12"]))

    def test_explain_says_it(self):
        gate, _ = self.buffered()
        said = run_program("explain", "-c", str(gate.file), "http://a.test/")
        self.assertIn("taken whole before the upstream is asked", said.stdout, said.stderr)


class MaxBody(BufferingTest):
    """N bytes pass, one more does not: by both framings, both protocols, streaming and stored."""

    LIMIT = 50_000  # within the window that the scripted client of HTTP/2 does not look at

    def test_to_the_byte(self):
        for buffering in ("off", "request"):
            gate, origin = self.proxied(echo_size, route=f", max_body: {self.LIMIT}, buffering: {buffering}", top=H2C)
            for size, status in ((self.LIMIT, 200), (self.LIMIT + 1, 413)):
                body = os.urandom(size)
                for send in (self.by_length, self.by_chunks, self.by_stream_with_length, self.by_stream):
                    with self.subTest(buffering=buffering, size=size, send=send.__name__):
                        got, text = send(gate, body)
                        self.assertEqual(got, status, text)
                        if status == 200:
                            self.assertEqual(text.split()[2], hashlib.sha256(body).hexdigest())
                        else:
                            self.assertIn(f"the limit is {self.LIMIT} bytes", text)
            self.assertEqual(sum(1 for one in origin.requests if one.complete), 4)
            if buffering == "request":
                self.assertEqual(len(origin.requests), 4)

    def by_length(self, gate, body):
        got = gate.fetch("/", "POST", body=body)
        return got.status, got.text

    def by_chunks(self, gate, body):
        with Client(gate.address) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
            half = len(body) // 2
            client.send(chunk(body[:half]) + chunk(body[half:-1]) + chunk(body[-1:]) + b"0\r\n\r\n")
            got = client.read_response()
            return got.status, got.text

    def by_stream_with_length(self, gate, body):
        return self.by_stream(gate, body, [("content-length", str(len(body)))])

    def by_stream(self, gate, body, headers=()):
        with Http2Client(gate.address) as client:
            stream = client.request("/", body=body, method="POST", headers=list(headers))
            got = client.answer(stream)
            return got.status, got.body.decode()


if __name__ == "__main__":
    unittest.main()
