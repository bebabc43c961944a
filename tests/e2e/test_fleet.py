# SPDX-License-Identifier: Apache-2.0
"""Several instances on one Redis: one split, one rollout, whoever is asked, whoever dies."""

import json
import signal
import threading
import unittest

from harness import wait_until
from redis_server import RedisServer
from test_rollout import RolloutTest, STAYS, failing
from test_traffic import TrafficTest

# Is promoted within seconds under a little traffic.
QUICK = ("steps: [20, 50, 100], step_time: 300ms, min_requests: 20, false_alarm: 1%, "
         "abort_on: { error_rate_worse_by: 10%, p99_worse_by: 2000% }")
# As QUICK, but each step takes longer than it takes to find out that the leader is gone.
SLOW = QUICK.replace("300ms", "3s")


class FleetTest(RolloutTest):
    def fleet(self, count=3, rollout=STAYS, blue=None, green=None):
        self.redis = RedisServer(self.folder())
        self.addCleanup(self.redis.close)
        self.blue, self.green = blue or self.named("blue"), green or self.named("green")
        self.gates = [self.gate(self.config(rollout)) for _ in range(count)]
        return self.gates

    def config(self, rollout):
        return (f"redis: {{ url: {self.redis.url}, share_traffic_state: true }}\n"
                f"upstreams:\n  api:\n    pools:\n      blue: {{ servers: {json.dumps([self.blue.address])} }}\n"
                f"      green: {{ servers: {json.dumps([self.green.address])} }}\n    split: {{ blue: 1 }}\n"
                f"    rollout: {{ {rollout} }}\n"
                "sites: [{ routes: [{ path: /*, proxy: api }] }]\n")

    def start_again(self, gate):
        gate.process.stdout.close()
        gate.process.stderr.close()
        gate.stopped = False
        gate.start()

    def status(self, gate):
        return self.ask(gate, "/v1/status")[1]["upstreams"][0]

    def role(self, gate):
        return self.status(gate)["shared"]

    def wait_split(self, gates, split, timeout=10):
        for gate in gates:
            wait_until(lambda gate=gate: self.split_of(gate) == split, timeout, f"the split {split}")

    def wait_role(self, gates, role):
        for gate in gates:
            wait_until(lambda gate=gate: self.role(gate) == role, what=f"the role {role}")

    def leader(self, gates):
        return wait_until(lambda: next((gate for gate in gates if self.role(gate) == "leader"), None), what="a leader")

    def state(self, gate):
        status, told = self.ask(gate, "/v1/upstreams/api/rollout")
        return told["state"] if status == 200 else None

    def wait_state(self, gates, state, timeout=30):
        for gate in gates:
            wait_until(lambda gate=gate: self.state(gate) == state, timeout, f"a rollout that is {state}")


