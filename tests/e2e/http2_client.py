# SPDX-License-Identifier: Apache-2.0
"""A client of HTTP/2 whose every frame a test decides. Header blocks are python3-hpack's; all the rest is here, so that
it can be wrong on purpose."""

import socket
import struct

import hpack

from client import Broken, Reader, TIMEOUT

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 0x10
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 5, 7, 8, 9, 11


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload

    @property
    def code(self):
        """The error code of RST_STREAM or GOAWAY."""
        return struct.unpack(">I", self.payload[4:8] if self.kind == GOAWAY else self.payload[:4])[0]

    @property
    def last_stream(self):
        return struct.unpack(">I", self.payload[:4])[0]

    def __repr__(self):
        return f"<frame {self.kind} flags {self.flags:#x} stream {self.stream} {self.payload[:40]!r}>"


class Answer:
    def __init__(self):
        self.interim = []
        self.headers = None
        self.body = b""
        self.trailers = None
        self.ended = False
        self.reset = None  # the code of a RST_STREAM

    @property
    def status(self):
        return int(dict(self.headers)[":status"])

    def header(self, name):
        return dict(self.headers).get(name)


class Http2Client:
    """Answers come together in `answers` as frames are read. Windows are opened wide unless a test says otherwise."""

    def __init__(self, address, tls=None, server_name="localhost", settings=(), preface=True, window=True, timeout=TIMEOUT):
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(address)
        else:
            self.sock = socket.create_connection(address, timeout)
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
            self.sock = tls.wrap_socket(self.sock, server_hostname=server_name)
            assert self.sock.selected_alpn_protocol() == "h2"
        self.reader = Reader(self.sock)
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.answers = {}
        self.frames = []
        self.settings = {}
        self.goaways = []
        self.next_stream = 1
        self.ended = False
        if preface:
            body = b"".join(struct.pack(">HI", key, value) for key, value in settings)
            self.send(PREFACE + frame(SETTINGS, payload=body) + (frame(WINDOW_UPDATE, payload=struct.pack(">I", 1 << 30)) if window else b""))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    # --- requests -----------------------------------------------------------------------------------------------

    @staticmethod
    def head(path="/", method="GET", headers=(), authority="example.test", scheme="http", **more):
        fields = [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]
        fields = [(name, value) for name, value in fields if value is not None]
        return fields + [(":" + name, value) for name, value in more.items()] + list(headers)

    def headers_frame(self, fields, stream, flags=END_STREAM | END_HEADERS):
        return frame(HEADERS, flags, stream, self.encoder.encode(fields, huffman=False))

    def take_stream(self):
        stream = self.next_stream
        self.next_stream += 2
        return stream

    def request(self, path="/", body=None, end=True, fields=None, **more):
        """Sends a request; returns its stream's number."""
        stream = self.take_stream()
        fields = fields or self.head(path, **more)
        last = END_STREAM if body is None and end else 0
        self.send(self.headers_frame(fields, stream, END_HEADERS | last))
        if body is not None:
            self.data(stream, body, end)
        return stream

    def data(self, stream, body, end=False):
        """Without regard to windows."""
        pieces = [body[at:at + 16384] for at in range(0, len(body), 16384)] or [b""]
        for number, piece in enumerate(pieces):
            self.send(frame(DATA, END_STREAM if end and number == len(pieces) - 1 else 0, stream, piece))

    def window(self, stream, size):
        self.send(frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size)))

    def reset(self, stream, code=CANCEL):
        self.send(frame(RST_STREAM, 0, stream, struct.pack(">I", code)))

    # --- what comes ---------------------------------------------------------------------------------------------

    def read_frame(self):
        """The next frame, booked; None at an orderly end."""
        if not self.reader.buffer and not self.reader.fill():
            self.ended = True
            return None
        head = self.reader.exactly(9)
        length = int.from_bytes(head[:3], "big")
        got = Frame(head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, self.reader.exactly(length))
        self.frames.append(got)
        self._book(got)
        return got

    def _book(self, got):
        if got.kind == SETTINGS and not got.flags & ACK:
            for at in range(0, len(got.payload), 6):
                key, value = struct.unpack(">HI", got.payload[at:at + 6])
                self.settings[key] = value
            self.send(frame(SETTINGS, ACK))
        elif got.kind == PING and not got.flags & ACK:
            self.send(frame(PING, ACK, 0, got.payload))
        elif got.kind == GOAWAY:
            self.goaways.append(got)
        elif got.kind == HEADERS:
            fields = [(name, value) for name, value in self.decoder.decode(got.payload)]
            answer = self.answers.setdefault(got.stream, Answer())
            if fields and fields[0][0] == ":status":
                if fields[0][1].startswith("1"):
                    answer.interim.append(fields)
                else:
                    answer.headers = fields
            else:
                answer.trailers = fields
            answer.ended = bool(got.flags & END_STREAM)
        elif got.kind == DATA:
            answer = self.answers.setdefault(got.stream, Answer())
            answer.body += got.payload
            answer.ended = bool(got.flags & END_STREAM)
        elif got.kind == RST_STREAM:
            self.answers.setdefault(got.stream, Answer()).reset = got.code

    def read_until(self, condition):
        """Reads frames until condition(frame) is true and returns that frame."""
        while True:
            got = self.read_frame()
            if got is None:
                raise Broken(f"ended before what was waited for; frames: {self.frames[-10:]}")
            if condition(got):
                return got

    def answer(self, stream):
        """Reads until the stream has ended, in one way or another."""
        while not self.answers.get(stream) or not (self.answers[stream].ended or self.answers[stream].reset is not None):
            if self.read_frame() is None:
                raise Broken(f"ended before the answer of {stream}; frames: {self.frames[-10:]}")
        return self.answers[stream]

    def fetch(self, path="/", **more):
        return self.answer(self.request(path, **more))

    def rest(self):
        """Reads up to the end of the connection; a reset is an end, too."""
        try:
            while self.read_frame() is not None:
                pass
        except (Broken, OSError):
            pass
        return self.goaways

    def ping(self):
        """Returns when the server has read all that was sent before."""
        self.send(frame(PING, 0, 0, b"sentinel"))
        self.read_until(lambda got: got.kind == PING and got.flags & ACK and got.payload == b"sentinel")
