# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 towards origins: any version of the client, streams that share connections, and origins that misbehave."""

import struct
import threading
import unittest

from certs import Authority
from harness import GateTest, answer, client_tls, fetch, server_tls
from http2_client import (CANCEL, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, Http2Client,
                          INTERNAL_ERROR, NO_ERROR, PING, REFUSED_STREAM, RST_STREAM, SETTINGS, frame)
from http2_origin import Http2Origin, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS

LIMIT = 10
LISTENER = '\nlisteners: [{ address: "127.0.0.1:0", h2c: true }]\n'


class UpstreamTest(GateTest):
    def http2_origin(self, handler=None, **more):
        origin = Http2Origin(handler, **more)
        self.addCleanup(origin.close)
        return origin

    def gate_to(self, origin, route="", top="", upstream="", **more):
        return self.gate(f"""{LISTENER}{top}
upstreams:
  up: {{ scheme: {origin.scheme}, servers: ["127.0.0.1:{origin.port}"]{upstream} }}
sites: [{{ routes: [{{ path: /*, proxy: up{route} }}] }}]
""", **more)

    def pair(self, handler=None, route="", top="", upstream="", **more):
        origin = self.http2_origin(handler, **more)
        return self.gate_to(origin, route, top, upstream), origin

    def refused(self, gate, reason, status=502, target="/", **more):
        self.assertEqual(gate.fetch(target, **more).status, status)
        self.assertEqual(gate.wait_access(lambda record: record["uri"] == target)["error"], reason)


