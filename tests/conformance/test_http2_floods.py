# SPDX-License-Identifier: Apache-2.0
"""What a client of HTTP/2 may not cost (RFC 9113 section 10.5): each flood ends in GOAWAY with ENHANCE_YOUR_CALM or the
right error, with its reason in the log and in a metric, and harms no other connection."""

import re
import struct
import threading
import unittest

from client import Broken
from harness import GateTest, answer, fetch
from http2_client import (ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, GOAWAY,
                          HEADERS, NO_ERROR, PADDED, PING, PREFACE, PRIORITY, PRIORITY_UPDATE, PROTOCOL_ERROR, REFUSED_STREAM,
                          RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, Http2Client, frame)

TOP = "listeners: [{ address: '127.0.0.1:0', h2c: true }]\nlog: { level: debug }\n"


class FloodTest(GateTest):
    def serve(self, handler=None, top=""):
        self.edge, self.recorder = self.proxied(handler or (lambda request, connection: answer(body=b"fine")), top=TOP + top)
        return self.edge

    def open(self, **more):
        client = Http2Client(self.edge.address, **more)
        self.addCleanup(client.close)
        return client

    def flood(self, client, pieces):
        """Sends until the other side has had enough; a client that is not read from must not hang here."""
        def send():
            try:
                for piece in pieces:
                    client.send(piece)
            except OSError:
                pass
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        client.rest()
        client.close()
        sender.join(10)
        self.assertFalse(sender.is_alive())

    def held_off(self):
        """How many clients for which reason, without the reasons of none."""
        text = fetch(self.edge.admin.removeprefix("unix:"), "/metrics").text
        counts = re.findall(r'^headgate_http2_protections_total\{listener="127.0.0.1:0",reason="(\w+)"\} (\d+)$', text, re.M)
        self.assertTrue(counts, text)
        return {reason: int(count) for reason, count in counts if count != "0"}

    def ended(self, client, code, reason=None, count=1):
        self.assertEqual([got.code for got in client.goaways], [code])
        if reason:
            self.edge.wait_log(rf"ended: {reason}")
            self.edge.wait_log(rf" warning .* HTTP/2 client 127\.0\.0\.1 held off: {reason}")
            self.assertEqual(self.held_off(), {reason: count})
        self.assertEqual(self.open().fetch("/after").status, 200)


