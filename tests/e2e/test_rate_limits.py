# SPDX-License-Identifier: Apache-2.0
"""Rate limits as clients and operators see them: counted in one process, and in a real Redis. Rates are so slow that
nothing refills while a test runs."""

import json
import re
import socket
import unittest

from client import Broken, Client
from harness import GateTest, fetch, run_program, wait_until
from redis_server import RedisServer

ROUTES = """
sites:
  - routes:
      - { path: /a, respond: { body: ok }, rate_limit: one }
      - { path: /b, respond: { body: ok }, rate_limit: [one] }
      - { path: /free, respond: { body: ok } }
"""


def limit(text, more=""):
    return f"rate_limits: {{ one: {{ key: $remote_addr, {text} }} }}\n{more}" + ROUTES


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class LimitsTest(GateTest):
    def redis(self, **more):
        server = RedisServer(self.folder(), **more)
        self.addCleanup(server.close)
        return server

    def shared(self, url, text="rate: 60/h, burst: 4, lease: 1", more="", settings=""):
        urls = json.dumps(url)
        return f"redis: {{ url: {urls}{settings} }}\n" + limit(f"{text}, store: redis", more)

    def statuses(self, gate, count, target="/a", headers=()):
        return [fetch(gate.address, target, headers=headers).status for _ in range(count)]

    def ready(self, gate, redis):
        """The gate has connected: its heartbeat is there."""
        wait_until(lambda: redis.command("EXISTS", "headgate:instances"), what="a heartbeat")
        return gate


class Local(LimitsTest):
    def test_workers_count_together(self):
        gate = self.gate("workers: 2\n" + limit("rate: 60/h, burst: 10"))
        self.assertEqual(sorted(self.statuses(gate, 25)), [200] * 10 + [429] * 15)
        self.assertEqual(self.statuses(gate, 5, "/b"), [429] * 5)
        self.assertEqual(self.statuses(gate, 5, "/free"), [200] * 5)

    def test_a_reload_keeps_the_counts_also_under_another_rate(self):
        gate = self.gate(limit("rate: 60/h, burst: 10"))
        self.assertEqual(self.statuses(gate, 6), [200] * 6)
        gate.reload(limit("rate: 60/h, burst: 10", "log: { level: info }\n"))
        self.assertEqual(fetch(gate.address, "/a").header("RateLimit"), '"one";r=3;t=420')
        gate.reload(limit("rate: 600/h, burst: 10"))
        self.assertEqual(fetch(gate.address, "/a").header("RateLimit"), '"one";r=2;t=48')
        gate.reload(limit("rate: 30/h, burst: 20"))
        self.assertRegex(fetch(gate.address, "/a").header("RateLimit"), r'"one";r=1[01];t=1\d\d\d')

    def test_refusals_are_counted_and_logged(self):
        gate = self.gate('metrics: { listen: "127.0.0.1:0" }\n' + limit("rate: 60/h, burst: 1"))
        line = gate.wait_log(r"listening on \S+ \(metrics\)")
        metrics = ("127.0.0.1", int(re.search(r":(\d+) \(metrics\)", line).group(1)))
        self.assertIn('headgate_rate_limited_total{limit="one"} 0\n', fetch(metrics, "/metrics").text)
        self.statuses(gate, 4)
        record = gate.wait_access(lambda one: one["status"] == 429)
        self.assertEqual((record["rate_limited"], record["error"]), ("one", "rate_limited"))
        self.assertIn('headgate_rate_limited_total{limit="one"} 3\n', fetch(metrics, "/metrics").text)
        self.assertIn("headgate_rate_limit_store_errors_total 0\n", fetch(metrics, "/metrics").text)

    def test_a_flood_of_addresses_frees_nobody_and_keeps_memory_bounded(self):
        gate = self.gate("trusted_proxies: [127.0.0.1]\naccess_log: { format: off }\n" + limit("rate: 60/h, burst: 2"))
        limited = ("X-Forwarded-For", "192.0.2.1")
        self.assertEqual(self.statuses(gate, 3, headers=[limited]), [200, 200, 429])
        before = gate.resident()
        with Client(gate.address) as client:
            for block in range(40):
                # Pipelined: a flood in a few seconds.
                client.send(b"".join(b"GET /a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.%d.%d.%d\r\n\r\n" % (block, i >> 8, i & 255)
                                     for i in range(1000)))
                for _ in range(1000):
                    self.assertEqual(client.read_response().status, 200)
        self.assertLess(gate.resident() - before, 32 << 20)
        self.assertEqual(self.statuses(gate, 1, headers=[limited]), [429])

    def test_explain_names_limit_and_key(self):
        folder = self.folder()
        file = folder / "limits.yaml"
        file.write_text("rate_limits: { one: { key: \"$host|$remote_addr\", rate: 5/m, burst: 7, ipv6_prefix: 48 } }\n"
                        "trusted_proxies: [127.0.0.1]\n" + ROUTES)
        done = run_program("explain", "-c", str(file), "-H", "X-Forwarded-For: 2001:db8:1:2::3", "http://shop.example/a")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("one: 5/m, burst 7, 429", done.stdout)
        self.assertIn("key $host|$remote_addr -> shop.example|", done.stdout)

    def test_connections_of_one_address_are_bounded(self):
        gate = self.gate("limits: { max_connections_per_ip: 2 }\n" + limit("rate: 60/h"))
        first, second = self.client(gate.address), self.client(gate.address)
        self.assertEqual(first.request(target="/free").status, 200)
        self.assertEqual(second.request(target="/free").status, 200)
        with self.assertRaises((Broken, OSError)):
            fetch(gate.address, "/free")


