# SPDX-License-Identifier: Apache-2.0
"""examples/shop: Express backends in two releases, affinity, CORS, CSP, a switch and a canary under load."""

import json
import re
import unittest

from examples import ExampleTest, needs_node
from harness import wait_until

PARTNER, OWN, STRANGER = "https://partner.example", "https://app.example.com", "https://evil-example.com"
JSON = [("Content-Type", "application/json")]


@needs_node("express")
class Shop(ExampleTest):
    def setUp(self):
        self.copied("shop")
        self.backends = {name: self.node("backend", RELEASE=name.partition("_")[0].lower(), **more)
                         for name, more in (("BLUE_1", {}), ("BLUE_2", {}), ("GREEN_1", self.green()), ("GREEN_2", self.green()))}
        self.storefront = self.node("storefront")
        addresses = {name: backend.address for name, backend in self.backends.items()}
        self.edge = self.example({**self.authority("shop.example.com"), **addresses, "STOREFRONT": self.storefront.address})
        self.wait_healthy("backend", "blue", 2)

    def green(self):
        return {}

    def api(self, target, *more, **keys):
        return json.loads(self.page(target, *more, **keys).text)


class Site(Shop):
    def test_check_and_explain(self):
        self.check_and_explain(
            (f"https://{self.host}/api/cart", "/api/*", "backend", "blue", "green"),
            (f"https://{self.host}/orders/7", "/*", "storefront"),
            (f"http://{self.host}/", "308"))

    def test_affinity_keeps_a_cart(self):
        """Each process has carts of its own: only the one that took an item knows of it."""
        first = self.page("/api/cart", "POST", headers=[*JSON, ("Cookie", "session=s1")], body=b'{"product": 7}')
        self.assertEqual(first.status, 201)
        cookies = [one.split(";")[0] for one in first.header_list("Set-Cookie")]
        affinity = next(one for one in first.header_list("Set-Cookie") if one.startswith("shop_server="))
        for attribute in ("HttpOnly", "Secure"):
            self.assertIn(attribute, affinity)
        mine = json.loads(first.text)["process"]
        for _ in range(6):
            said = self.api("/api/cart", headers=[("Cookie", "; ".join(["session=s1", *cookies]))])
            self.assertEqual((said["process"], said["items"]), (mine, [7]))
        # Without the cookie both take their turns.
        wait_until(lambda: self.api("/api/cart")["process"] != mine, what="the other process")

    def test_affinity_falls_over(self):
        first = self.page("/api/cart", headers=[("Cookie", "session=s1")])
        cookies = [one.split(";")[0] for one in first.header_list("Set-Cookie")]
        mine = json.loads(first.text)["process"]
        next(one for one in self.backends.values() if one.process.pid == mine).close()
        said = self.page("/api/cart", headers=[("Cookie", "; ".join(cookies))])
        self.assertEqual(said.status, 200)
        self.assertNotEqual(json.loads(said.text)["process"], mine)

    def test_health(self):
        said = self.api("/health")
        self.assertEqual(said, {"status": "ok", "release": "blue"})

    def test_what_backends_see(self):
        self.assertEqual(self.api("/api/whoami"), {"release": "blue", "address": "127.0.0.1", "protocol": "https", "host": self.host})

    def test_policies_of_pages_stay_as_they_are(self):
        page = self.page("/orders/7?x=1")
        nonce = re.search(r'<script nonce="([^"]+)">', page.text).group(1)
        self.assertEqual(page.header_list("Content-Security-Policy"), [
            f"default-src 'self'; script-src 'nonce-{nonce}' 'strict-dynamic' https: 'unsafe-inline'; img-src * data: blob:; "
            "connect-src 'self' https://pay.example.com wss://chat.example.com:8443; frame-ancestors 'none'; report-uri /csp?from=storefront&v=1"])
        self.assertEqual(page.header("Cache-Control"), "private, no-cache")
        self.assertIn("<code>/orders/7</code>", page.text)
        self.assertIsNone(page.header("X-Powered-By"))
        self.assertTrue(page.header("Strict-Transport-Security"))
        self.assertEqual(page.header("X-Content-Type-Options"), "nosniff")

    def test_cors(self):
        for origin in (PARTNER, OWN):
            with self.subTest(origin):
                response = self.preflight("/api/cart", origin)
                self.assertEqual((response.status, response.header("Access-Control-Allow-Origin")), (204, origin))
                self.assertEqual(response.header("Access-Control-Allow-Credentials"), "true")
                self.assertIn("content-type", response.header("Access-Control-Allow-Headers").lower())
                answer = self.page("/api/products", headers=[("Origin", origin)])
                self.assertEqual((answer.status, answer.header_list("Access-Control-Allow-Origin")), (200, [origin]))
                self.assertIn("Origin", answer.header("Vary"))
        self.assertIsNone(self.preflight("/api/cart", STRANGER).header("Access-Control-Allow-Origin"))
        self.assertIsNone(self.page("/api/products", headers=[("Origin", STRANGER)]).header("Access-Control-Allow-Origin"))


