# SPDX-License-Identifier: Apache-2.0
"""Who is asked: every way to balance, weights, backup servers, the growing share of a server that comes back, affinity
by cookie and by hash."""

import collections
import re
import time
import unittest

from certs import Authority
from harness import client_tls, fetch, wait_until
from test_proxy_upstreams import free_port
from test_upstream_failures import FailureTest, logged_at

KINDS = ["round_robin", "least_requests", "random_two", "peak_ewma", "hash($http_x)"]


class BalancingTest(FailureTest):
    def ask(self, edge, count, **more):
        """Which origin answered each of so many requests, one after another."""
        with edge.connect() as client:
            names = []
            for _ in range(count):
                response = client.request(**more)
                self.assertEqual(response.status, 200)
                names.append(response.header("X-From"))
            return names


class Kinds(BalancingTest):
    def test_each_serves_by_weight_and_survives_a_failure(self):
        for kind in KINDS:
            with self.subTest(kind):
                bad = [False]
                servers = [self.named("a"), self.named("b"), self.named("c", lambda: 503 if bad[0] else 200)]
                listed = [f"{{ address: '{server.address}', weight: {weight} }}"
                          for server, weight in zip(servers, (1, 1, 2))]
                edge = self.gate_to(listed, f"balance: '{kind}', ejection: {{ base_time: 60s }}", top="workers: 2")
                counts = collections.Counter()
                with edge.connect() as client:
                    for i in range(400):
                        response = client.request(headers=[("X", f"key {i}")])
                        self.assertEqual(response.status, 200)
                        counts[response.header("X-From")] += 1
                self.assertEqual(set(counts), {"a", "b", "c"})
                if kind == "round_robin":
                    self.assertEqual(counts, {"a": 100, "b": 100, "c": 200})
                elif kind in ("random_two", "hash($http_x)"):
                    # Drawn: 200 expected of 400, and the standard deviation is 10; a ring's spread adds to it.
                    self.assertTrue(120 <= counts["c"] <= 280, counts)
                bad[0] = True
                traffic = self.traffic(edge, 2)  # three at once: as many as may always be tried again
                for i in range(40):
                    self.assertEqual(edge.fetch(headers=[("X", f"key {i}")]).status, 200)
                edge.wait_log(f"server {servers[2].address}: ejected") if kind != "hash($http_x)" else None
                traffic.stop()
                self.assertEqual(traffic.failed(), [])


class Backup(BalancingTest):
    def test_serves_only_while_no_other_is_well(self):
        well = [200]
        main, spare = self.named("main", lambda: well[0]), self.named("spare")
        edge = self.gate_to([main, f"{{ address: '{spare.address}', backup: true }}"],
                            "ejection: { base_time: 100ms, max_time: 200ms }")
        self.assertEqual(set(self.ask(edge, 20)), {"main"})
        well[0] = 503
        traffic = self.traffic(edge, 2)
        edge.wait_log(f"server {main.address}: ejected")
        spare.wait_requests(10)
        well[0] = 200
        edge.wait_log("returned")
        traffic.stop()
        self.assertEqual(set(self.ask(edge, 20)), {"main"})
        self.assertTrue(all(asked.status == 200 or asked.answer.header("X-From") == "main" for asked in traffic.results))


class Twice(BalancingTest):
    def test_one_address_by_two_names(self):
        """A backup that is the same server does not take the server away."""
        good = self.named("good")
        edge = self.gate_to([good, f"{{ address: 'localhost:{good.port}', backup: true }}"])
        for _ in range(2):
            self.assertEqual(set(self.ask(edge, 10)), {"good"})
            edge.wait_log("localhost is .*127.0.0.1")