class Floods(FloodTest):
    def test_control_frames(self):
        self.serve()
        priority = struct.pack(">IB", 0, 15)
        for name, one in (("settings", frame(SETTINGS)), ("ping", frame(PING, 0, 0, b"12345678")),
                          ("ping ack", frame(PING, ACK, 0, b"12345678")),
                          ("priority", frame(PRIORITY, 0, 1001, priority)),
                          ("priority update", frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 1) + b"u=1")),
                          ("window update", frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1))),
                          ("unknown", frame(0xAB, 0, 0, b"?"))):
            with self.subTest(name):
                client = self.open(window=False)
                self.flood(client, [one * 100] * 400)
                self.assertEqual([got.code for got in client.goaways], [ENHANCE_YOUR_CALM])
        self.ended(client, ENHANCE_YOUR_CALM, "h2_control_flood", count=7)
        # An attack does not fill the log: seven connections within ten seconds are a line or two.
        self.assertLess(self.edge.count_log("held off: h2_control_flood"), 3)

    def test_requests_of_a_client_that_is_sent_away(self):
        """They end with it, without an answer that nobody gets, and say why."""
        go = threading.Event()
        self.addCleanup(go.set)
        self.serve(lambda request, connection: go.wait(10) and answer() or answer())
        client = self.open()
        client.request("/waits")
        self.recorder.wait_for(lambda: self.recorder.requests)
        self.flood(client, [frame(PING, 0, 0, b"12345678") * 100] * 400)
        record = self.edge.wait_access(lambda record: record["uri"] == "/waits")
        self.assertEqual((record["status"], record["error"]), (499, "h2_control_flood"))

    def test_acknowledgements_that_nobody_reads(self):
        """The answers to pings do not pile up: a client that does not read them is not read from either."""
        self.serve()
        client = self.open()
        self.flood(client, [frame(PING, 0, 0, b"12345678") * 100] * 400)
        self.assertLess(self.edge.resident(), 200 << 20)

    def test_empty_data(self):
        self.serve(lambda request, connection: answer(body=b"fine"))
        client = self.open()
        stream = client.request("/up", method="POST", end=False)
        self.flood(client, [frame(DATA, 0, stream) * 100] * 400)
        self.ended(client, ENHANCE_YOUR_CALM, "h2_empty_data_flood")

    def test_rapid_reset(self):
        """CVE-2023-44487: streams begun and broken off at once."""
        self.serve()
        client = self.open()

        def requests():
            for _ in range(2000):
                stream = client.take_stream()
                yield client.headers_frame(client.head("/"), stream) + frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))
        self.flood(client, requests())
        self.ended(client, ENHANCE_YOUR_CALM, "h2_too_many_resets")

    def test_resets_that_the_server_must_make(self):
        """The same by requests that are malformed: the server breaks the streams off itself."""
        self.serve()
        client = self.open()
        self.flood(client, (client.headers_frame(client.head(headers=[("connection", "x")]), client.take_stream()) for _ in range(2000)))
        # So many at once may also be more than are allowed at a time.
        self.assertIn(client.goaways[0].code, (ENHANCE_YOUR_CALM, PROTOCOL_ERROR))
        self.assertEqual(self.open().fetch("/after").status, 200)

    def test_some_resets_are_fine(self):
        """A page that is left cancels what it has asked for."""
        self.serve()
        client = self.open()
        for _ in range(100):
            client.reset(client.request("/"))
        self.assertEqual(client.fetch("/more").status, 200)
        self.assertEqual(client.goaways, [])

    def test_continuation(self):
        self.serve()
        client = self.open()
        head = frame(HEADERS, END_STREAM, client.take_stream(), client.encoder.encode(client.head()))
        # In one piece: the reader's acknowledgement of SETTINGS must not come between them.
        self.flood(client, [head + frame(CONTINUATION, 0, 1, b"") * 100])
        self.ended(client, ENHANCE_YOUR_CALM, "h2_continuation_flood")

    def test_header_bomb(self):
        """A large field in the table, and then a byte for each time that it is meant."""
        self.serve()
        client = self.open()
        block = client.encoder.encode(client.head() + [("x-large", "1" * 3000)])
        index = bytes([0x80 | 62])  # the entry that was added last
        client.send(frame(HEADERS, END_STREAM | END_HEADERS, client.take_stream(), block + index * 10_000))
        client.rest()
        self.ended(client, ENHANCE_YOUR_CALM, "h2_header_flood")

    def test_padding_is_no_content(self):
        """It counts against the window and is given back: an upload of padding ends for its empty frames."""
        self.serve()
        client = self.open()
        stream = client.request("/up", method="POST", end=False)
        self.flood(client, [frame(DATA, PADDED, stream, bytes([10]) + bytes(10)) * 50] * 2000)
        self.ended(client, ENHANCE_YOUR_CALM)


class Limits(FloodTest):
    def test_concurrent_streams(self):
        """Beyond what SETTINGS says a stream is an error, and as many as it says are served."""
        held = threading.Event()
        self.addCleanup(held.set)

        def wait(request, connection):
            held.wait(10)
            return answer(body=b"fine")
        self.serve(wait)
        client = self.open()
        client.ping()
        limit = client.settings[3]
        streams = [client.request("/") for _ in range(limit + 1)]
        client.read_until(lambda got: got.kind == GOAWAY or (got.kind == RST_STREAM and got.stream == streams[-1]))
        if client.goaways:
            self.assertEqual(client.goaways[0].code, PROTOCOL_ERROR)
        else:
            self.assertEqual(client.answers[streams[-1]].reset, REFUSED_STREAM)
        self.assertEqual(self.held_off(), {"h2_too_many_streams": 1})
        held.set()
        second = self.open()
        second.ping()
        streams = [second.request("/") for _ in range(limit)]
        for stream in streams:
            self.assertEqual(second.answer(stream).status, 200)

    def test_broken_off_streams_count_while_they_are_served(self):
        """A client cannot have more work done at a time by breaking off what it began."""
        held = threading.Event()
        self.addCleanup(held.set)
        self.serve(lambda request, connection: held.wait(10) and answer() or answer())
        client = self.open()
        for _ in range(300):
            client.reset(client.request("/"))
        try:
            client.ping()
        except (Broken, OSError):
            pass
        self.assertLessEqual(self.recorder.connections, 256)

    def test_windows_of_the_server(self):
        """More content than the window allows is an error of the client's."""
        held = threading.Event()
        self.addCleanup(held.set)
        edge = self.gate(f"{TOP}sites: [{{ routes: [{{ path: /*, proxy: '{self.origin(lambda r, c: answer(), read_body=False).url}' }}] }}]\n")
        self.edge = edge
        client = self.open()
        stream = client.request("/up", method="POST", end=False)
        self.flood(client, [frame(DATA, 0, stream, bytes(16384))] * 4000)
        self.assertIn([got.code for got in client.goaways], ([FLOW_CONTROL_ERROR], []))

    def test_closed_stream(self):
        self.serve()
        for name, late, code in (("data", frame(DATA, END_STREAM, 1, b"late"), STREAM_CLOSED),
                                 ("window update of zero", frame(WINDOW_UPDATE, 0, 1, bytes(4)), PROTOCOL_ERROR),
                                 ("priority of itself", frame(PRIORITY, 0, 1, struct.pack(">IB", 1, 1)), PROTOCOL_ERROR),
                                 ("priority of nothing", frame(PRIORITY, 0, 0, struct.pack(">IB", 1, 1)), PROTOCOL_ERROR)):
            with self.subTest(name):
                client = self.open()
                client.fetch("/")
                client.send(late)
                client.rest()
                self.assertEqual([got.code for got in client.goaways], [code])
        client = self.open()
        client.fetch("/")
        client.send(client.headers_frame(client.head(), 1))
        client.rest()
        self.ended(client, STREAM_CLOSED)
        # What is only wrong is counted, and is nobody's alarm.
        self.assertEqual(self.held_off(), {"protocol_error": 5})
        self.assertEqual(self.edge.count_log("held off"), 0)


