# SPDX-License-Identifier: Apache-2.0
"""examples/django-spa: Django on gunicorn and a single-page frontend, as an nginx would serve them; upgrades and a rollback."""

import hashlib
import json
import os
import shutil
import unittest

from client import Client
from examples import NAVIGATION, ExampleTest, needs_python
from harness import wait_until
from test_browser import BROWSER, Browser, Page

GUNICORN = shutil.which("gunicorn", path="/usr/bin:/usr/local/bin")


@needs_python("django", "gunicorn")
class Django(ExampleTest):
    def setUp(self):
        self.copied("django-spa")
        self.blue = self.gunicorn(RELEASE="1")
        self.green = self.next_release()
        self.edge = self.example({
            **self.authority("shop.test"), "BACKEND": self.blue.address, "BACKEND_NEXT": self.green.address if self.green else "127.0.0.1:1",
            "STATIC_ROOT": str(self.place / "backend/staticfiles"), "FRONTEND": str(self.place / "frontend")})
        self.wait_healthy("backend", "blue", 1)

    def next_release(self):
        """Nothing is at its place most of the time."""

    def gunicorn(self, **env):
        return self.backend([GUNICORN, "--bind", "127.0.0.1:0", "--workers", "2", "app:application"], self.place / "backend",
                            r"Listening at: http://127\.0\.0\.1:(\d+)", env)


