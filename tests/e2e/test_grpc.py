# SPDX-License-Identifier: Apache-2.0
"""gRPC through the proxy: a real client and a real server, every kind of call, and what calls are told of failures."""

import queue
import re
import subprocess
import sys
import pathlib
import unittest

import grpc

from certs import Authority
from grpc_echo import EchoClient, EchoServer
from harness import GateTest
from http2_client import CANCEL, Http2Client, INTERNAL_ERROR
from http2_origin import Http2Origin

LIMIT = 20  # for what should come at once

CONFIG = """
listeners: [{{ address: "127.0.0.1:0", h2c: true }}]
sites:
  - routes:
      - {{ path: /test.Echo/*, proxy: "{scheme}://127.0.0.1:{port}", max_body: {max_body}{route} }}
      - {{ path: /small/*, proxy: "{scheme}://127.0.0.1:{port}", max_body: 10 }}
"""


class GrpcTest(GateTest):
    def echo(self, **more):
        server = EchoServer(**more)
        self.addCleanup(server.close)
        return server

    def edge(self, port, scheme="h2c", max_body="64MiB", top="", route="", **more):
        return self.gate(CONFIG.format(scheme=scheme, port=port, max_body=max_body, route=route) + top, **more)

    def caller(self, address, **more):
        client = EchoClient(address, **more)
        self.addCleanup(client.close)
        return client

    def both(self):
        server = self.echo()
        gate = self.edge(server.port)
        return server, gate, self.caller(gate.address)

    def assertFails(self, code, call):
        with self.assertRaises(grpc.RpcError) as raised:
            call()
        self.assertEqual(raised.exception.code(), code, raised.exception)
        return raised.exception


class Calls(GrpcTest):
    def test_unary_with_metadata_both_ways(self):
        server, gate, client = self.both()
        answer, call = client.unary.with_call(b"hello", metadata=(("x-ask", "a"), ("x-ask-bin", b"\x00\xfe")), timeout=LIMIT)
        self.assertEqual(answer, b"hello")
        self.assertIn(("x-first", "1"), [tuple(item) for item in call.initial_metadata()])
        trailing = [tuple(item) for item in call.trailing_metadata()]
        self.assertIn(("x-last", "2"), trailing)
        self.assertIn(("x-last-bin", b"\x00\xff"), trailing)
        sent = dict(server.metadata)
        self.assertEqual((sent["x-ask"], sent["x-ask-bin"]), ("a", b"\x00\xfe"))
        self.assertEqual(sent["x-forwarded-for"], "127.0.0.1")
        record = gate.wait_access()
        self.assertEqual((record["status"], record["error"], record["protocol"]), (200, "", "HTTP/2.0"))

    def test_an_empty_message(self):
        _, _, client = self.both()
        self.assertEqual(client.unary(b"", timeout=LIMIT), b"")

    def test_the_servers_own_status_passes(self):
        _, _, client = self.both()
        error = self.assertFails(grpc.StatusCode.FAILED_PRECONDITION,
                                 lambda: client.fail("grün 100%".encode(), timeout=LIMIT))
        self.assertEqual(error.details(), "grün 100%")

    def test_a_method_that_the_server_does_not_have(self):
        _, gate, client = self.both()
        missing = client.channel.unary_unary("/test.Echo/Nothing")
        self.assertFails(grpc.StatusCode.UNIMPLEMENTED, lambda: missing(b"", timeout=LIMIT))
        self.assertEqual(gate.wait_access()["error"], "")

    def test_server_streaming(self):
        _, _, client = self.both()
        self.assertEqual(list(client.split(b"a b c d", timeout=LIMIT)), [b"a", b"b", b"c", b"d"])

    def test_each_message_comes_while_the_call_goes_on(self):
        server, _, client = self.both()
        call = client.hold_stream(b"now", timeout=LIMIT)
        self.assertEqual(next(call), b"now")  # the server waits for us before it goes on
        server.go.set()
        self.assertEqual(list(call), [b"now"])

    def test_client_streaming(self):
        _, _, client = self.both()
        self.assertEqual(client.join(iter([b"a", b"b", b"c"]), timeout=LIMIT), b"a b c")

    def test_bidirectional_streaming_takes_turns(self):
        _, _, client = self.both()
        words = queue.Queue()
        call = client.talk(iter(words.get, None), timeout=LIMIT)
        for word in (b"one", b"two", b"three"):
            words.put(word)
            self.assertEqual(next(call), b"you said " + word)
        words.put(None)
        self.assertEqual(list(call), [])

    def test_big_messages(self):
        _, _, client = self.both()
        message = bytes(range(256)) * 24_000  # 6 MB
        self.assertEqual(client.unary(message, timeout=60), message)
        self.assertEqual(client.join(iter([message, message]), timeout=60), message + b" " + message)

    def test_many_calls_at_a_time_share_one_connection(self):
        server, _, client = self.both()
        server.go.set()
        client.unary(b"first", timeout=LIMIT)
        calls = [client.hold.future(str(i).encode(), timeout=LIMIT) for i in range(100)]
        self.assertEqual([call.result() for call in calls], [str(i).encode() for i in range(100)])
        self.assertEqual(server.calls, 101)
        self.assertEqual(len(server.peers), 1)

    def test_over_tls_on_both_sides(self):
        folder = self.folder()
        authority = Authority(folder / "ca")
        cert, key = authority.issue("localhost", "127.0.0.1")
        read = lambda file: pathlib.Path(file).read_bytes()
        server = self.echo(credentials=grpc.ssl_server_credentials([(read(key), read(cert))]))
        gate = self.gate(f"""
            listeners: [{{ address: "127.0.0.1:0", tls: true }}]
            tls: {{ certificates: [{{ cert: {cert}, key: {key} }}] }}
            upstreams:
              echo: {{ scheme: h2, servers: ["127.0.0.1:{server.port}"], tls: {{ ca: {authority.cert} }} }}
            sites: [{{ routes: [{{ path: /*, proxy: echo }}] }}]
            """)
        client = self.caller(("localhost", gate.tls_address[1]),
                             credentials=grpc.ssl_channel_credentials(read(authority.cert)))
        self.assertEqual(client.unary(b"hello", timeout=LIMIT), b"hello")
        self.assertEqual(list(client.split(b"a b", timeout=LIMIT)), [b"a", b"b"])