class SlowStart(BalancingTest):
    def wait_for_time(self, traffic, moment):
        """Until requests are asked that began after it."""
        wait_until(lambda: traffic.results and traffic.results[-1].begun > moment, what="the end of a slow start")
        traffic.wait_for_more(100)

    def share(self, traffic, name, since, first, last):
        asked = [one for one in traffic.results if since + first < one.begun < since + last]
        self.assertGreater(len(asked), 20)
        return sum(one.answer.header("X-From") == name for one in asked) / len(asked)

    def grows(self, traffic, name, since):
        # A tenth of the weight at first, then in proportion to the time: 0.09 to 0.5 of what two equals share.
        self.assertLess(self.share(traffic, name, since, 0, 0.4), 0.25)
        self.assertTrue(0.2 < self.share(traffic, name, since, 0.8, 1.2) < 0.45)
        self.assertAlmostEqual(self.share(traffic, name, since, 2.1, 60), 0.5, delta=0.05)

    def test_the_share_of_a_returning_server_grows(self):
        well = [200]
        back, other = self.named("back", lambda: well[0]), self.named("other")
        edge = self.gate_to([back, other], "slow_start: 2s, ejection: { base_time: 50ms, max_time: 100ms }")
        begun = time.time()
        traffic = self.traffic(edge, 2)
        self.wait_for_time(traffic, begun + 2.2)
        self.assertAlmostEqual(self.share(traffic, "back", begun, 0, 1), 0.5, delta=0.05, msg="all begin alike")
        well[0] = 503
        edge.wait_log("ejected:")
        well[0] = 200
        returned = logged_at(edge.wait_log("returned"))
        self.wait_for_time(traffic, returned + 2.2)
        traffic.stop()
        self.assertEqual(traffic.failed(), [])
        self.grows(traffic, "back", returned)

    def test_the_share_of_a_new_server_grows(self):
        old, new = self.named("old"), self.named("new")
        edge = self.gate_to([old], "slow_start: 2s")
        begun = time.time()
        traffic = self.traffic(edge, 2)
        self.wait_for_time(traffic, begun + 2.2)
        edge.reload(edge.file.read_text().replace(f"[{old.address}]", f"[{old.address}, {new.address}]"))
        added = next(one.begun for one in traffic.results if one.answer.header("X-From") == "new") if new.requests else time.time()
        self.wait_for_time(traffic, added + 2.3)
        traffic.stop()
        self.assertEqual(traffic.failed(), [])
        self.grows(traffic, "new", added)


class Sticky(BalancingTest):
    def sticky(self, servers, settings="", **more):
        return self.gate_to(servers, "sticky: { cookie: where, ttl: 1h }" + settings, **more)

    def cookie(self, response):
        return re.match("where=([^;]*)", response.header("Set-Cookie")).group(1)

    def test_stays_and_falls_over(self):
        servers = {name: self.server(name) for name in ("a", "b", "c")}
        edge = self.sticky(servers.values(), ", ejection: { base_time: 100ms, max_time: 200ms }", top="workers: 2")
        first = edge.fetch()
        mine, cookie = first.header("X-From"), self.cookie(first)
        for _ in range(20):
            response = edge.fetch(headers=[("Cookie", f"a=b; where={cookie}; c=d")])
            self.assertEqual((response.header("X-From"), response.header("Set-Cookie")), (mine, None))
        servers[mine].kill()
        # Over to another one, told so, and there to stay, also when the old one is back.
        moved = edge.fetch(headers=[("Cookie", f"where={cookie}")])
        self.assertEqual(moved.status, 200)
        other, cookie = moved.header("X-From"), self.cookie(moved)
        self.assertNotEqual(other, mine)
        for _ in range(20):
            response = edge.fetch(headers=[("Cookie", f"where={cookie}")])
            self.assertEqual((response.status, response.header("X-From"), response.header("Set-Cookie")), (200, other, None))
        servers[mine].start()
        traffic = self.traffic(edge, 2)
        servers[mine].wait_for_more(5)
        traffic.stop()
        for _ in range(20):
            response = edge.fetch(headers=[("Cookie", f"where={cookie}")])
            self.assertEqual((response.status, response.header("X-From")), (200, other))

    def test_new_clients_are_spread(self):
        edge = self.sticky([self.named(name) for name in "ab"])
        self.assertEqual(collections.Counter(edge.fetch().header("X-From") for _ in range(20)), {"a": 10, "b": 10})

    def test_the_cookie(self):
        servers = [self.named("a"), self.named("b")]
        authority = Authority(self.folder() / "ca")
        cert, key = authority.issue("localhost")
        listeners = ("listeners: [{ address: '127.0.0.1:0' }, { address: '127.0.0.1:0', tls: true }]\n"
                     f"tls: {{ certificates: [{{ cert: {cert}, key: {key} }}] }}")
        edge = self.sticky(servers, top=listeners, listeners=2)
        plain = edge.fetch().header("Set-Cookie")
        self.assertRegex(plain, r"^where=[0-9a-f]{16}\.[0-9a-f]{10}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax$")
        secure = fetch(edge.tls_address, tls=client_tls(authority.cert), server_name="localhost").header("Set-Cookie")
        self.assertTrue(secure.endswith("; Secure"), secure)
        for server in servers:
            self.assertNotIn(str(server.port), plain, "addresses are nobody's business")

    def test_the_cookie_is_renewed(self):
        edge = self.sticky([self.named("a"), self.named("b")])
        first = edge.fetch()
        token, issued = self.cookie(first).split(".")
        aged = f"{token}.{int(issued, 16) - 1801:010x}"
        again = edge.fetch(headers=[("Cookie", f"where={aged}")])
        self.assertEqual(again.header("X-From"), first.header("X-From"))
        self.assertEqual(self.cookie(again).split(".")[0], token)
        self.assertGreaterEqual(int(self.cookie(again).split(".")[1], 16), int(issued, 16))
        younger = f"{token}.{int(issued, 16) - 1700:010x}"
        self.assertIsNone(edge.fetch(headers=[("Cookie", f"where={younger}")]).header("Set-Cookie"))

    def test_a_cookie_that_is_none(self):
        edge = self.sticky([self.named("a"), self.named("b")])
        for value in ("", "x", "0" * 16, "f" * 27, "0" * 16 + "." + "0" * 10, "\xff" * 16, "-1", "a" * 4000):
            with self.subTest(value):
                response = edge.fetch(headers=[("Cookie", f"where={value}")])
                self.assertEqual(response.status, 200)
                self.assertRegex(self.cookie(response), r"^[0-9a-f]{16}\.[0-9a-f]{10}$")

    def test_no_cookie_with_an_answer_of_our_own(self):
        edge = self.sticky([f"127.0.0.1:{free_port()}"])
        response = edge.fetch()
        self.assertEqual((response.status, response.header("Set-Cookie")), (502, None))