class Shared(LimitsTest):
    def test_two_instances_share_an_exact_limit(self):
        redis = self.redis()
        gates = [self.ready(self.gate(self.shared(redis.url)), redis) for _ in range(2)]
        statuses = [fetch(gates[i % 2].address, "/a").status for i in range(10)]
        self.assertEqual(statuses, [200] * 4 + [429] * 6)
        refused = fetch(gates[0].address, "/b")
        self.assertEqual(refused.status, 429)
        self.assertRegex(refused.header("Retry-After"), r"^(59|60)$")
        self.assertEqual(redis.keys(), ["headgate:limit:one:127.0.0.1"])

    def test_a_refusal_is_remembered_without_asking_again(self):
        redis = self.redis()
        gate = self.ready(self.gate(self.shared(redis.url)), redis)
        self.statuses(gate, 5)
        before = redis.questions()
        self.assertEqual(self.statuses(gate, 50), [429] * 50)
        self.assertEqual(redis.questions(), before)

    def test_a_lease_is_spent_without_asking(self):
        redis = self.redis()
        gate = self.ready(self.gate(self.shared(redis.url, "rate: 60/h, burst: 1000")), redis)
        self.assertEqual(self.statuses(gate, 200), [200] * 200)
        self.assertLessEqual(redis.questions(), 20)

    def test_password_database_and_names(self):
        port = free_port()
        redis = self.redis(port=port, password="p@ss:wörd")
        url = f"redis://:p%40ss%3Aw%C3%B6rd@localhost:{port}/3"
        wait_until(lambda: redis.answers(), what="redis")
        gate = self.gate(self.shared(url))
        wait_until(lambda: redis.command("EXISTS", "headgate:instances", database=3), what="a heartbeat in database 3")
        self.assertEqual(self.statuses(gate, 6), [200] * 4 + [429] * 2)
        self.assertEqual(redis.keys(), [])
        self.assertEqual(redis.keys(database=3), ["headgate:limit:one:127.0.0.1"])
        self.assertNotIn("rd@", gate.err.text)

    def test_a_wrong_password_is_told_and_the_rule_holds_locally(self):
        port = free_port()
        redis = self.redis(port=port, password="right")
        gate = self.gate(self.shared(f"redis://:wrong@127.0.0.1:{port}"))
        gate.wait_log(r"redis://127\.0\.0\.1:\d+/0: WRONGPASS.*on_store_failure")
        self.assertEqual(self.statuses(gate, 6), [200] * 4 + [429] * 2)
        self.assertEqual(redis.keys(), [])

    def test_several_stores_divide_the_keys_and_agree_about_them(self):
        stores = [self.redis(name=f"redis-{i}") for i in range(3)]
        urls = [one.url for one in stores]
        text = "trusted_proxies: [127.0.0.1]\n"
        gates = [self.gate(self.shared(urls, more=text)), self.gate(self.shared(urls[::-1], more=text))]
        for one in stores:
            wait_until(lambda one=one: one.command("ZCARD", "headgate:instances") == 2, what="both instances")
        for i in range(30):
            client = ("X-Forwarded-For", f"192.0.2.{i}")
            statuses = [fetch(gates[n % 2].address, "/a", headers=[client]).status for n in range(5)]
            self.assertEqual(statuses, [200] * 4 + [429], f"client {i}")
        counts = [len(one.keys()) for one in stores]
        self.assertEqual(sum(counts), 30)
        self.assertNotIn(0, counts)

    def test_a_store_that_forgets_its_scripts_gets_them_again(self):
        redis = self.redis()
        gate = self.ready(self.gate(self.shared(redis.url)), redis)
        self.assertEqual(self.statuses(gate, 2), [200] * 2)
        redis.command("SCRIPT", "FLUSH")
        self.assertEqual(self.statuses(gate, 3), [200, 200, 429])
        self.assertEqual(gate.count_log("on_store_failure"), 0)

    def test_another_rate_keeps_what_a_key_has_used(self):
        redis = self.redis()
        gate = self.ready(self.gate(self.shared(redis.url)), redis)
        self.assertEqual(self.statuses(gate, 3), [200] * 3)
        gate.reload(self.shared(redis.url, "rate: 600/h, burst: 4, lease: 1"))
        self.assertEqual(self.statuses(gate, 2), [200, 429])

    def test_a_hostile_key_is_one_key(self):
        redis = self.redis()
        config = self.shared(redis.url).replace("$remote_addr", "$http_x_key")
        gate = self.ready(self.gate(config), redis)
        for key in ("a b", "a\"b'", "x" * 4000, "%s%d$1", "*"):
            self.assertEqual(self.statuses(gate, 5, headers=[("X-Key", key)]), [200] * 4 + [429], key[:20])
        self.assertEqual(len(redis.keys()), 5)
        self.assertTrue(all(len(one) < 200 for one in redis.keys()))

    def test_what_one_limit_refuses_the_others_get_back(self):
        redis = self.redis()
        gate = self.ready(self.gate(f"""
            redis: {{ url: {redis.url} }}
            rate_limits:
              wide: {{ key: all, rate: 60/h, burst: 5, store: redis, lease: 1 }}
              here: {{ key: $remote_addr, rate: 60/h, burst: 2 }}
            sites:
              - routes:
                  - {{ path: /both, respond: {{ body: ok }}, rate_limit: [wide, here] }}
                  - {{ path: /wide, respond: {{ body: ok }}, rate_limit: wide }}
            """), redis)
        self.assertEqual(self.statuses(gate, 6, "/both"), [200, 200, 429, 429, 429, 429])
        self.assertEqual(self.statuses(gate, 4, "/wide"), [200, 200, 200, 429])


