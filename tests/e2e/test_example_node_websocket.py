# SPDX-License-Identifier: Apache-2.0
"""examples/node-websocket: Express and ws behind forced HTTPS, CORS with credentials, gzip, a certificate that is renewed."""

import base64
import gzip
import hashlib
import json
import os
import shutil
import struct
import unittest

from certs import Authority
from client import Client
from examples import ExampleTest, needs_node
from harness import client_tls, wait_until

APP, BACKOFFICE, STRANGER = "https://app.example.com", "https://backoffice.example.org", "https://app.example.com.evil.example"


class Socket:
    """A WebSocket over TLS (RFC 6455), one frame a message."""

    def __init__(self, test, path="/ws"):
        self.client = Client(test.edge.tls_address, tls=test.tls, server_name=test.host)
        key = base64.b64encode(os.urandom(16)).decode()
        self.client.send_request(target=path, host=test.host, headers=[
            ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key),
            ("Origin", APP)])
        self.head = self.client.read_final_head()
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        self.accepted = self.head.status == 101 and self.head.header("Sec-WebSocket-Accept") == base64.b64encode(digest).decode()

    def send(self, data, kind=1):
        mask = os.urandom(4)
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data)) if len(data) < 1 << 16 \
            else b"\xff" + struct.pack(">Q", len(data))
        self.client.send(bytes([0x80 | kind]) + length + mask + bytes(byte ^ mask[i & 3] for i, byte in enumerate(data)))

    def receive(self):
        """(kind, data) of the next message; a fragmented one is no part of these tests."""
        first, second = self.client.reader.exactly(2)
        length = second & 0x7f
        if length >= 126:
            wide = self.client.reader.exactly(2 if length == 126 else 8)
            length = int.from_bytes(wide, "big")
        return first & 0x0f, self.client.reader.exactly(length)

    def echo(self, data, kind=1):
        self.send(data, kind)
        return self.receive() == (kind, data)


@needs_node("express", "ws")
class NodeWebSocket(ExampleTest):
    def setUp(self):
        self.copied("node-websocket")
        self.service, self.next = self.node("."), self.node(".", RELEASE="2")
        self.edge = self.example({**self.authority("chat.example.com"), "NODE": f"localhost:{self.service.port}",
                                  "NODE_NEXT": f"localhost:{self.next.port}"})
        self.wait_healthy("node", "blue", 1)

    def socket(self, release="1"):
        socket = Socket(self)
        self.addCleanup(socket.client.close)
        self.assertTrue(socket.accepted, socket.head)
        kind, hello = socket.receive()
        self.assertEqual((kind, json.loads(hello)), (1, {"hello": "127.0.0.1", "scheme": "https", "release": release}))
        return socket

    def test_check_and_explain(self):
        self.check_and_explain((f"https://{self.host}/ws", "/*", "node"), (f"http://{self.host}/api/session", "308"))

    def test_web_socket(self):
        socket = self.socket()
        self.assertTrue(socket.echo(b"hello"))
        self.assertTrue(socket.echo(os.urandom(70_000), kind=2))
        other = self.socket()
        self.assertTrue(other.echo(b"x" * 300) and socket.echo(b"still here"))

    def test_reload_leaves_web_sockets_alone(self):
        socket = self.socket()
        self.run_ok("reload")
        self.assertTrue(socket.echo(b"after a reload"))

    def test_a_new_version(self):
        self.wait_healthy("node", "green", 1)
        socket = self.socket()
        visitors = self.visitors("/api/session", "/health")
        visitors.wait_for_more(10)
        self.assertRegex(self.run_ok("switch", "node", "green", "--wait"), r"\b1\b")
        self.assertTrue(socket.echo(b"still with the old one"))
        self.assertTrue(self.socket(release="2").echo(b"with the new one"))
        self.service.process.terminate()
        self.assertEqual(socket.receive(), (8, struct.pack(">H", 1001)))
        visitors.wait_for_more(20)
        self.assertEqual(visitors.stop(), [])

    def test_https_is_forced(self):
        response = self.edge.fetch("/api/session?x=1", "POST", host=self.host, body=b"{}")
        self.assertEqual(response.status, 308)
        self.assertEqual(response.header("Location"), f"https://{self.host}:{self.edge.tls_address[1]}/api/session?x=1")
        self.assertEqual(json.loads(self.page("/api/session").text)["protocol"], "https")

    def test_two_origins_with_credentials(self):
        for origin in (APP, BACKOFFICE):
            with self.subTest(origin):
                response = self.preflight("/api/session", origin, "PUT")
                self.assertEqual((response.status, response.header("Access-Control-Allow-Origin")), (204, origin))
                self.assertEqual(response.header("Access-Control-Allow-Credentials"), "true")
                self.assertIn("PUT", response.header("Access-Control-Allow-Methods"))
                answer = self.page("/api/session", headers=[("Origin", origin), ("Cookie", "sid=1")])
                self.assertEqual(json.loads(answer.text)["cookie"], "sid=1")
                self.assertEqual(answer.header_list("Access-Control-Allow-Origin"), [origin])
                self.assertEqual(answer.header("Access-Control-Allow-Credentials"), "true")
                self.assertIn("Origin", answer.header("Vary"))
        for target in ("/api/session", "/api/messages"):
            answer = self.page(target, headers=[("Origin", STRANGER)])
            self.assertEqual((answer.status, answer.header("Access-Control-Allow-Origin")), (200, None))

    def test_gzip(self):
        plain = self.page("/api/messages")
        self.assertIsNone(plain.header("Content-Encoding"))
        packed = self.page("/api/messages", headers=[("Accept-Encoding", "br, gzip, zstd")])
        self.assertEqual(packed.header("Content-Encoding"), "gzip")
        self.assertEqual(gzip.decompress(packed.body), plain.body)
        self.assertLess(len(packed.body), len(plain.body) / 2)
        self.assertIn("Accept-Encoding", packed.header("Vary"))
        small = self.page("/health", headers=[("Accept-Encoding", "gzip")])
        self.assertIsNone(small.header("Content-Encoding"))

    def certificate(self, tls):
        with Client(self.edge.tls_address, tls=tls, server_name=self.host) as client:
            return client.sock.getpeercert()["serialNumber"]

    def test_a_renewed_certificate_is_used_and_nobody_notices(self):
        socket = self.socket()
        with Client(self.edge.tls_address, tls=self.tls, server_name=self.host) as kept:
            self.assertEqual(kept.request(target="/health", host=self.host).status, 200)
            before = self.certificate(self.tls)
            # As another tool does it: the files of the renewed pair take the place of the old ones.
            renewed = self.ca.issue(self.host, file="renewed")
            for new, old in zip(renewed, (self.env["CERT"], self.env["KEY"])):
                shutil.move(new, old)
            wait_until(lambda: self.certificate(self.tls) != before, timeout=30, what="the renewed certificate")
            self.assertEqual(kept.request(target="/health", host=self.host).status, 200)
        self.assertTrue(socket.echo(b"the same connection"))

    def test_a_broken_renewal_keeps_the_old_pair(self):
        before = self.certificate(self.tls)
        stranger = Authority(self.place / "other").issue(self.host, file="other")
        shutil.copy(stranger[1], self.env["KEY"])  # a key that does not belong to the certificate
        self.edge.wait_log("certificate not reloaded")
        self.assertEqual(self.certificate(client_tls(self.ca.cert)), before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