class Site(Django):
    def test_check_and_explain(self):
        self.check_and_explain(
            ("https://shop.test/api/users/", "/api/*", "backend", "blue", "green"),
            ("https://shop.test/merchant/admin", "/merchant/admin*", "/*"),
            ("https://shop.test/static/admin/base.css", "/static/*"),
            ("http://shop.test/", "308"))

    def test_backend_without_its_prefix(self):
        for sent, seen in [("/api/users/?page=2", "/users/?page=2"), ("/api/", "/"), ("/api/a%20b/", "/a%20b/")]:
            with self.subTest(sent):
                said = json.loads(self.page(sent).text)
                self.assertEqual(said["path"], seen)
                self.assertEqual(said["url"], "https://shop.test" + seen)
                self.assertEqual((said["secure"], said["client"], said["forwarded_for"]), (True, "127.0.0.1", "127.0.0.1"))

    def test_many_requests_to_gunicorn(self):
        """Its synchronous workers close after each answer: the edge never takes that for a failure."""
        with Client(self.edge.tls_address, tls=self.tls, server_name="shop.test") as client:
            for i in range(60):
                method = ("GET", "HEAD", "POST")[i % 3]
                response = client.request(method, f"/api/x{i}/", host="shop.test", body=b"x" if method == "POST" else b"")
                self.assertEqual(response.status, 200)

    def test_merchant_pages(self):
        admin = (self.place / "frontend/admin/index.html").read_text()
        for target in ("/merchant/admin", "/merchant/admin/", "/admin"):
            with self.subTest(target):
                self.assertEqual(self.page(target, headers=NAVIGATION).text, admin)
        self.assertIn("Merchant: support", self.page("/merchant/support", headers=NAVIGATION).text)
        index = (self.place / "frontend/index.html").read_text()
        for target in ("/", "/merchant/admin/orders/7", "/merchant/other", "/anything"):
            with self.subTest(target):
                response = self.page(target, headers=NAVIGATION)
                self.assertEqual((response.text, response.header("Cache-Control")), (index, "no-cache"))

    def test_static_and_assets(self):
        response = self.page("/static/admin/base.css")
        self.assertEqual((response.status, response.text), (200, (self.place / "backend/staticfiles/admin/base.css").read_text()))
        self.assertEqual(self.page("/static/../app.py").status, 200)  # the path /app.py: the frontend's fallback
        self.assertNotIn("settings", self.page("/static/../app.py").text)
        self.assertEqual(self.page("/static/nothing.css").status, 404)
        response = self.page("/assets/app-5d2c8f01.js")
        self.assertEqual(response.header("Cache-Control"), "public, max-age=31536000, immutable")
        self.assertEqual(response.header("X-Content-Type-Options"), "nosniff")

    def test_upload_of_20_mib(self):
        body = os.urandom(20 << 20)
        said = json.loads(self.page("/api/upload/", "POST", body=body).text)
        self.assertEqual(said, {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()})
        self.assertEqual(self.page("/api/upload/", "POST", body=body + b"x").status, 413)

    def test_port_80_redirects(self):
        response = self.edge.fetch("/api/users/?x=1", "POST", host="shop.test")
        self.assertEqual(response.status, 308)
        self.assertEqual(response.header("Location"), f"https://shop.test:{self.edge.tls_address[1]}/api/users/?x=1")

    def test_the_access_log(self):
        body = b"x" * 1000
        self.page("/api/upload/?kind=test", "POST", headers=[("User-Agent", "shop/1"), ("Referer", "https://shop.test/form")], body=body)
        record = self.edge.wait_access(lambda record: record["uri"] == "/api/upload/?kind=test")
        told = {key: record[key] for key in ("client", "method", "host", "protocol", "status", "bytes_in", "site", "route", "upstream", "pool",
                                             "server", "attempts", "user_agent", "referer")}
        self.assertEqual(told, {
            "client": "127.0.0.1", "method": "POST", "host": "shop.test", "protocol": "HTTP/1.1", "status": 200, "bytes_in": 1000,
            "site": "default", "route": "/api/*", "upstream": "backend", "pool": "blue", "server": self.blue.address, "attempts": 1,
            "user_agent": "shop/1", "referer": "https://shop.test/form"})
        self.assertRegex(record["tls_version"], "1.3")
        self.assertRegex(record["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertGreater(record["bytes_out"], 0)
        self.assertTrue(record["request_id"])
        self.page("/api/upload/", "POST", body=b"x" * ((20 << 20) + 1))
        record = self.edge.wait_access(lambda record: record["status"] == 413)
        self.assertTrue(record["error"])


class Upgrade(Django):
    def next_release(self):
        return self.gunicorn(RELEASE="2")

    def release(self):
        return json.loads(self.page("/api/health/").text)["release"]

    def test_to_green_and_back(self):
        self.wait_healthy("backend", "green", 1)
        upload = os.urandom(1 << 20)
        seen = set()
        visitors = [self.visitors("/api/users/", "/", "/static/admin/base.css"),
                    self.visitors("/api/orders/", keep=lambda answer: seen.add(json.loads(answer.text)["release"])),
                    self.visitors("/api/upload/", count=1, method="POST", body=upload)]
        visitors[1].wait_for_more(20)
        self.assertEqual(self.release(), "1")
        self.run_ok("switch", "backend", "green", "--wait")
        self.assertEqual(self.release(), "2")
        visitors[1].wait_for_more(20)
        self.run_ok("rollback", "backend")
        self.assertEqual(self.release(), "1")
        visitors[1].wait_for_more(20)
        self.run_ok("switch", "backend", "green", "--wait")
        self.blue.close()
        for one in visitors:
            one.wait_for_more(10)
        self.assertEqual([failed for one in visitors for failed in one.stop()], [])
        self.assertEqual(seen, {"1", "2"})

    def test_the_switch_outlives_a_restart(self):
        self.wait_healthy("backend", "green", 1)
        self.run_ok("switch", "backend", "green")
        self.edge.stop()
        self.edge = self.example({key: value for key, value in self.env.items() if key != "STATE_DIR"})
        self.assertEqual(self.release(), "2")

    def test_an_upload_ends_where_it_began(self):
        self.wait_healthy("backend", "green", 1)
        body = os.urandom(200_000)
        with Client(self.edge.tls_address, tls=self.tls, server_name=self.host) as client:
            client.send_request("POST", "/api/upload/", [("Content-Length", str(len(body)))], host=self.host)
            client.send(body[:1000])
            wait_until(lambda: self.in_flight("blue"), what="the upload at blue")
            self.run_ok("switch", "backend", "green")
            client.send(body[1000:])
            self.assertEqual(json.loads(client.read_response("POST").text)["sha256"], hashlib.sha256(body).hexdigest())
        self.assertEqual(self.edge.wait_access(lambda record: record["method"] == "POST")["pool"], "blue")

    def in_flight(self, pool):
        told = next(one for one in self.status()["upstreams"] if one["name"] == "backend")
        return sum(row["in_flight"] for one in told["pools"] if one["name"] == pool for row in one["servers"])


class BadUpgrade(Django):
    def next_release(self):
        return self.gunicorn(RELEASE="2", HEALTH="down")

    def test_is_refused_and_nobody_notices(self):
        self.assertIn("green", self.run_ok("switch", "backend", "green", code=1))
        self.assertEqual(json.loads(self.page("/api/users/").text)["release"], "1")


@unittest.skipUnless(BROWSER, "no chromium")
class InTheBrowser(Django):
    def setUp(self):
        super().setUp()
        self.browser = Browser(self.folder(), ["shop.test"])
        self.addCleanup(self.browser.close)
        self.root = f"https://shop.test:{self.edge.tls_address[1]}"

    def test_deep_links_and_assets(self):
        for path in ("/", "/orders/7", "/merchant/other/deep/link"):
            with self.subTest(path):
                page = Page(self.browser)
                page.open(self.root + path)
                page.until("document.getElementById('backend').textContent.includes('/users/?page=1')")
                self.assertEqual(page.value("document.getElementById('path').textContent"), path)
                self.assertTrue(page.value("JSON.parse(document.getElementById('backend').textContent).secure"))
                assets = page.value("performance.getEntriesByType('resource').map((one) => new URL(one.name).pathname)")
                self.assertIn("/assets/app-5d2c8f01.js", assets)
                self.assertEqual(page.complaints(), [])

    def test_a_page_of_its_own(self):
        page = Page(self.browser)
        page.open(self.root + "/merchant/admin")
        self.assertEqual(page.value("location.pathname"), "/merchant/admin")
        self.assertEqual(page.value("document.querySelector('h1').textContent"), "Merchant: admin")
        page.until("document.getElementById('backend').textContent.includes('/users/?page=1')")
        self.assertEqual(page.complaints(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