class Failures(LimitsTest):
    def failing(self, policy):
        redis = self.redis()
        text = self.shared(redis.url, f"rate: 60/h, burst: 4, lease: 1, on_store_failure: {policy}")
        gate = self.ready(self.gate('metrics: { listen: "127.0.0.1:0" }\n' + text), redis)
        self.assertEqual(self.statuses(gate, 1), [200])
        redis.kill()
        gate.wait_log("until it answers, rate limits follow their on_store_failure")
        return gate, redis

    def test_local(self):
        gate, _ = self.failing("local")
        self.assertEqual(self.statuses(gate, 8), [200] * 4 + [429] * 4)

    def test_allow(self):
        gate, _ = self.failing("allow")
        self.assertEqual(self.statuses(gate, 20), [200] * 20)

    def test_deny(self):
        gate, _ = self.failing("deny")
        self.assertEqual(self.statuses(gate, 3), [503] * 3)
        self.assertEqual(gate.wait_access(lambda one: one["status"] == 503)["error"], "rate_limit_store")
        self.assertEqual(self.statuses(gate, 2, "/free"), [200] * 2)

    def test_a_store_that_comes_back_is_used_again(self):
        gate, redis = self.failing("local")
        redis.start()
        gate.wait_log("answers again")
        self.assertEqual(self.statuses(gate, 5), [200] * 4 + [429])
        self.assertEqual(len(redis.keys()), 1)
        line = gate.wait_log(r"listening on \S+ \(metrics\)")
        metrics = ("127.0.0.1", int(re.search(r":(\d+) \(metrics\)", line).group(1)))
        self.assertRegex(fetch(metrics, "/metrics").text, r"headgate_rate_limit_store_errors_total \d+\n")

    def test_a_store_that_is_not_there_at_the_start(self):
        folder = self.folder()
        gate = self.gate(self.shared(f"unix:{folder}/redis.sock"))
        gate.wait_log("until it answers, rate limits follow their on_store_failure")
        self.assertEqual(self.statuses(gate, 5), [200] * 4 + [429])
        self.assertEqual(gate.count_log("on_store_failure"), 1)

    def test_a_store_that_stalls_holds_nobody_up(self):
        redis = self.redis()
        gate = self.ready(self.gate(self.shared(redis.url, settings=", timeout: 10ms")), redis)
        self.assertEqual(self.statuses(gate, 1), [200])
        redis.pause()
        # Each is answered by the local rule; were it to wait for the store, the client's patience would end.
        self.assertEqual(self.statuses(gate, 8), [200] * 4 + [429] * 4)
        gate.wait_log("until it answers, rate limits follow their on_store_failure")
        redis.resume()
        gate.wait_log("answers again")
        self.assertEqual(gate.count_log("on_store_failure"), 1)

    def test_a_reload_moves_to_another_store(self):
        first, second = self.redis(name="first"), self.redis(name="second")
        gate = self.ready(self.gate(self.shared(first.url)), first)
        self.assertEqual(self.statuses(gate, 5), [200] * 4 + [429])
        gate.reload(self.shared(second.url, "rate: 60/h, burst: 9, lease: 1"))
        self.ready(gate, second)
        self.assertEqual(self.statuses(gate, 10), [200] * 9 + [429])
        self.assertEqual((len(first.keys()), len(second.keys())), (1, 1))
        first.kill()
        self.assertEqual(self.statuses(gate, 1), [429])
        self.assertEqual(gate.count_log("on_store_failure"), 0)


del LimitsTest

if __name__ == "__main__":
    unittest.main()
