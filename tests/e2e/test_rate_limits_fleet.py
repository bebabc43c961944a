# SPDX-License-Identifier: Apache-2.0
"""Several instances, one limit, one Redis: what is let through all together over any interval, and what it costs the
store. Every judgement is by the moments that the clients saw, so a slow machine makes a test slow and not wrong."""

import re
import threading
import time
import unittest

from harness import GateTest, wait_until
from client import Client
from redis_server import RedisServer

TICK = 0.01
OVERSHOOT = 0.05
REQUEST = b"GET / HTTP/1.1\r\nHost: hot.example\r\n\r\n"


class Load(threading.Thread):
    """One client of one instance: pipelined blocks at a pace, each answer read before the next block."""

    def __init__(self, address, rate):
        super().__init__()
        self.client, self.rate = Client(address), rate
        self.admitted, self.statuses, self.ending = [], {}, threading.Event()
        self.began = self.ended = 0.0

    def run(self):
        self.began = due = time.monotonic()
        owed = 0.0
        while not self.ending.is_set():
            time.sleep(max(0.0, due - time.monotonic()))
            due += TICK
            owed += self.rate * TICK
            count, owed = int(owed), owed % 1
            if count:
                self.block(count)
        self.ended = time.monotonic()
        self.client.close()

    def block(self, count):
        sent = time.monotonic()
        self.client.send(REQUEST * count)
        codes = []
        while len(codes) < count:
            head = self.client.reader.until(b"\r\n\r\n")
            codes.append(head.partition(b"HTTP/1.1 ")[2][:3])  # the body of a refusal stands before the next head
        seen = time.monotonic()
        for code in codes:
            self.statuses[code] = self.statuses.get(code, 0) + 1
            if code == b"200":
                self.admitted.append((sent, seen))


class Fleet(GateTest):
    def start(self, instances, rate, burst, more=""):
        self.rate, self.burst = rate, burst
        self.redis = RedisServer(self.folder())
        self.addCleanup(self.redis.close)
        self.gates = [self.gate(f"""
            redis: {{ url: {self.redis.url}, timeout: 100ms }}
            access_log: {{ format: off }}
            rate_limits: {{ hot: {{ key: $host, rate: {rate}/s, burst: {burst}, store: redis{more} }} }}
            sites: [{{ routes: [{{ path: /*, respond: {{ status: 200 }}, rate_limit: hot }}] }}]
            """) for _ in range(instances)]
        # Each knows of all the others: what one may lease depends on how many there are.
        wait_until(lambda: self.redis.command("ZCARD", "headgate:instances") == instances, what="all heartbeats")
        beats = self.beats()
        wait_until(lambda: self.beats() >= beats + 2 * instances, what="further heartbeats")

    def beats(self):
        calls = re.search(r"cmdstat_zcard:calls=(\d+)", self.redis.command("INFO", "commandstats"))
        return int(calls.group(1)) if calls else 0

    def run_load(self, offered, seconds, meanwhile=lambda: None, shares=None):
        shares = shares or [1] * len(self.gates)
        loads = [Load(gate.address, offered * share / sum(shares)) for gate, share in zip(self.gates, shares)]
        before = self.redis.questions()
        for load in loads:
            load.start()
        timer = threading.Event()
        meanwhile()
        timer.wait(seconds)
        for load in loads:
            load.ending.set()
        for load in loads:
            load.join()
        self.loads = loads
        self.lasted = max(load.ended for load in loads) - min(load.began for load in loads)
        self.requests = sum(sum(load.statuses.values()) for load in loads)
        self.questions = self.redis.questions() - before if self.redis.process.poll() is None else None
        self.admitted = sorted(one for load in loads for one in load.admitted)
        others = {code for load in loads for code in load.statuses} - {b"200", b"429"}
        self.assertEqual(others, set())

    def check_bound(self, burst=None, since=0.0, until=float("inf")):
        """burst + rate x W + overshoot, for every interval from the sending of one admitted request to the answer of another."""
        burst = self.burst if burst is None else burst
        most = burst + max(OVERSHOOT * self.burst, 1) + len(self.gates)
        moments = [one for one in self.admitted if since <= one[0] and one[1] <= until]
        step = max(1, len(moments) // 300)
        for first in range(0, len(moments), step):
            begin = moments[first][0]
            inside = sorted(got for _, got in moments[first:])
            for last in range(step - 1, len(inside), step):
                length = inside[last] - begin
                self.assertLessEqual(last + 1, most + self.rate * length, f"{last + 1} within {length:.3f} s")

    def check_use(self):
        """What the limit allows is used: the offer was above it all the time. At the end the store may have what came in
        while it was left alone: an eighth of the burst, or half a second of the rate; and the instances may have what
        they have leased and not spent."""
        left = min(self.burst / 8, self.rate / 2) + OVERSHOOT * self.burst + len(self.gates)
        self.assertGreaterEqual(len(self.admitted), 0.95 * (self.burst + self.rate * self.lasted) - left)

    def test_two_instances_at_a_hundred(self):
        self.start(2, 100, 200)
        self.run_load(300, 5)
        self.check_bound()
        self.check_use()
        self.assertLessEqual(self.questions / self.requests, 0.1)

    def test_two_instances_at_a_hundred_in_a_flood(self):
        self.start(2, 100, 100)
        self.run_load(2000, 4)
        self.check_bound()
        self.check_use()
        self.assertLessEqual(self.questions / self.requests, 0.1)

    def test_four_instances_at_a_thousand(self):
        self.start(4, 1000, 2000)
        self.run_load(4000, 4)
        self.check_bound()
        self.check_use()
        self.assertLessEqual(self.questions / self.requests, 0.1)

    def test_one_of_four_has_nearly_all_the_traffic(self):
        self.start(4, 500, 1000)
        self.run_load(2000, 4, shares=[20, 2, 1, 1])
        self.check_bound()
        self.check_use()

    def test_an_exact_limit(self):
        self.start(3, 50, 20, ", lease: 1")
        self.run_load(600, 3)
        self.check_bound()
        self.check_use()

    def test_below_the_limit_nobody_is_refused(self):
        self.start(2, 1000, 1000)
        self.run_load(500, 3)
        self.assertEqual(len(self.admitted), self.requests)
        self.assertLessEqual(self.questions / self.requests, 0.1)

    def outage(self, begin, end):
        def meanwhile():
            threading.Event().wait(1)
            begin()
            for gate in self.gates:
                gate.wait_log("until it answers, rate limits follow their on_store_failure")
            self.out_since = time.monotonic()
            threading.Event().wait(1.5)
            self.out_until = time.monotonic()
            end()
            for gate in self.gates:
                gate.wait_log("answers again")
        self.start(2, 200, 200)
        self.run_load(1000, 1, meanwhile)
        # Each of the two enforced half of it by itself, beginning with half of the burst.
        self.check_bound(since=self.out_since, until=self.out_until)
        for gate in self.gates:
            self.assertEqual(gate.count_log("on_store_failure"), 1, "once, not for each request")

    def test_a_store_that_stalls(self):
        self.outage(lambda: self.redis.pause(), lambda: self.redis.resume())

    def test_a_store_that_dies(self):
        self.outage(lambda: self.redis.kill(), lambda: self.redis.start())


if __name__ == "__main__":
    unittest.main()
