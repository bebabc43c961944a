# SPDX-License-Identifier: Apache-2.0
"""examples/api-gateway: three applications on names of their own over TLS and HTTP/2, two services, limits in Redis."""

import gzip
import json
import os
import re
import shutil
import time
import unittest

import brotli
import zstandard

from examples import NAVIGATION, ExampleTest, needs_node
from harness import client_tls, wait_until
from http2_client import Http2Client
from redis_server import PROGRAM as REDIS
from redis_server import RedisServer
from test_browser import BROWSER, Browser, Page

HOSTS = {"admin.example.com": "Administration", "agent.example.com": "Agents", "member.example.com": "Members"}
OPENERS = {"gzip": gzip.decompress, "br": brotli.decompress,
           "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)}


@needs_node("express")
@unittest.skipUnless(REDIS, "redis-server is not installed")
class Gateway(ExampleTest):
    def setUp(self):
        self.copied("api-gateway")
        self.redis = RedisServer(self.folder())
        self.addCleanup(self.redis.close)
        services = {name.upper(): self.node("services", NAME=name).address for name in ("accounts", "orders")}
        self.common = {**self.authority(*HOSTS), **services, "REDIS": self.redis.url, "APPS": str(self.place / "apps")}
        self.edge = self.example(self.common)

    def assets(self, page):
        found = re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css|svg))"', page.text)
        self.assertEqual(len(found), 3, page.text)
        return found

    def module(self):
        return next(one for one in self.assets(self.page("/", headers=NAVIGATION)) if one.endswith(".js"))


class Applications(Gateway):
    def test_check_and_explain(self):
        self.check_and_explain(
            ("https://agent.example.com/api/orders/7", "/api/orders/*", "orders", "api"),
            ("https://admin.example.com/orders/7", "/*", "admin/current"),
            ("http://member.example.com/", "308"))

    def test_three_applications(self):
        for host, title in HOSTS.items():
            page = self.page("/", host=host, headers=NAVIGATION)
            self.assertEqual((page.status, page.header("Cache-Control")), (200, "no-cache"))
            self.assertIn(f"<title>{title}</title>", page.text)
            self.assertEqual(self.page("/orders/42", host=host, headers=NAVIGATION).body, page.body)
            for asset in self.assets(page):
                with self.subTest(host=host, asset=asset):
                    response = self.page(asset, host=host)
                    self.assertEqual(response.status, 200)
                    self.assertEqual(response.header("Cache-Control"), "public, max-age=86400" if asset.endswith(".svg")
                                     else "public, max-age=31536000, immutable")
                    again = self.page(asset, host=host, headers=[("If-None-Match", response.header("ETag"))])
                    self.assertEqual(again.status, 304)
            missing = self.page("/assets/index-12345678.js", host=host, headers=[("Accept", "*/*")])
            self.assertEqual((missing.status, missing.header("Cache-Control")), (404, "no-store"))

    def test_one_http2_connection_for_page_and_calls(self):
        with Http2Client(self.edge.tls_address, tls=client_tls(self.ca.cert), server_name="agent.example.com") as client:
            for path, part in (("/", b"Agents"), ("/api/accounts/me", b'"service":"accounts"'), ("/api/orders/7", b'"id":"7"')):
                answer = client.fetch(path, authority="agent.example.com", scheme="https", headers=[("accept", "text/html,*/*")])
                self.assertEqual(answer.status, 200)
                self.assertIn(part, answer.body)

    def test_services_without_their_prefix(self):
        me = json.loads(self.page("/api/accounts/me", host="member.example.com").text)
        self.assertEqual(me, {"service": "accounts", "address": "127.0.0.1", "protocol": "https", "app": "member.example.com"})
        self.assertEqual(json.loads(self.page("/api/orders/7").text), {"service": "orders", "id": "7", "state": "sent"})

    def test_compression_is_the_clients_choice(self):
        script = self.module()
        for target in (script, "/api/orders/"):
            plain = self.page(target)
            self.assertIsNone(plain.header("Content-Encoding"))
            for accepts, chosen in (("gzip, deflate, br, zstd", "zstd"), ("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br;q=0.5, gzip", "gzip")):
                with self.subTest(target=target, accepts=accepts):
                    response = self.page(target, headers=[("Accept-Encoding", accepts)])
                    self.assertEqual(response.header("Content-Encoding"), chosen)
                    self.assertIn("Accept-Encoding", response.header("Vary"))
                    self.assertEqual(OPENERS[chosen](response.body), plain.body)
                    self.assertLess(len(response.body), len(plain.body))

    def test_security_headers(self):
        for target in ("/", "/api/accounts/me", "/assets/missing.js"):
            with self.subTest(target):
                response = self.page(target)
                self.assertEqual(response.header_list("X-Frame-Options"), ["DENY"])
                self.assertEqual(response.header_list("X-Content-Type-Options"), ["nosniff"])
                self.assertEqual(response.header("Strict-Transport-Security"), "max-age=31536000")
                self.assertEqual(response.header("Referrer-Policy"), "strict-origin-when-cross-origin")
                self.assertEqual(response.header_list("Content-Security-Policy"),
                                 ["default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; frame-ancestors 'none'"])
                self.assertIsNone(response.header("X-Powered-By"))
        redirect = self.edge.fetch("/", host=self.host)
        self.assertEqual((redirect.status, redirect.header("Strict-Transport-Security")), (308, None))

    def test_a_build_is_deployed_under_open_tabs(self):
        """The commands of the README: a folder beside the old one, two links."""
        app = self.place / "apps/admin"
        old = self.module()
        shutil.copytree(app / "releases/1", app / "releases/2")
        (app / "releases/2" / old.lstrip("/")).rename(app / "releases/2/assets/index-Zz9yXw8v.js")
        page = app / "releases/2/index.html"
        page.write_text(page.read_text().replace(old, "/assets/index-Zz9yXw8v.js"))
        for link, release in (("previous", "releases/1"), ("current", "releases/2")):
            os.symlink(release, app / "new")
            os.replace(app / "new", app / link)
        wait_until(lambda: "index-Zz9yXw8v.js" in self.page("/", headers=NAVIGATION).text, what="the new build")
        self.assertEqual(self.page("/assets/index-Zz9yXw8v.js").status, 200)
        self.assertEqual(self.page(old).status, 200, "a tab of the old build still finds its module")