class Deadlines(FloodTest):
    SHORT = "limits: { header_timeout: 500ms, keepalive_timeout: 500ms, body_idle_timeout: 500ms }\n"

    def test_no_preface(self):
        self.serve(top=self.SHORT)
        client = self.open(preface=False)
        client.send(PREFACE)
        while client.reader.fill():  # nothing is answered, not even SETTINGS
            pass

    def test_bad_preface_behind_the_beginning(self):
        self.serve()
        client = self.open(preface=False)
        client.send(PREFACE + frame(PING, 0, 0, bytes(8)))
        client.rest()
        self.assertEqual([got.code for got in client.goaways], [PROTOCOL_ERROR])

    def test_idle(self):
        self.serve(top=self.SHORT)
        client = self.open()
        client.fetch("/")
        client.rest()
        self.assertTrue(client.ended)
        self.assertEqual([got.code for got in client.goaways], [NO_ERROR])

    def test_pings_do_not_keep_an_idle_connection(self):
        self.serve(top=self.SHORT)
        client = self.open()
        client.fetch("/")
        client.sock.settimeout(0.05)
        while not client.ended:
            client.send(frame(PING, 0, 0, b"12345678"))
            try:
                client.read_frame()
                client.read_frame()
            except TimeoutError:
                continue
        self.assertEqual([got.code for got in client.goaways], [NO_ERROR])

    def test_head_that_does_not_end(self):
        self.serve(top=self.SHORT)
        client = self.open()
        client.ping()
        client.send(frame(HEADERS, END_STREAM, 1, client.encoder.encode(client.head())))
        client.rest()
        self.ended(client, ENHANCE_YOUR_CALM, "header_timeout")

    def test_dripping_head(self):
        self.serve(top=self.SHORT)
        client = self.open()
        client.ping()
        client.send(frame(HEADERS, END_STREAM, 1, client.encoder.encode(client.head())))
        client.sock.settimeout(0.05)
        ended = False
        while not ended:
            try:
                client.send(frame(CONTINUATION, 0, 1, b""))
                ended = client.read_frame() is None
            except TimeoutError:
                continue
            except (Broken, OSError):
                break
        self.assertEqual(len(client.goaways), 1)

    def test_zero_window(self):
        """A client that lets an answer lie: its stream is broken off, and the connection lives."""
        self.serve(lambda request, connection: answer(body=bytes(100_000)), top=self.SHORT)
        client = self.open(settings=[(4, 0)])
        got = client.fetch("/large")
        self.assertEqual((got.status, got.body, got.reset), (200, b"", CANCEL))
        self.assertEqual(self.edge.wait_access()["error"], "send_timeout")
        self.assertEqual(self.held_off(), {"send_timeout": 1})
        self.assertEqual(client.goaways, [])

    def test_upload_that_stalls(self):
        self.serve(top=self.SHORT)
        client = self.open()
        stream = client.request("/up", method="POST", end=False)
        client.data(stream, b"begun")
        got = client.answer(stream)
        self.assertEqual(got.status, 408)
        client.read_until(lambda got: got.kind == RST_STREAM and got.code == NO_ERROR)


if __name__ == "__main__":
    unittest.main()
