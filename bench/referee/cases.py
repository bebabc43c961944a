# SPDX-License-Identifier: Apache-2.0
"""The cases. Each says what the subjects must serve, who is asked for what, and by which measure it is judged."""

import dataclasses

from . import load, measure
from .subjects import FLOOR_SERVER, PEERS, RELAYS, Setup

KIB, MIB = 1024, 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Case:
    title: str
    setup: Setup
    path: str = "/1k"
    size: int = KIB
    load: object = load.wrk
    measure: object = measure.cost
    connections: int = 64
    streams: int = 1         # a connection, over HTTP/2
    mode: str = ""           # of handshakes: full or resumed
    peers: tuple = PEERS
    floors: tuple = ()       # what cannot be undercut: the relays, or the bare server
    held: int = 0            # idle connections
    large: Setup = None      # a second set-up of the same subject, compared with the first

    @property
    def workers(self):
        return max(one.workers for one in (self.setup, self.large) if one)



CASES = {
    "proxy": Case("proxy 1 KiB", Setup(), floors=RELAYS),
    "proxy-10k": Case("proxy 10 KiB", Setup(), "/10k", 10 * KIB, floors=RELAYS),
    "proxy-1m": Case("proxy 1 MiB", Setup(), "/1m", MIB, floors=RELAYS, connections=16),
    "proxy-h2load": Case("proxy 1 KiB, by h2load", Setup(), load=load.h2load),
    "proxy-tls": Case("proxy 1 KiB, TLS 1.3", Setup(tls=True)),
    "everything": Case("proxy 1 KiB, log, metrics, rate limit", Setup(limits=True)),
    # The size is the least that a compressed answer may have; what each sends is in the notes.
    "gzip": Case("proxy 20 KiB of JSON, gzip level 5", Setup(gzip=True), "/20k.json", 3 * KIB, peers=("nginx",)),
    "limited": Case("proxy 1 KiB with a rate limit", Setup(), measure=measure.limited, large=Setup(limit="local"), peers=("nginx",)),
    "static-1k": Case("static 1 KiB", Setup("static"), "/1k.txt", floors=(FLOOR_SERVER,)),
    "static-10k": Case("static 10 KiB", Setup("static"), "/10k.txt", 10 * KIB, floors=(FLOOR_SERVER,)),
    # No logs where h2o is judged: it writes each line of its log by itself.
    "static-10k-tls": Case("static 10 KiB, TLS 1.3, no log", Setup("static", tls=True, log=False), "/10k.txt", 10 * KIB),
    "static-10m": Case("static 10 MiB", Setup("static"), "/10m.txt", 10 * MIB, connections=8),
    "h2static": Case("static 1 KiB, HTTP/2, no log", Setup("static", tls=True, h2=True, log=False), "/1k.txt", load=load.h2load,
                     streams=10, peers=("nginx", "h2o")),
    "h2proxy": Case("proxy 1 KiB, HTTP/2, no log", Setup(tls=True, h2=True, log=False), load=load.h2load, streams=10),
    "handshake-full": Case("full TLS 1.3 handshake", Setup("static", tls=True), "/1k.txt", load=load.handshakes, mode="full"),
    "handshake-resumed": Case("resumed TLS 1.3 handshake", Setup("static", tls=True), "/1k.txt", load=load.handshakes, mode="resumed"),
    "idle": Case("4,000 idle connections", Setup(), measure=measure.idle, held=4000),
    "idle-tls": Case("4,000 idle connections, TLS", Setup(tls=True), measure=measure.idle, held=4000),
    "sites": Case("1,000 sites x 100 routes", Setup(sites=1, routes=1), measure=measure.sites, large=Setup(sites=1000, routes=100),
                  peers=("nginx",)),
    "latency": Case("latency, 70 % of nginx's saturation", Setup(), measure=measure.latency),
    "workers": Case("two workers", Setup(), measure=measure.workers, large=Setup(workers=2)),
}
