# SPDX-License-Identifier: Apache-2.0
"""Bad input gets a clear answer, the connection closes, and nothing of it reaches the origin as a request."""

import itertools
import re
import shutil
import tempfile
import unittest

import bad_requests
from client import Broken, Client
from harness import GateTest, Headgate, Origin, answer

PROBE = itertools.count()


class BadRequests(GateTest):
    """One program and one recording origin for the whole table: a broken request must not harm the next one either."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.recorder = Origin(lambda request, connection: answer(body=request.target.encode()))
        cls.addClassCleanup(cls.recorder.close)
        folder = tempfile.mkdtemp(prefix="headgate-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.edge = Headgate(f"""\
            limits: {{ header_timeout: 20s }}
            sites:
              - routes:
                  - {{ path: /*, proxy: '{cls.recorder.url}' }}
            """, folder)
        cls.addClassCleanup(cls.edge.stop)

    def probe(self):
        """A good request of another connection is served; returns what the origin saw before it."""
        target = f"/probe-{next(PROBE)}"
        self.assertEqual(self.edge.fetch(target).text, target)
        with self.recorder.changed:
            place = self.recorder.targets.index(target)
            before, self.recorder.requests[:place + 1] = self.recorder.requests[:place], []
        return before

    def refused(self, data, statuses, must_close=True):
        """Sends, and insists on one answer of these statuses and then the end of the connection. Without must_close the
        connection may also live on, and then it must serve the next request."""
        with Client(self.edge.address) as client:
            try:
                client.send(data)
            except OSError:
                pass  # answered and closed while we were still sending; the answer is read all the same
            head = client.read_final_head()
            self.assertIn(head.status, statuses)
            self.assertEqual(head.interim, [])
            closing = (head.header("Connection") or "").lower() == "close"
            body = client.read_body(head).body
            if must_close or closing:
                self.assertTrue(closing, "the refusal does not announce the end of the connection")
                self.assertEqual(client.rest(), b"", "something came behind the refusal")
            else:
                self.assertEqual(client.request(target="/next").text, "/next")
                self.recorder.requests.pop()
            return head, body

    def check(self, table, must_close=True):
        for name, data, statuses in table:
            with self.subTest(name):
                try:
                    self.refused(data, statuses, must_close)
                except (Broken, TimeoutError) as error:
                    self.fail(f"no clear answer: {error}")
                finally:
                    seen = self.probe()
                # The origin may have begun to read what was refused in its body, but never a whole request; it notes
                # those when it meets their end, which may be during a later case.
                self.assertEqual([r for r in seen if r.target != "/begun" or r.complete], [])

    def test_body_lengths(self):
        self.check(bad_requests.LENGTHS)

    def test_transfer_codings(self):
        self.check(bad_requests.CODINGS)

    def test_lines(self):
        self.check(bad_requests.LINES)

    def test_hosts_and_targets(self):
        self.check(bad_requests.TARGETS, must_close=False)

    def test_paths(self):
        self.check(bad_requests.PATHS, must_close=False)

    def test_chunks(self):
        self.check(bad_requests.CHUNKS)

    def test_sizes(self):
        self.check(bad_requests.SIZES)

    def test_each_byte_alone(self):
        """How the bytes are cut into packets changes nothing."""
        for name in ("length and chunked", "folded field", "bare LF after a field", "two Hosts"):
            table = bad_requests.LENGTHS + bad_requests.LINES + bad_requests.TARGETS
            data, statuses = next((d, s) for n, d, s in table if n == name)
            with self.subTest(name), Client(self.edge.address) as client:
                try:
                    for byte in data:
                        client.send(bytes([byte]))
                except OSError:
                    pass
                self.assertIn(client.read_final_head().status, statuses)
                self.assertEqual(self.probe(), [])

    def test_413_names_the_limit(self):
        _, body = self.refused(bad_requests.post(b"Content-Length: 2000000\r\n"), {413})
        self.assertRegex(body.decode(), re.compile(r"max_body|1 ?MiB|1048576"))

    def test_no_100_before_413(self):
        head, _ = self.refused(bad_requests.post(b"Content-Length: 2000000\r\nExpect: 100-continue\r\n"), {413})
        self.assertEqual(head.interim, [])

    def test_unknown_expectation(self):
        with Client(self.edge.address) as client:
            client.send(bad_requests.post(b"Content-Length: 1\r\nExpect: 200-ok\r\n", b"a"))
            self.assertIn(client.read_response().status, (200, 417))

    def test_refusals_are_in_the_access_log(self):
        with Client(self.edge.address) as client:
            client.send(bad_requests.get(b"/log-431", b"X-A: " + b"b" * 40000 + b"\r\n"))
            self.assertEqual(client.read_final_head().status, 431)
        record = self.edge.wait_access(lambda r: r["status"] == 431 and r["error"])
        self.assertIn("header", record["error"])
        with Client(self.edge.address) as client:
            client.send(bad_requests.post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"))
            self.assertEqual(client.read_final_head().status, 400)
        self.edge.wait_access(lambda r: r["status"] == 400 and r["error"])


class GoodRequests(GateTest):
    """The other side of strictness: what the RFC allows must pass, and arrives as written from the parsed model."""

    def setUp(self):
        self.edge, self.recorder = self.proxied(lambda request, connection: answer(body=request.target.encode()))

    def passes(self, data, target="/x", method="GET"):
        with self.edge.connect() as client:
            client.send(data)
            response = client.read_response(method)
            self.assertEqual(response.status, 200, response)
        request = self.recorder.requests[-1]
        self.assertEqual(request.target, target)
        self.assertTrue(request.complete)
        return request

    def test_allowed_heads(self):
        get = bad_requests.get
        for name, data in [
            ("tab in a value", get(fields=b"X-A: b\tc\r\n")),
            ("blanks around a value", get(fields=b"X-A: \t b \t\r\n")),
            ("empty value", get(fields=b"X-A:\r\n")),
            ("bytes above 127 in a value", get(fields=b"X-A: caf\xc3\xa9\r\n")),
            ("empty line before the request", b"\r\n" + get()),
            ("Host with a port", get(host=b"Host: example.test:8080\r\n")),
            ("Host in upper case", get(host=b"HOST: EXAMPLE.TEST\r\n")),
            ("Host with IPv6", get(host=b"Host: [::1]:80\r\n")),
            ("a hundred fields", get(fields=b"".join(b"X-%d: b\r\n" % i for i in range(99)))),
            ("absolute form that agrees", get(b"http://example.test/x")),
            ("HTTP/1.0 without Host", get(version=b"HTTP/1.0", host=b"")),
            ("length of GET", get(fields=b"Content-Length: 0\r\n")),
        ]:
            with self.subTest(name):
                self.passes(data)

    def test_chunked_upload_with_extension_and_trailer(self):
        request = self.passes(bad_requests.chunked(b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n"), target="/begun", method="POST")
        self.assertEqual(request.body, b"hello world")

    def test_equal_lengths_are_refused(self):
        """RFC 9110 section 8.6 lets a recipient fold equal lengths into one; a neighbour may not, so we refuse them."""
        with self.edge.connect() as client:
            client.send(bad_requests.post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"))
            self.assertEqual(client.read_response("POST").status, 400)

    def test_more_blanks_than_needed(self):
        """RFC 9112 section 3 lets a recipient take several blanks for one; a neighbour may not, so we refuse them."""
        for line in (b"GET  /x HTTP/1.1\r\n", b"GET /x  HTTP/1.1\r\n"):
            with self.subTest(line), self.edge.connect() as client:
                client.send(line + bad_requests.HOST + b"\r\n")
                self.assertEqual(client.read_response().status, 400)

    def test_options_asterisk(self):
        with self.edge.connect() as client:
            client.send(b"OPTIONS * HTTP/1.1\r\nHost: example.test\r\n\r\n")
            self.assertIn(client.read_response("OPTIONS").status, (200, 204))

    def test_written_anew(self):
        """Names keep their values, framing is our own, one Host, no field twice because of us."""
        request = self.passes(bad_requests.get(host=b"hOsT:  example.test  \r\n", fields=b"X-A:   b  \r\n"))
        self.assertEqual(request.header_list("Host"), ["example.test"])
        self.assertEqual(request.header("X-A"), "b")
        self.assertIn(b"X-A: b\r\n", request.raw + b"\r\n")

    def test_encoded_separators_are_not_a_way_around(self):
        """What was normalised for routing is what the origin gets, or it is refused."""
        for sent in (b"/a/./b", b"/a/c/../b", b"/a/%2e/b", b"/a/c/%2e%2e/b"):
            with self.subTest(sent):
                request = self.passes(bad_requests.get(sent), "/a/b")
                self.assertNotIn("..", request.target)


class Deadlines(GateTest):
    """Slow senders are ended by a deadline, with an answer where one can be given."""

    def test_slow_head_is_408(self):
        edge, origin = self.proxied(top="limits: { header_timeout: 300ms }")
        for part in (b"GET", b"GET /x HTTP/1.1\r\nHost: example.test\r\n", b"GET /x HTTP/1.1\r\nX-A: b"):
            with self.subTest(part), edge.connect() as client:
                client.send(part)
                self.assertEqual(client.read_response().status, 408)
                self.assertEqual(client.rest(), b"")
        edge.wait_access(lambda r: r["status"] == 408)
        self.assertEqual(origin.requests, [])

    def test_dripping_head_does_not_extend_the_deadline(self):
        edge, _ = self.proxied(top="limits: { header_timeout: 500ms }")
        with edge.connect(timeout=0.05) as client:
            client.send(b"GET /x HTTP/1.1\r\nHost: example.test\r\n")
            got = b""
            for i in range(200):  # one field every 50 ms would go on for 10 s
                try:
                    client.send(b"X-%d: b\r\n" % i)
                    got += client.sock.recv(4096)
                except TimeoutError:
                    continue
                except OSError:
                    break
                if got:
                    break
            self.assertTrue(got.startswith(b"HTTP/1.1 408 "), got)
            self.assertLess(i, 150)

    def test_silent_connection_is_closed(self):
        edge, _ = self.proxied(top="limits: { header_timeout: 300ms, keepalive_timeout: 300ms }")
        with edge.connect() as client:
            data = client.rest()
            self.assertTrue(data == b"" or data.startswith(b"HTTP/1.1 408 "), data)

    def test_idle_keepalive_is_closed_quietly(self):
        edge, _ = self.proxied(top="limits: { keepalive_timeout: 300ms }")
        with edge.connect() as client:
            self.assertEqual(client.request().status, 200)
            self.assertEqual(client.rest(), b"")

    def test_stalled_body_is_ended(self):
        for fields, part in ((b"Content-Length: 10\r\n", b"hello"), (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n")):
            with self.subTest(fields):
                edge, origin = self.proxied(top="limits: { body_idle_timeout: 300ms }")
                with edge.connect() as client:
                    client.send(bad_requests.post(fields, part))
                    self.assertEqual(client.read_response("POST").status, 408)
                    self.assertEqual(client.rest(), b"")
                origin.wait_for(lambda: origin.closed >= origin.connections)
                self.assertFalse(any(request.complete for request in origin.requests))

    def test_connection_broken_in_the_head(self):
        edge, origin = self.proxied()
        with edge.connect() as client:
            client.send(b"GET /x HTTP/1.1\r\nHost: example.test\r\n")
            client.finish_sending()
            data = client.rest()
            self.assertTrue(data == b"" or data.startswith(b"HTTP/1.1 400 "), data)
        self.assertEqual(edge.fetch("/next").status, 200)
        self.assertEqual(origin.targets, ["/next"])

    def test_connection_broken_in_the_body(self):
        """An upload that breaks off must not look whole to the origin."""
        edge, origin = self.proxied()
        for fields, part in ((b"Content-Length: 10\r\n", b"hello"), (b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n")):
            with self.subTest(fields):
                with edge.connect() as client:
                    client.send(bad_requests.post(fields, part))
                    origin.wait_for(lambda: origin.requests)
                    client.reset()
                request = origin.requests.pop()
                origin.wait_for(lambda: request.failed)
                self.assertFalse(request.complete)


if __name__ == "__main__":
    unittest.main(verbosity=2)
