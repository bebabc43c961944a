# SPDX-License-Identifier: Apache-2.0
"""Automatic canaries: a good version gets everybody, a bad one is taken back, and clients hardly notice."""

import itertools
import json
import os
import re
import signal
import subprocess
import threading
import unittest

import grpc

from grpc_echo import EchoClient, EchoServer
from harness import PROGRAM, Lines, answer, wait_until
from server_process import Traffic
from test_admin_upstreams import EventReader
from test_traffic import TrafficTest

# A few hundred requests are enough to tell good from bad: tests have no time for the real figures.
QUICK = ("steps: [20, 50, 100], step_time: 300ms, min_requests: 20, false_alarm: 1%, "
         "abort_on: { error_rate_worse_by: 10%, p99_worse_by: 2000% }")
# Stays in its first step: no traffic of a test is enough for it.
STAYS = "steps: [50, 100], step_time: 50ms, min_requests: 1000000, abort_on: { p99_worse_by: 2000% }"


def failing(one_in, status=500, name=b"green", methods=("GET", "POST")):
    """One request in so many fails."""
    numbers = itertools.count(1)

    def handle(request, connection):
        if request.method in methods and next(numbers) % one_in == 0:
            return answer(status, b"broken", reason="Broken")
        return answer(body=name)
    return handle


class RolloutTest(TrafficTest):
    def edge_with(self, rollout=QUICK, green=None, more="", blue=None):
        self.blue = blue or self.named("blue")
        self.green = green or self.named("green")
        return self.split(self.blue, self.green, f"split: {{ blue: 1 }}\n    rollout: {{ {rollout} }}{more}")

    def traffic(self, edge, method="GET", clients=3, **more):
        traffic = Traffic(edge.address, clients=clients, method=method, **more)
        self.addCleanup(traffic.stop)
        return traffic

    def rollout(self, edge, upstream="api"):
        return self.ask(edge, f"/v1/upstreams/{upstream}/rollout")[1]

    def act(self, edge, action, method="POST", upstream="api", **more):
        body = json.dumps({"action": action, **more}).encode()
        return self.ask(edge, f"/v1/upstreams/{upstream}/rollout", method, body=body)

    def split_of(self, edge):
        return self.ask(edge, "/v1/upstreams/api")[1]["split"]

    def events(self, edge):
        reader = EventReader(edge)
        self.addCleanup(reader.close)
        return reader

    def follow(self, edge, *more):
        return edge.command("rollout", "start", "api", "green", "--follow", *more, timeout=90)


class Good(RolloutTest):
    def test_is_promoted_and_nothing_is_lost(self):
        edge = self.edge_with()
        gets, posts = self.traffic(edge), self.traffic(edge, "POST")
        gets.wait_for_more(20)
        done = self.follow(edge)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"rollout of green started: 20 %")
        self.assertRegex(done.stdout, r"green advanced to 50 %: 0 of \d+ requests")
        self.assertRegex(done.stdout, r"api: green promoted: all steps passed")
        self.assertIn("0 requests failed for clients, 0 shielded", done.stdout)
        self.assertEqual(self.split_of(edge), {"blue": 0, "green": 100})
        gets.stop()
        posts.stop()
        self.assertEqual(gets.failed() + posts.failed(), [])
        self.assertEqual(edge.fetch().text, "green")
        # As an operator's switch it outlives a restart, and can be taken back.
        self.restart(edge)
        self.assertEqual(edge.fetch().text, "green")
        self.run_ok(edge, "rollback", "api")
        self.assertEqual(edge.fetch().text, "blue")

    def test_an_upstream_without_the_section_has_the_defaults(self):
        edge = self.split(self.named("blue"), self.named("green"))
        self.run_ok(edge, "rollout", "start", "api", "green")
        told = self.rollout(edge)
        self.assertEqual((told["steps"], told["percent"], told["step_time_s"]), ([1, 5, 25, 50, 100], 1, 30))
        status = self.ask(edge, "/v1/status")[1]["upstreams"][0]
        self.assertEqual(status["rollout"]["state"], "running")
        self.assertEqual(status["split"], {"blue": 99, "green": 1})
        self.assertIn("rollout api: green running at 1 %, step 1 of 5", self.run_ok(edge, "status"))
        metrics = self.scrape(edge)
        self.assertEqual(metrics.sum("headgate_rollout_state", upstream="api"), 1)
        self.assertEqual(metrics.sum("headgate_rollout_percent", upstream="api"), 1)

    def test_each_release_draws_other_clients(self):
        edge = self.edge_with(STAYS, more="\n    split_by: client\n    split_key: $http_x_user")
        users = [f"user{number}" for number in range(200)]
        drawn = []
        for _ in range(2):
            self.run_ok(edge, "rollout", "start", "api", "green")
            drawn.append({user for user, pool in self.pools_of(edge, users).items() if pool == "green"})
            self.run_ok(edge, "rollout", "abort", "api")
        self.assertGreater(min(map(len, drawn)), 60)
        self.assertGreater(len(drawn[0] ^ drawn[1]), 60)


