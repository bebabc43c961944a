# SPDX-License-Identifier: Apache-2.0
"""A client that sends exactly the bytes it is given and reads HTTP/1 answers strictly. Every wait has a deadline."""

import socket
import ssl

TIMEOUT = 10.0


class Broken(Exception):
    """The connection ended, or broke off, in the middle of a message; `partial` is what had arrived of the body."""

    def __init__(self, message, partial=b""):
        super().__init__(message)
        self.partial = partial


class Response:
    def __init__(self, version, status, reason, headers):
        self.version = version
        self.status = status
        self.reason = reason
        self.headers = headers  # in order, names as sent
        self.body = b""
        self.trailers = []
        self.interim = []  # informational responses that came before

    def header(self, name):
        """The first value, or None."""
        values = self.header_list(name)
        return values[0] if values else None

    def header_list(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


def parse_fields(lines):
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip() or line[:1] in b" \t":
            raise Broken(f"malformed field line {line!r}")
        fields.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
    return fields


class Reader:
    """Buffered reading from a socket, used by both sides of the tests."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        self.received = 0

    def fill(self):
        """One more read; False at the end."""
        try:
            data = self.sock.recv(65536)
        except ConnectionError as error:
            raise Broken(f"reset: {error}") from error
        except ssl.SSLError as error:
            raise Broken(f"tls: {error}") from error
        self.received += len(data)
        self.buffer += data
        return bool(data)

    def until(self, mark, limit=1 << 20):
        while mark not in self.buffer:
            if len(self.buffer) > limit:
                raise Broken(f"no {mark!r} within {limit} bytes")
            if not self.fill():
                raise Broken(f"ended before {mark!r}", self.buffer)
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def exactly(self, count, sink=None):
        """`count` bytes; given to `sink` piece by piece when there is one."""
        pieces = []
        take = sink or pieces.append
        left = count
        while left:
            if not self.buffer:
                try:
                    ended = not self.fill()
                except Broken as broken:
                    raise Broken(str(broken), b"".join(pieces)) from broken
                if ended:
                    raise Broken(f"ended {left} bytes before the end of the body", b"".join(pieces))
            piece, self.buffer = self.buffer[:left], self.buffer[left:]
            left -= len(piece)
            take(piece)
        return b"".join(pieces)

    def chunk(self):
        """The next chunk's data; b"" for the last one, whose trailers are still to be read."""
        line = self.until(b"\r\n")
        size = int(line.split(b";")[0], 16)
        data = self.exactly(size)
        if size and self.exactly(2) != b"\r\n":
            raise Broken("chunk without its CRLF")
        return data

    def chunked(self, sink=None):
        """A whole chunked body and its trailers."""
        pieces = []
        take = sink or pieces.append
        while True:
            try:
                data = self.chunk()
            except Broken as broken:
                raise Broken(str(broken), b"".join(pieces) + broken.partial) from broken
            if not data:
                break
            take(data)
        lines = []
        while line := self.until(b"\r\n"):
            lines.append(line)
        return b"".join(pieces), parse_fields(lines)

    def to_end(self, sink=None):
        pieces = []
        take = sink or pieces.append
        while True:
            if self.buffer:
                take(self.buffer)
                self.buffer = b""
            if not self.fill():
                return b"".join(pieces)


class Client:
    """One connection. `address` is (host, port) or the path of a unix socket."""

    def __init__(self, address, tls=None, server_name=None, session=None, timeout=TIMEOUT, receive_buffer=0):
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX)
        else:
            self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        try:
            self.sock.connect(address)
            if tls is not None:
                # An end without a close_notify must not pass for an orderly one.
                self.sock = tls.wrap_socket(self.sock, server_hostname=server_name, session=session, suppress_ragged_eofs=False)
        except BaseException:
            self.sock.close()
            raise
        self.reader = Reader(self.sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def send_request(self, method="GET", target="/", headers=(), body=b"", host="example.test", version="HTTP/1.1"):
        lines = [f"{method} {target} {version}"]
        names = {name.lower() for name, _ in headers}
        if host is not None and "host" not in names:
            lines.append(f"Host: {host}")
        lines += [f"{name}: {value}" for name, value in headers]
        if body and "content-length" not in names and "transfer-encoding" not in names:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def request(self, method="GET", target="/", headers=(), body=b"", **more):
        self.send_request(method, target, headers, body, **more)
        return self.read_response(method)

    def read_head(self):
        """One head, interim or final; the body is not read."""
        block = self.reader.until(b"\r\n\r\n")
        lines = block.split(b"\r\n")
        version, _, rest = lines[0].partition(b" ")
        status, _, reason = rest.partition(b" ")
        if not version.startswith(b"HTTP/1.") or len(status) != 3 or b"\n" in block.replace(b"\r\n", b""):
            raise Broken(f"not an answer: {block[:200]!r}")
        return Response(version.decode(), int(status), reason.decode("latin-1"), parse_fields(lines[1:]))

    def read_final_head(self):
        interim = []
        while True:
            head = self.read_head()
            if head.status >= 200 or head.status == 101:
                head.interim = interim
                return head
            interim.append(head)

    def read_body(self, head, method="GET", sink=None):
        if method == "HEAD" or head.status in (101, 204, 304):
            return head
        codings = head.header_list("Transfer-Encoding")
        lengths = head.header_list("Content-Length")
        if codings:
            if lengths or [c.lower() for c in codings] != ["chunked"]:
                raise Broken(f"ambiguous framing {codings} {lengths}")
            head.body, head.trailers = self.reader.chunked(sink)
        elif lengths:
            if len(lengths) != 1 or not lengths[0].isdigit():
                raise Broken(f"bad Content-Length {lengths}")
            head.body = self.reader.exactly(int(lengths[0]), sink)
        else:
            head.body = self.reader.to_end(sink)
        return head

    def read_response(self, method="GET", sink=None):
        return self.read_body(self.read_final_head(), method, sink)

    def rest(self):
        """Everything up to the end of the connection; a reset counts as an end."""
        data = b""
        try:
            data = self.reader.to_end()
        except Broken:
            data += self.reader.buffer
        return data

    def finish_sending(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Breaks off: the other side sees a reset."""
        import struct
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def fetch(address, target="/", method="GET", headers=(), body=b"", **more):
    """One request on its own connection."""
    connection = {k: more.pop(k) for k in ("tls", "server_name", "session") if k in more}
    with Client(address, **connection) as client:
        return client.request(method, target, headers, body, **more)
