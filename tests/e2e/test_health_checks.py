# SPDX-License-Identifier: Apache-2.0
"""Active checks: what they ask and expect, when a verdict changes, how often they ask, and who gets requests meanwhile."""

import threading
import time
import unittest

from certs import Authority
from harness import answer, server_tls, wait_until
from http2_origin import Http2Origin
from test_metrics import MetricsTest
from test_proxy_upstreams import free_port
from test_upstream_failures import FailureTest

QUICK = "health: { path: /health, interval: 100ms, timeout: 2s, healthy_after: 1, unhealthy_after: 1 }"


def probes(origin):
    return [request for request in list(origin.requests) if request.header("User-Agent") == "headgate-health-check"]


class HealthTest(FailureTest):
    def checked(self, name, health=lambda request: answer(), **more):
        """An origin whose /health answers as `health` says, and everything else with its name."""
        def handler(request, connection):
            if request.target == "/health":
                return health(request)
            return answer(body=name.encode(), headers=[("X-From", name)])
        return self.origin(handler, **more)

    def wait_probes(self, origin, count):
        origin.wait_for(lambda: len(probes(origin)) >= count)

    def fetch_names(self, edge, count=20):
        return {edge.fetch().header("X-From") for _ in range(count)}


class Start(HealthTest, MetricsTest):
    def test_requests_wait_while_nothing_is_known(self):
        known = threading.Event()
        self.addCleanup(known.set)
        origin = self.checked("a", lambda request: known.wait(20) and answer())
        edge = self.gate_with_metrics(f"upstreams: {{ app: {{ servers: [{origin.address}], "
                                      "health: { path: /health, healthy_after: 1, interval: 60s } } }\n"
                                      "sites: [{ routes: [{ path: /*, proxy: app }] }]\n")
        self.wait_probes(origin, 1)  # at once, whatever the interval
        traffic = self.traffic(edge, 1)
        self.scrape_until(edge, lambda scrape: scrape.sum("headgate_requests_in_flight") == 1, "a request that waits")
        self.assertEqual(origin.targets, ["/health"])
        known.set()
        traffic.wait_for_more(1)
        traffic.stop()
        self.assertEqual(traffic.failed(), [])
        self.assertEqual(origin.targets[:2], ["/health", "/"])

    def test_unknown_for_long_is_tried(self):
        """A check that hangs for longer than clients wait takes nothing down."""
        known = threading.Event()
        self.addCleanup(known.set)
        origin = self.checked("a", lambda request: known.wait(20) and answer())
        edge = self.gate_to([origin], "health: { path: /health, timeout: 20s, healthy_after: 1 }")
        self.wait_probes(origin, 1)
        self.assertEqual(edge.fetch().status, 200)
        known.set()

    def test_the_unhealthy_one_gets_nothing(self):
        good, bad = self.checked("good"), self.checked("bad", lambda request: answer(500))
        edge = self.gate_to([good, bad], QUICK)
        self.wait_probes(good, 1)
        self.assertEqual(self.fetch_names(edge), {"good"})
        self.wait_probes(bad, 3)
        self.assertEqual(self.fetch_names(edge), {"good"})
        self.assertEqual([request.target for request in bad.requests if request.target != "/health"], [])

    def test_all_unhealthy_are_all_used(self):
        """The checks may be what is wrong."""
        servers = [self.checked(name, lambda request: answer(404)) for name in "ab"]
        edge = self.gate_to(servers, QUICK)
        edge.wait_log("upstream app, pool default: no server is well; all are used")
        self.assertEqual(self.fetch_names(edge), {"a", "b"})