class Bad(RolloutTest):
    def test_fails_often_and_is_rolled_back_behind_the_shield(self):
        edge = self.edge_with(green=self.origin(failing(3)))
        gets, posts = self.traffic(edge), self.traffic(edge, "POST")
        gets.wait_for_more(20)
        events = self.events(edge)
        done = self.follow(edge)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"api: green rolled back in step 1: ")
        event = events.next("rollout")
        while event[2]["decision"] != "rolled_back":
            event = events.next("rollout")
        told = event[2]
        self.assertIn(told["reason"], ("errors_worse", "error_ceiling"))
        self.assertGreater(int(told["errors"]), 0)
        self.assertEqual((told["percent"], told["against"], told["old_errors"]), ("0", "blue", "0"))
        self.assertEqual(self.split_of(edge), {"blue": 1, "green": 0})
        gets.stop()
        posts.stop()
        self.assertEqual(gets.failed(), [], "safe requests are answered by the old pool")
        since = self.rollout(edge)["since_start"]
        self.assertEqual(since["failed_for_clients"], len(posts.failed()))
        self.assertEqual(since["failed_for_clients"] + since["shielded"], since["new"]["errors"])
        self.assertGreater(since["shielded"], 0)
        self.assertRegex(done.stdout, r"\d+ requests? failed for clients, \d+ shielded")
        self.assertEqual(since["old"]["errors"], 0)
        metrics = self.scrape(edge)
        self.assertEqual(metrics.sum("headgate_rollout_shielded_total", upstream="api"), since["shielded"])
        self.assertEqual(metrics.sum("headgate_rollout_failed_total", upstream="api"), since["failed_for_clients"])
        self.assertEqual(metrics.sum("headgate_rollout_state", upstream="api"), 5)
        record = edge.wait_access(lambda record: record.get("shielded"))
        self.assertEqual((record["pool"], record["status"], record["attempts"]), ("blue", 200, 2))
        self.assertEqual(edge.fetch().text, "blue")

    def test_fails_now_and_then(self):
        edge = self.edge_with("steps: [50, 100], step_time: 60s, abort_on: { p99_worse_by: 2000% }",
                              green=self.origin(failing(20)))
        self.traffic(edge)
        self.traffic(edge, "POST")
        done = self.follow(edge)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"more errors than blue: \d+ of \d+ requests \(")

    def test_is_slower(self):
        pause = threading.Event()

        def slow(request, connection):
            pause.wait(0.08)
            return answer(body=b"green")
        edge = self.edge_with("steps: [50, 100], step_time: 120s", green=self.origin(slow))
        self.traffic(edge, clients=6)
        done = self.follow(edge)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"slower than blue: p99 [\d.]+ ms against [\d.]+ ms")

    def test_goes_away(self):
        edge = self.edge_with(STAYS)
        gets = self.traffic(edge)
        self.run_ok(edge, "rollout", "start", "api", "green")
        self.green.wait_for(lambda: len(self.green.requests) > 5)
        self.green.close()
        wait_until(lambda: self.rollout(edge)["over"], what="the rollout to end")
        told = self.rollout(edge)
        self.assertEqual(told["state"], "rolled_back")
        self.assertIn(told["reason"], ("connect_failures", "no_healthy_server", "error_ceiling", "errors_worse"))
        gets.wait_for_more(20)
        gets.stop()
        self.assertEqual(gets.failed(), [])

    def test_without_a_shield_the_client_is_told(self):
        edge = self.edge_with(STAYS + ", shield: false", green=self.origin(failing(1, methods=("GET",))))
        self.run_ok(edge, "rollout", "start", "api", "green")
        wait_until(lambda: edge.fetch().status == 500, what="a request to reach green")
        since = self.rollout(edge)["since_start"]
        self.assertEqual(since["shielded"], 0)
        self.assertGreaterEqual(since["failed_for_clients"], 1)

    def test_what_may_have_been_done_is_not_done_twice(self):
        edge = self.edge_with(STAYS, green=self.origin(failing(1)))
        self.run_ok(edge, "rollout", "start", "api", "green")
        wait_until(lambda: edge.fetch(method="POST", body=b"x").status == 500, what="a POST to reach green")
        asked = [request for request in self.blue.requests + self.green.requests if request.method == "POST"]
        edge.wait_access(lambda record: record["method"] == "POST", len(asked))
        ids = [record["request_id"] for record in edge.access_log() if record["method"] == "POST"]
        self.assertEqual(len(ids), len(asked), "each was sent on once")
        self.assertEqual(len(set(ids)), len(asked))

    def test_testers_do_not_count(self):
        edge = self.edge_with(STAYS, green=self.origin(failing(1)),
                              more="\n    split_override: { header: X-Pool, allow: [127.0.0.0/8] }")
        self.run_ok(edge, "rollout", "start", "api", "green")
        self.assertEqual([edge.fetch(headers=[("X-Pool", "green")]).status for _ in range(30)], [500] * 30)
        self.assertEqual(self.rollout(edge)["since_start"]["new"]["requests"], 0)
        self.assertEqual(self.rollout(edge)["state"], "running")


