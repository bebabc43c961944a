# SPDX-License-Identifier: Apache-2.0
"""A client of another make, curl, and many connections at once."""

import hashlib
import os
import socket
import subprocess
import unittest

from certs import Authority
from harness import GateTest, answer, write_files


class Curl(GateTest):
    def curl(self, *arguments, code=0):
        done = subprocess.run(["curl", "-sS", "--max-time", "20", "--noproxy", "*", *map(str, arguments)], capture_output=True, timeout=30, check=False)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done.stdout

    def test_upload_and_download(self):
        edge, origin = self.proxied(lambda request, connection: answer(body=request.body), top="limits: { max_body: 20MiB }")
        url = f"http://127.0.0.1:{edge.port}/up"
        file = self.folder() / "body"
        file.write_bytes(os.urandom(5_000_000))
        for arguments in (("-T", file), ("-H", "Expect: 100-continue", "--data-binary", f"@{file}"),
                          ("-H", "Transfer-Encoding: chunked", "--data-binary", f"@{file}")):
            with self.subTest(arguments):
                got = self.curl(*arguments, url)
                self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(file.read_bytes()).digest())
        self.assertTrue(all(request.complete for request in origin.requests))

    def test_one_connection_for_many(self):
        edge, origin = self.proxied(lambda request, connection: answer(body=request.target.encode()))
        urls = [f"http://127.0.0.1:{edge.port}/{number}" for number in range(20)]
        out = self.curl("-w", " %{num_connects}\n", *urls).decode().split()
        self.assertEqual(out[0::2], [f"/{number}" for number in range(20)])
        self.assertEqual(sum(map(int, out[1::2])), 1)
        self.assertEqual(origin.connections, 1)

    def test_broken_answer_is_an_error(self):
        def handler(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            return False

        edge, _ = self.proxied(handler)
        done = subprocess.run(["curl", "-sS", "--max-time", "20", "--noproxy", "*", f"http://127.0.0.1:{edge.port}/"], capture_output=True, timeout=30, check=False)
        self.assertIn(done.returncode, (18, 56))  # transfer closed with data outstanding; failure in receiving

    def test_tls_static_and_resumed_download(self):
        folder = self.folder()
        authority = Authority(folder / "ca")
        cert, key = authority.issue("shop.test")
        content = os.urandom(3_000_000)
        write_files(folder, {"root/big.bin": content, "part": content[:1_000_000]})
        edge = self.gate(f"""\
            listeners: [{{ address: "127.0.0.1:0", tls: true }}]
            tls: {{ certificates: [{{ cert: '{cert}', key: '{key}' }}] }}
            sites: [{{ hosts: [shop.test], routes: [{{ path: /*, static: {{ root: '{folder}/root' }} }}] }}]
            """)
        port = edge.tls_address[1]
        there = ["--cacert", authority.cert, "--resolve", f"shop.test:{port}:127.0.0.1", "--http1.1"]
        self.assertEqual(self.curl(*there, f"https://shop.test:{port}/big.bin"), content)
        self.curl(*there, "-C", "-", "-o", folder / "part", f"https://shop.test:{port}/big.bin")
        self.assertEqual((folder / "part").read_bytes(), content)


class Crowd(GateTest):
    def test_many_connections_at_once(self):
        edge, _ = self.proxied(lambda request, connection: answer(body=request.target.encode()), top="workers: 2")
        count = 400
        clients = []
        for number in range(count):
            client = socket.create_connection(edge.address, timeout=20)
            self.addCleanup(client.close)
            clients.append(client)
        for number, client in enumerate(clients):
            client.sendall(b"GET /%d HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n" % number)
        for number, client in enumerate(clients):
            data = b""
            while piece := client.recv(4096):
                data += piece
            self.assertTrue(data.endswith(b"\r\n\r\n/%d" % number), data)
        self.assertEqual(len(edge.wait_access(count=count)), count)


if __name__ == "__main__":
    unittest.main(verbosity=2)
