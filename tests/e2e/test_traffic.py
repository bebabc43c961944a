# SPDX-License-Identifier: Apache-2.0
"""The traffic switch: shares of pools, who is in which, and changes under load."""

import collections
import json
import unittest

from harness import answer, fetch, wait_until
from server_process import Traffic
from test_admin_upstreams import SWITCH, UPGRADE, AdminTest, Gated


class TrafficTest(AdminTest):
    def named(self, name):
        return self.origin(lambda request, connection: answer(body=name.encode()))

    def split(self, blue, green, extra="split: { blue: 1 }", **more):
        text = (f"upstreams:\n  api:\n    pools:\n      blue: {{ servers: {json.dumps([blue.address])} }}\n"
                f"      green: {{ servers: {json.dumps([green.address])} }}\n    {extra}\n"
                "sites: [{ routes: [{ path: /*, proxy: api }] }]\n")
        return self.gate(text, **more)

    def pools_of(self, edge, users, header="X-User"):
        with edge.connect() as client:
            pools = {}
            for user in users:
                client.send_request(headers=[(header, user)])
                pools[user] = client.read_response().text
            return pools

    def run_ok(self, edge, *arguments):
        done = edge.command(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


class Shares(TrafficTest):
    def test_by_client(self):
        edge = self.split(self.named("blue"), self.named("green"),
                          "split: { blue: 90, green: 10 }\n    split_by: client\n    split_key: $http_x_user")
        users = [f"user{number}" for number in range(2000)]
        before = self.pools_of(edge, users)
        share = collections.Counter(before.values())["green"] / len(users)
        self.assertAlmostEqual(share, 0.1, delta=0.02)
        self.assertEqual(self.pools_of(edge, users), before)

        self.run_ok(edge, "split", "api", "green=30")
        after = self.pools_of(edge, users)
        self.assertAlmostEqual(collections.Counter(after.values())["green"] / len(users), 0.3, delta=0.03)
        self.assertEqual([user for user in users if before[user] == "green" != after[user]], [])

    def test_another_release_draws_other_clients(self):
        edge = self.split(self.named("blue"), self.named("green"), "split: { blue: 1 }\n    split_by: client\n    split_key: $http_x_user")
        users = [f"user{number}" for number in range(400)]
        drawn = []
        for _ in range(2):
            self.run_ok(edge, "split", "api", "green=20")
            drawn.append({user for user, pool in self.pools_of(edge, users).items() if pool == "green"})
            self.run_ok(edge, "switch", "api", "blue")
        self.assertLess(len(drawn[0] & drawn[1]), len(drawn[0]) / 2)

    def test_by_request(self):
        edge = self.split(self.named("blue"), self.named("green"), "split: { blue: 3, green: 1 }")
        pools = collections.Counter(edge.fetch().text for _ in range(400))
        self.assertAlmostEqual(pools["green"] / 400, 0.25, delta=0.08)
        self.assertIsNone(edge.fetch().header("Set-Cookie"))

    def test_a_cookie_of_our_own(self):
        edge = self.split(self.named("blue"), self.named("green"), "split: { blue: 1, green: 1 }\n    split_by: client")
        seen = set()
        for _ in range(30):
            first = edge.fetch()
            cookie = first.header("Set-Cookie")
            self.assertRegex(cookie, r"^headgate_client=[0-9a-f]{32}; Path=/; Max-Age=\d+; HttpOnly; SameSite=Lax$")
            seen.add(first.text)
            for _ in range(3):
                again = edge.fetch(headers=[("Cookie", "a=b; " + cookie.split(";")[0])])
                self.assertEqual(again.text, first.text)
                self.assertIsNone(again.header("Set-Cookie"))
        self.assertEqual(seen, {"blue", "green"})

    def test_testers_choose(self):
        rule = "split_override: { header: X-Pool, cookie: pool, allow: [%s] }"
        blue, green = self.named("blue"), self.named("green")
        edge = self.split(blue, green, "split: { blue: 1 }\n    " + rule % "127.0.0.0/8")
        self.assertEqual(edge.fetch(headers=[("X-Pool", "green")]).text, "green")
        self.assertEqual(edge.fetch(headers=[("Cookie", "pool=green")]).text, "green")
        self.assertEqual(edge.fetch(headers=[("X-Pool", "nobody")]).text, "blue")
        stranger = self.split(blue, green, "split: { blue: 1 }\n    " + rule % "10.0.0.0/8")
        self.assertEqual(stranger.fetch(headers=[("X-Pool", "green")]).text, "blue")

    def test_clients_of_a_pool_at_zero_stay_when_they_may(self):
        for keeps in (False, True):
            with self.subTest(keeps=keeps):
                edge = self.split(self.named("blue"), self.named("green"), "split: { green: 1 }\n    split_by: client\n"
                                  f"    at_zero_weight: {'keep' if keeps else 'release'}")
                cookie = edge.fetch().header("Set-Cookie").split(";")[0]
                self.run_ok(edge, "switch", "api", "blue")
                self.assertEqual(edge.fetch(headers=[("Cookie", cookie)]).text, "green" if keeps else "blue")
                self.assertEqual(edge.fetch().text, "blue")


class Switch(TrafficTest):
    def test_nothing_is_lost_under_load(self):
        blue, green = self.named("blue"), self.named("green")
        edge = self.split(blue, green)
        gets = Traffic(edge.address, clients=3)
        posts = Traffic(edge.address, clients=3, method="POST")
        self.addCleanup(gets.stop)
        self.addCleanup(posts.stop)
        for pool, left in (("green", blue), ("blue", green), ("green", blue)):
            gets.wait_for_more(50)
            posts.wait_for_more(50)
            out = self.run_ok(edge, "switch", "api", pool, "--wait")
            self.assertIn(f"{pool} 100 %", out)
            after = len(left.requests)
            gets.wait_for_more(100)
            posts.wait_for_more(100)
            self.assertEqual(len(left.requests), after, "a request reached the pool that had been left")
        self.run_ok(edge, "split", "api", "blue=50", "green=50")
        gets.wait_for_more(50)
        self.run_ok(edge, "rollback", "api", "--wait")
        gets.stop()
        posts.stop()
        self.assertEqual(gets.failed() + posts.failed(), [])

    def test_wait_is_for_requests_and_not_for_tunnels(self):
        blue = Gated(self)
        edge = self.split(blue.origin, self.named("green"))
        slow, tunnel = edge.connect(), edge.connect()
        self.addCleanup(slow.close)
        self.addCleanup(tunnel.close)
        slow.send_request(target="/slow")
        tunnel.send_request(target="/socket", headers=UPGRADE)
        self.assertEqual(tunnel.read_final_head().status, 101)
        wait_until(lambda: "/slow" in blue.origin.targets, what="the slow request")
        self.run_ok(edge, "switch", "api", "green")
        late = edge.command("switch", "api", "green", "--wait", "--timeout", "200ms")
        self.assertEqual(late.returncode, 1)
        self.assertIn("1 request in flight", late.stderr)
        blue.release.set()
        self.assertEqual(slow.read_response().status, 200)
        self.assertIn("1 tunnel open", self.run_ok(edge, "switch", "api", "green", "--wait"))
        tunnel.send(b"still here")
        self.assertEqual(tunnel.reader.exactly(10), b"still here")

    def test_is_refused_without_a_server_that_is_well(self):
        edge = self.split(self.named("blue"), self.origin(lambda request, connection: answer(500)),
                          "split: { blue: 1 }\n    health: { path: /, interval: 20ms, healthy_after: 1, unhealthy_after: 1 }")
        self.wait_state_of(edge, "green", "unhealthy")
        refused = edge.command("switch", "api", "green")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("no server that is well", refused.stderr)
        self.assertEqual(edge.fetch().text, "blue")
        self.run_ok(edge, "switch", "api", "green", "--force")

    def wait_state_of(self, edge, pool, state):
        def look():
            upstream = self.ask(edge, "/v1/status")[1]["upstreams"][0]
            return next(one for one in upstream["pools"] if one["name"] == pool)["servers"][0]["state"] == state
        wait_until(look, what=f"{pool} to be {state}")

    def test_names_that_are_not_known(self):
        edge = self.split(self.named("blue"), self.named("green"))
        for arguments, said in ((("switch", "api", "gren"), "did you mean 'green'?"),
                                (("switch", "apo", "green"), "there is no upstream 'apo'"),
                                (("split", "api", "red=1"), "has no pool 'red'"), (("rollback", "api"), "not been changed")):
            done = edge.command(*arguments)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(said, done.stderr)
        for arguments in (("split", "api"), ("split", "api", "green"), ("split", "api", "green=x"), ("switch", "api")):
            self.assertEqual(edge.command(*arguments).returncode, 64, arguments)

    def test_survives_reload_and_restart_until_it_is_reset(self):
        edge = self.split(self.named("blue"), self.named("green"))
        self.run_ok(edge, "switch", "api", "green")
        edge.reload()
        self.assertEqual(edge.fetch().text, "green")
        self.restart(edge)
        self.assertEqual(edge.fetch().text, "green")
        upstream = self.ask(edge, "/v1/status")[1]["upstreams"][0]
        self.assertEqual((upstream["split"], upstream["split_override"]), ({"blue": 0, "green": 100}, True))
        self.assertEqual(self.scrape(edge).sum("headgate_split_weight", pool="green"), 100)
        self.run_ok(edge, "split", "api", "--reset")
        self.assertEqual(edge.fetch().text, "blue")

    def test_over_the_api(self):
        edge = self.split(self.named("blue"), self.named("green"))
        admin = edge.admin.removeprefix("unix:")

        def put(body, target="/v1/upstreams/api/split", method="PUT"):
            response = fetch(admin, target, method, body=body)
            return response.status, json.loads(response.body)

        status, said = put(b'{"weights": {"blue": 1, "green": 3}}')
        self.assertEqual((status, said["split"], said["override"]), (200, {"blue": 1, "green": 3}, True))
        self.assertEqual(said["pools"][1]["percent"], 75)
        for body in (b"", b"[]", b"{", b'{"weights": {}}', b'{"weights": {"green": "x"}}', b'{"weights": {"green": -1}}'):
            self.assertEqual(put(body)[0], 400, body)
        self.assertEqual(put(b"{}", method="POST")[0], 405)
        self.assertEqual(put(b'{"pool": "green"}', "/v1/upstreams/nobody/switch", "POST")[0], 404)
        self.assertEqual(put(b'{"pool": "green"}', "/v1/upstreams/api/switch", "POST")[1]["split"], {"blue": 0, "green": 100})
        self.assertEqual(put(b"", "/v1/upstreams/api/rollback", "POST")[1]["split"], {"blue": 1, "green": 3})


class Spill(TrafficTest):
    def test_a_pool_without_a_server_leaves_its_requests_to_the_others(self):
        blue, green = self.named("blue"), self.named("green")
        edge = self.split(blue, green, "split: { blue: 1, green: 1 }\n    health: { interval: 20ms, healthy_after: 1, unhealthy_after: 1 }")
        wait_until(lambda: {edge.fetch().text for _ in range(10)} == {"blue", "green"}, what="both pools to serve")
        green.close()
        wait_until(lambda: all(edge.fetch().text == "blue" for _ in range(10)), what="green to be left")
        self.assertGreater(self.scrape(edge).sum("headgate_upstream_spills_total", pool="blue"), 0)

    def test_without_checks_too(self):
        edge = self.split(self.named("blue"), self.origin(lambda request, connection: answer(503)), "split: { blue: 1, green: 1 }")
        wait_until(lambda: all(edge.fetch().status == 200 for _ in range(20)), what="green to be left")


if __name__ == "__main__":
    unittest.main()
