# SPDX-License-Identifier: Apache-2.0
"""WebSockets and every other Upgrade: plain bytes both ways, each direction ended for itself, alive through a reload."""

import asyncio
import socket
import threading
import unittest

import websockets

from client import Broken
from harness import GateTest, answer

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
UPGRADE = [("Upgrade", "echo"), ("Connection", "Upgrade")]


def pass_back(request, connection):
    """An origin that switches and then sends back what comes, up to the client's end."""
    if request.header("Upgrade") != "echo":
        return answer()
    connection.send(SWITCH)
    try:
        while connection.reader.buffer or connection.reader.fill():
            data, connection.reader.buffer = connection.reader.buffer, b""
            connection.send(data)
        connection.send(b"<end>")
    except (OSError, Broken):
        pass
    return False


class Upgrades(GateTest):
    def switched(self, edge, **more):
        client = self.client(edge.address, **more)
        client.send_request(target="/up", headers=UPGRADE)
        head = client.read_final_head()
        self.assertEqual((head.status, head.header("Upgrade")), (101, "echo"))
        self.assertIn("upgrade", (head.header("Connection") or "").lower())
        return client

    def test_both_ways(self):
        edge, origin = self.proxied(pass_back)
        client = self.switched(edge)
        for size in (1, 10, 70_000, 1_000_000):
            data = bytes(range(256)) * (size // 256 + 1)
            sender = threading.Thread(target=client.send, args=(data,))
            sender.start()
            self.assertEqual(client.reader.exactly(len(data)), data)
            sender.join()
        self.assertEqual(origin.requests[0].header("Connection").lower(), "upgrade")

    def test_bytes_sent_with_the_head(self):
        edge, _ = self.proxied(pass_back)
        with edge.connect() as client:
            client.send(b"GET /up HTTP/1.1\r\nHost: example.test\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nearly")
            self.assertEqual(client.read_final_head().status, 101)
            self.assertEqual(client.reader.exactly(5), b"early")

    def test_bytes_sent_with_the_answer(self):
        def handler(request, connection):
            connection.send(SWITCH + b"at once")
            connection.reader.fill()
            return False

        edge, _ = self.proxied(handler)
        client = self.switched(edge)
        self.assertEqual(client.reader.exactly(7), b"at once")

    def test_client_ends_first(self):
        edge, _ = self.proxied(pass_back)
        client = self.switched(edge)
        client.send(b"hello")
        client.finish_sending()
        self.assertEqual(client.reader.to_end(), b"hello<end>")

    def test_origin_ends_first(self):
        received = []

        def handler(request, connection):
            connection.send(SWITCH + b"bye")
            connection.sock.shutdown(socket.SHUT_WR)
            while connection.reader.fill():
                pass
            origin.note(lambda: received.append(connection.reader.buffer))
            return False

        origin = self.origin(handler)
        edge, _ = self.proxied(origin=origin)
        client = self.switched(edge)
        self.assertEqual(client.reader.to_end(), b"bye")
        client.send(b"still talking")
        client.finish_sending()
        origin.wait_for(lambda: received)
        self.assertEqual(received, [b"still talking"])

    def test_client_breaks_off(self):
        edge, origin = self.proxied(pass_back)
        client = self.switched(edge)
        client.send(b"x")
        self.assertEqual(client.reader.exactly(1), b"x")
        client.reset()
        origin.wait_for(lambda: origin.closed == 1)
        record = edge.wait_access(lambda r: r["uri"] == "/up")
        self.assertEqual(record["status"], 101)

    def test_http_limits_do_not_end_a_tunnel(self):
        """Quiet for longer than a head, a body or an idle connection may be."""
        quiet = threading.Event()

        def handler(request, connection):
            connection.send(SWITCH)
            quiet.wait(1.0)
            connection.send(b"later")
            return False

        edge, _ = self.proxied(handler, top="limits: { header_timeout: 200ms, body_idle_timeout: 200ms, keepalive_timeout: 200ms }")
        client = self.switched(edge)
        self.assertEqual(client.reader.to_end(), b"later")

    def test_refused_upgrade_is_an_ordinary_answer(self):
        edge, _ = self.proxied(lambda request, connection: answer(426, b"no", [("Upgrade", "other")], "Upgrade Required"))
        with edge.connect() as client:
            response = client.request(target="/up", headers=UPGRADE)
            self.assertEqual((response.status, response.body), (426, b"no"))
            self.assertEqual(client.request(target="/next").status, 426)

    def test_ignored_upgrade_is_an_ordinary_answer(self):
        edge, _ = self.proxied(lambda request, connection: answer(body=b"plain"))
        with edge.connect() as client:
            self.assertEqual(client.request(target="/up", headers=UPGRADE).body, b"plain")
            self.assertEqual(client.request(target="/next").body, b"plain")

    def test_upgrade_without_connection_is_none(self):
        edge, origin = self.proxied(pass_back)
        self.assertEqual(edge.fetch("/up", headers=[("Upgrade", "echo")]).status, 200)
        self.assertIsNone(origin.requests[0].header("Upgrade"))

    def test_back_pressure(self):
        """An origin that does not read does not fill the edge's memory."""
        go = threading.Event()
        self.addCleanup(go.set)

        def handler(request, connection):
            connection.send(SWITCH)
            go.wait(20)
            return False

        edge, _ = self.proxied(handler)
        client = self.switched(edge)
        before = edge.resident()
        client.sock.settimeout(0.5)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += client.sock.send(bytes(65536))
        except TimeoutError:
            pass
        self.assertLess(sent, 64 << 20)
        self.assertLess(edge.resident() - before, 4 << 20)

    def test_survives_a_reload(self):
        edge, origin = self.proxied(pass_back)
        client = self.switched(edge)
        client.send(b"before")
        self.assertEqual(client.reader.exactly(6), b"before")
        edge.reload("sites: [{ routes: [{ path: /*, respond: { status: 200, body: new } }] }]")
        self.assertEqual(edge.fetch("/up").body, b"new")
        client.send(b"after")
        self.assertEqual(client.reader.exactly(5), b"after")
        client.finish_sending()
        self.assertEqual(client.reader.to_end(), b"<end>")


class WebSockets(GateTest):
    """The real thing: a client and a server of another make."""

    def test_messages_through_reloads(self):
        asyncio.run(self.messages())

    async def messages(self):
        async def serve(peer):
            async for message in peer:
                await peer.send(message)

        async with websockets.serve(serve, "127.0.0.1", 0, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            config = f"sites: [{{ routes: [{{ path: /ws, proxy: 'http://127.0.0.1:{port}' }}] }}]\n"
            edge = await asyncio.to_thread(self.gate, config)
            address = f"ws://127.0.0.1:{edge.port}/ws"
            async with websockets.connect(address, max_size=None) as one, websockets.connect(address) as two:
                await one.send("hello")
                self.assertEqual(await asyncio.wait_for(one.recv(), 10), "hello")
                for number in range(3):
                    await asyncio.to_thread(edge.reload, config + f"limits: {{ max_body: {number + 1}MiB }}\n")
                    for one_of in (one, two):
                        await one_of.send(f"after reload {number}")
                        self.assertEqual(await asyncio.wait_for(one_of.recv(), 10), f"after reload {number}")
                big = bytes(3_000_000)
                await one.send(big)
                self.assertEqual(await asyncio.wait_for(one.recv(), 20), big)
                await two.close(1000, "done")
                self.assertEqual(two.close_code, 1000)
                await asyncio.wait_for(await one.ping(), 10)
            await asyncio.to_thread(edge.wait_access, lambda r: r["status"] == 101, 2)

    def test_many_at_once(self):
        asyncio.run(self.many())

    async def many(self):
        async def serve(peer):
            async for message in peer:
                await peer.send(message[::-1])

        async with websockets.serve(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            edge = await asyncio.to_thread(
                self.gate, f"workers: 2\nsites: [{{ routes: [{{ path: /*, proxy: 'http://127.0.0.1:{port}' }}] }}]\n")

            async def talk(number):
                async with websockets.connect(f"ws://127.0.0.1:{edge.port}/{number}") as peer:
                    for i in range(10):
                        await peer.send(f"{number}-{i}")
                        self.assertEqual(await peer.recv(), f"{number}-{i}"[::-1])

            await asyncio.wait_for(asyncio.gather(*(talk(number) for number in range(50))), 30)


if __name__ == "__main__":
    unittest.main(verbosity=2)
