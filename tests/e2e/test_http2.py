# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 to clients: the clients that people use, and frame by frame what they do not show."""

import asyncio
import hashlib
import os
import queue
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import unittest

import websockets

from certs import Authority
from harness import GateTest, answer, client_tls, write_files
from http2_client import (DATA, END_STREAM, GOAWAY, HEADERS, INTERNAL_ERROR, NO_ERROR, PRIORITY_UPDATE, RST_STREAM,
                          Http2Client, frame)

H2C = "listeners: [{ address: '127.0.0.1:0', h2c: true }]\n"


class Http2Test(GateTest):
    def open(self, edge, **more):
        client = Http2Client(edge.address, **more)
        self.addCleanup(client.close)
        return client

    def files(self, files, top="", **more):
        root = self.folder()
        write_files(root, files)
        return self.gate(f"{H2C}{top}sites: [{{ routes: [{{ path: /*, static: {{ root: {root} }} }}] }}]\n", **more)


class TlsTest(Http2Test):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.mkdtemp(prefix="headgate-ca-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.authority = Authority(folder)
        cls.cert, cls.key = cls.authority.issue("localhost")

    def tls_gate(self, routes, listener="", top=""):
        return self.gate(f"listeners: [{{ address: '127.0.0.1:0', tls: true{listener} }}]\n"
                         f"tls: {{ certificates: [{{ cert: '{self.cert}', key: '{self.key}' }}] }}\n{top}sites: [{{ routes: [{routes}] }}]\n")

    def run_client(self, *arguments, code=0):
        done = subprocess.run([*map(str, arguments)], capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, done.stderr.decode() + done.stdout.decode("latin-1")[-2000:])
        return done.stdout

    def curl(self, edge, *arguments, path="/", **more):
        host, port = edge.tls_address
        return self.run_client("curl", "-sS", "--max-time", "30", "--noproxy", "*", "--cacert", self.authority.cert, "--resolve",
                               f"localhost:{port}:{host}", *arguments, f"https://localhost:{port}{path}", **more)


class Tls(TlsTest):
    def test_curl(self):
        content = os.urandom(3_000_000)
        root = self.folder()
        write_files(root, {"large.bin": content, "small.txt": "small"})
        origin = self.origin(lambda request, connection: answer(body=request.body, headers=[("X-Seen", request.method)]))
        edge = self.tls_gate(f"{{ path: /api/*, max_body: 20MiB, proxy: '{origin.url}' }}, {{ path: /*, static: {{ root: {root} }} }}")
        self.assertEqual(self.curl(edge, "--http2", "-w", " %{http_version}", path="/small.txt"), b"small 2")
        self.assertEqual(self.curl(edge, "--http1.1", "-w", " %{http_version}", path="/small.txt"), b"small 1.1")
        self.assertEqual(self.curl(edge, "--http2", path="/large.bin"), content)
        self.assertEqual(self.curl(edge, "--http2", "-r", "5-9", path="/large.bin"), content[5:10])
        self.assertIn(b"HTTP/2 200", self.curl(edge, "--http2", "-I", path="/large.bin"))
        upload = self.folder() / "body"
        upload.write_bytes(content)
        for arguments in (("-T", upload), ("--data-binary", f"@{upload}"), ("-H", "Expect: 100-continue", "--data-binary", f"@{upload}"),
                          ("-H", "Content-Length:", "--data-binary", f"@{upload}")):
            with self.subTest(arguments):
                self.assertEqual(self.curl(edge, "--http2", *arguments, path="/api/up"), content)
        record = edge.wait_access(lambda record: record["uri"] == "/small.txt")
        self.assertEqual((record["protocol"], record["tls_version"], record["status"], record["bytes_out"]), ("HTTP/2.0", "TLSv1.3", 200, 5))

    def test_many_streams_by_h2load(self):
        origin = self.origin(lambda request, connection: answer(body=b"x" * 3000))
        root = self.folder()
        write_files(root, {"small.txt": "small" * 200, "large.bin": os.urandom(300_000)})
        edge = self.tls_gate(f"{{ path: /api/*, proxy: '{origin.url}' }}, {{ path: /*, static: {{ root: {root} }} }}")
        host, port = edge.tls_address
        write_files(root, {"body": os.urandom(900_000)})
        for path, count, more in (("/small.txt", 4000, ()), ("/api/x", 400, ()), ("/large.bin", 100, ()), ("/api/up", 200, ("-d", root / "body"))):
            with self.subTest(path):
                out = self.run_client("h2load", "-n", count, "-c", "4", "-m", "20", *more, f"https://{host}:{port}{path}").decode()
                self.assertIn(f"{count} succeeded, 0 failed, 0 errored", out)
                self.assertIn(f"{count} 2xx", out)

    def test_nghttp(self):
        root = self.folder()
        content = os.urandom(500_000)
        write_files(root, {"large.bin": content})
        edge = self.tls_gate(f"{{ path: /*, static: {{ root: {root} }} }}")
        host, port = edge.tls_address
        self.assertEqual(self.run_client("nghttp", f"https://{host}:{port}/large.bin"), content)
        self.assertEqual(self.run_client("nghttp", "-w", "10", "-W", "10", f"https://{host}:{port}/large.bin"), content)

    def test_a_listener_without(self):
        edge = self.tls_gate("{ path: /*, respond: { status: 200, body: fine } }", listener=", http2: false")
        self.assertEqual(self.curl(edge, "--http2", "-w", " %{http_version}"), b"fine 1.1")
        # The same address with another answer to ALPN, while it runs.
        edge.reload(edge.file.read_text().replace("http2: false", "http2: true").replace("127.0.0.1:0", "127.0.0.1:%d" % edge.tls_address[1]))
        edge.wait_log("listening on", count=3)
        self.assertEqual(self.curl(edge, "--http2", "-w", " %{http_version}"), b"fine 2")

    def test_end_of_a_connection_over_tls(self):
        edge = self.tls_gate("{ path: /*, respond: { status: 200, body: fine } }", top="limits: { keepalive_timeout: 300ms }\n")
        client = Http2Client(edge.tls_address, tls=client_tls(self.authority.cert))
        self.addCleanup(client.close)
        self.assertEqual(client.fetch("/", scheme="https").body, b"fine")
        client.rest()
        self.assertTrue(client.ended, "no close_notify")
        self.assertEqual([got.code for got in client.goaways], [NO_ERROR])


class Clear(Http2Test):
    def test_both_protocols_on_one_port(self):
        edge = self.files({"a.txt": "content"})
        self.assertEqual(self.open(edge).fetch("/a.txt").body, b"content")
        for method in ("GET", "POST", "PUT"):
            self.assertEqual(edge.fetch("/a.txt", method).status, 200 if method == "GET" else 405)
        with edge.connect() as client:  # the preface's first letter, alone
            client.send(b"P")
            client.send(b"ROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(client.read_final_head().status, 405)

    def test_not_without_being_asked_for(self):
        edge = self.gate("sites: [{ routes: [{ path: /*, respond: { status: 200, body: fine } }] }]\n")
        with edge.connect() as client:
            client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            self.assertIn(client.read_final_head().status, (400, 505))

    def test_preface_in_pieces(self):
        edge = self.files({"a.txt": "content"})
        client = self.open(edge, preface=False)
        for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4):
            client.send(bytes([byte]))
        self.assertEqual(client.fetch("/a.txt").body, b"content")


class Messages(Http2Test):
    def proxied2(self, handler, **more):
        edge, origin = self.proxied(handler, top=H2C + "limits: { max_body: 50MiB }\n", **more)
        return self.open(edge), edge, origin

    def test_answers_come_as_they_are_ready(self):
        first = threading.Event()
        self.addCleanup(first.set)

        def handler(request, connection):
            if request.target == "/slow":
                first.wait(10)
            return answer(body=request.target.encode())
        client, _, _ = self.proxied2(handler)
        slow = client.request("/slow")
        for number in range(10):
            self.assertEqual(client.fetch(f"/{number}").body, f"/{number}".encode())
        first.set()
        self.assertEqual(client.answer(slow).body, b"/slow")

    def test_answers_without_content(self):
        answers = {"/204": answer(204, b"", length=False), "/304": answer(304, b"", length=False, headers=[("ETag", '"x"')]),
                   "/empty": answer(200, b""), "/head": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"}
        client, _, _ = self.proxied2(lambda request, connection: answers[request.target])
        for path in ("/204", "/304", "/empty"):
            with self.subTest(path):
                got = client.fetch(path)
                self.assertEqual((got.body, got.ended, got.reset), (b"", True, None))
                self.assertFalse([one for one in client.frames if one.kind == DATA])
        got = client.fetch("/head", method="HEAD")
        self.assertEqual((got.header("content-length"), got.body), ("5", b""))

    def test_fields_of_an_answer(self):
        client, _, _ = self.proxied2(lambda request, connection: answer(headers=[
            ("Connection", "X-Hop, close"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "close"), ("Upgrade", "h2c"),
            ("X-Mixed-Case", "Value"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]))
        got = client.fetch("/")
        names = [name for name, _ in got.headers]
        self.assertTrue(all(name == name.lower() for name in names), names)
        for absent in ("connection", "x-hop", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding"):
            self.assertNotIn(absent, names)
        self.assertEqual([value for name, value in got.headers if name == "set-cookie"], ["a=1", "b=2"])
        self.assertEqual(got.header("x-mixed-case"), "Value")

    def test_interim_and_trailers(self):
        client, _, _ = self.proxied2(lambda request, connection: (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nContent-Length: 7\r\n\r\n"))
        got = client.fetch("/")
        self.assertEqual([dict(head)[":status"] for head in got.interim], ["103"])
        self.assertEqual(dict(got.interim[0])["link"], "</a.css>")
        self.assertEqual((got.body, got.trailers), (b"hello", [("x-sum", "1")]))

    def test_broken_answer_is_a_reset(self):
        client, edge, _ = self.proxied2(lambda request, connection: connection.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf") or False)
        got = client.fetch("/")
        self.assertEqual((got.body, got.ended, got.reset), (b"half", False, INTERNAL_ERROR))
        self.assertEqual(edge.wait_access()["status"], 200)
        self.assertEqual(client.goaways, [])

    def test_large_both_ways(self):
        content = os.urandom(5_000_000)
        client, _, origin = self.proxied2(lambda request, connection: answer(body=request.body))
        window = 65535
        stream = client.request("/up", method="POST", end=False)
        client.ping()  # behind it the server's settings and its larger window are known
        room = {0: 65535 + sum(struct.unpack(">I", one.payload)[0] for one in client.frames if one.kind == 8 and one.stream == 0),
                stream: client.settings.get(4, window)}
        sent = 0
        while sent < len(content):
            size = min(16384, len(content) - sent, room[0], room[stream])
            if size == 0:
                got = client.read_until(lambda one: one.kind == 8)
                room[got.stream] += struct.unpack(">I", got.payload)[0]
                continue
            client.send(frame(DATA, END_STREAM if sent + size == len(content) else 0, stream, content[sent:sent + size]))
            room[0] -= size
            room[stream] -= size
            sent += size
        while len(client.answers.get(stream, type("", (), {"body": b""})).body) < len(content):
            got = client.read_frame()
            if got.kind == DATA and got.stream == stream and got.payload:
                client.window(stream, len(got.payload))
        self.assertEqual(hashlib.sha256(client.answers[stream].body).digest(), hashlib.sha256(content).digest())

    def test_refused_upload_leaves_the_connection(self):
        edge, _ = self.proxied(lambda request, connection: answer(), top=H2C, route=", max_body: 10")
        client = self.open(edge)
        stream = client.request("/up", method="POST", end=False)
        client.data(stream, bytes(20_000))
        self.assertEqual(client.answer(stream).status, 413)
        client.read_until(lambda got: got.kind == RST_STREAM and got.stream == stream and got.code == NO_ERROR)
        self.assertEqual(client.fetch("/").status, 200)

    def test_expect_continue(self):
        client, _, _ = self.proxied2(lambda request, connection: answer(body=request.body))
        stream = client.request("/up", method="POST", headers=[("expect", "100-continue")], end=False)
        client.read_until(lambda got: got.kind == HEADERS)
        self.assertEqual(dict(client.answers[stream].interim[0])[":status"], "100")
        client.data(stream, b"content", end=True)
        self.assertEqual(client.answer(stream).body, b"content")

    def test_client_that_leaves(self):
        arrived, go = threading.Event(), threading.Event()
        self.addCleanup(go.set)

        def wait(request, connection):
            arrived.set()
            go.wait(10)
            return answer()
        client, edge, _ = self.proxied2(wait)
        stream = client.request("/left")
        self.assertTrue(arrived.wait(10))
        client.reset(stream)
        self.assertIn(edge.wait_access(lambda record: record["uri"] == "/left")["error"], ("client_closed", "client_reset"))

    def test_priorities(self):
        """RFC 9218: what is more urgent overtakes, by its field and by PRIORITY_UPDATE."""
        edge = self.files({"large.bin": bytes(400_000), "urgent.bin": bytes(100_000)})
        for by_frame in (False, True):
            with self.subTest(by_frame=by_frame):
                client = self.open(edge, settings=[(4, 0)])  # no window until everything has been asked for
                large = [client.request("/large.bin", headers=[("priority", "u=5")]) for _ in range(3)]
                urgent = client.request("/urgent.bin", headers=[] if by_frame else [("priority", "u=1")])
                if by_frame:
                    client.send(frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", urgent) + b"u=0"))
                client.ping()
                client.send(frame(4, 0, 0, struct.pack(">HI", 4, 1 << 20)))
                self.assertEqual(client.answer(urgent).body, bytes(100_000))
                before = sum(len(client.answers[stream].body) for stream in large if stream in client.answers)
                self.assertLess(before, 200_000)
                for stream in large:
                    self.assertEqual(len(client.answer(stream).body), 400_000)


class Life(Http2Test):
    def test_requests_per_connection(self):
        edge = self.files({"a.txt": "content"}, top="limits: { keepalive_requests: 3 }\n")
        client = self.open(edge)
        for _ in range(3):
            self.assertEqual(client.fetch("/a.txt").body, b"content")
        client.rest()
        self.assertTrue(client.ended)
        self.assertEqual([got.last_stream for got in client.goaways], [0x7FFFFFFF, 5])
        self.assertEqual({got.code for got in client.goaways}, {NO_ERROR})

    def test_stop_finishes_streams(self):
        arrived, go = threading.Event(), threading.Event()
        self.addCleanup(go.set)

        def wait(request, connection):
            if request.target == "/slow":
                arrived.set()
                go.wait(10)
            return answer(body=request.target.encode())
        edge, _ = self.proxied(wait, top=H2C)
        client, idle, fresh = self.open(edge), self.open(edge), self.open(edge)
        self.assertEqual(idle.fetch("/").status, 200)
        fresh.ping()
        slow = client.request("/slow")
        self.assertTrue(arrived.wait(10))
        edge.signal(signal.SIGTERM)
        client.read_until(lambda got: got.kind == GOAWAY and got.last_stream == 0x7FFFFFFF)
        late = client.request("/late")  # on its way when the first GOAWAY came
        idle.rest()
        self.assertTrue(idle.ended)
        self.assertEqual(fresh.fetch("/first").body, b"/first")  # a connection that had not asked yet
        self.assertEqual(client.answer(late).body, b"/late")
        go.set()
        self.assertEqual(client.answer(slow).body, b"/slow")
        client.rest()
        fresh.close()
        self.assertEqual([got.last_stream for got in client.goaways], [0x7FFFFFFF, late])
        self.assertEqual(edge.wait_exit(), 0)

    def test_reload_keeps_connections(self):
        edge = self.gate(H2C + "sites: [{ routes: [{ path: /*, respond: { status: 200, body: one } }] }]\n")
        client = self.open(edge)
        self.assertEqual(client.fetch("/").body, b"one")
        edge.reload(H2C + "sites: [{ routes: [{ path: /*, respond: { status: 200, body: two } }] }]\n")
        self.assertEqual(client.fetch("/").body, b"two")
        self.assertEqual(client.goaways, [])


class WebSockets(Http2Test):
    """RFC 8441 towards the client, RFC 6455 towards the origin."""

    def connect(self, client, path="/ws", **more):
        return client.request(path, method="CONNECT", end=False, headers=[("sec-websocket-version", "13"), ("origin", "http://example.test")],
                              protocol="websocket", **more)

    @staticmethod
    def pass_back(request, connection):
        if request.header("Upgrade") != "websocket":
            return answer(body=b"no websocket")
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        b"Sec-WebSocket-Accept: anything\r\nSec-WebSocket-Protocol: chat\r\n\r\nhello")
        while connection.reader.buffer or connection.reader.fill():
            data, connection.reader.buffer = connection.reader.buffer, b""
            connection.send(data)
        connection.send(b"<end>")
        return False

    def test_tunnel(self):
        edge, origin = self.proxied(self.pass_back, top=H2C)
        client = self.open(edge)
        client.ping()
        self.assertEqual(client.settings.get(8), 1)  # SETTINGS_ENABLE_CONNECT_PROTOCOL
        stream = self.connect(client)
        client.read_until(lambda got: got.kind == HEADERS)
        got = client.answers[stream]
        self.assertEqual((got.status, got.header("sec-websocket-protocol"), got.ended), (200, "chat", False))
        for absent in ("upgrade", "connection", "sec-websocket-accept"):
            self.assertIsNone(got.header(absent))
        seen = origin.wait_requests(1)[0]
        self.assertEqual((seen.method, seen.target, seen.header("Upgrade"), seen.header("Connection").lower()), ("GET", "/ws", "websocket", "upgrade"))
        self.assertRegex(seen.header("Sec-WebSocket-Key"), r"^[A-Za-z0-9+/]{22}==$")
        self.assertEqual(seen.header("Sec-WebSocket-Version"), "13")
        content = os.urandom(50_000)
        client.data(stream, content)
        while len(got.body) < 5 + len(content):
            one = client.read_frame()
            if one.kind == DATA and one.payload:
                client.window(stream, len(one.payload))
        self.assertEqual(got.body, b"hello" + content)
        self.assertEqual(client.fetch("/plain").body, b"no websocket")  # beside it
        client.data(stream, b"", end=True)
        self.assertEqual(client.answer(stream).body[-5:], b"<end>")
        self.assertIsNone(got.reset)

    def test_refused_by_the_origin(self):
        edge, _ = self.proxied(lambda request, connection: answer(403, b"no"), top=H2C)
        client = self.open(edge)
        self.assertEqual(client.answer(self.connect(client)).status, 403)

    def test_what_is_no_tunnel_does_not_look_like_one(self):
        """To CONNECT a 200 would mean that the tunnel stands."""
        edge, _ = self.proxied(lambda request, connection: answer(200, b"page"), top=H2C)
        client = self.open(edge)
        self.assertEqual(client.answer(self.connect(client)).status, 501)

    def test_broken_off(self):
        closed = threading.Event()

        def handler(request, connection):
            connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            while connection.reader.fill():
                pass
            closed.set()
            return False
        edge, _ = self.proxied(handler, top=H2C)
        client = self.open(edge)
        stream = self.connect(client)
        client.read_until(lambda got: got.kind == HEADERS)
        client.reset(stream)
        self.assertTrue(closed.wait(10))


CHROMIUM = shutil.which("chromium")

PAGE = """<!doctype html><title>page</title><body><script>
(async () => {
  const answer = await (await fetch("/api/x", { method: "POST", body: "content" })).text();
  const image = await (await fetch("/large.bin")).arrayBuffer();
  const socket = new WebSocket(`wss://${location.host}/ws`);
  const echo = await new Promise((resolve, reject) => {
    socket.onopen = () => socket.send("hello");
    socket.onmessage = (event) => resolve(event.data);
    socket.onerror = () => reject(new Error("no websocket"));
  });
  const protocol = performance.getEntriesByType("navigation")[0].nextHopProtocol;
  return `${protocol}|${answer}|${image.byteLength}|${echo}`;
})().catch(String).then((report) => fetch("/api/report", { method: "POST", body: report }));
</script>"""


@unittest.skipUnless(CHROMIUM, "Chromium is not installed")
class Browser(TlsTest):
    def echo_server(self):
        """A WebSocket server's port."""
        started = queue.Queue()

        async def echo(socket, *_):
            try:
                async for message in socket:
                    await socket.send(message)
            except websockets.ConnectionClosed:
                pass  # the browser was ended

        async def main():
            stop = asyncio.Event()
            async with websockets.serve(echo, "127.0.0.1", 0) as server:
                started.put((server.sockets[0].getsockname()[1], asyncio.get_running_loop(), stop))
                await stop.wait()
        thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
        thread.start()
        port, loop, stop = started.get(timeout=10)
        self.addCleanup(thread.join, 10)
        self.addCleanup(loop.call_soon_threadsafe, stop.set)
        return port

    def test_page_fetch_and_websocket(self):
        root = self.folder()
        write_files(root, {"index.html": PAGE, "large.bin": os.urandom(300_000)})
        origin = self.origin(lambda request, connection: answer(body=request.body.upper()))
        edge = self.tls_gate(f"{{ path: /api/*, proxy: '{origin.url}' }}, "
                             f"{{ path: /ws, proxy: 'http://127.0.0.1:{self.echo_server()}' }}, "
                             f"{{ path: /*, static: {{ root: {root} }} }}")
        browser = subprocess.Popen([CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors",
                                    "--disable-background-networking", f"--user-data-dir={self.folder()}",
                                    f"https://localhost:{edge.tls_address[1]}/"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(browser.wait, 10)
        self.addCleanup(browser.terminate)
        report = origin.wait_for(lambda: next((request for request in origin.requests if request.target == "/api/report" and request.complete), None),
                                 timeout=30)
        self.assertEqual(report.body, b"h2|CONTENT|300000|hello")
        browser.terminate()
        self.assertEqual(edge.wait_access(lambda record: record["uri"] == "/ws")["protocol"], "HTTP/2.0")


if __name__ == "__main__":
    unittest.main()