class Splits(FleetTest):
    def test_all_follow_one(self):
        gates = self.fleet()
        self.assertEqual([self.role(gate) for gate in gates], ["in_step"] * 3)
        self.run_ok(gates[0], "split", "api", "blue=3", "green=1")
        self.wait_split(gates, {"blue": 3, "green": 1})
        self.run_ok(gates[1], "switch", "api", "green", "--wait")
        self.wait_split(gates, {"blue": 0, "green": 100})
        self.assertEqual([gate.fetch().text for gate in gates], ["green"] * 3)
        # Back is back to what it was before anybody's last change.
        self.run_ok(gates[2], "rollback", "api")
        self.wait_split(gates, {"blue": 3, "green": 1})
        self.run_ok(gates[0], "split", "api", "--reset")
        self.wait_split(gates, {"blue": 1, "green": 0})
        wait_until(lambda: not any(self.status(gate)["split_override"] for gate in gates), what="the file's split")
        releases = {self.ask(gate, "/v1/upstreams/api")[1]["release"] for gate in gates}
        self.assertEqual(len(releases), 1, "the same clients are drawn everywhere")
        self.assertIn("shared through Redis: in step", self.run_ok(gates[0], "status"))
        metrics = self.scrape(gates[0])
        self.assertEqual(metrics.sum("headgate_fleet_connected"), 1)
        self.assertEqual(metrics.sum("headgate_fleet_leader", upstream="api"), 0)

    def test_the_event_says_who(self):
        gates = self.fleet(2)
        events = self.events(gates[1])
        self.run_ok(gates[0], "switch", "api", "green")
        told = events.next("split")[2]
        self.assertEqual((told["upstream"], told["before"]), ("api", "blue 1, green 0"))
        self.assertEqual(told["by"], json.loads(self.redis.command("GET", "headgate:traffic:api").split(" ", 1)[1])["writer"])

    def test_changes_at_the_same_moment(self):
        gates = self.fleet()
        done = [None] * 3
        together = threading.Barrier(3)

        def change(number):
            together.wait()
            done[number] = gates[number].command("split", "api", f"green={10 + number}")
        threads = [threading.Thread(target=change, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # All were done, one after another, and the last one holds everywhere.
        self.assertEqual([one.returncode for one in done], [0] * 3, [one.stderr for one in done])
        self.assertEqual(self.redis.command("GET", "headgate:traffic:api").split(" ")[0], "3")
        wait_until(lambda: len({json.dumps(self.split_of(gate)) for gate in gates}) == 1, what="one split")

    def test_a_start_adopts_before_it_serves(self):
        first, = self.fleet(1)
        self.run_ok(first, "switch", "api", "green")
        second = self.gate(self.config(STAYS))
        self.assertEqual(second.fetch().text, "green")
        # What was changed while it was stopped counts, not what it remembers.
        second.stop()
        self.run_ok(first, "switch", "api", "blue")
        self.start_again(second)
        self.assertEqual(second.fetch().text, "blue")

    def test_a_start_without_redis(self):
        first, = self.fleet(1)
        self.run_ok(first, "switch", "api", "green")
        first.stop()
        self.redis.kill()
        self.start_again(first)
        self.assertEqual(first.fetch().text, "green")
        self.assertEqual(self.role(first), "away")
        # Redis has lost its memory; what the instance remembers is the fleet's again.
        self.redis.start()
        wait_until(lambda: self.redis.command("GET", "headgate:traffic:api"), what="the state to be told again")
        second = self.gate(self.config(STAYS))
        self.assertEqual(second.fetch().text, "green")

    def test_what_stands_in_redis_is_not_believed(self):
        gates = self.fleet(2)
        self.run_ok(gates[0], "split", "api", "green=10")
        self.wait_split(gates, {"blue": 90, "green": 10})
        good = self.redis.command("GET", "headgate:traffic:api").split(" ", 1)[1]
        bad = ("", "x", "7", "7 {", "7 []", "7 " + "[" * 100000, "99999999999999999999 {}", "8 " + good.replace("90", "-90"),
               "8 " + good.replace('"release":', '"release":-'), "8 " + good.replace("90.0", "1e308"), "8 " + good + "x" * 600000)
        for text in bad:
            with self.subTest(text=text[:60]):
                self.redis.command("SET", "headgate:traffic:api", text)
                self.redis.command("SET", "headgate:traffic:other", text)
                self.looks(gates)
                self.assertEqual([self.split_of(gate) for gate in gates], [{"blue": 90, "green": 10}] * 2)
        self.redis.command("DEL", "headgate:traffic:api")
        self.redis.command("RPUSH", "headgate:traffic:api", "a list")
        self.looks(gates)
        # An operator's word heals it.
        self.run_ok(gates[1], "switch", "api", "green")
        self.wait_split(gates, {"blue": 0, "green": 100})

    def looks(self, gates):
        """Until each has looked twice."""
        def calls():
            lines = self.redis.command("INFO", "commandstats").splitlines()
            return next(int(line.split("calls=")[1].split(",")[0]) for line in lines if line.startswith("cmdstat_eval:"))
        goal = calls() + 3 * len(gates)
        wait_until(lambda: calls() >= goal, what="the instances to look")


class Rollouts(FleetTest):
    def test_is_followed_to_the_end(self):
        gates = self.fleet(rollout=QUICK)
        traffics = [self.traffic(gate, clients=1) for gate in gates]
        events = self.events(gates[2])
        done = self.follow(gates[0])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.wait_state(gates, "promoted")
        self.wait_split(gates, {"blue": 0, "green": 100})
        told = []
        while not told or told[-1]["decision"] != "promoted":
            told.append(events.next("rollout")[2])
        self.assertEqual([one["decision"] for one in told], ["started", "advanced", "advanced", "promoted"])
        self.assertEqual([one["percent"] for one in told], ["20", "50", "100", "100"])
        for traffic in traffics:
            traffic.stop()
            self.assertEqual(traffic.failed(), [])
        # Anybody can take it back.
        self.run_ok(gates[1], "rollback", "api")
        self.wait_split(gates, {"blue": 1, "green": 0})

    def test_operators_may_ask_any_instance(self):
        gates = self.fleet()
        self.run_ok(gates[0], "rollout", "start", "api", "green")
        self.wait_split(gates, {"blue": 50, "green": 50})
        leader = self.leader(gates)
        followers = [gate for gate in gates if gate is not leader]
        self.wait_role(followers, "follower")
        self.assertEqual(sum(self.scrape(gate).sum("headgate_fleet_leader", upstream="api") for gate in gates), 1)
        self.run_ok(followers[0], "rollout", "pause", "api")
        self.wait_state(gates, "paused")
        self.run_ok(followers[1], "rollout", "resume", "api")
        self.wait_state(gates, "running")
        refused = followers[0].command("rollout", "start", "api", "green")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("is under way", refused.stderr)
        self.run_ok(followers[0], "rollback", "api")
        self.wait_state(gates, "rolled_back")
        self.wait_split(gates, {"blue": 1, "green": 0})

    def test_the_leader_dies_and_another_goes_on(self):
        gates = self.fleet(rollout=SLOW)
        for gate in gates:
            self.traffic(gate, clients=1)
        self.run_ok(gates[0], "rollout", "start", "api", "green")
        leader = self.leader(gates)
        rest = [gate for gate in gates if gate is not leader]
        self.wait_split(rest, {"blue": 80, "green": 20})
        leader.signal(signal.SIGKILL)
        leader.wait_exit()
        self.assertIn(self.leader(rest), rest)
        self.wait_state(rest, "promoted", 60)
        self.wait_split(rest, {"blue": 0, "green": 100})

    def test_the_leader_is_upgraded_and_the_rollout_goes_on(self):
        gates = self.fleet(2)
        self.run_ok(gates[0], "rollout", "start", "api", "green")
        self.wait_state(gates, "running")
        leader = self.leader(gates)
        leader.begin_upgrade()
        old = leader.upgraded()
        self.assertEqual(old.wait(20), 0)
        self.wait_state(gates, "running")
        self.leader(gates)
        self.run_ok(leader, "rollout", "promote", "api")
        self.wait_split(gates, {"blue": 0, "green": 100})

    def test_bad_for_one_instance_is_back_everywhere(self):
        gates = self.fleet(green=self.origin(failing(2)))
        self.run_ok(gates[0], "rollout", "start", "api", "green")
        leader = self.leader(gates)
        follower = next(gate for gate in gates if gate is not leader)
        self.wait_split(gates, {"blue": 50, "green": 50})
        self.traffic(follower)
        self.wait_state(gates, "rolled_back")
        self.wait_split(gates, {"blue": 1, "green": 0})

    def test_the_leader_sees_what_others_count(self):
        # The leader has no request of its own.
        gates = self.fleet(rollout=QUICK.replace("min_requests: 20", "min_requests: 100"))
        self.run_ok(gates[0], "rollout", "start", "api", "green")
        leader = self.leader(gates)
        for gate in gates:
            if gate is not leader:
                self.traffic(gate)
        self.wait_state(gates, "promoted", 60)


class Outage(FleetTest):
    def test_the_weight_freezes_and_back_is_possible(self):
        gates = self.fleet(rollout=QUICK.replace("300ms", "2s"))
        for gate in gates:
            self.traffic(gate, clients=1)
        self.run_ok(gates[0], "rollout", "start", "api", "green")
        self.wait_split(gates, {"blue": 80, "green": 20})
        self.redis.kill()
        self.wait_role(gates, "away")
        before = {gate: self.rollout(gate)["step"] for gate in gates}
        # All has come that the step needs, but for a sight of the others.
        for gate in gates:
            wait_until(lambda gate=gate: self.rollout(gate)["reason"] == "no_advance", 30, "a rollout that waits for Redis")
            told = wait_until(lambda gate=gate: (lambda one: one if one["in_step_s"] > 5 else None)(self.rollout(gate)), 30,
                              "more than twice the step's time")
            self.assertEqual((told["step"], told["state"]), (before[gate], "running"))
        self.assertEqual(set(before.values()), {1})
        refused = gates[1].command("rollout", "start", "api", "green")
        self.assertEqual(refused.returncode, 1)
        done = gates[1].command("rollback", "api")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Redis is away: only this instance has changed", done.stderr)
        self.assertEqual(self.split_of(gates[1]), {"blue": 1, "green": 0})
        self.assertEqual(self.split_of(gates[0]), {"blue": 80, "green": 20})
        # What one of them has rolled back outweighs what the others went on with; also in an empty store.
        self.redis.start()
        self.wait_state(gates, "rolled_back")
        self.wait_split(gates, {"blue": 1, "green": 0})
        self.wait_role(gates, "in_step")

    def test_a_stalled_redis_holds_nobody_up(self):
        gates = self.fleet(2)
        self.run_ok(gates[0], "switch", "api", "green")
        self.wait_split(gates, {"blue": 0, "green": 100})
        self.redis.pause()
        done = gates[1].command("rollback", "api")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Redis is away", done.stderr)
        self.assertEqual(gates[1].fetch().text, "blue")
        done = gates[1].command("rollout", "start", "api", "green")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Redis is away", done.stderr)
        self.redis.resume()
        self.wait_split(gates, {"blue": 1, "green": 0})

    def test_the_fleet_outweighs_a_change_that_nobody_saw(self):
        gates = self.fleet(2)
        self.run_ok(gates[0], "split", "api", "green=10")
        self.wait_split(gates, {"blue": 90, "green": 10})
        text = self.redis.command("GET", "headgate:traffic:api")
        self.redis.kill()
        self.wait_role(gates, "away")
        alone = gates[1].command("switch", "api", "green")
        self.assertEqual(alone.returncode, 0, alone.stderr)
        events = self.events(gates[1])
        # Another instance has changed it meanwhile: Redis comes back with the next version.
        version, rest = text.split(" ", 1)
        state = json.loads(rest)
        state["split"] = [{"pool": "blue", "weight": 3}, {"pool": "green", "weight": 1}]
        prepared = f"{int(version) + 1} {json.dumps(state)}"
        self.restore(self.folder(), prepared)
        self.wait_split(gates, {"blue": 3, "green": 1})
        self.assertEqual(events.next("fleet_overruled")[2]["upstream"], "api")

    def restore(self, folder, text):
        """Redis starts with this text in it: prepared in another one of its kind, saved, and loaded."""
        other = RedisServer(folder, "prepared")
        other.command("SET", "headgate:traffic:api", text)
        other.command("SAVE")
        other.close()
        (folder / "dump.rdb").replace(self.redis.folder / "dump.rdb")
        self.redis.start()


class Configuration(TrafficTest):
    def test_without_several_pools_there_is_nothing_to_share(self):
        redis = RedisServer(self.folder())
        self.addCleanup(redis.close)
        gate = self.gate(f"""
            redis: {{ url: {redis.url}, share_traffic_state: true }}
            sites: [{{ routes: [{{ path: /*, respond: {{ status: 200 }} }}] }}]
            """)
        self.assertEqual(gate.fetch().status, 200)
        self.assertEqual(redis.command("KEYS", "headgate:traffic*"), [])


del RolloutTest, TrafficTest

if __name__ == "__main__":
    unittest.main()