class Limits(Gateway):
    def test_logins_are_counted_by_all_instances_together(self):
        second = self.example(self.common, folder=self.folder())
        begun = time.monotonic()
        answers = [self.page("/api/accounts/login", "POST", edge=(self.edge, second)[number % 2], host=list(HOSTS)[number % 3],
                             headers=[("Content-Type", "application/json")], body=b'{"user": "a"}') for number in range(30)]
        due = int((time.monotonic() - begun) / 6) + 1  # one more each six seconds
        passed = [one for one in answers if one.status == 401]
        refused = [one for one in answers if one.status == 429]
        self.assertEqual(len(passed) + len(refused), 30)
        self.assertGreaterEqual(len(passed), 10)
        self.assertLessEqual(len(passed), 11 + due)
        self.assertGreaterEqual(int(refused[-1].header("Retry-After")), 1)
        self.assertIn('"login"', refused[-1].header("RateLimit-Policy"))
        self.assertEqual(refused[-1].header("X-Frame-Options"), "DENY")
        self.assertEqual(self.page("/api/accounts/me").status, 200, "the other calls have a limit of their own")
        self.edge.wait_access(lambda record: record["rate_limited"] == "login")

    def test_without_redis_each_instance_counts_by_itself(self):
        self.redis.kill()
        self.assertEqual(self.page("/api/accounts/me").status, 200)
        self.assertEqual(self.page("/api/accounts/login", "POST").status, 401)


@unittest.skipUnless(BROWSER, "no chromium")
class InTheBrowser(Gateway):
    def setUp(self):
        super().setUp()
        self.browser = Browser(self.folder(), HOSTS)
        self.addCleanup(self.browser.close)
        self.root = {host: f"https://{host}:{self.edge.tls_address[1]}" for host in HOSTS}

    def test_home_pages(self):
        for host, title in HOSTS.items():
            with self.subTest(host):
                page = Page(self.browser)
                page.open(self.root[host] + "/")
                page.until("document.getElementById('me')?.textContent.includes('127.0.0.1')")
                self.assertEqual(page.value("document.title"), f"{title}: {title}")
                self.assertEqual(page.value("document.styleSheets.length"), 1)
                protocols = page.value("""[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
                    .map((one) => one.nextHopProtocol)""")
                self.assertEqual(set(protocols), {"h2"})
                self.assertEqual(page.complaints(), [])

    def test_a_deep_link(self):
        page = Page(self.browser)
        page.open(self.root["agent.example.com"] + "/orders/42")
        page.until("document.getElementById('state')?.textContent === 'sent'")
        self.assertEqual(page.value("location.pathname"), "/orders/42")
        page.value("document.querySelector('nav a[href=\"/orders\"]').click()")
        page.until("document.querySelectorAll('main li').length === 80")
        self.assertEqual(page.value("performance.getEntriesByType('navigation').length"), 1)
        self.assertEqual(page.complaints(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