class Hash(BalancingTest):
    def places(self, edge, keys):
        with edge.connect() as client:
            return {key: client.request(headers=[("X", key)]).header("X-From") for key in keys}

    def test_one_key_one_server_and_few_move(self):
        servers = [self.named(str(number)) for number in range(5)]
        keys = [f"user-{number}" for number in range(300)]

        def config(some):
            return ("access_log: { format: off }\nworkers: 2\nupstreams:\n  app: { balance: hash($http_x), servers: ["
                    + ", ".join(server.address for server in some) + "] }\n"
                    "sites: [{ routes: [{ path: /*, proxy: app }] }]\n")
        edge = self.gate(config(servers))
        before = self.places(edge, keys)
        self.assertEqual(set(before.values()), set("01234"))
        self.assertEqual(self.places(edge, keys), before)
        edge.reload(config(servers[::-1]))
        self.assertEqual(self.places(edge, keys), before, "their order means nothing")
        edge.reload(config(servers[:4]))
        after = self.places(edge, keys)
        self.assertEqual([key for key in keys if before[key] != "4" and before[key] != after[key]], [])
        self.assertEqual(set(after.values()), set("0123"))
        edge.reload(config(servers))
        self.assertEqual(self.places(edge, keys), before)

    def test_keys_of_a_failed_server_go_elsewhere_and_come_back(self):
        well = [200]
        servers = [self.named("a"), self.named("b"), self.named("c", lambda: well[0])]
        edge = self.gate_to(servers, "balance: hash($http_x), ejection: { base_time: 100ms, max_time: 100ms }")
        keys = [f"user-{number}" for number in range(60)]
        before = self.places(edge, keys)
        well[0] = 503
        during = self.places(edge, keys)
        self.assertNotIn("c", during.values())
        self.assertEqual([key for key in keys if before[key] != "c" and before[key] != during[key]], [])
        self.assertTrue(edge.count_log(f"server {servers[2].address}: ejected"))
        well[0] = 200
        wait_until(lambda: self.places(edge, keys) == before, what="all keys to be back")


if __name__ == "__main__":
    unittest.main(verbosity=2)
