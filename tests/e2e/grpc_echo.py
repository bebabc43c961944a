# SPDX-License-Identifier: Apache-2.0
"""A service of gRPC with all four kinds of calls, messages plain bytes, and a client of it. Run as a program it serves
alone and prints its port, so that a test can kill it."""

import sys
import threading
from concurrent import futures

import grpc

SERVICE = "test.Echo"
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1),
           ("grpc.enable_http_proxy", 0)]


class EchoServer:
    """Notes who called; holds answers back where a test says so."""

    def __init__(self, credentials=None, workers=160):
        self.peers = set()
        self.calls = 0
        self.metadata = []
        self.cancelled = threading.Event()
        self.waiting = threading.Event()
        self.go = threading.Event()
        self.lock = threading.Lock()
        self.server = grpc.server(futures.ThreadPoolExecutor(workers), options=OPTIONS)
        kinds = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Remaining": grpc.unary_unary_rpc_method_handler(self.remaining),
            "Hold": grpc.unary_unary_rpc_method_handler(self.hold),
            "HoldStream": grpc.unary_stream_rpc_method_handler(self.hold_stream),
            "Split": grpc.unary_stream_rpc_method_handler(self.split),
            "Join": grpc.stream_unary_rpc_method_handler(self.join),
            "Talk": grpc.stream_stream_rpc_method_handler(self.talk),
        }
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, kinds),))
        if credentials is None:
            self.port = self.server.add_insecure_port("127.0.0.1:0")
        else:
            self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        self.server.start()

    def close(self):
        self.go.set()
        self.server.stop(None).wait()

    def note(self, context):
        with self.lock:
            self.calls += 1
            self.peers.add(context.peer())
            self.metadata = list(context.invocation_metadata())

    def unary(self, request, context):
        self.note(context)
        context.send_initial_metadata((("x-first", "1"),))
        context.set_trailing_metadata((("x-last", "2"), ("x-last-bin", b"\x00\xff")))
        return request

    def fail(self, request, context):
        self.note(context)
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, request.decode())

    def remaining(self, request, context):
        self.note(context)
        return str(context.time_remaining()).encode()

    def hold(self, request, context):
        self.note(context)
        context.add_callback(self.cancelled.set)
        self.waiting.set()
        self.go.wait()
        return request

    def hold_stream(self, request, context):
        self.note(context)
        context.add_callback(self.cancelled.set)
        yield request
        self.waiting.set()
        self.go.wait()
        yield request

    def split(self, request, context):
        self.note(context)
        for word in request.split():
            yield word

    def join(self, requests, context):
        self.note(context)
        return b" ".join(requests)

    def talk(self, requests, context):
        self.note(context)
        for request in requests:
            yield b"you said " + request


class EchoClient:
    def __init__(self, address, credentials=None, options=()):
        target = f"{address[0]}:{address[1]}"
        options = OPTIONS + list(options)
        self.channel = (grpc.insecure_channel(target, options) if credentials is None
                        else grpc.secure_channel(target, credentials, options))
        path = f"/{SERVICE}/"
        self.unary = self.channel.unary_unary(path + "Unary")
        self.fail = self.channel.unary_unary(path + "Fail")
        self.remaining = self.channel.unary_unary(path + "Remaining")
        self.hold = self.channel.unary_unary(path + "Hold")
        self.hold_stream = self.channel.unary_stream(path + "HoldStream")
        self.split = self.channel.unary_stream(path + "Split")
        self.join = self.channel.stream_unary(path + "Join")
        self.talk = self.channel.stream_stream(path + "Talk")
        self.missing = self.channel.unary_unary("/nowhere/At.All")

    def close(self):
        self.channel.close()


if __name__ == "__main__":
    served = EchoServer()
    print(served.port, flush=True)
    sys.stdin.read()
