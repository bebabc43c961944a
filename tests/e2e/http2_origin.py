# SPDX-License-Identifier: Apache-2.0
"""Origins that speak HTTP/2, frame by frame as a test wants it. Header blocks are python3-hpack's."""

import socket
import struct
import threading

import hpack

from client import Broken, Reader, TIMEOUT
from http2_client import (ACK, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS,
                          WINDOW_UPDATE, frame)

MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4


class Http2Request:
    def __init__(self, connection, stream, fields):
        self.connection, self.stream, self.fields = connection, stream, fields
        self.body = b""
        self.trailers = None
        self.ended = threading.Event()  # the client has sent all of it
        self.reset = None               # the code of a RST_STREAM
        self.window = connection.initial_window
        self.over = threading.Event()   # ended by either side's reset, or with the connection

    def header(self, name):
        return dict(self.fields).get(name)

    @property
    def path(self):
        return self.header(":path")

    # --- the answer ---------------------------------------------------------------------------------------------

    def head(self, status=200, headers=(), end=False):
        self.fields_frame([(":status", str(status)), *headers], end)

    def fields_frame(self, fields, end=False):
        with self.connection.sending:
            block = self.connection.encoder.encode(fields, huffman=False)
            self.connection.sock.sendall(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), self.stream, block))

    def data(self, content, end=False):
        """As far as the windows allow, waiting for them."""
        while content:
            size = self.connection.take_window(self, min(len(content), 16384))
            if size == 0:
                return
            piece, content = content[:size], content[size:]
            self.connection.send(frame(DATA, END_STREAM if end and not content else 0, self.stream, piece))
        if end and not content:
            return

    def end(self, trailers=None):
        if trailers is None:
            self.connection.send(frame(DATA, END_STREAM, self.stream))
        else:
            self.fields_frame(trailers, True)

    def answer(self, body=b"ok", status=200, headers=(), trailers=None):
        self.head(status, headers, end=not body and trailers is None)
        if body:
            self.data(body, end=trailers is None)
        if trailers is not None:
            self.end(trailers)

    def break_off(self, code):
        self.connection.send(frame(RST_STREAM, 0, self.stream, struct.pack(">I", code)))
        self.over.set()


class Http2OriginConnection:
    def __init__(self, origin, sock):
        self.origin, self.sock = origin, sock
        self.reader = Reader(sock)
        self.sending = threading.RLock()
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.requests = {}
        self.frames = []
        self.initial_window = 65535
        self.window = 65535
        self.changed = threading.Condition()
        self.closed = threading.Event()
        self.pings = 0

    def send(self, data):
        with self.sending:
            self.sock.sendall(data)

    def goaway(self, last, code=0):
        self.send(frame(GOAWAY, 0, 0, struct.pack(">II", last, code)))

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def take_window(self, request, wanted):
        with self.changed:
            self.changed.wait_for(lambda: request.over.is_set() or (self.window > 0 and request.window > 0), TIMEOUT)
            size = 0 if request.over.is_set() else max(0, min(wanted, self.window, request.window))
            self.window -= size
            request.window -= size
            return size

    def run(self):
        try:
            if self.reader.exactly(len(PREFACE)) != PREFACE:
                return
            if self.origin.settings is not None:
                self.send(frame(SETTINGS, payload=b"".join(struct.pack(">HI", *pair) for pair in self.origin.settings)))
            if self.origin.wide:
                self.send(frame(WINDOW_UPDATE, payload=struct.pack(">I", 1 << 30)))
            while True:
                head = self.reader.exactly(9)
                payload = self.reader.exactly(int.from_bytes(head[:3], "big"))
                self.got(Frame(head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, payload))
        except (Broken, OSError):
            pass
        finally:
            for request in list(self.requests.values()):
                request.over.set()
                request.ended.set()
            with self.changed:
                self.changed.notify_all()
            self.closed.set()
            self.close()

    def got(self, one):
        self.frames.append(one)
        request = self.requests.get(one.stream)
        with self.changed:
            if one.kind == SETTINGS and not one.flags & ACK:
                for at in range(0, len(one.payload), 6):
                    key, value = struct.unpack(">HI", one.payload[at:at + 6])
                    if key == INITIAL_WINDOW_SIZE:
                        self.initial_window = value
                if self.origin.settings is not None:
                    self.send(frame(SETTINGS, ACK))
            elif one.kind == WINDOW_UPDATE and one.stream == 0:
                self.window += struct.unpack(">I", one.payload)[0]
            elif one.kind == WINDOW_UPDATE and request:
                request.window += struct.unpack(">I", one.payload)[0]
            elif one.kind == RST_STREAM and request:
                request.reset = one.code
                request.over.set()
                request.ended.set()
            self.changed.notify_all()
        if one.kind == PING and not one.flags & ACK:
            self.pings += 1
            if self.origin.answers_pings:
                self.send(frame(PING, ACK, 0, one.payload))
        elif one.kind == HEADERS and request is None:
            self.requests[one.stream] = request = Http2Request(self, one.stream, self.decoder.decode(one.payload))
            self.origin.note(request)
        elif one.kind == HEADERS:
            request.trailers = self.decoder.decode(one.payload)
        elif one.kind == DATA and request:
            request.body += one.payload
            if one.payload and self.origin.wide:
                self.send(frame(WINDOW_UPDATE, 0, one.stream, struct.pack(">I", len(one.payload))))
        if one.kind in (HEADERS, DATA) and one.flags & END_STREAM:
            request.ended.set()


class Http2Origin:
    """`handler(request)` answers each request in a thread of its own. `settings` None: no SETTINGS are sent at all;
    `wide`: uploads are given all the window they want."""

    def __init__(self, handler=None, settings=(), tls=None, wide=True, answers_pings=True):
        self.handler = handler or (lambda request: request.answer())
        self.settings, self.tls, self.wide, self.answers_pings = settings, tls, wide, answers_pings
        self.connections, self.requests = [], []
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.scheme = "h2c" if tls is None else "h2"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
        except OSError:
            sock.close()
            return
        connection = Http2OriginConnection(self, sock)
        with self.changed:
            self.connections.append(connection)
            self.changed.notify_all()
        connection.run()

    def note(self, request):
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
        threading.Thread(target=self._answer, args=(request,), daemon=True).start()

    def _answer(self, request):
        try:
            self.handler(request)
        except OSError:
            pass  # the connection has ended

    def wait_requests(self, count):
        """The first `count` requests, once there are as many."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.requests) >= count, TIMEOUT):
                raise AssertionError(f"{len(self.requests)} requests, not {count}")
            return self.requests[:count]

    def close(self):
        self.listener.close()
        for connection in self.connections:
            connection.close()
