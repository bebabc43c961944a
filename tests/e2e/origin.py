# SPDX-License-Identifier: Apache-2.0
"""Origins of the tests: a real socket whose every byte a test decides, and that remembers what reached it."""

import os
import socket
import ssl
import struct
import threading

from client import Broken, Reader, TIMEOUT, parse_fields


def answer(status=200, body=b"ok", headers=(), reason="OK", length=True):
    """The bytes of a whole answer."""
    lines = [f"HTTP/1.1 {status} {reason}"] + [f"{name}: {value}" for name, value in headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class OriginRequest:
    def __init__(self, raw, connection):
        lines = raw.split(b"\r\n")
        self.raw = raw
        self.connection = connection
        self.method, self.target, self.version = (part.decode("latin-1") for part in lines[0].split(b" "))
        self.headers = parse_fields(lines[1:])
        self.body = b""
        self.trailers = []
        self.complete = False
        self.failed = None  # why the body did not arrive

    def header(self, name):
        values = self.header_list(name)
        return values[0] if values else None

    def header_list(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def __repr__(self):
        return f"<{self.method} {self.target} {self.headers} {len(self.body)} bytes>"


class OriginConnection:
    def __init__(self, origin, sock, number):
        self.origin = origin
        self.sock = sock
        self.number = number
        self.reader = Reader(sock)
        self.open = True

    def send(self, data):
        self.sock.sendall(data)

    def read_body(self, request, sink=None):
        coding = request.header("Transfer-Encoding")
        try:
            if coding is not None:
                request.body, request.trailers = self.reader.chunked(sink)
            else:
                request.body = self.reader.exactly(int(request.header("Content-Length") or 0), sink)
        except (Broken, ValueError, OSError) as error:
            self.origin.note(lambda: setattr(request, "failed", str(error) or "broken"))
            raise
        self.origin.note(lambda: setattr(request, "complete", True))
        return request.body

    def close(self):
        if self.open:
            self.open = False
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.sock.close()
            self.origin.note(lambda: setattr(self.origin, "closed", self.origin.closed + 1))

    def reset(self):
        if self.open:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.open = False
            self.sock.close()
            self.origin.note(lambda: setattr(self.origin, "closed", self.origin.closed + 1))


class Origin:
    """Listens until close(): on a free port of 127.0.0.1, on the address and port that are given, or on a unix socket.
    `handler(request, connection)` runs in a thread per connection; bytes that it returns are sent; False ends the connection. With read_body=False the handler
    reads the body itself. `requests` holds every head that arrived, in order, also of requests that stayed incomplete."""

    def __init__(self, handler=None, read_body=True, tls=None, unix_path=None, send_buffer=0, host="127.0.0.1",
                 port=0):
        self.handler = handler or (lambda request, connection: answer())
        self.read_body = read_body
        self.tls = tls
        self.unix_path = unix_path
        self.send_buffer = send_buffer
        self.requests = []
        self.connections = 0
        self.closed = 0
        self.errors = []
        self.changed = threading.Condition()
        self.live = []
        if unix_path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(unix_path)
            self.port = 0
            self.address = f"unix:{unix_path}"
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((host, port))
            self.port = self.listener.getsockname()[1]
            self.address = f"{host}:{self.port}"
        self.url = ("https://" if tls else "http://") + self.address
        self.listener.listen(128)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def note(self, change):
        with self.changed:
            change()
            self.changed.notify_all()

    def wait_for(self, condition, timeout=TIMEOUT):
        """Waits until `condition()` holds; what it holds is returned, and a failure says what the origin had seen."""
        with self.changed:
            if not self.changed.wait_for(condition, timeout):
                raise AssertionError(f"the origin waited in vain; it had seen {self.requests}")
            return condition()

    def wait_requests(self, count):
        self.wait_for(lambda: len(self.requests) >= count)
        return self.requests[:count]

    @property
    def targets(self):
        return [request.target for request in self.requests]

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for connection in list(self.live):
            connection.close()
        self.thread.join(TIMEOUT)
        if self.unix_path and os.path.exists(self.unix_path):
            os.unlink(self.unix_path)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(TIMEOUT * 3)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.send_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer)
        if self.tls is not None:
            try:
                sock = self.tls.wrap_socket(sock, server_side=True)
            except (OSError, ssl.SSLError) as error:
                self.note(lambda: self.errors.append(error))
                sock.close()
                return
        with self.changed:
            number = self.connections
            self.connections += 1
            connection = OriginConnection(self, sock, number)
            self.live.append(connection)
            self.changed.notify_all()
        try:
            self._requests(connection)
        except (Broken, OSError, ValueError) as error:
            self.note(lambda: self.errors.append(error))
        finally:
            connection.close()
            self.note(lambda: self.live.remove(connection))

    def take(self, connection):
        """The request that has begun to arrive."""
        request = OriginRequest(connection.reader.until(b"\r\n\r\n"), connection)
        self.note(lambda: self.requests.append(request))
        if self.read_body:
            connection.read_body(request)
        return request

    def _requests(self, connection):
        while connection.open:
            while not connection.reader.buffer:
                if not connection.reader.fill():
                    return
            request = self.take(connection)
            result = self.handler(request, connection)
            if result is False:
                return
            if isinstance(result, bytes):
                connection.send(result)