class Verdicts(HealthTest):
    def expects(self, rules, passes, fails):
        """`rules` take an origin that behaves as `passes`, and not one that behaves as `fails`."""
        good, bad = self.checked("good", passes), self.checked("bad", fails)
        edge = self.gate_to([bad, good], "health: { path: /health, interval: 100ms, healthy_after: 1, unhealthy_after: 1"
                            + (f", {rules}" if rules else "") + " }")
        self.wait_probes(good, 2)
        self.wait_probes(bad, 2)
        self.assertEqual(self.fetch_names(edge), {"good"})
        return good

    def test_status(self):
        self.expects("", lambda request: answer(302), lambda request: answer(404))
        self.expects("expect_status: 204", lambda request: answer(204, length=False, body=b""), lambda request: answer(200))
        self.expects("expect_status: [200, 500-501]", lambda request: answer(501), lambda request: answer(201))

    def test_body(self):
        self.expects("expect_body: 'status: up'", lambda request: answer(body=b"{ status: up }"),
                     lambda request: answer(body=b"{ status: down }"))

    def test_host(self):
        good = self.expects("host: check.internal",
                            lambda request: answer(200 if request.header("Host") == "check.internal" else 421),
                            lambda request: answer(421))
        self.assertEqual({request.header("Host") for request in probes(good)}, {"check.internal"})
        self.assertEqual({request.method for request in probes(good)}, {"GET"})

    def test_host_by_default(self):
        good = self.expects("", lambda request: answer(), lambda request: answer(500))
        self.assertEqual({request.header("Host") for request in probes(good)}, {good.address})

    def test_timeout(self):
        never = threading.Event()
        self.addCleanup(never.set)
        self.expects("timeout: 500ms", lambda request: answer(), lambda request: not never.wait(20))

    def test_what_breaks_off(self):
        self.expects("", lambda request: answer(), lambda request: False)

    def test_thresholds(self):
        script, step = [], [0]

        def health(request):
            step[0] += 1
            return answer(script[step[0] - 1] if step[0] <= len(script) else 200)

        origin, other = self.checked("a", health), self.checked("b")
        # Twice is not three times; and after three failures one success is not two.
        script += [200, 200] + [500, 500, 200] * 2 + [500, 500, 500] + [200, 500] + [200, 200]
        edge = self.gate_to([origin, other], "health: { path: /health, interval: 20ms, healthy_after: 2, unhealthy_after: 3 }")
        edge.wait_log(f"server {origin.address}: healthy: status 200")
        self.wait_probes(origin, len(script) + 3)
        said = [line.split(": ", 1)[1] for line in edge.err.lines if origin.address in line]
        self.assertEqual(said, ["unhealthy: status 500, expected 200-399", "healthy: status 200"])

    def test_recovery_ends_an_ejection(self):
        """A server that its checks find well again has most likely been restarted: nobody waits for a minute to end."""
        well = [200]

        def handler(request, connection):
            return answer(well[0], headers=[("X-From", "a")])

        origin, other = self.origin(handler), self.checked("b")
        edge = self.gate_to([origin, other], "ejection: { base_time: 60s }, "
                            "health: { path: /health, interval: 300ms, healthy_after: 1, unhealthy_after: 2 }")
        traffic = self.traffic(edge, 2)
        origin.wait_for(lambda: "/" in origin.targets)
        well[0] = 503
        edge.wait_log(f"server {origin.address}: ejected")
        edge.wait_log(f"server {origin.address}: unhealthy")
        well[0] = 200
        edge.wait_log(f"server {origin.address}: returned: its checks")
        count = len(origin.requests)
        origin.wait_for(lambda: any(request.target == "/" for request in origin.requests[count:]))
        traffic.stop()
        self.assertEqual(traffic.failed(), [])


class Kinds(HealthTest):
    def test_tcp(self):
        port = free_port()
        good = self.checked("good")
        edge = self.gate_to([f"127.0.0.1:{port}", good], "health: { interval: 50ms, healthy_after: 1, unhealthy_after: 1 }")
        good.wait_for(lambda: good.connections >= 2)
        self.assertEqual(self.fetch_names(edge), {"good"})
        self.assertEqual([request.target for request in probes(good)], [], "a connection is all")
        late = self.checked("late", port=port)
        wait_until(lambda: edge.fetch().header("X-From") == "late", what="the server that has come up")
        late.close()
        edge.wait_log(f"server 127.0.0.1:{port}: unhealthy: ")
        self.assertEqual(self.fetch_names(edge), {"good"})

    def test_https(self):
        authority, stranger = Authority(self.folder() / "ca"), Authority(self.folder() / "other", "another CA")
        good = self.checked("good", tls=server_tls(*authority.issue("127.0.0.1")))
        bad = self.checked("bad", tls=server_tls(*stranger.issue("127.0.0.1")))
        edge = self.gate_to([bad, good], f"scheme: https, tls: {{ ca: {authority.cert} }}, {QUICK}")
        self.wait_probes(good, 2)
        bad.wait_for(lambda: len(bad.errors) >= 1)
        self.assertEqual(self.fetch_names(edge), {"good"})
        self.assertEqual(bad.requests, [])

    def test_h2c(self):
        def serve(name, status):
            def handler(request):
                request.answer(name, status if request.path == "/health" else 200, [("x-from", name.decode())])
            origin = Http2Origin(handler)
            self.addCleanup(origin.close)
            origin.address = f"127.0.0.1:{origin.port}"
            return origin

        good, bad = serve(b"good", 200), serve(b"bad", 500)
        edge = self.gate_to([bad, good], f"scheme: h2c, {QUICK}")
        good.wait_requests(2)
        bad.wait_requests(2)
        self.assertEqual(self.fetch_names(edge), {"good"})
        self.assertEqual({request.header("user-agent") for request in bad.requests}, {"headgate-health-check"})

    def test_unix_socket(self):
        good = self.checked("good", unix_path=f"{self.folder()}/app.sock")
        edge = self.gate_to([f"'{good.address}'", f"'unix:{self.folder()}/nothing.sock'"], QUICK)
        self.wait_probes(good, 2)
        self.assertEqual(self.fetch_names(edge), {"good"})
        self.assertEqual({request.header("Host") for request in probes(good)}, {"localhost"})