class Release(Shop):
    def shoppers(self):
        body = b'{"product": 1}'
        self.seen = {}
        self.carts = self.visitors("/api/cart", method="POST", headers=JSON, body=body, keep=self.note)
        self.readers = self.visitors("/api/products", "/", "/api/cart")
        self.carts.wait_for_more(20)

    def note(self, answer):
        release = json.loads(answer.text)["release"]
        self.seen[release] = self.seen.get(release, 0) + 1

    def lost(self):
        return self.carts.stop() + self.readers.stop()

    def test_blue_green(self):
        self.wait_healthy("backend", "green", 2)
        self.shoppers()
        self.run_ok("switch", "backend", "green", "--wait")
        self.assertEqual(self.split_of("backend")["blue"], 0)
        self.carts.wait_for_more(50)
        self.assertEqual(self.api("/health")["release"], "green")
        # Nothing goes to blue any more: its processes can end.
        self.backends["BLUE_1"].close()
        self.backends["BLUE_2"].close()
        self.carts.wait_for_more(50)
        self.readers.wait_for_more(50)
        self.assertEqual(self.lost(), [])
        self.assertEqual(set(self.seen), {"blue", "green"})

    def test_rollback(self):
        self.wait_healthy("backend", "green", 2)
        self.shoppers()
        self.run_ok("switch", "backend", "green")
        self.carts.wait_for_more(20)
        self.run_ok("rollback", "backend")
        self.carts.wait_for_more(20)
        self.assertEqual(self.api("/health")["release"], "blue")
        self.assertEqual(self.lost(), [])

    def test_canary_is_begun_and_aborted(self):
        self.wait_healthy("backend", "green", 2)
        self.shoppers()
        self.run_ok("rollout", "start", "backend", "green")
        self.assertEqual(self.split_of("backend"), {"blue": 95, "green": 5})
        told = json.loads(self.run_ok("rollout", "status", "backend", "--json"))
        self.assertEqual((told["state"], told["percent"], told["steps"]), ("running", 5, [5, 25, 50, 100]))
        # Clients without cookies are drawn anew each time, so some of them meet green soon.
        wait_until(lambda: self.seen.get("green"), timeout=60, what="an answer of green")
        self.run_ok("rollout", "abort", "backend")
        self.assertEqual(self.split_of("backend")["green"], 0)
        self.assertEqual({self.api("/api/cart")["release"] for _ in range(10)}, {"blue"})
        self.assertEqual(self.lost(), [])


class BadRelease(Shop):
    def green(self):
        return {"HEALTH": "down"}

    def test_is_not_switched_to(self):
        self.assertRegex(self.run_ok("switch", "backend", "green", code=1), "green")
        self.assertRegex(self.run_ok("rollout", "start", "backend", "green", code=1), "green")
        self.assertEqual(self.api("/health")["release"], "blue")


if __name__ == "__main__":
    unittest.main(verbosity=2)
