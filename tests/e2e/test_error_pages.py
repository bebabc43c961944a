# SPDX-License-Identifier: Apache-2.0
"""Error pages in place of short answers, and the maintenance switch."""

import json
import subprocess
import unittest

from client import Client
from harness import GateTest, answer, fetch, run_program, write_files
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
        text = "sites:\n  - error_pages: { 404: /pages/404.html }\n    routes: [{ path: /*, respond: { status: 204 } }]\n"
        (folder / "h.yaml").write_text(text)
        done = run_program("check", "-c", folder / "h.yaml")
        lost = "no route of the site has /pages/404.html, from files or as a respond with a body"
        message = f"h.yaml:2:25: sites[0].error_pages: {lost}"
        self.assertEqual(done.returncode, 1)
        self.assertIn(message, done.stdout + done.stderr)
        gate = self.gate("sites: [{ routes: [{ path: /*, respond: { body: x } }] }]\n")
        gate.write(text)
        done = gate.command("reload")
        self.assertEqual(done.returncode, 1)
        self.assertIn(lost, done.stdout + done.stderr)
        self.assertEqual(gate.fetch("/").text, "x")


MAINTENANCE = "hosts: [shop.example, www.shop.example]\n    maintenance: { except: [/healthz], retry_after: 5m, message: Back at noon }"


