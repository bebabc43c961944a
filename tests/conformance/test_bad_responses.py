# SPDX-License-Identifier: Apache-2.0
"""A hostile or broken origin: the client gets 502 or sees the break, and never bytes that belong to another answer."""

import threading
import unittest

from client import Broken
from harness import GateTest, answer

OK = b"HTTP/1.1 200 OK\r\n"

# Heads that cannot be trusted: 502, and the connection is not used again.
HEADS = [
    ("length and chunked", OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ("two lengths", OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
    ("negative length", OK + b"Content-Length: -2\r\n\r\nok"),
    ("length with plus", OK + b"Content-Length: +2\r\n\r\nok"),
    ("a list of lengths", OK + b"Content-Length: 2, 3\r\n\r\nok"),
    ("length above 64 bits", OK + b"Content-Length: 18446744073709551618\r\n\r\nok"),
    ("chunked is not last", OK + b"Transfer-Encoding: chunked, identity\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ("unknown coding", OK + b"Transfer-Encoding: gzip\r\n\r\nok"),
    ("xchunked", OK + b"Transfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ("no status line", b"hello world\r\n\r\n"),
    ("another protocol", b"ICY 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status of letters", b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status of four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status 000", b"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("HTTP/9.9", b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x46"),
    ("NUL in a value", OK + b"X-A: b\0c\r\nContent-Length: 2\r\n\r\nok"),
    ("bare CR in a value", OK + b"X-A: b\rX-B: c\r\nContent-Length: 2\r\n\r\nok"),
    ("field without a colon", OK + b"X-A\r\nContent-Length: 2\r\n\r\nok"),
    ("head too large", OK + b"X-A: " + b"b" * 1_000_000 + b"\r\nContent-Length: 2\r\n\r\nok"),
    ("too many fields", OK + b"X-A: b\r\n" * 60_000 + b"Content-Length: 2\r\n\r\nok"),
    ("a switch that nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nok"),
    ("an end in the head", OK + b"Content-Le"),
    ("an end before the head", b""),
    ("a flood of interim answers", b"HTTP/1.1 102 Processing\r\n\r\n" * 20_000 + answer()),
    ("a flood of interim fields", (b"HTTP/1.1 103 Early Hints\r\n" + b"X-A: " + b"b" * 8000 + b"\r\n\r\n") * 2000 + answer()),
]

# Bodies that break off after a good head: the client must see an error, not a clean end.
BODIES = [
    ("length cut short", OK + b"Content-Length: 10\r\n\r\nhello"),
    ("chunked, cut between chunks", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    ("chunked, cut in a chunk", OK + b"Transfer-Encoding: chunked\r\n\r\nA\r\nhello"),
    ("chunked, no last CRLF", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"),
    ("bad chunk size", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZ\r\nworld\r\n0\r\n\r\n"),
    ("chunk size above 64 bits", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1000000000000000F\r\nx"),
    ("no CRLF behind a chunk", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n"),
    ("endless chunk extension", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5;" + b"a" * 200_000 + b"\r\nworld\r\n0\r\n\r\n"),
    ("endless trailer", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: " + b"a" * 500_000 + b"\r\n\r\n"),
]

# Whole answers with bytes behind them that no answer accounts for.
LEFTOVERS = [
    ("a body after HEAD", "HEAD", OK + b"Content-Length: 6\r\n\r\nabcdef"),
    ("a whole answer after HEAD", "HEAD", OK + b"Content-Length: 2\r\n\r\n" + answer(body=b"poison")),
    ("a body after 204", "GET", b"HTTP/1.1 204 No Content\r\n\r\nabcdef"),
    ("a body after 304", "GET", b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\nabcdef"),
    ("more than the length", "GET", OK + b"Content-Length: 2\r\n\r\nokabcdef"),
    ("a second answer", "GET", OK + b"Content-Length: 2\r\n\r\nok" + answer(body=b"poison")),
    ("more than chunked", "GET", OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + answer(body=b"poison")),
    ("more than nothing", "GET", OK + b"Content-Length: 0\r\n\r\n" + answer(body=b"poison")),
]


class BadResponses(GateTest):
    def setUp(self):
        self.script = {}

        def handler(request, connection):
            data, end = self.script.get(request.target, (answer(body=b"good " + request.target.encode()), False))
            try:
                connection.send(data)
            except OSError:
                return False  # refused while we were still sending
            return not end

        self.edge, self.recorder = self.proxied(handler)

    def test_heads(self):
        for name, data in HEADS:
            with self.subTest(name):
                self.script["/bad"] = (data, True)
                before = self.edge.fetch("/before")  # the connection to the origin is now a kept one
                self.assertEqual(before.text, "good /before")
                response = self.edge.fetch("/bad", "POST", body=b"once")
                self.assertEqual(response.status, 502, response)
                record = self.edge.wait_access(lambda r: r["uri"] == "/bad" and r["status"] == 502 and r["error"])
                self.assertTrue(record["error"])
                self.assertEqual(self.edge.fetch("/after").text, "good /after")

    def test_broken_bodies(self):
        for name, data in BODIES:
            with self.subTest(name):
                self.script["/bad"] = (data, True)
                with self.edge.connect() as client:
                    client.send_request(target="/bad")
                    try:
                        response = client.read_response()
                    except Broken:
                        pass  # seen as broken: right
                    else:
                        self.assertEqual(response.status, 502, "the break looked like a clean end")
                    self.assertEqual(client.rest(), b"")
                self.assertEqual(self.edge.fetch("/after").text, "good /after")

    def test_broken_body_for_http_10(self):
        """Without a length the end of the connection is the end of the body: only a reset tells."""
        self.script["/bad"] = (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", True)
        with self.edge.connect() as client:
            client.send_request(target="/bad", version="HTTP/1.0")
            with self.assertRaises(Broken):
                response = client.read_response()
                self.assertEqual(response.status, 502, "the break looked like a clean end")
                raise Broken("answered with 502")

    def test_leftovers_never_reach_the_next_client(self):
        for name, method, data in LEFTOVERS:
            with self.subTest(name):
                self.script["/left"] = (data, False)
                connections = self.recorder.connections
                with self.edge.connect() as client:
                    client.send_request(method, "/left")
                    head = client.read_final_head()
                    self.assertIn(head.status, (200, 204, 304, 502))
                    body = client.read_body(head, method).body
                    self.assertNotIn(b"abcdef", body)
                    self.assertNotIn(b"poison", body)
                    # Behind it, on the same connection and on others, everyone gets his own answer.
                    if (head.header("Connection") or "").lower() != "close":
                        self.assertEqual(client.request(target="/mine").text, "good /mine")
                        self.assertEqual(client.request("HEAD", "/mine").status, 200)
                for i in range(3):
                    self.assertEqual(self.edge.fetch(f"/other-{i}").text, f"good /other-{i}")
                self.assertGreater(self.recorder.connections, connections, "the spoilt connection was used again")

    def test_late_leftovers(self):
        """Bytes that arrive while the connection is idle in the pool spoil it just as much."""
        release = threading.Event()

        def handler(request, connection):
            if request.target == "/first":
                connection.send(answer(body=b"first"))
                release.wait(10)
                connection.send(answer(body=b"poison"))
                self.recorder_late.note(lambda: setattr(self.recorder_late, "poisoned", True))
                return True
            return answer(body=b"good")

        self.recorder_late = self.origin(handler)
        self.recorder_late.poisoned = False
        edge, origin = self.proxied(origin=self.recorder_late)
        self.assertEqual(edge.fetch("/first").text, "first")
        release.set()
        origin.wait_for(lambda: origin.poisoned)
        for method in ("GET", "POST", "GET"):
            self.assertEqual(edge.fetch("/second", method).text, "good")

    def test_folded_field_is_not_passed_on(self):
        self.script["/fold"] = (OK + b"X-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok", False)
        response = self.edge.fetch("/fold")
        self.assertEqual(response.status, 502)

    def test_blank_before_colon_is_not_passed_on(self):
        self.script["/blank"] = (OK + b"X-A : b\r\nContent-Length: 2\r\n\r\nok", False)
        self.assertEqual(self.edge.fetch("/blank").status, 502)

    def test_transfer_coding_from_http_10(self):
        """RFC 9112 section 6.1: its framing is faulty."""
        self.script["/old"] = (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
                               b"2\r\nok\r\n0\r\n\r\n", False)
        self.assertEqual(self.edge.fetch("/old", "POST", body=b"a").status, 502)
        self.assertEqual(self.edge.fetch("/after").text, "good /after")
        self.assertEqual(self.recorder.connections, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
