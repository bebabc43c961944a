# SPDX-License-Identifier: Apache-2.0
"""What HTTP/2 does not allow (RFC 9113 sections 8.2 and 8.3, and what HTTP/1 would read otherwise): a reset or an answer,
and nothing of it reaches the origin; the connection and its other streams go on."""

import itertools
import unittest

from harness import GateTest, answer
from http2_client import (END_HEADERS, END_STREAM, HEADERS, PROTOCOL_ERROR, RST_STREAM, ENHANCE_YOUR_CALM, Http2Client, frame)

PROBE = itertools.count()


class Rules(GateTest):
    TOP = "listeners: [{ address: '127.0.0.1:0', h2c: true }]\nlog: { level: debug }\n"

    def setUp(self):
        self.edge, self.recorder = self.proxied(lambda request, connection: answer(body=request.body or request.target.encode()),
                                                top=self.TOP + "limits: { max_header_bytes: 8KiB, max_headers: 40 }\n")
        self.http2 = Http2Client(self.edge.address)
        self.addCleanup(self.http2.close)

    def seen_before_probe(self):
        """A good request of the same connection is answered; what reached the origin before it."""
        target = f"/probe-{next(PROBE)}"
        got = self.http2.fetch(target)
        self.assertEqual((got.status, got.body), (200, target.encode()))
        with self.recorder.changed:
            place = self.recorder.targets.index(target)
            before, self.recorder.requests[:place + 1] = self.recorder.requests[:place], []
        return before

    def head(self, **more):
        return Http2Client.head(**more)

    MALFORMED = {
        "upper case": [("X-Upper", "1")],
        "connection": [("connection", "close")],
        "keep-alive": [("keep-alive", "1")],
        "proxy-connection": [("proxy-connection", "keep-alive")],
        "transfer-encoding": [("transfer-encoding", "chunked")],
        "upgrade": [("upgrade", "websocket")],
        "te": [("te", "gzip")],
        "te and more": [("te", "trailers, deflate")],
        "unknown pseudo": [(":foo", "1")],
        "response pseudo": [(":status", "200")],
        "late pseudo": [("x-a", "1"), (":path", "/again")],
        "repeated path": [(":path", "/again")],
        "repeated method": [(":method", "GET")],
        "repeated authority": [(":authority", "example.test")],
        "cr": [("x-a", "1\r2")],
        "lf": [("x-a", "1\n2")],
        "crlf injection": [("x-a", "1\r\nx-injected: 1")],
        "nul": [("x-a", "1\x002")],
        "leading blank": [("x-a", " 1")],
        "trailing blank": [("x-a", "1\t")],
        "name with colon": [("x:a", "1")],
        "name with blank": [("x a", "1")],
        "name with lf": [("x\na", "1")],
        "empty name": [("", "1")],
        "length no number": [("content-length", "1x")],
        "length signed": [("content-length", "+0")],
        "length twice": [("content-length", "0"), ("content-length", "0")],
        "host twice": [("host", "example.test"), ("host", "example.test")],
    }

    def test_malformed(self):
        for name, more in self.MALFORMED.items():
            with self.subTest(name):
                got = self.http2.fetch(fields=self.head(path="/bad", headers=more))
                self.assertEqual((got.headers, got.reset), (None, PROTOCOL_ERROR))
                self.assertEqual(self.seen_before_probe(), [])

    def test_incomplete(self):
        for name in (":method", ":scheme", ":path"):
            with self.subTest(name):
                fields = [field for field in self.head(path="/bad") if field[0] != name]
                got = self.http2.fetch(fields=fields)
                self.assertEqual((got.headers, got.reset), (None, PROTOCOL_ERROR))
        for more in ({"path": ""}, {"path": "no-slash"}, {"path": "*"}, {"path": "http://example.test/"}, {"authority": None},
                     {"path": "/a b"}, {"path": "/a\nb"}, {"method": "GE T"}, {"authority": "a\nb"}):
            with self.subTest(more):
                got = self.http2.fetch(**{"path": "/bad", **more})
                self.assertEqual((got.headers, got.reset), (None, PROTOCOL_ERROR))
        self.assertEqual(self.seen_before_probe(), [])

    def test_answered_refusals(self):
        for more, status, reason in (
                ({"headers": [("host", "other.test")]}, 400, "host_mismatch"),
                ({"authority": "user@example.test"}, 400, "bad_host"),
                ({"authority": "example.test:99999"}, 400, "bad_host"),
                ({"path": "/a#b"}, 400, "bad_target"),
                ({"scheme": "ftp"}, 400, "bad_scheme"),
                ({"headers": [("expect", "miracle")]}, 417, "expectation_failed"),
                ({"headers": [(f"x-{number}", "1") for number in range(41)]}, 431, "too_many_headers"),
                ({"headers": [("x-a", "1" * 9000)]}, 431, "header_too_large"),
                ({"path": "/" + "a" * 9000}, 414, "uri_too_long"),
                ({"path": "/../../etc/passwd"}, 400, "bad_path")):
            with self.subTest(more if len(str(more)) < 100 else reason):
                got = self.http2.fetch(**{"path": "/bad", **more})
                self.assertEqual(got.status, status)
                self.assertEqual(self.edge.wait_access(lambda record: record["error"] == reason)["status"], status)
        plain = self.http2.fetch(fields=[(":method", "CONNECT"), (":authority", "example.test:443")])
        self.assertEqual(plain.status, 501)
        self.assertEqual(self.seen_before_probe(), [])
        self.assertEqual(self.http2.goaways, [])

    def test_what_the_origin_gets(self):
        got = self.http2.fetch("/good?a=%2f", headers=[
            ("cookie", "a=1"), ("x-a", "1"), ("cookie", "b=2"), ("te", "trailers"), ("cookie", "c=3"), ("x-a", "2")])
        self.assertEqual(got.status, 200)
        seen = self.recorder.wait_requests(1)[0]
        self.assertEqual((seen.method, seen.target, seen.version), ("GET", "/good?a=%2f", "HTTP/1.1"))
        self.assertEqual(seen.header_list("Host"), ["example.test"])
        self.assertEqual(seen.header_list("Cookie"), ["a=1; b=2; c=3"])
        self.assertEqual(seen.header_list("X-A"), ["1", "2"])
        for absent in ("TE", "Transfer-Encoding", "Content-Length", "Upgrade"):
            self.assertEqual(seen.header_list(absent), [], absent)
        self.assertFalse(any(name.startswith(":") for name, _ in seen.headers))

    def test_host_in_place_of_authority(self):
        got = self.http2.fetch(authority=None, headers=[("host", "example.test")])
        self.assertEqual(got.status, 200)
        self.assertEqual(self.recorder.wait_requests(1)[0].header_list("Host"), ["example.test"])

    def test_options_asterisk(self):
        self.assertEqual(self.http2.fetch("*", method="OPTIONS").status, 204)

    def test_length_against_content(self):
        """The origin sees no whole request of a length that the client did not keep."""
        for body, length in ((b"12345", "4"), (b"123", "4"), (b"", "4")):
            with self.subTest(length):
                got = self.http2.fetch("/post", body=body, method="POST", headers=[("content-length", length)])
                self.assertEqual(got.reset, PROTOCOL_ERROR)
        self.assertFalse(any(request.complete for request in self.seen_before_probe() if request.target == "/post"))

    def test_trailers_of_a_request(self):
        stream = self.http2.request("/post", method="POST", end=False)
        self.http2.data(stream, b"content")
        self.http2.send(self.http2.headers_frame([("x-checksum", "1"), ("authorization", "no")], stream))
        got = self.http2.answer(stream)
        self.assertEqual((got.status, got.body), (200, b"content"))
        seen = self.recorder.wait_requests(1)[0]
        self.assertEqual(seen.trailers, [("x-checksum", "1")])

    def test_pseudo_field_in_trailers(self):
        stream = self.http2.request("/post", method="POST", end=False)
        self.http2.data(stream, b"content")
        self.http2.send(self.http2.headers_frame([(":path", "/other")], stream))
        self.assertEqual(self.http2.answer(stream).reset, PROTOCOL_ERROR)

    def test_too_large_trailers(self):
        stream = self.http2.request("/post", method="POST", end=False)
        self.http2.send(self.http2.headers_frame([("x-a", "1" * 9000)], stream))
        self.assertEqual(self.http2.answer(stream).reset, ENHANCE_YOUR_CALM)
        self.seen_before_probe()

    def test_compression_stays_right_behind_a_refused_head(self):
        """Fields beyond the limits are decoded all the same: the next head refers to them."""
        self.assertEqual(self.http2.fetch("/bad", headers=[("x-kept", "remembered")] + [("x-a", "1" * 9000)]).status, 431)
        self.assertEqual(self.http2.fetch("/good", headers=[("x-kept", "remembered")]).status, 200)
        self.assertEqual(self.recorder.wait_requests(1)[0].header("X-Kept"), "remembered")

    def test_head_in_pieces(self):
        stream = self.http2.take_stream()
        block = self.http2.encoder.encode(self.head(path="/pieces", headers=[("x-a", "1" * 50)]))
        self.http2.send(frame(HEADERS, END_STREAM, stream, block[:10]) + frame(9, 0, stream, block[10:20]) +
                        frame(9, END_HEADERS, stream, block[20:]))
        self.assertEqual(self.http2.answer(stream).body, b"/pieces")

    def test_reset_of_a_closed_stream_is_no_error(self):
        stream = self.http2.request("/one")
        self.http2.answer(stream)
        self.http2.reset(stream)
        self.assertEqual(self.seen_before_probe()[0].target, "/one")
        self.assertFalse([got for got in self.http2.frames if got.kind == RST_STREAM])


if __name__ == "__main__":
    unittest.main()
