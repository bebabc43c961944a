# SPDX-License-Identifier: Apache-2.0
"""The PROXY protocol at both ends: balancers in front that tell who the client is, and origins that are told."""

import re
import socket
import struct
import subprocess
import unittest

from certs import Authority
from client import TIMEOUT, Reader, fetch
from harness import GateTest, answer, client_tls, run_program

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TRUSTED = "trusted_proxies: [127.0.0.0/8]\n"
LISTENER = 'listeners: [{ address: "127.0.0.1:0", proxy_protocol: true }]\n'


def v2(command, family=0x11, block=b"", more=b""):
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(block) + len(more)) + block + more


def tcp4(source, port):
    return socket.inet_aton(source) + socket.inet_aton("192.0.2.1") + struct.pack("!HH", port, 443)


def ends(origin_request):
    return origin_request.header("X-Forwarded-For")


class Incoming(GateTest):
    def edge(self, top=LISTENER + TRUSTED, **more):
        top += 'metrics: { listen: "127.0.0.1:0" }\n'
        return self.proxied(lambda request, connection: answer(body=ends(request).encode()), top=top, **more)

    def raw(self, address):
        sock = socket.create_connection(address, timeout=TIMEOUT)
        self.addCleanup(sock.close)
        return sock

    def ask(self, sock, begin=b""):
        sock.sendall(begin + b"GET /who HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        reader = Reader(sock)
        head = reader.until(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200"), head)
        return reader.exactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])).decode()

    def test_both_versions_say_who_asks(self):
        edge, _ = self.edge()
        for begin, client in (
            (b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n", "203.0.113.7"),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n", "2001:db8::7"),
            (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
            (v2(0x21, block=tcp4("203.0.113.8", 1)), "203.0.113.8"),
            (v2(0x21, block=tcp4("203.0.113.9", 1), more=b"\x04\0\x03abc" * 200), "203.0.113.9"),
            (v2(0x20), "127.0.0.1"),  # the balancer's own health check
        ):
            with self.subTest(begin=begin[:40]):
                self.assertEqual(self.ask(self.raw(edge.address), begin), client)
                self.assertEqual(edge.wait_access(lambda record, wanted=client: record["client"] == wanted)["status"], 200)

    def test_a_header_may_come_in_pieces(self):
        edge, _ = self.edge()
        sock = self.raw(edge.address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r":
            sock.sendall(bytes([byte]))
        self.assertEqual(self.ask(sock, b"\n"), "203.0.113.7")

    def test_a_client_cannot_speak_for_itself_behind_it(self):
        """The proxied client is no trusted proxy, so what its X-Forwarded-For says is not believed."""
        edge, _ = self.edge()
        sock = self.raw(edge.address)
        sock.sendall(b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\nGET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n")
        reader = Reader(sock)
        reader.until(b"\r\n\r\n")
        self.assertEqual(reader.exactly(11), b"203.0.113.7")

    def test_trusted_peers_must_begin_with_it(self):
        edge, origin = self.edge()
        for begin in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"PROXY nonsense\r\n", v2(0x21, block=b"short"), v2(0x21, more=b"x" * 60000)):
            with self.subTest(begin=begin[:20]):
                sock = self.raw(edge.address)
                sock.sendall(begin)
                try:
                    self.assertEqual(sock.recv(100), b"")
                except ConnectionResetError:
                    pass
        edge.wait_log("127.0.0.1 refused: proxy_protocol is on, and it did not begin with a PROXY header: no_proxy_header")
        self.assertEqual(origin.requests, [])
        port = int(re.search(r":(\d+) \(metrics\)", edge.wait_log(r"\(metrics\)")).group(1))
        counted = fetch(("127.0.0.1", port), "/metrics").text
        self.assertIn('headgate_proxy_headers_refused_total{listener="127.0.0.1:0"} 4', counted)

    def test_strangers_are_clients_like_any_other(self):
        """Of somebody who is not trusted a header is not believed; it is no request either."""
        edge, _ = self.edge(top=LISTENER + "trusted_proxies: [192.0.2.0/24]\n")
        self.assertEqual(self.ask(self.raw(edge.address)), "127.0.0.1")
        sock = self.raw(edge.address)
        sock.sendall(b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(sock.recv(100).startswith(b"HTTP/1.1 400"))

    def test_limits_count_the_client_that_is_told(self):
        edge, _ = self.edge(top=LISTENER + TRUSTED + "limits: { max_connections_per_ip: 1 }\n")
        first = self.raw(edge.address)
        first.sendall(b"PROXY TCP4 203.0.113.7 192.0.2.1 1 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        Reader(first).until(b"\r\n\r\n")
        second = self.raw(edge.address)
        second.sendall(b"PROXY TCP4 203.0.113.7 192.0.2.1 2 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            self.assertEqual(second.recv(100), b"")
        except ConnectionResetError:
            pass
        self.assertEqual(self.ask(self.raw(edge.address), b"PROXY TCP4 203.0.113.8 192.0.2.1 1 80\r\n"), "203.0.113.8")

    def test_before_tls(self):
        folder = self.folder()
        authority = Authority(folder / "ca")
        cert, key = authority.issue("shop.test")
        origin = self.origin(lambda request, connection: answer(body=ends(request).encode()))
        edge = self.gate(f"""\
            listeners: [{{ address: "127.0.0.1:0", tls: true, proxy_protocol: true }}]
            trusted_proxies: [127.0.0.0/8]
            tls: {{ certificates: [{{ cert: '{cert}', key: '{key}' }}] }}
            sites: [{{ routes: [{{ path: /*, proxy: '{origin.url}' }}] }}]
            """)
        for begin in (b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n", v2(0x21, block=tcp4("203.0.113.7", 9), more=b"\x20\0\x01x")):
            sock = self.raw(edge.tls_address)
            sock.sendall(begin)
            secure = client_tls(ca=authority.cert).wrap_socket(sock, server_hostname="shop.test")
            self.addCleanup(secure.close)
            self.assertEqual(self.ask(secure), "203.0.113.7")

    def test_curl_speaks_it(self):
        edge, _ = self.edge()
        done = subprocess.run(["curl", "-sS", "--max-time", "20", "--noproxy", "*", "--haproxy-protocol", f"http://127.0.0.1:{edge.port}/"],
                              capture_output=True, timeout=30, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, b"127.0.0.1"), done.stderr)

    def test_nobody_to_believe_is_a_mistake(self):
        file = self.folder() / "headgate.yaml"
        file.write_text('listeners:\n  - { address: ":8080", proxy_protocol: true }\nsites: [{ routes: [{ path: /*, respond: { status: 204 } }] }]\n')
        done = run_program("check", "-c", str(file))
        self.assertEqual(done.returncode, 1)
        self.assertIn("headgate.yaml:2:5: proxy_protocol: true needs somebody to believe: expected trusted_proxies", done.stdout + done.stderr)


class Outgoing(GateTest):
    """One headgate behind another: what the first tells, the second believes."""

    def chain(self, version, top=""):
        origin = self.origin(lambda request, connection: answer(body=ends(request).encode(), headers=[("X-Body", len(request.body))]))
        inner = self.gate(f"{LISTENER}{TRUSTED}sites: [{{ routes: [{{ path: /*, proxy: '{origin.url}' }}] }}]\n")
        outer = self.gate(f"""\
{top}
upstreams:
  inner:
    servers: ["127.0.0.1:{inner.port}"]
    proxy_protocol: {version}
    health: {{ path: /, interval: 1s }}
sites: [{{ routes: [{{ path: /*, proxy: inner }}] }}]
""")
        return outer, inner, origin

    def test_the_origin_is_told_who_asks(self):
        for version in ("v1", "v2"):
            with self.subTest(version):
                outer, inner, _ = self.chain(version, top=TRUSTED)
                with outer.connect() as client:
                    for number in range(1, 4):  # several clients over one kept connection of a balancer
                        got = client.request(headers=[("X-Forwarded-For", f"203.0.113.{number}")])
                        self.assertEqual(got.status, 200)
                        seen = inner.wait_access(lambda record, n=number: record["client"] == f"203.0.113.{n}")
                        self.assertEqual(seen["status"], 200)
                # Its own checks are the balancer's, not a client's.
                self.assertEqual(inner.wait_access(lambda record: "health-check" in record["user_agent"])["client"], "127.0.0.1")

    def test_bodies_and_retries_go_with_it(self):
        outer, _, origin = self.chain("v2")
        got = outer.fetch("/up", "POST", body=b"x" * 300_000)
        self.assertEqual((got.status, got.header("X-Body")), (200, "300000"))
        self.assertTrue(origin.requests[-1].complete)

    def test_connections_of_http2_belong_to_many(self):
        file = self.folder() / "headgate.yaml"
        file.write_text("upstreams:\n  a: { servers: ['127.0.0.1:1'], scheme: h2c, proxy_protocol: v2 }\nsites: [{ routes: [{ path: /*, proxy: a }] }]\n")
        done = run_program("check", "-c", str(file))
        self.assertEqual(done.returncode, 1)
        self.assertIn("upstreams.a.proxy_protocol: expected scheme http or https beside it", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
