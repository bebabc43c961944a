# SPDX-License-Identifier: Apache-2.0
"""Server-sent events, and any answer that is written piece by piece: each piece arrives when it was written."""

import threading
import unittest

from harness import GateTest

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"


class Events(GateTest):
    """The origin writes an event only after the client has read the one before: anything held back would hang."""

    def lockstep(self, head, write, read):
        seen = [threading.Event() for _ in range(20)]
        ended = threading.Event()

        def handler(request, connection):
            connection.send(head)
            for number, event in enumerate(seen):
                connection.send(write(b"data: %d\n\n" % number))
                if not event.wait(10):
                    return False
            connection.send(write(b""))
            ended.set()
            return False

        edge, _ = self.proxied(handler)
        with edge.connect() as client:
            client.send_request(target="/events", headers=[("Accept", "text/event-stream")])
            response = client.read_final_head()  # the head, too, comes before the first event is needed
            self.assertEqual(response.header("Content-Type"), "text/event-stream")
            for number, event in enumerate(seen):
                self.assertEqual(read(client), b"data: %d\n\n" % number)
                event.set()
        self.assertTrue(ended.wait(10))

    @staticmethod
    def chunk(data):
        return b"%x\r\n%s\r\n" % (len(data), data)

    def test_chunked(self):
        self.lockstep(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", self.chunk, lambda client: client.reader.chunk())

    def test_until_close(self):
        self.lockstep(HEAD + b"\r\n", lambda data: data, lambda client: client.reader.chunk())

    def test_head_alone_arrives(self):
        """An event stream that is still silent: the browser's onopen waits for the head."""
        hold = threading.Event()
        self.addCleanup(hold.set)

        def handler(request, connection):
            connection.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            hold.wait(20)
            return False

        edge, _ = self.proxied(handler)
        with edge.connect() as client:
            client.send_request(target="/events")
            self.assertEqual(client.read_final_head().status, 200)

    def test_parts_of_known_length(self):
        seen = threading.Event()

        def handler(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
            seen.wait(10)
            connection.send(b"again")
            return True

        edge, _ = self.proxied(handler)
        with edge.connect() as client:
            client.send_request(target="/parts")
            client.read_final_head()
            self.assertEqual(client.reader.exactly(5), b"first")
            seen.set()
            self.assertEqual(client.reader.exactly(5), b"again")

    def test_upload_in_lockstep(self):
        """The other direction: what the client has sent reaches the origin without waiting for more."""
        arrived = []

        def handler(request, connection):
            while piece := connection.reader.chunk():
                origin.note(lambda piece=piece: arrived.append(piece))
            connection.reader.until(b"\r\n")
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return True

        origin = self.origin(handler, read_body=False)
        edge, _ = self.proxied(origin=origin)
        with edge.connect() as client:
            client.send_request("POST", "/up", [("Transfer-Encoding", "chunked")])
            for number in range(10):
                client.send(self.chunk(b"piece %d" % number))
                origin.wait_for(lambda number=number: b"".join(arrived).endswith(b"piece %d" % number))
            client.send(b"0\r\n\r\n")
            self.assertEqual(client.read_response().status, 200)

    def test_both_at_once(self):
        """An origin that answers while it still reads: each piece goes round before the next is sent."""
        def handler(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while piece := connection.reader.chunk():
                connection.send(self.chunk(piece.upper()))
            connection.reader.until(b"\r\n")
            connection.send(b"0\r\n\r\n")
            return True

        edge, _ = self.proxied(origin=self.origin(handler, read_body=False))
        with edge.connect() as client:
            client.send_request("POST", "/both", [("Transfer-Encoding", "chunked")])
            self.assertEqual(client.read_final_head().status, 200)
            for number in range(20):
                client.send(self.chunk(b"abc%d" % number))
                self.assertEqual(client.reader.chunk(), b"ABC%d" % number)
            client.send(b"0\r\n\r\n")
            self.assertEqual(client.reader.chunk(), b"")

    def test_client_leaves(self):
        def handler(request, connection):
            connection.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + self.chunk(b"data: 1\n\n"))
            connection.reader.fill()  # returns when the edge lets go
            return False

        edge, origin = self.proxied(handler)
        with edge.connect() as client:
            client.send_request(target="/events")
            client.read_final_head()
            self.assertEqual(client.reader.chunk(), b"data: 1\n\n")
        origin.wait_for(lambda: origin.closed == 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
