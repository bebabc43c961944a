# SPDX-License-Identifier: Apache-2.0
"""Requests and answers on their way through: methods, bodies, trailers, interim answers, versions, pipelining."""

import hashlib
import os
import select
import threading
import unittest

from client import Broken
from harness import GateTest, answer, wait_until

MIB = 1 << 20


def echo(request, connection):
    return answer(body=request.body, headers=[("X-Method", request.method), ("X-Target", request.target)])


def refuse(status, body):
    """An origin that answers without the body, and then reads on to the end of the connection."""
    def handler(_, connection):
        connection.send(answer(status, body, [("Connection", "close")]))
        while connection.reader.fill():
            connection.reader.buffer = b""
        return False
    return handler


class Messages(GateTest):
    def setUp(self):
        self.script = {}

        def handler(request, connection):
            act = self.script.get(request.target)
            return act(request, connection) if callable(act) else act or echo(request, connection)

        self.edge, self.origin_ = self.proxied(handler, top="limits: { max_body: 64MiB }")

    def test_methods(self):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
            body = b"" if method in ("GET", "HEAD", "OPTIONS") else b"some body"
            with self.subTest(method):
                response = self.edge.fetch("/m?q=1", method, body=body)
                self.assertEqual((response.status, response.header("X-Method"), response.header("X-Target")),
                                 (200, method, "/m?q=1"))
                self.assertEqual(response.body, b"" if method == "HEAD" else body)

    def test_target_arrives_as_sent(self):
        for target in ("/a%20b", "/a?x=%2F&y=a+b", "/caf%C3%A9", "/a;b=c/d,e", "/~x/(y)!*'", "/x?", "/x?a=?&b=/../"):
            with self.subTest(target):
                self.edge.fetch(target)
                self.assertEqual(self.origin_.requests[-1].target, target)

    def test_upload_of_known_length(self):
        body = os.urandom(300_000)
        response = self.edge.fetch("/up", "POST", body=body)
        self.assertEqual(response.body, body)
        request = self.origin_.requests[-1]
        self.assertEqual(request.header_list("Content-Length"), ["300000"])
        self.assertIsNone(request.header("Transfer-Encoding"))

    def test_chunked_upload_with_trailers(self):
        with self.edge.connect() as client:
            client.send_request("POST", "/up", [("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")])
            client.send(b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 42\r\n\r\n")
            self.assertEqual(client.read_response().body, b"hello world")
        request = self.origin_.requests[-1]
        self.assertEqual(request.header_list("Transfer-Encoding"), ["chunked"])
        self.assertIsNone(request.header("Content-Length"))
        self.assertEqual(request.trailers, [("X-Sum", "42")])

    def test_chunked_answer_with_trailers(self):
        self.script["/down"] = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                                b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 42\r\n\r\n")
        response = self.edge.fetch("/down", headers=[("TE", "trailers")])
        self.assertEqual(response.body, b"hello world")
        self.assertEqual(response.header_list("Transfer-Encoding"), ["chunked"])
        self.assertIn(("X-Sum", "42"), response.trailers)

    def test_answer_until_close(self):
        def until_close(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000)
            return False

        self.script["/end"] = until_close
        response = self.edge.fetch("/end")
        self.assertEqual(response.body, b"x" * 100_000)
        self.assertEqual(self.edge.fetch("/after").status, 200)

    def test_answers_without_content(self):
        self.script["/204"] = b"HTTP/1.1 204 No Content\r\n\r\n"
        self.script["/304"] = b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'
        self.script["/head"] = b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"
        with self.edge.connect() as client:  # all on one connection: each ends where it must
            self.assertEqual(client.request(target="/204").status, 204)
            response = client.request(target="/304")
            self.assertEqual((response.status, response.header("ETag")), (304, '"a"'))
            response = client.request("HEAD", "/head")
            self.assertEqual((response.status, response.header("Content-Length")), (200, "1234"))
            self.assertEqual(client.request("POST", "/last", body=b"x").body, b"x")

    def test_204_has_no_framing(self):
        self.script["/204"] = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
        response = self.edge.fetch("/204")
        self.assertIsNone(response.header("Content-Length"))
        self.assertIsNone(response.header("Transfer-Encoding"))

    def test_early_hints(self):
        self.script["/hints"] = (b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + answer(body=b"page"))
        response = self.edge.fetch("/hints")
        self.assertEqual(response.body, b"page")
        self.assertEqual([(i.status, i.header("Link")) for i in response.interim], [(103, "</a.css>; rel=preload")])

    def test_http_10_gets_no_interim_answer(self):
        self.script["/hints"] = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + answer(body=b"page")
        response = self.edge.fetch("/hints", version="HTTP/1.0")
        self.assertEqual((response.interim, response.body), ([], b"page"))

    def test_expect_continue(self):
        with self.edge.connect() as client:
            client.send_request("POST", "/up", [("Expect", "100-continue"), ("Content-Length", "5")])
            self.assertEqual(client.read_head().status, 100)
            client.send(b"hello")
            self.assertEqual(client.read_response().body, b"hello")

    def test_expect_continue_refused_by_the_origin(self):
        """An origin that answers without wanting the body: the client need not send it."""
        origin = self.origin(refuse(403, b"no"), read_body=False)
        edge, _ = self.proxied(origin=origin)
        with edge.connect() as client:
            client.send_request("POST", "/up", [("Expect", "100-continue"), ("Content-Length", "500000")])
            head = client.read_head()
            if head.status == 100:  # the edge may invite the body itself; the refusal must still arrive
                client.send(b"x" * 1000)
                head = client.read_final_head()
            self.assertEqual(head.status, 403)
            self.assertEqual(client.read_body(head).body, b"no")

    def test_answer_before_the_end_of_the_upload(self):
        origin = self.origin(refuse(409, b"enough"), read_body=False)
        edge, _ = self.proxied(origin=origin, top="limits: { max_body: 64MiB }")
        with edge.connect() as client:
            client.send_request("POST", "/up", [("Content-Length", str(20 * MIB))])
            try:
                for _ in range(20):
                    client.send(bytes(MIB))
            except OSError:
                pass
            response = client.read_response()
            self.assertEqual((response.status, response.body), (409, b"enough"))

    def test_http_10(self):
        response = self.edge.fetch("/old", version="HTTP/1.0")
        self.assertEqual(response.status, 200)
        self.script["/chunks"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        with self.edge.connect() as client:
            client.send_request(target="/chunks", version="HTTP/1.0")
            response = client.read_response()
            self.assertIsNone(response.header("Transfer-Encoding"))
            self.assertEqual(response.body, b"hello")
            self.assertEqual(client.rest(), b"")

    def test_http_10_keep_alive(self):
        with self.edge.connect() as client:
            for _ in range(3):
                response = client.request(target="/old", version="HTTP/1.0", headers=[("Connection", "keep-alive")])
                self.assertEqual((response.header("Connection") or "").lower(), "keep-alive")

    def test_keep_alive_and_close(self):
        with self.edge.connect() as client:
            for i in range(20):
                self.assertEqual(client.request(target=f"/{i}").header("X-Target"), f"/{i}")
            response = client.request(headers=[("Connection", "close")])
            self.assertEqual(response.header("Connection").lower(), "close")
            self.assertEqual(client.rest(), b"")
        self.assertEqual(self.origin_.connections, 1, "the connection to the origin is kept, too")

    def test_pipelining(self):
        with self.edge.connect() as client:
            client.send(b"".join(b"GET /p%d HTTP/1.1\r\nHost: example.test\r\n\r\n" % i for i in range(50)))
            for i in range(50):
                self.assertEqual(client.read_response().header("X-Target"), f"/p{i}")

    def test_pipelining_with_bodies(self):
        with self.edge.connect() as client:
            client.send(b"".join(b"POST /p%d HTTP/1.1\r\nHost: example.test\r\nContent-Length: 2\r\n\r\n%02d" % (i, i)
                                 for i in range(30)))
            for i in range(30):
                response = client.read_response()
                self.assertEqual((response.header("X-Target"), response.body), (f"/p{i}", b"%02d" % i))

    def test_half_closed_client_gets_its_answer(self):
        with self.edge.connect() as client:
            client.send_request(target="/half")
            client.finish_sending()
            self.assertEqual(client.read_response().header("X-Target"), "/half")

    def test_repeated_fields_stay_apart(self):
        self.script["/cookies"] = answer(headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Empty", "")])
        response = self.edge.fetch("/cookies", headers=[("Cookie", "x=1"), ("Accept", "a"), ("Accept", "b")])
        self.assertEqual(response.header_list("Set-Cookie"), ["a=1", "b=2"])
        self.assertEqual(response.header_list("X-Empty"), [""])
        self.assertEqual(", ".join(self.origin_.requests[-1].header_list("Accept")), "a, b")

    def test_keepalive_requests(self):
        edge, _ = self.proxied(top="limits: { keepalive_requests: 3 }")
        with edge.connect() as client:
            for _ in range(2):
                self.assertNotEqual((client.request().header("Connection") or "").lower(), "close")
            self.assertEqual(client.request().header("Connection").lower(), "close")
            self.assertEqual(client.rest(), b"")


class LargeBodies(GateTest):
    """Both ways through bounded buffers: the program's memory does not grow with the body, nor with a slow reader."""

    def test_upload_of_20_mib(self):
        body = os.urandom(MIB) * 20
        digest = hashlib.sha256(body).hexdigest()

        def handler(request, connection):
            seen = hashlib.sha256()
            connection.read_body(request, sink=seen.update)
            return answer(body=seen.hexdigest().encode())

        edge, _ = self.proxied(origin=self.origin(handler, read_body=False), route=", max_body: 20MiB")
        self.assertEqual(edge.fetch("/up", "POST", body=body).text, digest)
        before = edge.resident()
        with edge.connect() as client:
            client.send_request("POST", "/up", [("Transfer-Encoding", "chunked")])
            for start in range(0, len(body), 64 * 1024):
                piece = body[start:start + 64 * 1024]
                client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            client.send(b"0\r\n\r\n")
            self.assertEqual(client.read_response().text, digest)
        self.assertLess(edge.resident() - before, 8 * MIB)
        self.assertEqual(edge.fetch("/up", "POST", body=body + b"x").status, 413)

    def test_upload_waits_for_a_slow_origin(self):
        go = threading.Event()

        def handler(request, connection):
            go.wait(20)
            seen = hashlib.sha256()
            connection.read_body(request, sink=seen.update)
            return answer(body=seen.hexdigest().encode())

        edge, _ = self.proxied(origin=self.origin(handler, read_body=False), route=", max_body: 64MiB")
        body = os.urandom(MIB) * 32
        go.set()
        self.assertEqual(edge.fetch("/warm", "POST", body=b"x").status, 200)
        go.clear()
        before = edge.resident()
        with edge.connect() as client:
            client.send_request("POST", "/up", [("Content-Length", str(len(body)))])
            client.sock.setblocking(False)
            sent = self._push(client.sock, body)
            self.assertLess(sent, len(body), "the edge took the whole upload while the origin read nothing")
            self.assertLess(edge.resident() - before, 4 * MIB)
            go.set()
            client.sock.settimeout(10)
            client.send(body[sent:])
            self.assertEqual(client.read_response().text, hashlib.sha256(body).hexdigest())

    @staticmethod
    def _push(sock, data):
        """Sends until nothing has moved for half a second; the number of bytes that went."""
        sent = 0
        while sent < len(data):
            _, writable, _ = select.select([], [sock], [], 0.5)
            if not writable:
                return sent
            sent += sock.send(data[sent:sent + 65536])
        return sent

    def test_slow_readers_cost_little(self):
        """Forty clients that stop reading a large download: under 256 KiB of memory for each."""
        size, readers = 64 * MIB, 40
        block = os.urandom(MIB)
        total = hashlib.sha256(block * (size // MIB)).hexdigest()
        progress = {}

        def handler(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for i in range(size // MIB):
                for start in range(0, MIB, 65536):
                    connection.send(block[start:start + 65536])
                    progress[request.target] = i * MIB + start
            return True

        edge, origin = self.proxied(handler)
        self.assertEqual(len(edge.fetch("/warm").body), size)
        before = edge.resident()
        clients = [self.client(edge.address, receive_buffer=65536) for _ in range(readers)]
        for number, client in enumerate(clients):
            client.send_request(target=f"/big{number}")
            self.assertEqual(client.read_final_head().status, 200)
        origin.wait_for(lambda: len(origin.requests) == readers + 1)
        last = [None]

        def standstill():
            now = dict(progress)
            same, last[0] = last[0] == now, now
            threading.Event().wait(0.3)
            return same

        wait_until(standstill, timeout=30, what="back-pressure to reach the origin")
        # What the kernel may hold: both ends' send buffers and our receive buffer. (The client's own is small.)
        largest = lambda name: int(open(f"/proc/sys/net/ipv4/{name}").read().split()[2])
        held = largest("tcp_rmem") + 2 * largest("tcp_wmem") + MIB
        self.assertLess(max(v for k, v in progress.items() if k != "/warm"), min(held, size - MIB))
        self.assertLess(edge.resident() - before, readers * 256 * 1024)
        seen = hashlib.sha256()
        first = clients[0]
        first.reader.exactly(size, sink=seen.update)
        self.assertEqual(seen.hexdigest(), total)

    def test_a_client_that_leaves_frees_the_origin(self):
        def handler(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                connection.send(b"10000\r\n" + bytes(65536) + b"\r\n")

        edge, origin = self.proxied(handler)
        with edge.connect() as client:
            client.send_request(target="/endless")
            head = client.read_final_head()
            self.assertEqual(head.status, 200)
            client.reader.exactly(100_000)
        origin.wait_for(lambda: origin.closed == 1)
        record = edge.wait_access(lambda r: r["uri"] == "/endless")
        self.assertTrue(record["error"])


class Breaks(GateTest):
    def test_origin_breaks_off_in_the_body(self):
        def handler(request, connection):
            if request.target == "/length":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50_000)
            else:
                connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            return False

        edge, _ = self.proxied(handler)
        for target in ("/length", "/chunked"):
            with self.subTest(target), edge.connect() as client:
                client.send_request(target=target)
                with self.assertRaises(Broken):
                    client.read_response()
                record = edge.wait_access(lambda r, target=target: r["uri"] == target)
                self.assertEqual(record["status"], 200)
                self.assertTrue(record["error"])

    def test_origin_resets_in_the_body(self):
        def handler(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            gone.wait(10)
            connection.reset()
            return False

        gone = threading.Event()
        edge, _ = self.proxied(handler)
        with edge.connect() as client:
            client.send_request(target="/reset")
            head = client.read_final_head()
            self.assertEqual(client.reader.chunk(), b"hello")  # arrived before the break: nothing is held back
            gone.set()
            with self.assertRaises(Broken):
                client.read_body(head)


if __name__ == "__main__":
    unittest.main(verbosity=2)