class Unavailable(EchoServer):
    def fail(self, request, context):
        context.abort(grpc.StatusCode.UNAVAILABLE, "not now")


class Calls(RolloutTest):
    def count(self, server):
        """What green has counted after a call that went well and one that did not."""
        self.addCleanup(server.close)
        edge = self.gate(f"""
            upstreams:
              api:
                scheme: h2c
                pools:
                  blue: {{ servers: ["127.0.0.1:1"] }}
                  green: {{ servers: ["127.0.0.1:{server.port}"] }}
                split: {{ blue: 1 }}
                rollout: {{ steps: [100] }}
            listeners: [{{ address: "127.0.0.1:0", h2c: true }}]
            sites: [{{ routes: [{{ path: /*, proxy: api }}] }}]
            """)
        self.run_ok(edge, "rollout", "start", "api", "green")
        client = EchoClient(edge.address)
        self.addCleanup(client.close)
        self.assertEqual(client.unary(b"hello", timeout=20), b"hello")
        with self.assertRaises(grpc.RpcError):
            client.fail(b"why", timeout=20)
        edge.wait_access(count=2)
        return self.rollout(edge)["since_start"]["new"]

    def test_that_say_that_the_server_has_failed_are_errors(self):
        self.assertEqual(self.count(Unavailable()), {"requests": 2, "errors": 1})

    def test_that_say_that_the_caller_is_wrong_are_not(self):
        self.assertEqual(self.count(EchoServer()), {"requests": 2, "errors": 0})


