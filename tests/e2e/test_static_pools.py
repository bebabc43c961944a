# SPDX-License-Identifier: Apache-2.0
"""Builds of one application as pools: who gets which, what is found in all of them, and changes under load."""

import os
import re
import shutil
import threading
import unittest

from client import Broken, Client, TIMEOUT
from harness import run_program, wait_until, write_files
from test_admin_upstreams import AdminTest

PAGE = [("Accept", "text/html,*/*;q=0.8"), ("Sec-Fetch-Mode", "navigate")]
SCRIPTS = {"blue": "/assets/app-3f9a1b2c.js", "green": "/assets/app-77d0c4e1.js"}


def page_of(pool):
    return f"<!doctype html><title>{pool}</title><script src={SCRIPTS[pool]}></script>"


def pool_in(page):
    return re.search("<title>(.*?)</title>", page.text).group(1)


class Browsers:
    """Each opens the application again and again, as somebody new, and loads what its page names."""

    def __init__(self, address, count=3):
        self.address = address
        self.visits = []
        self.wrong = []
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._browse, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _browse(self):
        client = Client(self.address)
        while not self.stopping.is_set():
            try:
                pool, wrong = self._visit(client)
            except (Broken, OSError) as error:
                pool, wrong = None, repr(error)
                client = Client(self.address)
            with self.changed:
                self.visits.append(pool)
                if wrong:
                    self.wrong.append(wrong)
                self.changed.notify_all()
        client.close()

    def _visit(self, client):
        page = client.request(headers=PAGE)
        if page.status != 200:
            return None, f"the page: {page.status}"
        pool = pool_in(page)
        script = client.request(target=re.search("src=(.*?)>", page.text).group(1))
        if (script.status, script.text) != (200, f"run('{pool}')"):
            return pool, f"the script of {pool}: {script.status} {script.text}"
        return pool, None

    def wait_for_more(self, count):
        """The pools of so many more visits than there were when this was called."""
        with self.changed:
            before = len(self.visits)
            assert self.changed.wait_for(lambda: len(self.visits) >= before + count, TIMEOUT), "the browsers get nothing"
            return self.visits[before:]

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(TIMEOUT)


