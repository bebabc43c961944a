# SPDX-License-Identifier: Apache-2.0
"""Error pages in place of short answers."""

import subprocess
import unittest

from client import Client
from harness import GateTest, answer, run_program, write_files
from http2_client import Http2Client

PAGES = {"404.html": "<h1>not here</h1>", "5xx.html": "<h1>sorry</h1>", "503.html": "<h1>back soon</h1>",
         "404.html.gz": b"", "index.html": "<h1>the application</h1>", "assets/x.js": "1"}
SITE = "error_pages: { 404: /404.html, 429: /gone.html, 503: /503.html, 5xx: /5xx.html }"


class PagesTest(GateTest):
    def site(self, routes="", site=SITE, top="", static="spa: true", **more):
        self.root = self.folder()
        write_files(self.root, {name: text for name, text in PAGES.items() if text})
        self.text = (f"listeners: [{{ address: '127.0.0.1:0', h2c: true }}]\n{top}sites:\n  - {site}\n    routes:\n{routes}"
                     f"      - {{ path: /*, static: {{ root: {self.root}, {static} }} }}\n")
        return self.gate(self.text, **more)


class Pages(PagesTest):
    def test_own_errors(self):
        gate = self.site("      - { path: /down, proxy: 'http://127.0.0.1:1' }\n")
        missing = gate.fetch("/assets/y.js")
        self.assertEqual((missing.status, missing.text), (404, PAGES["404.html"]))
        self.assertEqual(missing.header("Content-Type"), "text/html; charset=utf-8")
        self.assertEqual(missing.header("Cache-Control"), "no-store")
        self.assertIsNone(missing.header("ETag"))
        down = gate.fetch("/down")
        self.assertEqual((down.status, down.text), (502, PAGES["5xx.html"]))
        head = gate.fetch("/down", "HEAD")
        self.assertEqual((head.status, head.header("Content-Length"), head.body), (502, str(len(PAGES["5xx.html"])), b""))
        # The page itself, asked for by its name, is a file like any other.
        page = gate.fetch("/404.html")
        self.assertEqual((page.status, page.text), (200, PAGES["404.html"]))
        self.assertEqual(gate.wait_access(lambda line: line["uri"] == "/assets/y.js")["error"], "not_found")

    def test_scripts_get_the_short_answer(self):
        gate = self.site()
        script = gate.fetch("/assets/y.js", headers=[("Accept", "application/json")])
        self.assertEqual((script.status, script.text), (404, "404 Not Found\n"))
        person = gate.fetch("/assets/y.js", headers=[("Accept", "text/html,application/json;q=0.9")])
        self.assertEqual(person.text, PAGES["404.html"])

    def test_over_http2(self):
        gate = self.site("      - { path: /down, proxy: 'http://127.0.0.1:1' }\n")
        with Http2Client(gate.address) as client:
            got = client.fetch("/down")
            self.assertEqual((got.status, got.body), (502, PAGES["5xx.html"].encode()))
            got = client.fetch("/assets/y.js", method="HEAD")
            self.assertEqual((got.status, got.body), (404, b""))
            # A call of gRPC never gets one.
            got = client.fetch("/down", method="POST", headers=[("content-type", "application/grpc"), ("te", "trailers")])
            self.assertEqual((got.status, got.header("grpc-status"), got.body), (200, "14", b""))

    def test_a_page_that_cannot_be_had(self):
        gate = self.site(top="rate_limits: { once: { key: $remote_addr, rate: 1/h } }\n",
                         routes="      - { path: /once, respond: { body: x }, rate_limit: once }\n")
        gate.fetch("/once")
        limited = gate.fetch("/once")
        self.assertEqual(limited.status, 429)
        self.assertTrue(limited.text.startswith("429 Too Many Requests\n"), "and not index.html")
        write_files(self.root, {"gone.html": "<h1>slow down</h1>"})
        other = self.gate(self.text)
        other.fetch("/once")
        limited = other.fetch("/once")
        self.assertEqual((limited.status, limited.text), (429, "<h1>slow down</h1>"))
        self.assertIsNotNone(limited.header("Retry-After"))
        self.assertIsNotNone(limited.header("RateLimit-Policy"))

    def test_an_upstreams_errors(self):
        def handler(request, connection):
            if request.target == "/api/fine":
                return answer()
            headers = [("Content-Type", "text/plain"), ("ETag", '"x"'), ("Set-Cookie", "a=b"), ("Retry-After", "3")]
            return answer(503, b"x" * 100_000 if request.target == "/api/large" else b"down", headers)
        origin = self.origin(handler)
        routes = f"      - {{ path: /api/*, proxy: '{origin.url}' }}\n"
        left = self.site(routes).fetch("/api/x")
        self.assertEqual((left.status, left.text), (503, "down"))
        gate = self.site(routes, site=f"{SITE}\n    error_pages_intercept: true")
        with Client(gate.address) as client:
            for target in ("/api/x", "/api/large", "/api/y"):
                replaced = client.request(target=target)
                self.assertEqual((replaced.status, replaced.text), (503, PAGES["503.html"]))
                self.assertEqual(replaced.header("Set-Cookie"), "a=b")
                self.assertEqual(replaced.header("Retry-After"), "3")
                self.assertIsNone(replaced.header("ETag"))
                self.assertEqual(replaced.header_list("Content-Type"), ["text/html; charset=utf-8"])
            script = client.request(target="/api/x", headers=[("Accept", "application/json")])
            self.assertEqual(script.text, "down")
            self.assertEqual(client.request(target="/api/fine").text, "ok")

    def test_compressed_pages(self):
        gate = self.site(static="precompressed: [gzip]")
        write_files(self.root, {"5xx.html": "long " * 100})
        subprocess.run(["gzip", "-k", "5xx.html"], cwd=self.root, check=True, timeout=20)
        gate = self.gate(f"sites: [{{ {SITE}, routes: [{{ path: /down, proxy: 'http://127.0.0.1:1' }}, "
                         f"{{ path: /*, static: {{ root: {self.root} }} }}] }}]\n")
        response = gate.fetch("/down", headers=[("Accept-Encoding", "gzip")])
        self.assertEqual((response.status, response.header("Content-Encoding")), (502, "gzip"))
        self.assertEqual(response.body, (self.root / "5xx.html.gz").read_bytes())

    def test_a_page_that_no_route_serves_is_a_mistake(self):
        folder = self.folder()
        text = "sites:\n  - error_pages: { 404: /pages/404.html }\n    routes: [{ path: /*, respond: { body: x } }]\n"
        (folder / "h.yaml").write_text(text)
        done = run_program("check", "-c", folder / "h.yaml")
        message = "h.yaml:2:25: sites[0].error_pages: no route of the site serves /pages/404.html from files"
        self.assertEqual(done.returncode, 1)
        self.assertIn(message, done.stdout + done.stderr)
        gate = self.gate("sites: [{ routes: [{ path: /*, respond: { body: x } }] }]\n")
        gate.write(text)
        done = gate.command("reload")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no route of the site serves /pages/404.html from files", done.stdout + done.stderr)
        self.assertEqual(gate.fetch("/").text, "x")


if __name__ == "__main__":
    unittest.main()
