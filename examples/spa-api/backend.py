#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The API of the example: nothing but Python's standard library.

GET  /api/hello    who answered
POST /api/upload   how much arrived, and its SHA-256
GET  /api/events   a clock, as server-sent events, one a second
"""

import hashlib
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stopping = threading.Event()

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/api/hello":
            self.answer(200, {"message": "hello", "client": self.headers.get("X-Forwarded-For"),
                              "scheme": self.headers.get("X-Forwarded-Proto"), "request_id": self.headers.get("X-Request-Id"),
                              "pool": "default", "server": "%s:%d" % self.server.server_address[:2]})
        elif path == "/api/events":
            self.events()
        else:
            self.answer(404, {"error": "no such resource"})

    def do_POST(self):
        if self.path != "/api/upload":
            self.answer(404, {"error": "no such resource"})
            return
        digest, left = hashlib.sha256(), int(self.headers.get("Content-Length") or 0)
        size = left
        while left:
            piece = self.rfile.read(min(left, 65536))
            if not piece:
                return
            digest.update(piece)
            left -= len(piece)
        self.answer(200, {"bytes": size, "sha256": digest.hexdigest()})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        number = 0
        try:
            while not self.stopping.is_set():
                event = {"number": number, "time": time.strftime("%H:%M:%S")}
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
                self.wfile.flush()
                number += 1
                self.stopping.wait(1)
        except OSError:
            pass  # the browser has left

    def log_message(self, *_):
        pass  # headgate logs the requests


def main():
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Api)
    server.daemon_threads = True
    print("listening on http://%s:%d" % server.server_address[:2], file=sys.stderr, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