class StaticPools(AdminTest):
    def builds(self, rules="split: { blue: 1 }", files=None):
        """An edge with the pools blue and green of `shop`."""
        self.root = self.folder()
        for pool, script in SCRIPTS.items():
            write_files(self.root / pool, {"index.html": page_of(pool), script.lstrip("/"): f"run('{pool}')",
                                           "logo.svg": f"<svg id='{pool}'/>", **(files or {}).get(pool, {})})
        return self.gate("sites:\n  - routes:\n      - path: /*\n        static:\n"
                         f"          pools: {{ blue: '{self.root}/blue', green: '{self.root}/green' }}\n"
                         f"          name: shop\n          spa: true\n          {rules}\n")

    def run_ok(self, edge, *arguments):
        done = edge.command(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def refused(self, edge, *arguments):
        done = edge.command(*arguments)
        self.assertEqual(done.returncode, 1, done.stdout)
        return done.stderr


class Choice(StaticPools):
    def test_a_client_stays_in_its_pool(self):
        edge = self.builds("split: { blue: 1, green: 1 }\n          split_by: client")
        seen = set()
        for _ in range(24):
            first = edge.fetch(headers=PAGE)
            cookie = first.header("Set-Cookie")
            self.assertRegex(cookie, r"^headgate_client=[0-9a-f]{32}; Path=/; ")
            self.assertEqual(first.header("Cache-Control"), "private, no-cache")
            seen.add(pool_in(first))
            known = ("Cookie", cookie.split(";")[0])
            for target in ("/", "/account", "/index.html"):
                again = edge.fetch(target, headers=[*PAGE, known])
                self.assertEqual(pool_in(again), pool_in(first))
                self.assertIsNone(again.header("Set-Cookie"))
                self.assertEqual(again.header("Cache-Control"), "no-cache")
            self.assertIn(pool_in(first), edge.fetch("/logo.svg", headers=[known]).text)
        self.assertEqual(seen, {"blue", "green"})

    def test_assets_are_found_in_every_pool_and_pages_are_not(self):
        edge = self.builds("split: { blue: 1 }\n          split_by: client",
                           {"green": {"only/green.html": "green's", "sw.js": "worker", "font.woff2": "F"}})
        for pool, script in SCRIPTS.items():
            got = edge.fetch(script)
            self.assertEqual((got.status, got.text), (200, f"run('{pool}')"))
            self.assertIn("immutable", got.header("Cache-Control"))
            self.assertIsNone(got.header("Set-Cookie"), "a shared cache would give one client's id to others")
        self.assertEqual(edge.fetch("/font.woff2").text, "F")
        self.assertEqual(pool_in(edge.fetch("/only/green.html")), "blue", "a page that blue does not have, as any other")
        self.assertEqual(edge.fetch("/sw.js").status, 404)
        self.assertEqual(edge.fetch("/assets/app-00000000.js").status, 404)
        record = edge.wait_access(lambda one: one["uri"] == SCRIPTS["green"])
        self.assertEqual((record["upstream"], record["pool"]), ("shop", "blue"), "the client's pool, whose file it is not")
        scrape = self.scrape(edge)
        self.assertEqual(scrape.sum("headgate_static_pool_lent_total", upstream="shop", pool="green"), 2)
        self.assertEqual(scrape.sum("headgate_split_weight", upstream="shop", pool="blue"), 1)

    def test_testers_choose(self):
        rule = "split: { blue: 1 }\n          split_override: { header: X-Pool, cookie: pool, allow: [%s] }"
        edge = self.builds(rule % "127.0.0.0/8")
        self.assertEqual(pool_in(edge.fetch(headers=[*PAGE, ("X-Pool", "green")])), "green")
        self.assertEqual(pool_in(edge.fetch(headers=[*PAGE, ("Cookie", "pool=green")])), "green")
        self.assertEqual(pool_in(edge.fetch(headers=[*PAGE, ("X-Pool", "nobody")])), "blue")
        stranger = self.builds(rule % "10.0.0.0/8")
        self.assertEqual(pool_in(stranger.fetch(headers=[*PAGE, ("X-Pool", "green")])), "blue")

    def test_clients_of_a_pool_at_zero_stay_when_they_may(self):
        for keeps in (False, True):
            with self.subTest(keeps=keeps):
                edge = self.builds("split: { green: 1 }\n          split_by: client\n"
                                   f"          at_zero_weight: {'keep' if keeps else 'release'}")
                known = ("Cookie", edge.fetch(headers=PAGE).header("Set-Cookie").split(";")[0])
                self.run_ok(edge, "switch", "shop", "blue")
                self.assertEqual(pool_in(edge.fetch(headers=[*PAGE, known])), "green" if keeps else "blue")
                self.assertEqual(pool_in(edge.fetch(headers=PAGE)), "blue")

    def test_conditions_never_mistake_one_build_for_the_other(self):
        edge = self.builds(files={pool: {"intro.mp4": pool[:1].encode() * 400_000} for pool in SCRIPTS})
        for name in ("index.html", "intro.mp4"):
            os.utime(self.root / "blue" / name, (1_600_000_000, 1_600_000_000))
            os.utime(self.root / "green" / name, (1_600_000_000, 1_600_000_000))
        wait_until(lambda: edge.fetch("/intro.mp4").header("ETag").startswith('"'), what="the file")
        tags = {}
        for pool in ("blue", "green"):
            self.run_ok(edge, "switch", "shop", pool)
            tags[pool] = [edge.fetch("/" + name).header("ETag") for name in ("", "intro.mp4")]
        for one, other in zip(tags["blue"], tags["green"]):
            self.assertNotEqual(one, other)
        for tag, target in zip(tags["green"], ("/", "/intro.mp4")):
            self.assertEqual(edge.fetch(target, headers=[("If-None-Match", tag)]).status, 304)
        # Back to blue: a date would say that nothing has changed.
        self.run_ok(edge, "switch", "shop", "blue")
        page = edge.fetch(headers=[*PAGE, ("If-Modified-Since", "Sun, 06 Nov 2033 08:49:37 GMT")])
        self.assertEqual((page.status, pool_in(page), page.header("Last-Modified")), (200, "blue", None))


class Changes(StaticPools):
    def test_nothing_is_missing_under_load(self):
        edge = self.builds()
        browsers = Browsers(edge.address)
        self.addCleanup(browsers.stop)
        self.assertEqual(set(browsers.wait_for_more(40)), {"blue"})
        for pool in ("green", "blue", "green"):
            out = self.run_ok(edge, "switch", "shop", pool, "--wait")
            self.assertIn(f"{pool} 100 %", out)
            self.assertIn("drained: 0 requests in flight", out)
            # Each may have been about to take notice of a page that it had asked for before.
            visits = browsers.wait_for_more(60)
            self.assertEqual(set(visits[3:]), {pool})
        self.run_ok(edge, "split", "shop", "blue=50", "green=50")
        self.assertEqual(set(browsers.wait_for_more(150)), {"blue", "green"})
        self.run_ok(edge, "rollback", "shop", "--wait")
        self.assertEqual(set(browsers.wait_for_more(60)[3:]), {"green"})
        browsers.stop()
        self.assertEqual(browsers.wrong, [])

    def test_wait_is_for_what_is_under_way(self):
        edge = self.builds(files={"blue": {"film.mp4": ""}})
        os.truncate(self.root / "blue" / "film.mp4", 64 << 20)
        slow = self.client(edge.address)
        slow.send_request(target="/film.mp4")
        wait_until(lambda: self.ask(edge, "/v1/upstreams/shop")[1]["pools"][0]["in_flight"] == 1, what="the film to begin")
        self.run_ok(edge, "switch", "shop", "green")
        self.assertIn("1 request in flight", self.refused(edge, "switch", "shop", "green", "--wait", "--timeout", "200ms"))
        self.assertEqual(len(slow.read_response().body), 64 << 20)
        self.assertIn("0 requests in flight", self.run_ok(edge, "switch", "shop", "green", "--wait"))

    def test_a_pool_without_an_index_is_refused_and_passed_over(self):
        edge = self.builds()
        (self.root / "green" / "index.html").unlink()
        self.assertIn("pool 'green' has no index.html", self.refused(edge, "switch", "shop", "green"))
        shutil.rmtree(self.root / "green")
        self.assertIn("pool 'green' has no folder", self.refused(edge, "switch", "shop", "green"))
        self.assertEqual(pool_in(edge.fetch(headers=PAGE)), "blue")
        self.run_ok(edge, "split", "shop", "blue=50", "green=50")
        self.assertEqual({pool_in(edge.fetch(headers=PAGE)) for _ in range(20)}, {"blue"})
        self.assertGreater(self.scrape(edge).sum("headgate_static_pool_spills_total", upstream="shop", pool="blue"), 0)
        self.run_ok(edge, "switch", "shop", "green", "--force")
        self.assertEqual(edge.fetch(headers=PAGE).status, 404, "as it was told: blue has no weight that it could take over by")
        write_files(self.root / "green", {"index.html": page_of("green")})
        wait_until(lambda: edge.fetch(headers=PAGE).text == page_of("green"), what="green to be back")

    def test_survives_reload_and_restart_until_it_is_reset(self):
        edge = self.builds()
        self.run_ok(edge, "switch", "shop", "green")
        edge.reload()
        self.assertEqual(pool_in(edge.fetch(headers=PAGE)), "green")
        self.restart(edge)
        self.assertEqual(pool_in(edge.fetch(headers=PAGE)), "green")
        statics = self.ask(edge, "/v1/status")[1]["statics"][0]
        self.assertEqual((statics["name"], statics["split"], statics["split_override"]), ("shop", {"blue": 0, "green": 100}, True))
        self.assertEqual([(pool["name"], pool["index"]) for pool in statics["pools"]], [("blue", True), ("green", True)])
        self.assertRegex(self.run_ok(edge, "status"), r"static shop \(default /\*\)\n  pool blue: \S+, weight 0\S* \(override")
        self.run_ok(edge, "rollback", "shop")
        self.assertEqual(pool_in(edge.fetch(headers=PAGE)), "blue")
        self.run_ok(edge, "split", "shop", "--reset")
        self.assertFalse(self.ask(edge, "/v1/status")[1]["statics"][0]["split_override"])

    def test_what_cannot_be(self):
        edge = self.builds()
        for arguments, said in ((("switch", "shop", "gren"), "static 'shop' has no pool 'gren'; did you mean 'green'?"),
                                (("switch", "shob", "green"), "there is no upstream 'shob', nor a static with pools"),
                                (("rollback", "shop"), "the split of static 'shop' has not been changed"),
                                (("rollout", "start", "shop", "green"), "'shop' is a static")):
            self.assertIn(said, self.refused(edge, *arguments))

    def test_another_name_for_the_same_pools_is_an_error(self):
        edge = self.builds()
        text = edge.file.read_text().replace("name: shop", "name: api") + "upstreams: { api: { servers: ['127.0.0.1:1'] } }\n"
        edge.file.write_text(text)
        self.assertIn("the name 'api' is that of the upstream at", self.refused(edge, "reload"))


class Explained(StaticPools):
    def test_pools_and_where_it_looks(self):
        edge = self.builds("split: { blue: 95, green: 5 }\n          split_by: client")
        said = run_program("explain", "-c", str(edge.file), "http://x.test" + SCRIPTS["green"]).stdout
        for line in ("static files of the pools shop", "pool green: ", "5% of new requests", "then in the other pools",
                     "by the cookie headgate_client", "for a client of pool blue:",
                     f"200, the file {SCRIPTS['green']} of pool green"):
            self.assertIn(line, said)
        dumped = run_program("dump", "-c", str(edge.file)).stdout
        self.assertIn("name: shop", dumped)


if __name__ == "__main__":
    unittest.main()