class Failures(GrpcTest):
    def test_no_route(self):
        _, gate, client = self.both()
        error = self.assertFails(grpc.StatusCode.UNIMPLEMENTED, lambda: client.missing(b"", timeout=LIMIT))
        self.assertEqual(error.details(), "no_route")
        record = gate.wait_access()
        self.assertEqual((record["status"], record["error"]), (200, "no_route"))

    def test_too_large(self):
        _, _, client = self.both()
        small = client.channel.unary_unary("/small/Unary")
        error = self.assertFails(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: small(b"x" * 100, timeout=LIMIT))
        self.assertIn("max_body", error.details())

    def test_nobody_listens(self):
        server = self.echo()
        gate = self.edge(server.port)
        server.server.stop(None).wait()
        client = self.caller(gate.address)
        error = self.assertFails(grpc.StatusCode.UNAVAILABLE, lambda: client.unary(b"", timeout=LIMIT))
        self.assertEqual(error.details(), "connect_refused")

    def test_the_server_is_killed_under_calls(self):
        program = pathlib.Path(__file__).with_name("grpc_echo.py")
        server = subprocess.Popen([sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.stdin.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        gate = self.edge(int(server.stdout.readline()))
        client = self.caller(gate.address)
        calls = [client.hold.future(b"", timeout=LIMIT) for _ in range(5)]
        stream = client.hold_stream(b"x", timeout=LIMIT)
        next(stream)
        server.kill()
        for call in calls:
            self.assertEqual(call.code(), grpc.StatusCode.UNAVAILABLE)
        # Its head has been sent: the status comes in trailers.
        error = self.assertFails(grpc.StatusCode.UNAVAILABLE, lambda: next(stream))
        self.assertEqual(error.details(), "upstream_truncated")
        self.assertEqual(gate.wait_access(lambda record: record["uri"].endswith("HoldStream"))["error"], "upstream_truncated")

    def half_answered(self, end, **more):
        """Calls a server that answers with one message and then does as `end` says."""
        def serve(request):
            request.head(200, [("content-type", "application/grpc")])
            request.data(b"\0\0\0\0\1a")
            end(request)
        origin = Http2Origin(serve)
        self.addCleanup(origin.close)
        gate = self.edge(origin.port, **more)
        call = self.caller(gate.address).hold_stream(b"", timeout=LIMIT)
        self.assertEqual(next(call), b"a")
        return call

    def test_a_stream_that_is_reset_half_way(self):
        call = self.half_answered(lambda request: request.break_off(INTERNAL_ERROR))
        error = self.assertFails(grpc.StatusCode.UNAVAILABLE, lambda: next(call))
        self.assertEqual(error.details(), "upstream_reset_stream")

    def test_a_message_that_is_cut_off_is_no_success(self):
        call = self.half_answered(lambda request: (request.data(b"\0\0\0\0\5ab"), request.break_off(INTERNAL_ERROR)))
        with self.assertRaises(grpc.RpcError) as raised:
            next(call)
        self.assertIn(raised.exception.code(), (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL))

    def test_a_stream_that_falls_silent(self):
        call = self.half_answered(lambda request: None, route=", timeouts: { idle: 300ms }")
        error = self.assertFails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: next(call))
        self.assertEqual(error.details(), "upstream_timeout")

    def test_a_deadline_that_passes_half_way(self):
        """The edge's own word of it, to a client that does not watch its clock."""
        def serve(request):
            request.head(200, [("content-type", "application/grpc")])
            request.data(b"\0\0\0\0\1a")
        origin = Http2Origin(serve)
        self.addCleanup(origin.close)
        gate = self.edge(origin.port)
        with Http2Client(gate.address) as client:
            headers = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "300m")]
            got = client.fetch("/test.Echo/Hold", method="POST", headers=headers)
        self.assertEqual((got.status, got.body, got.reset), (200, b"\0\0\0\0\1a", None))
        self.assertEqual(got.trailers, [("grpc-status", "4"), ("grpc-message", "grpc_timeout")])

    def test_a_length_that_was_declared_is_not_made_good_by_trailers(self):
        def serve(request):
            request.head(200, [("content-type", "application/grpc"), ("content-length", "10")])
            request.data(b"\0\0\0\0\1a")
            request.break_off(INTERNAL_ERROR)
        origin = Http2Origin(serve)
        self.addCleanup(origin.close)
        gate = self.edge(origin.port)
        with Http2Client(gate.address) as client:
            got = client.fetch("/test.Echo/Hold", method="POST", headers=[("content-type", "application/grpc")])
        self.assertEqual((got.reset, got.trailers or None), (INTERNAL_ERROR, None))

    def test_an_answer_that_is_no_grpc_breaks(self):
        origin = Http2Origin(lambda request: (request.head(), request.data(b"half"), request.break_off(INTERNAL_ERROR)))
        self.addCleanup(origin.close)
        gate = self.edge(origin.port)
        with Http2Client(gate.address) as client:
            got = client.fetch("/test.Echo/Hold", method="POST", headers=[("content-type", "application/grpc")])
        self.assertEqual(got.reset, INTERNAL_ERROR)

    def test_a_deadline_reaches_the_server(self):
        _, _, client = self.both()
        remaining = float(client.remaining(b"", timeout=LIMIT))
        self.assertTrue(0 < remaining < LIMIT + 1, remaining)  # clients round it up

    def test_the_client_meets_its_deadline(self):
        server, _, client = self.both()
        self.assertFails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: client.hold(b"", timeout=0.2))
        self.assertTrue(server.cancelled.wait(LIMIT))

    def test_the_edge_keeps_the_deadline_itself(self):
        origin = Http2Origin(lambda request: None)  # says nothing
        self.addCleanup(origin.close)
        gate = self.edge(origin.port)
        with Http2Client(gate.address) as client:
            headers = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "100m")]
            stream = client.request("/test.Echo/Hold", body=b"\0\0\0\0\0", method="POST", headers=headers)
            answer = client.answer(stream)
        self.assertEqual((answer.status, answer.header("grpc-status"), answer.header("grpc-message")),
                         (200, "4", "grpc_timeout"))
        self.assertEqual((answer.header("content-type"), answer.body), ("application/grpc", b""))
        self.assertEqual(gate.wait_access()["error"], "grpc_timeout")
        request = origin.requests[0]
        self.assertTrue(request.over.wait(LIMIT))
        self.assertEqual(request.reset, CANCEL)
        self.assertEqual(request.header("te"), "trailers")
        left = re.fullmatch(r"(\d{1,8})([nu])", request.header("grpc-timeout"))
        self.assertTrue(left, request.header("grpc-timeout"))
        self.assertLess(int(left[1]) * {"n": 1, "u": 1000}[left[2]], 100_000_000)  # the call has begun some time ago

    def test_a_client_that_cancels(self):
        server, _, client = self.both()
        call = client.hold_stream(b"x", timeout=LIMIT)
        next(call)
        call.cancel()
        self.assertTrue(server.cancelled.wait(LIMIT))
        # The connection to the server lives on.
        self.assertEqual(client.unary(b"y", timeout=LIMIT), b"y")
        self.assertEqual(len(server.peers), 1)

    def test_other_requests_are_answered_as_ever(self):
        gate = self.edge(self.echo().port)
        with Http2Client(gate.address) as client:
            plain = client.fetch("/nowhere", method="POST", headers=[("content-type", "application/grpc-web")])
            call = client.fetch("/nowhere", method="POST", headers=[("content-type", "application/grpc+proto")])
        self.assertEqual((plain.status, plain.header("grpc-status")), (404, None))
        self.assertEqual((call.status, call.header("grpc-status")), (200, "12"))


if __name__ == "__main__":
    unittest.main()
