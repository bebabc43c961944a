# SPDX-License-Identifier: Apache-2.0
"""A name server whose answers a test changes while the program asks.

    dns = DnsServer()                                   # in the configuration: dns: { servers: [dns.address] }
    dns.set("api.internal", "127.0.0.2", "127.0.0.3", ttl=0)
    dns.set("api.internal", "::1", alias="real.internal")
    dns.fail("api.internal")                            # SERVFAIL; fail(name, NXDOMAIN), fail(name, REFUSED)
    dns.silence("api.internal")                         # no answer; silence() is all names, until speak()
    dns.remove("api.internal")                          # NXDOMAIN, as every name that was never set
    dns.questions("api.internal")                       # how often it was asked for
    dns.wait_for_questions("api.internal", 3)
    dns.close()

Questions for IPv4 are counted; the program asks for IPv6 at the same time. A lookup is one question, and more where no
answer comes, where it is SERVFAIL or REFUSED (each is asked for three times), or truncated: what does not fit into 512
bytes over UDP is asked for again over TCP, on the same port of 127.0.0.1, which the system chooses. Names are compared
without regard to case."""

import ipaddress
import socket
import struct
import threading

from client import TIMEOUT

NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
A, CNAME, AAAA = 1, 5, 28
TRUNCATED = 0x0200


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def decode_name(data, at):
    """(name in lower case, where it ends) of a question, which has no pointers."""
    labels = []
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode("latin-1").lower())
        at += 1 + data[at]
    return ".".join(labels), at + 1


class Entry:
    def __init__(self, addresses=(), ttl=0, alias=None, code=NOERROR, silent=False):
        self.addresses = [ipaddress.ip_address(address) for address in addresses]
        self.ttl, self.alias, self.code, self.silent = ttl, alias, code, silent


class DnsServer:
    def __init__(self):
        self._entries = {}
        self._asked = {}
        self._silent = False
        self._closed = False
        self._changed = threading.Condition()
        self._udp, self._tcp = self._bind()
        self.port = self._udp.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._datagrams, self._accept)]
        for thread in self._threads:
            thread.start()

    # --- what a test says ---------------------------------------------------------------------------------------

    def set(self, name, *addresses, ttl=0, alias=None):
        """From now on these; none: the name exists and has no address. `alias`: by way of a CNAME."""
        self._put(name, Entry(addresses, ttl, alias))

    def fail(self, name, code=SERVFAIL):
        self._put(name, Entry(code=code))

    def silence(self, name=None):
        if name is None:
            self._silent = True
        else:
            self._put(name, Entry(silent=True))

    def speak(self):
        """Ends silence() of all names."""
        self._silent = False

    def remove(self, name):
        with self._changed:
            self._entries.pop(name.lower(), None)

    # --- what a test asks ---------------------------------------------------------------------------------------

    def questions(self, name):
        with self._changed:
            return self._asked.get(name.lower(), 0)

    def wait_for_questions(self, name, count, timeout=TIMEOUT):
        """Until `name` has been asked for `count` times since the start."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._asked.get(name.lower(), 0) >= count, timeout):
                raise AssertionError(f"{name} was asked for {self._asked.get(name.lower(), 0)} times, not {count}")

    def close(self):
        self._closed = True
        self._tcp.shutdown(socket.SHUT_RDWR)  # wakes accept
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wake:
            wake.sendto(b"", self._udp.getsockname())
        for thread in self._threads:
            thread.join(TIMEOUT)
        self._udp.close()
        self._tcp.close()

    # --- the protocol -------------------------------------------------------------------------------------------

    @staticmethod
    def _bind():
        """One port for both; whatever the system chooses for TCP may be taken for UDP."""
        for _ in range(100):
            tcp = socket.create_server(("127.0.0.1", 0))
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                udp.bind(tcp.getsockname())
                return udp, tcp
            except OSError:
                udp.close()
                tcp.close()
        raise AssertionError("no port is free for both UDP and TCP")

    def _put(self, name, entry):
        with self._changed:
            self._entries[name.lower()] = entry

    def _datagrams(self):
        while True:
            data, sender = self._udp.recvfrom(4096)
            if self._closed:
                return
            reply = self._reply(data, 512)
            if reply is not None:
                self._udp.sendto(reply, sender)

    def _accept(self):
        while not self._closed:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._stream, args=(connection,), daemon=True).start()

    def _stream(self, connection):
        with connection, connection.makefile("rwb") as stream:
            try:
                while len(head := stream.read(2)) == 2:
                    reply = self._reply(stream.read(struct.unpack("!H", head)[0]), 65535)
                    if reply is not None:
                        stream.write(struct.pack("!H", len(reply)) + reply)
                        stream.flush()
            except OSError:
                pass  # the program has closed its end

    def _reply(self, data, limit):
        """The bytes that answer a question; None for silence."""
        if len(data) < 17:
            return None
        name, end = decode_name(data, 12)
        kind, = struct.unpack_from("!H", data, end)
        question = data[12:end + 4]
        with self._changed:
            if kind == A:
                self._asked[name] = self._asked.get(name, 0) + 1
                self._changed.notify_all()
            entry = self._entries.get(name, Entry(code=NXDOMAIN))
        if self._silent or entry.silent:
            return None
        records = self._records(entry, kind)
        flags = 0x8180 | entry.code
        body = b"".join(records)
        if 12 + len(question) + len(body) > limit:
            flags, records, body = flags | TRUNCATED, [], b""
        return data[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + question + body

    @staticmethod
    def _records(entry, kind):
        def record(owner, what, content):
            return owner + struct.pack("!HHIH", what, 1, entry.ttl, len(content)) + content

        owner, records = b"\xc0\x0c", []  # the name of the question
        if entry.alias:
            records.append(record(owner, CNAME, encode_name(entry.alias)))
            owner = encode_name(entry.alias)
        for address in entry.addresses:
            if kind == (A if address.version == 4 else AAAA):
                records.append(record(owner, kind, address.packed))
        return records