class Mixes(UpstreamTest):
    def test_http1_to_h2c(self):
        def serve(request):
            request.ended.wait(LIMIT)
            request.answer(b"got " + request.body, 201, [("x-a", "b"), ("set-cookie", "c=1"), ("set-cookie", "d=2")])
        gate, origin = self.pair(serve)
        got = gate.fetch("/p%20q?x=1", method="POST", body=b"hello", headers=[("Host", "shop.test"), ("X-Mixed-Case", "Yes"), ("Connection", "x-private"), ("X-Private", "1"), ("TE", "trailers")])
        self.assertEqual((got.status, got.body, got.header("X-A")), (201, b"got hello", "b"))
        self.assertEqual(got.header_list("Set-Cookie"), ["c=1", "d=2"])
        request = origin.requests[0]
        self.assertEqual([request.header(f":{name}") for name in ("method", "scheme", "authority", "path")],
                         ["POST", "http", "shop.test", "/p%20q?x=1"])
        self.assertEqual(request.header("x-mixed-case"), "Yes")
        self.assertEqual(request.header("content-length"), "5")
        self.assertEqual(request.header("te"), "trailers")
        self.assertEqual(request.header("x-forwarded-proto"), "http")
        for name in ("host", "connection", "x-private", "transfer-encoding", "upgrade"):
            self.assertIsNone(request.header(name), name)
        self.assertTrue(all(name == name.lower() for name, _ in request.fields))
        self.assertIsNone(origin.connections[0].requests[1].trailers)

    def test_http2_to_h2_with_a_verified_certificate(self):
        authority = Authority(self.folder() / "ca")
        tls = server_tls(*authority.issue("localhost", "127.0.0.1"))
        tls.set_alpn_protocols(["h2"])
        origin = self.http2_origin(tls=tls)
        gate = self.gate_to(origin, upstream=f", tls: {{ ca: {authority.cert} }}")
        with Http2Client(gate.address) as client:
            self.assertEqual(client.fetch("/a").body, b"ok")
        self.assertEqual(origin.requests[0].header(":scheme"), "https")
        untrusting = self.gate_to(origin)
        self.refused(untrusting, "tls_certificate_verify_failed")

    def test_an_origin_without_alpn_h2_is_none(self):
        authority = Authority(self.folder() / "ca")
        origin = self.http2_origin(tls=server_tls(*authority.issue("127.0.0.1")))
        gate = self.gate_to(origin, upstream=f", tls: {{ ca: {authority.cert} }}")
        self.refused(gate, "upstream_not_http2")

    def test_an_origin_of_http1_is_none(self):
        origin = self.origin(lambda request, connection: connection.send(answer()))
        origin.scheme = "h2c"
        self.refused(self.gate_to(origin), "upstream_not_http2")

    def test_http2_to_http1(self):
        gate, origin = self.proxied(top=LISTENER)
        with Http2Client(gate.address) as client:
            got = client.fetch("/x", method="POST", body=b"up")
        self.assertEqual((got.status, got.body), (200, b"ok"))
        self.assertEqual(origin.requests[0].body, b"up")

    def test_large_bodies_both_ways(self):
        def serve(request):
            request.ended.wait(LIMIT)
            request.answer(request.body)
        gate, _ = self.pair(serve, route=", max_body: 0")
        body = bytes(range(256)) * 20_000
        self.assertEqual(gate.fetch("/", method="POST", body=body).body, body)

    def test_head_204_and_304(self):
        def serve(request):
            if request.path == "/head":
                request.head(200, [("content-length", "5")], end=True)
            else:
                request.head(int(request.path[1:]), end=True)
        gate, _ = self.pair(serve)
        with gate.connect() as client:
            got = client.request("HEAD", "/head")
            self.assertEqual((got.status, got.header("Content-Length"), got.body), (200, "5", b""))
            self.assertEqual(client.request("GET", "/204").status, 204)
            self.assertEqual(client.request("GET", "/304").status, 304)

    def test_interim_heads(self):
        def serve(request):
            request.head(103, [("link", "</a.css>; rel=preload")])
            request.head(103, [("link", "</b.css>; rel=preload")])
            request.answer()
        gate, _ = self.pair(serve)
        self.assertEqual([one.status for one in gate.fetch("/").interim], [103, 103])
        with Http2Client(gate.address) as client:
            self.assertEqual(len(client.fetch("/").interim), 2)

    def test_an_upgrade_is_ignored(self):
        gate, origin = self.pair()
        got = gate.fetch("/", headers=[("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "a")])
        self.assertEqual((got.status, got.body), (200, b"ok"))
        self.assertIsNone(origin.requests[0].header("upgrade"))


class Trailers(UpstreamTest):
    @staticmethod
    def echo(request):
        request.ended.wait(LIMIT)
        request.answer(b"body", trailers=[("x-sum", dict(request.trailers or [])["x-up"])])

    def test_of_http2_and_http2(self):
        gate, _ = self.pair(self.echo)
        with Http2Client(gate.address) as client:
            stream = client.request("/", body=b"up", end=False, method="POST")
            client.send(client.headers_frame([("x-up", "7")], stream))
            got = client.answer(stream)
        self.assertEqual((got.body, got.trailers), (b"body", [("x-sum", "7")]))

    def test_of_http1_and_http2(self):
        gate, _ = self.pair(self.echo)
        with gate.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"2\r\nup\r\n0\r\nX-Up: 8\r\n\r\n")
            got = client.read_response()
        self.assertEqual((got.body, [(name.lower(), value) for name, value in got.trailers]), (b"body", [("x-sum", "8")]))

    def test_of_http2_and_http1(self):
        def serve(request, connection):
            value = dict((name.lower(), value) for name, value in request.trailers)["x-up"]
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: "
                            + value.encode() + b"\r\n\r\n")
        gate, _ = self.proxied(serve, top=LISTENER)
        with Http2Client(gate.address) as client:
            stream = client.request("/", body=b"up", end=False, method="POST")
            client.send(client.headers_frame([("x-up", "9")], stream))
            got = client.answer(stream)
        self.assertEqual((got.body, got.trailers), (b"body", [("x-sum", "9")]))

    def test_without_any_content(self):
        gate, _ = self.pair(lambda request: request.answer(b"", trailers=[("x-sum", "0")]))
        with Http2Client(gate.address) as client:
            self.assertEqual(client.fetch("/").trailers, [("x-sum", "0")])


class Sharing(UpstreamTest):
    def test_streams_share_a_connection(self):
        go = threading.Event()
        gate, origin = self.pair(lambda request: (go.wait(LIMIT), request.answer()))
        with Http2Client(gate.address) as client:
            streams = [client.request(f"/{i}") for i in range(50)]
            origin.wait_requests(50)
            go.set()
            for stream in streams:
                self.assertEqual(client.answer(stream).status, 200)
        self.assertEqual(len(origin.connections), 1)

    def test_no_more_than_the_origin_takes(self):
        go = threading.Event()
        gate, origin = self.pair(lambda request: (go.wait(LIMIT), request.answer()), settings=[(MAX_CONCURRENT_STREAMS, 2)])
        with Http2Client(gate.address) as client:
            streams = [client.request(f"/{i}") for i in range(6)]
            origin.wait_requests(6)
            self.assertTrue(all(len(one.requests) <= 2 for one in origin.connections))
            go.set()
            for stream in streams:
                self.assertEqual(client.answer(stream).status, 200)
        self.assertGreaterEqual(len(origin.connections), 3)

    def test_a_burst_opens_one_connection(self):
        gate, origin = self.pair()
        with Http2Client(gate.address) as client:
            for stream in [client.request("/") for _ in range(100)]:
                self.assertEqual(client.answer(stream).status, 200)
        self.assertEqual(len(origin.connections), 1)

    def test_max_requests(self):
        gate, origin = self.pair(upstream=", keepalive: { max_requests: 2 }")
        for _ in range(4):
            self.assertEqual(gate.fetch("/").status, 200)
        self.assertEqual([len(one.requests) for one in origin.connections], [2, 2])
        self.assertTrue(origin.connections[0].closed.wait(LIMIT))
        self.assertEqual(origin.connections[0].frames[-1].kind, GOAWAY)

    def test_an_idle_connection_ends(self):
        gate, origin = self.pair(upstream=", keepalive: { idle_timeout: 100ms }")
        self.assertEqual(gate.fetch("/").status, 200)
        self.assertTrue(origin.connections[0].closed.wait(LIMIT))

    def test_a_client_that_leaves_resets_its_stream_only(self):
        gate, origin = self.pair(lambda request: request.answer() if request.path == "/b" else None)
        with Http2Client(gate.address) as client:
            gone = client.request("/a")
            request, = origin.wait_requests(1)
            client.reset(gone)
            self.assertTrue(request.over.wait(LIMIT))
            self.assertEqual(request.reset, CANCEL)
            self.assertEqual(client.fetch("/b").status, 200)
        self.assertEqual(len(origin.connections), 1)

    def test_a_client_that_leaves_an_upload_which_nobody_takes(self):
        """Its reset is passed on although nothing reads from it and nothing comes from the origin."""
        gate, origin = self.pair(lambda request: None, settings=[(INITIAL_WINDOW_SIZE, 0)], wide=False)
        with Http2Client(gate.address) as client:
            gone = client.request("/", method="POST", body=b"x" * 1000, end=False)
            request, = origin.wait_requests(1)
            client.reset(gone)
            self.assertTrue(request.over.wait(LIMIT))
            self.assertEqual(request.reset, CANCEL)
        self.assertEqual(gate.wait_access()["error"], "client_reset")

    def test_a_slow_client_does_not_hold_up_others(self):
        block = bytes(1 << 20)
        gate, origin = self.pair(lambda request: request.answer(block if request.path == "/slow" else b"ok"))
        with Http2Client(gate.address, window=False) as slow, Http2Client(gate.address) as quick:
            streams = [slow.request("/slow") for _ in range(20)]  # 20 MiB, of which 64 KiB may come
            origin.wait_requests(20)
            for _ in range(20):
                self.assertEqual(quick.fetch("/quick").body, b"ok")
            self.assertLess(gate.resident(), 200 << 20)
            for stream in streams:
                slow.reset(stream)


class Goodbyes(UpstreamTest):
    def test_goaway_while_requests_come(self):
        """0 failed GETs while each connection takes ten streams, and refuses those above."""
        def serve(request):
            if request.stream == 19:
                request.connection.goaway(19)
            if request.stream <= 19:
                request.answer()
        gate, origin = self.pair(serve)
        with Http2Client(gate.address) as client:
            for _ in range(10):
                streams = [client.request("/") for _ in range(30)]
                for stream in streams:
                    self.assertEqual(client.answer(stream).status, 200)
        self.assertGreater(len(origin.connections), 20)

    def test_a_refused_stream_is_sent_again_whatever_the_method(self):
        def serve(request):
            if request.connection is request.connection.origin.connections[0]:
                request.ended.wait(LIMIT)
                return request.break_off(REFUSED_STREAM)
            request.ended.wait(LIMIT)
            request.answer(request.body)
        gate, origin = self.pair(serve)
        self.assertEqual(gate.fetch("/", method="POST", body=b"once").body, b"once")
        record = gate.wait_access()
        self.assertEqual((record["attempts"], record["error"]), (2, ""))
        self.assertEqual(len(origin.connections), 2)

    def test_a_refused_upload_that_goes_on(self):
        def serve(request):
            if request.connection is request.connection.origin.connections[0]:
                return request.break_off(REFUSED_STREAM)
            request.ended.wait(LIMIT)
            request.answer(request.body)
        gate, origin = self.pair(serve)
        with Http2Client(gate.address) as client:
            stream = client.request("/", body=b"one ", end=False, method="POST")
            origin.wait_requests(2)
            client.data(stream, b"two", end=True)
            self.assertEqual(client.answer(stream).body, b"one two")

    def test_an_origin_that_refuses_everything(self):
        gate, origin = self.pair(lambda request: request.break_off(REFUSED_STREAM))
        self.refused(gate, "upstream_refused_stream")
        self.assertEqual(len(origin.requests), 4)

    def test_a_reset_is_not_tried_again(self):
        gate, origin = self.pair(lambda request: request.break_off(INTERNAL_ERROR))
        self.refused(gate, "upstream_reset_stream")
        self.assertEqual(len(origin.requests), 1)

    def test_an_answer_that_breaks_off(self):
        def serve(request):
            request.head(200)
            request.data(b"half")
            request.break_off(INTERNAL_ERROR)
        gate, _ = self.pair(serve)
        with Http2Client(gate.address) as client:
            got = client.answer(client.request("/"))
        self.assertEqual((got.status, got.reset), (200, INTERNAL_ERROR))
        self.assertEqual(gate.wait_access()["error"], "upstream_reset_stream")

    def test_an_early_answer_ends_the_upload(self):
        def serve(request):
            request.answer(b"enough")
            request.break_off(NO_ERROR)
        gate, _ = self.pair(serve)
        with Http2Client(gate.address) as client:
            stream = client.request("/", body=b"some", end=False, method="POST")
            got = client.answer(stream)
        self.assertEqual((got.status, got.body), (200, b"enough"))
        self.assertEqual(gate.wait_access()["error"], "")

    def test_a_kept_connection_that_ends_without_a_word(self):
        def serve(request):
            if request.connection is request.connection.origin.connections[0] and request.stream > 1:
                return request.connection.close()
            request.answer()
        gate, origin = self.pair(serve)
        self.assertEqual(gate.fetch("/").status, 200)
        self.assertEqual(gate.fetch("/").status, 200)
        self.assertEqual(len(origin.connections), 2)

    def test_stopping_says_goodbye(self):
        gate, origin = self.pair()
        gate.fetch("/")
        gate.stop()
        self.assertTrue(origin.connections[0].closed.wait(LIMIT))
        self.assertEqual(origin.connections[0].frames[-1].kind, GOAWAY)


class Stalls(UpstreamTest):
    def test_no_settings(self):
        gate, _ = self.pair(settings=None, wide=False, upstream=", timeouts: { connect: 200ms }")
        self.refused(gate, "connect_timeout", 504)

    def test_no_answer(self):
        gate, origin = self.pair(lambda request: None, upstream=", timeouts: { first_byte: 200ms }")
        self.refused(gate, "upstream_timeout", 504)
        self.assertTrue(origin.requests[0].over.wait(LIMIT))
        self.assertEqual(origin.requests[0].reset, CANCEL)

    def test_an_answer_that_stops(self):
        gate, _ = self.pair(lambda request: (request.head(), request.data(b"half")), upstream=", timeouts: { idle: 200ms }")
        with Http2Client(gate.address) as client:
            got = client.answer(client.request("/"))
        self.assertIsNotNone(got.reset)
        self.assertEqual(gate.wait_access()["error"], "upstream_timeout")

    def test_an_origin_without_any_window(self):
        gate, _ = self.pair(lambda request: None, settings=[(INITIAL_WINDOW_SIZE, 0)],
                            upstream=", timeouts: { first_byte: 200ms, idle: 200ms }")
        self.refused(gate, "upstream_timeout", 504, method="POST", body=b"x")

    def test_a_window_that_opens_late(self):
        def serve(request):
            request.connection.send(frame(8, 0, request.stream, struct.pack(">I", 3)))
            while len(request.body) < 3:
                pass
            request.connection.send(frame(8, 0, request.stream, struct.pack(">I", 100)))
            request.ended.wait(LIMIT)
            request.answer(request.body)
        gate, _ = self.pair(serve, settings=[(INITIAL_WINDOW_SIZE, 0)], wide=False)
        self.assertEqual(gate.fetch("/", method="POST", body=b"abcdef").body, b"abcdef")


class Hostile(UpstreamTest):
    def bad(self, handler, reason="upstream_bad_response"):
        gate, origin = self.pair(lambda request: request.answer() if request.path == "/good" else handler(request))
        self.refused(gate, reason, target="/bad")
        self.assertEqual(gate.fetch("/good").status, 200)
        return origin

    def raw_head(self, *fields):
        return lambda request: request.fields_frame(list(fields), True)

    def test_heads_that_are_none(self):
        for fields in ([("x", "y")], [(":status", "abc")], [(":status", "099")], [(":status", "101")],
                       [(":status", "200"), (":status", "200")], [(":status", "200"), (":path", "/")],
                       [("x", "y"), (":status", "200")], [(":status", "200"), ("X-Upper", "a")],
                       [(":status", "200"), ("connection", "close")], [(":status", "200"), ("transfer-encoding", "chunked")],
                       [(":status", "200"), ("x", "a\r\nset-cookie: b")], [(":status", "200"), ("x", "a\0b")],
                       [(":status", "200"), ("a b", "c")], [(":status", "200"), ("content-length", "x")],
                       [(":status", "200"), ("content-length", "1"), ("content-length", "2")]):
            with self.subTest(fields=fields):
                self.bad(self.raw_head(*fields))

    def test_content_length_that_does_not_hold(self):
        def longer(request):
            request.head(200, [("content-length", "2")])
            request.data(b"abc", end=True)
        gate, _ = self.pair(longer)
        with Http2Client(gate.address) as client:
            got = client.answer(client.request("/"))
        self.assertIsNotNone(got.reset)
        self.assertNotIn(b"c", got.body)
        self.bad(lambda request: request.head(200, [("content-length", "2")], end=True))

    def test_a_large_head(self):
        self.bad(lambda request: request.head(200, [("x", "a" * 1000)] * 70, end=True),
                 "upstream_header_too_large")

    def test_too_many_fields(self):
        self.bad(lambda request: request.head(200, [("x", "")] * 300, end=True), "upstream_header_too_large")

    def test_trailers_with_what_frames(self):
        gate, _ = self.pair(lambda request: request.answer(trailers=[("content-length", "5"), ("x-a", "b")]))
        with Http2Client(gate.address) as client:
            got = client.fetch("/")
        self.assertIn(got.trailers, (None, [("x-a", "b")]))

    def test_a_flood_of_interim_heads(self):
        def serve(request):
            for _ in range(100):
                request.head(103)
        self.bad(serve)

    def flood(self, data):
        def serve(request):
            for _ in range(100):
                request.connection.send(data(request) * 100)
        gate, _ = self.pair(lambda request: serve(request) if request.path == "/bad" else request.answer())
        self.refused(gate, "upstream_flood", target="/bad")
        self.assertEqual(gate.fetch("/good").status, 200)

    def test_floods(self):
        for name, data in {
            "settings": lambda request: frame(SETTINGS),
            "ping": lambda request: frame(PING, payload=b"12345678"),
            "unknown": lambda request: frame(0x42, 0, 0, b"x"),
        }.items():
            with self.subTest(name):
                self.flood(data)

    def test_a_flood_of_empty_data(self):
        def serve(request):
            request.head()
            for _ in range(100):
                request.connection.send(frame(DATA, 0, request.stream) * 100)
        gate, origin = self.pair(serve)
        with Http2Client(gate.address) as client:
            self.assertIsNotNone(client.answer(client.request("/")).reset)
        self.assertEqual(gate.wait_access()["error"], "upstream_flood")
        self.assertTrue(origin.connections[0].closed.wait(LIMIT))

    def test_endless_continuation(self):
        def serve(request):
            connection = request.connection
            connection.send(frame(HEADERS, 0, request.stream, connection.encoder.encode([(":status", "200")])))
            for _ in range(1000):
                connection.send(frame(9, 0, request.stream, b"\x00\x01a\x01b"))
        gate, _ = self.pair(serve)
        self.assertEqual(gate.fetch("/").status, 502)

    def test_a_push_ends_the_connection(self):
        def serve(request):
            connection = request.connection
            connection.send(frame(5, END_HEADERS, request.stream, struct.pack(">I", 2) + connection.encoder.encode([(":method", "GET")])))
        self.bad(serve)

    def test_a_frame_of_no_stream(self):
        self.bad(lambda request: request.connection.send(frame(DATA, END_STREAM, 77, b"x")))


if __name__ == "__main__":
    unittest.main()