class Schedule(HealthTest):
    def many(self, origin, count, settings, extra=""):
        upstreams = "".join(f"  app{i}: {{ servers: [{origin.address}], {settings} }}\n" for i in range(count))
        routes = ", ".join(f"{{ path: /{i}/*, proxy: app{i} }}" for i in range(count))
        return f"workers: 2\naccess_log: {{ format: off }}\n{extra}upstreams:\n{upstreams}sites: [{{ routes: [{routes}] }}]\n"

    def test_one_for_all(self):
        """However many upstreams, routes and workers use a server, and however often the configuration is loaded."""
        origin = self.checked("a")
        settings = "health: { path: /health, interval: 300ms, healthy_after: 2 }"
        begun = time.monotonic()
        edge = self.gate(self.many(origin, 20, settings))
        for i in range(20):
            self.assertEqual(edge.fetch(f"/{i}/x").status, 200)
        for i in range(5):
            edge.reload(self.many(origin, 20 - i, settings))
            self.assertEqual(edge.fetch("/0/x").status, 200)
        self.wait_probes(origin, 8)
        # At once, once more for the verdict, and then every 300 ms give or take a tenth.
        most = 2 + (time.monotonic() - begun) / 0.27 + 1
        self.assertLessEqual(len(probes(origin)), most)

    def test_another_check_is_another_schedule(self):
        origin = self.checked("a")
        edge = self.gate(f"""\
            upstreams:
              one: {{ servers: [{origin.address}], {QUICK} }}
              two: {{ servers: [{origin.address}], {QUICK.replace("/health", "/deep")} }}
            sites: [{{ routes: [{{ path: /one/*, proxy: one }}, {{ path: /*, proxy: two }}] }}]
            """)
        origin.wait_for(lambda: {"/health", "/deep"} <= set(origin.targets))
        self.assertEqual(edge.fetch("/one/x").status, 200)

    def test_ends_with_the_last_that_wants_it(self):
        origin, other = self.checked("a"), self.checked("b")
        edge = self.gate(self.many(origin, 2, QUICK))
        self.wait_probes(origin, 3)
        edge.reload(self.many(other, 2, QUICK))
        self.wait_probes(other, 2)
        # What follows a generation that is gone is looked through every second.
        last = [0, time.monotonic()]

        def quiet():
            count = len(probes(origin))
            if count != last[0]:
                last[:] = [count, time.monotonic()]
            return time.monotonic() - last[1] > 0.5
        wait_until(quiet, what="the end of the checks")


class Reloads(HealthTest):
    def config(self, servers, health="interval: 100ms, healthy_after: 2, unhealthy_after: 2"):
        return (f"access_log: {{ format: off }}\nworkers: 2\nupstreams:\n  app: {{ servers: [{', '.join(s.address for s in servers)}], "
                f"health: {{ path: /health, {health} }} }}\n"
                "sites: [{ routes: [{ path: /*, proxy: app }] }]\n")

    def test_a_new_server_waits_until_it_has_passed(self):
        ready = threading.Event()
        old, new = self.checked("old"), self.checked("new", lambda request: answer(200 if ready.is_set() else 503))
        edge = self.gate(self.config([old]))
        self.assertEqual(edge.fetch().text, "old")
        traffic = self.traffic(edge, 3)
        traffic.wait_for_more(10)
        edge.reload(self.config([old, new]))
        self.wait_probes(new, 5)
        traffic.wait_for_more(30)
        self.assertEqual(set(new.targets), {"/health"})
        ready.set()
        new.wait_for(lambda: "/" in new.targets)
        traffic.stop()
        self.assertEqual(traffic.failed(), [])
        seen = list(new.requests)
        first = next(i for i, request in enumerate(seen) if request.target == "/")
        self.assertGreaterEqual(first, 5 + 1, "two more checks passed")

    def test_a_new_server_that_answers_at_once_is_checked_first(self):
        hold = threading.Event()
        self.addCleanup(hold.set)
        old, new = self.checked("old"), self.checked("new", lambda request: hold.wait(20) and answer())
        edge = self.gate(self.config([old]))
        self.assertEqual(edge.fetch().text, "old")
        edge.reload(self.config([new, old]))
        self.wait_probes(new, 1)
        self.assertEqual(self.fetch_names(edge), {"old"})
        hold.set()
        wait_until(lambda: edge.fetch().text == "new", what="the new server to be used")

    def test_what_is_known_survives(self):
        """An unhealthy server stays so, a healthy one is asked no sooner, and no request meets the wrong one."""
        status = [200]
        good, bad = self.checked("good"), self.checked("bad", lambda request: answer(status[0]))
        config = self.config([good, bad], "interval: 200ms, healthy_after: 2, unhealthy_after: 2")
        edge = self.gate(config)
        wait_until(lambda: self.fetch_names(edge, 4) == {"good", "bad"}, what="both servers in use")
        status[0] = 500
        edge.wait_log(f"server {bad.address}: unhealthy")
        asked = len(bad.requests) - len(probes(bad))
        begun, before = time.monotonic(), len(probes(good))
        for _ in range(8):
            edge.reload(config)
            self.assertEqual(self.fetch_names(edge, 6), {"good"})
        self.wait_probes(good, before + 2)
        most = (time.monotonic() - begun) / 0.18 + 1
        self.assertLessEqual(len(probes(good)) - before, most)
        self.assertEqual(len(bad.requests) - len(probes(bad)), asked)
        self.assertEqual(edge.count_log("unhealthy"), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