class Waits(RolloutTest):
    def test_with_too_little_traffic_it_holds(self):
        edge = self.edge_with("steps: [50, 100], step_time: 10ms, max_step_time: 100ms")
        events = self.events(edge)
        self.run_ok(edge, "rollout", "start", "api", "green")
        while (event := events.next("rollout"))[2]["decision"] != "held":
            pass
        self.assertEqual(event[2]["reason"], "no_verdict")
        told = self.rollout(edge)
        self.assertEqual((told["state"], told["percent"]), ("holding", 50))
        self.assertGreater(told["more_requests"], 99)
        picture = self.run_ok(edge, "rollout", "status", "api")
        self.assertIn("rollout of green against blue: holding", picture)
        self.assertIn("[50 %]", picture)
        self.assertRegex(picture, r"needs +about [\d,]+ more requests")

    def test_with_nobody_to_say_how_it_goes_it_may_be_aborted(self):
        edge = self.edge_with("steps: [50, 100], step_time: 10ms, max_step_time: 100ms, on_no_verdict: abort")
        done = self.follow(edge, "--json")
        self.assertEqual(done.returncode, 2, done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([line["decision"] for line in lines[:-1]], ["started", "rolled_back"])
        self.assertEqual((lines[-1]["state"], lines[-1]["reason"]), ("rolled_back", "no_verdict"))

    def test_is_paused_and_resumed_and_promoted(self):
        edge = self.edge_with(STAYS)
        self.run_ok(edge, "rollout", "start", "api", "green")
        self.assertIn("green paused at 50 %", self.run_ok(edge, "rollout", "pause", "api"))
        again = edge.command("rollout", "pause", "api")
        self.assertEqual(again.returncode, 1)
        self.assertIn("cannot be paused: it is paused", again.stderr)
        self.assertEqual(self.rollout(edge)["state"], "paused")
        self.assertIn("green running", self.run_ok(edge, "rollout", "resume", "api"))
        self.assertIn("green promoted: by command", self.run_ok(edge, "rollout", "promote", "api"))
        self.assertEqual(edge.fetch().text, "green")
        self.assertEqual(edge.command("rollout", "abort", "api").returncode, 1)

    def test_is_aborted(self):
        edge = self.edge_with(STAYS)
        for end in (lambda: self.run_ok(edge, "rollout", "abort", "api"), lambda: self.run_ok(edge, "rollback", "api"),
                    lambda: self.act(edge, "", "DELETE")):
            self.run_ok(edge, "rollout", "start", "api", "green")
            self.assertEqual(self.split_of(edge), {"blue": 50, "green": 50})
            end()
            self.assertEqual((self.rollout(edge)["state"], self.rollout(edge)["reason"]), ("rolled_back", "operator"))
            self.assertEqual(self.split_of(edge), {"blue": 1, "green": 0})
            self.assertFalse(self.ask(edge, "/v1/upstreams/api")[1]["override"])

    def test_nobody_else_changes_the_split_unless_forced(self):
        edge = self.edge_with(STAYS)
        self.run_ok(edge, "rollout", "start", "api", "green")
        for command in (("switch", "api", "blue"), ("split", "api", "green=10"), ("split", "api", "--reset")):
            refused = edge.command(*command)
            self.assertEqual(refused.returncode, 1, command)
            self.assertIn("a rollout of 'green' is under way, at 50 %", refused.stderr)
        self.assertEqual(edge.command("split", "api", "gren=10", "--force").returncode, 1)
        self.assertEqual(self.split_of(edge), {"blue": 50, "green": 50}, "a slip of the pen ends nothing")
        self.run_ok(edge, "split", "api", "green=10", "--force")
        self.assertEqual(self.split_of(edge), {"blue": 90, "green": 10})
        self.assertEqual(self.rollout(edge)["state"], "rolled_back")

    def test_a_follower_that_leaves_does_not_end_it(self):
        edge = self.edge_with(STAYS)
        follower = subprocess.Popen([PROGRAM, "rollout", "start", "api", "green", "--follow", "--admin", edge.admin],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=edge.folder)
        self.addCleanup(follower.kill)
        self.assertIn(b"rollout of green started", follower.stdout.readline())
        follower.send_signal(signal.SIGINT)
        _, said = follower.communicate(timeout=20)
        self.assertEqual(follower.returncode, 1)
        self.assertIn(b"the rollout goes on", said)
        self.assertEqual(self.rollout(edge)["state"], "running")

    def test_a_terminal_has_a_picture_that_is_drawn_in_place(self):
        edge = self.edge_with(STAYS)
        self.run_ok(edge, "rollout", "start", "api", "green")
        ours, theirs = os.openpty()
        self.addCleanup(os.close, ours)
        follower = subprocess.Popen([PROGRAM, "rollout", "status", "api", "--follow", "--admin", edge.admin],
                                    stdin=subprocess.DEVNULL, stdout=theirs, cwd=edge.folder)
        self.addCleanup(follower.kill)
        os.close(theirs)
        seen = b""
        while seen.count(b"rollout of green against blue") < 2:
            seen += os.read(ours, 4096)
        self.run_ok(edge, "rollout", "promote", "api")
        self.assertEqual(follower.wait(20), 0)
        self.assertIn(b"\033[", seen)
        self.assertRegex(seen, rb"\033\[\d+A\033\[J")
        self.assertIn(b"[50 %]", seen)

    def test_a_follower_is_told_when_the_instance_is_gone(self):
        edge = self.edge_with(STAYS)
        follower = subprocess.Popen([PROGRAM, "rollout", "start", "api", "green", "--follow", "--admin", edge.admin],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=edge.folder)
        self.addCleanup(follower.kill)
        self.assertIn(b"rollout of green started", follower.stdout.readline())
        edge.signal(signal.SIGTERM)
        follower.communicate(timeout=30)
        self.assertEqual(follower.returncode, 1)


class Refused(RolloutTest):
    def test_what_cannot_be(self):
        sick = self.origin(lambda request, connection: answer(500))
        edge = self.edge_with(STAYS, green=sick,
                              more="\n    health: { path: /, interval: 20ms, healthy_after: 1, unhealthy_after: 1 }")
        self.wait_blue(edge)
        status, said = self.act(edge, "start", pool="green")
        self.assertEqual((status, said["error"]["code"]), (409, "no_healthy_server"))
        self.assertEqual(self.act(edge, "start", pool="red")[0], 404)
        self.assertEqual(self.act(edge, "start", pool="green", upstream="nobody")[0], 404)
        status, said = self.act(edge, "start", pool="blue")
        self.assertEqual((status, said["error"]["message"]),
                         (409, "pool 'blue' has all requests already: there is nothing to compare it with"))
        for action in ("pause", "resume", "promote", "abort"):
            self.assertEqual(self.act(edge, action)[0], 409, action)
        self.assertEqual(self.act(edge, "dance")[0], 400)
        self.assertEqual(self.act(edge, "start")[0], 400)
        self.assertEqual(self.ask(edge, "/v1/upstreams/api/rollout")[0], 404)
        self.assertEqual(self.ask(edge, "/v1/upstreams/api/rollout", "PUT", body=b"{}")[0], 405)
        self.assertEqual(edge.command("rollout", "status", "api").returncode, 1)
        self.assertEqual(edge.command("rollout", "start", "api").returncode, 64)
        self.assertEqual(edge.command("rollout").returncode, 64)

    def wait_blue(self, edge):
        def checked():
            pools = self.ask(edge, "/v1/status")[1]["upstreams"][0]["pools"]
            return [pool["servers"][0]["state"] for pool in pools] == ["serving", "unhealthy"]
        wait_until(checked, what="both pools to be checked")

    def test_one_at_a_time(self):
        edge = self.edge_with(STAYS)
        self.run_ok(edge, "rollout", "start", "api", "green")
        status, said = self.act(edge, "start", pool="green")
        self.assertEqual(status, 409)
        self.assertIn("is under way", said["error"]["message"])


class Lasts(RolloutTest):
    def test_over_a_reload(self):
        edge = self.edge_with(STAYS)
        gets, posts = self.traffic(edge), self.traffic(edge, "POST")
        self.run_ok(edge, "rollout", "start", "api", "green")
        gets.wait_for_more(50)
        edge.reload()
        edge.reload(edge.file.read_text().replace("path: /*,", "path: /*, timeouts: { idle: 50s },"))
        self.assertEqual((self.rollout(edge)["state"], self.rollout(edge)["percent"]), ("running", 50))
        before = self.rollout(edge)["since_start"]["new"]["requests"]
        gets.wait_for_more(50)
        wait_until(lambda: self.rollout(edge)["since_start"]["new"]["requests"] > before, what="requests to be counted")
        # Another rule: it goes on in its step by that.
        edge.reload(edge.file.read_text().replace("min_requests: 1000000", "min_requests: 1").replace("p99_worse_by: 2000%", "p99_worse_by: 2000%, error_rate_worse_by: 30%"))
        wait_until(lambda: self.rollout(edge)["state"] == "promoted", what="the promotion")
        gets.stop()
        posts.stop()
        self.assertEqual(gets.failed() + posts.failed(), [])

    def test_ends_with_its_pool(self):
        edge = self.edge_with(STAYS)
        gets = self.traffic(edge)
        self.run_ok(edge, "rollout", "start", "api", "green")
        gets.wait_for_more(20)
        edge.reload(re.sub(r"green: \{[^}]*\}", f"red: {{ servers: ['{self.green.address}'] }}", edge.file.read_text()))
        told = self.rollout(edge)
        self.assertEqual((told["state"], told["reason"]), ("rolled_back", "reconfigured"))
        self.assertEqual(self.split_of(edge), {"blue": 1, "red": 0})
        gets.wait_for_more(20)
        gets.stop()
        self.assertEqual(gets.failed(), [])

    def test_a_kill_in_the_middle(self):
        edge = self.edge_with(QUICK.replace("min_requests: 20", "min_requests: 50"))
        gets = self.traffic(edge)
        self.run_ok(edge, "rollout", "start", "api", "green")
        wait_until(lambda: self.rollout(edge)["percent"] == 50, what="the second step")
        self.run_ok(edge, "rollout", "pause", "api")
        gets.stop()
        edge.process.kill()
        edge.process.wait()
        edge.process.stdout.close()
        edge.process.stderr.close()
        edge.start()
        told = self.rollout(edge)
        self.assertEqual((told["state"], told["percent"], told["step"]), ("paused", 50, 2))
        self.assertGreater(told["since_start"]["new"]["requests"], 0)
        self.run_ok(edge, "rollout", "resume", "api")
        self.traffic(edge)
        wait_until(lambda: self.rollout(edge)["over"], timeout=40, what="the end")
        self.assertEqual(self.rollout(edge)["state"], "promoted")
        self.restart(edge)
        self.assertEqual(edge.fetch().text, "green")


if __name__ == "__main__":
    unittest.main()