class Maintenance(PagesTest):
    def shop(self, site=MAINTENANCE, top="trusted_proxies: [127.0.0.1]\n", **more):
        routes = "      - { path: /healthz, respond: { body: ok } }\n"
        return self.site(routes, site, top, static="index: [index.html]", **more)

    def ask(self, gate, target="/", client=None, **more):
        headers = [("X-Forwarded-For", client)] if client else []
        return gate.fetch(target, headers=headers, host="shop.example", **more)

    def run_ok(self, gate, *arguments):
        done = gate.command("maintenance", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_on_and_off(self):
        gate = self.shop()
        self.assertEqual(self.ask(gate).status, 200)
        said = self.run_ok(gate, "on", "www.shop.example", "--allow", "192.0.2.0/24", "--allow", "10.0.0.0/8")
        self.assertEqual(said, "shop.example: in maintenance; clients are told to come back in 5m; "
                               "those of 192.0.2.0/24, 10.0.0.0/8 pass\n")
        closed = self.ask(gate)
        self.assertEqual((closed.status, closed.header("Retry-After")), (503, "300"))
        self.assertEqual(closed.text, "503 Service Unavailable\nBack at noon\n")
        self.assertEqual(self.ask(gate, "/healthz").text, "ok")
        self.assertEqual(self.ask(gate, "/nowhere").status, 503)
        self.assertEqual(self.ask(gate, client="192.0.2.7").status, 200)
        self.assertEqual(self.ask(gate, client="198.51.100.7").status, 503)
        self.assertEqual(gate.wait_access(lambda line: line["status"] == 503)["error"], "maintenance")
        self.run_ok(gate, "on", "shop.example", "--retry-after", "30s", "--message", "Soon")
        closed = self.ask(gate)
        self.assertEqual((closed.header("Retry-After"), closed.text), ("30", "503 Service Unavailable\nSoon\n"))
        self.assertEqual(self.run_ok(gate, "off", "shop.example"), "shop.example: open\n")
        self.assertEqual(self.ask(gate).status, 200)
        self.assertEqual(self.run_ok(gate, "off", "shop.example"), "shop.example: open\n")

    def test_what_is_seen_of_it(self):
        gate = self.shop()
        self.assertIn('headgate_maintenance{site="shop.example"} 0', fetch(str(gate.admin)[5:], "/metrics").text)
        self.run_ok(gate, "on", "shop.example")
        self.assertIn('headgate_maintenance{site="shop.example"} 1', fetch(str(gate.admin)[5:], "/metrics").text)
        self.assertRegex(gate.command("status").stdout, r"site shop\.example: in maintenance for \d+s \(override of the file\)")
        override = json.loads(gate.command("status", "--json").stdout)["overrides"][0]
        self.assertEqual((override["site"], override["maintenance"], override["in_effect"]), ("shop.example", True, True))
        self.run_ok(gate, "off", "shop.example")
        self.assertEqual(json.loads(gate.command("status", "--json").stdout)["overrides"], [])

    def test_reloads_and_restarts_leave_it(self):
        folder = self.folder()
        gate = self.shop(folder=folder)
        self.run_ok(gate, "on", "shop.example", "--allow", "192.0.2.7")
        gate.reload()
        self.assertEqual(self.ask(gate).status, 503)
        text = gate.file.read_text()
        gate.reload(text.replace("[shop.example, www.shop.example]", "[other.example]"))
        self.assertEqual(gate.fetch("/", host="other.example").status, 200)
        self.assertIn("site shop.example: in maintenance", gate.command("status").stdout)
        gate.reload(text)
        gate.stop()
        again = self.gate(text, folder=folder)
        self.assertEqual(self.ask(again).status, 503)
        self.assertEqual(self.ask(again, client="192.0.2.7").status, 200)
        self.assertIn("in maintenance since before this start", again.err.text)
        self.run_ok(again, "off", "shop.example")
        again.stop()
        self.assertEqual(self.ask(self.gate(text, folder=folder)).status, 200)

    def test_with_a_page_and_cors(self):
        gate = self.shop(f"hosts: [shop.example]\n    cors: {{ origins: 'https://a.example' }}\n    {SITE}")
        self.run_ok(gate, "on", "shop.example")
        headers = [("Origin", "https://a.example")]
        closed = gate.fetch("/", headers=headers, host="shop.example")
        self.assertEqual((closed.status, closed.text, closed.header("Retry-After")), (503, PAGES["503.html"], "600"))
        self.assertEqual(closed.header("Access-Control-Allow-Origin"), "https://a.example")
        preflight = gate.fetch("/", "OPTIONS", headers=[*headers, ("Access-Control-Request-Method", "GET")], host="shop.example")
        self.assertEqual(preflight.status, 204)
        with Http2Client(gate.address) as client:
            got = client.fetch("/", authority="shop.example")
            self.assertEqual((got.status, got.body, got.header("retry-after")), (503, PAGES["503.html"].encode(), "600"))

    def test_other_sites_stay_open(self):
        gate = self.gate("sites:\n  - { hosts: [a.example], routes: [{ path: /*, respond: { body: a } }] }\n"
                         "  - { routes: [{ path: /*, respond: { body: default } }] }\n", )
        self.run_ok(gate, "on", "default")
        self.assertEqual(gate.fetch("/", host="a.example").text, "a")
        self.assertEqual(gate.fetch("/", host="b.example").status, 503)

    def test_mistakes(self):
        gate = self.shop()
        admin = str(gate.admin)[5:]
        for arguments, code, said in ((("on", "shop.exampel"), 1, "did you mean 'shop.example'?"),
                                      (("on", "shop.example", "--allow", "x"), 64, "--allow"),
                                      (("on", "shop.example", "--retry-after", "x"), 64, "--retry-after"),
                                      (("off", "shop.example", "--message", "x"), 64, "takes no options"),
                                      (("maybe", "shop.example"), 64, "")):
            done = gate.command("maintenance", *arguments)
            self.assertEqual(done.returncode, code, arguments)
            self.assertIn(said, done.stderr)
        path = "/v1/sites/shop.example/maintenance"
        for body in (b"[", b"[]", b'{"x": 1}', b'{"allow": "x"}', b'{"allow": ["x"]}', b'{"retry_after": 5}',
                     b'{"retry_after": "5ms"}', b'{"message": 1}', b'{"message": "a\\nb"}', b'{"message": "%s"}' % (b"x" * 2000)):
            self.assertEqual(fetch(admin, path, "PUT", body=body).status, 400, body)
        self.assertEqual(fetch(admin, path, "POST").status, 405)
        self.assertEqual(fetch(admin, "/v1/sites/none/maintenance", "DELETE").status, 404)
        self.assertFalse(json.loads(fetch(admin, path).text)["maintenance"])
        self.assertTrue(json.loads(fetch(admin, path, "PUT").text)["maintenance"], "without a body")


if __name__ == "__main__":
    unittest.main()
