# SPDX-License-Identifier: Apache-2.0
"""examples/next-fastapi: FastAPI on uvicorn, what answers like a Next.js server, TLS 1.2 and above, HSTS, limits, Prometheus."""

import json
import re
import shutil
import ssl
import unittest

from client import Broken, Client
from examples import ExampleTest, needs_node, needs_python
from harness import client_tls, fetch

UVICORN = shutil.which("uvicorn", path="/usr/bin:/usr/local/bin")
HSTS = "max-age=63072000; includeSubDomains"
JSON = [("Content-Type", "application/json")]


@needs_node()
@needs_python("fastapi", "uvicorn")
class NextFastapi(ExampleTest):
    def setUp(self):
        self.copied("next-fastapi")
        self.backends = {release: self.uvicorn(release) for release in ("1", "2")}
        self.frontend = self.node("frontend")
        self.edge = self.example({
            **self.authority("app.example.com"), "METRICS": "127.0.0.1:0", "FRONTEND": self.frontend.address,
            "BACKEND": self.backends["1"].address, "BACKEND_NEXT": self.backends["2"].address})
        self.wait_healthy("backend", "blue", 1)

    def uvicorn(self, release):
        return self.backend([UVICORN, "main:app", "--port", "0"], self.place / "backend", r"running on http://127\.0\.0\.1:(\d+)",
                            {"RELEASE": release})

    def scraped(self):
        address = re.search(r"127\.0\.0\.1:(\d+) \(metrics\)", self.edge.wait_log(r"\(metrics\)"))
        response = fetch(("127.0.0.1", int(address.group(1))), "/metrics")
        self.assertEqual(response.status, 200)
        self.assertTrue(response.header("Content-Type").startswith("text/plain"))
        return response.text

    def exhaust(self):
        """Asks over one connection until it is refused; the refusal."""
        with Client(self.edge.tls_address, tls=self.tls, server_name=self.host) as client:
            for number in range(2000):
                response = client.request(target="/api/notes", host=self.host, headers=[("Origin", "https://docs.example.com")])
                if response.status == 429:
                    self.assertGreaterEqual(number, 50)
                    return response
                self.assertEqual(response.status, 200)
        self.fail("nothing was refused")

    def test_check_and_explain(self):
        self.check_and_explain(
            (f"https://{self.host}/api/health", "/api/health", "backend"),
            (f"https://{self.host}/api/notes", "/api/*", "backend", "api", HSTS),
            (f"https://{self.host}/_next/static/chunks/a.js", "/*", "frontend"))

    def test_health_and_api(self):
        self.assertEqual(json.loads(self.page("/api/health").text), {"status": "ok", "release": "1"})
        added = self.page("/api/notes", "POST", headers=JSON, body=b'{"text": "first"}')
        self.assertEqual((added.status, json.loads(added.text)), (201, {"number": 1, "text": "first"}))
        self.assertEqual(json.loads(self.page("/api/notes").text)["notes"], ["first"])
        self.assertEqual(self.page("/api/notes/1", "DELETE").status, 204)
        self.assertEqual(self.page("/api/notes/1", "DELETE").status, 404)
        self.assertEqual(self.page("/api/notes", "POST", headers=JSON, body=b'{"text": 1').status, 422)
        self.assertEqual(self.page("/api/notes", "POST", headers=JSON, body=b"x" * (2 << 20) + b"x").status, 413)
        self.assertEqual(json.loads(self.page("/api/whoami").text), {"client": "127.0.0.1", "scheme": "https", "host": self.host})

    def test_pages_and_assets(self):
        page = self.page("/notes/7")
        self.assertIn('<main id="page">/notes/7</main><p>Loaded later.', page.text)
        self.assertIn("no-store", page.header("Cache-Control"))
        self.assertIsNone(page.header("X-Powered-By"))
        asset = re.search(r'src="([^"]+)"', page.text).group(1)
        response = self.page(asset, headers=[("Accept-Encoding", "gzip")])
        self.assertEqual((response.status, response.header("Content-Encoding")), (200, "gzip"))
        self.assertEqual(response.header("Cache-Control"), "public, max-age=31536000, immutable")
        self.assertEqual(self.page("/_next/static/gone.js").status, 404)

    def test_old_tls_is_refused(self):
        for version, taken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
            with self.subTest(version):
                settings = client_tls(self.ca.cert)
                settings.set_ciphers("ALL:@SECLEVEL=0")  # or our own side would refuse
                settings.minimum_version = settings.maximum_version = version
                if taken:
                    self.assertEqual(fetch(self.edge.tls_address, "/api/health", tls=settings, server_name=self.host, host=self.host).status, 200)
                else:
                    with self.assertRaisesRegex((ssl.SSLError, Broken), "(?i)alert protocol version"):
                        fetch(self.edge.tls_address, "/api/health", tls=settings, server_name=self.host, host=self.host)

    def test_hsts_is_for_tls_only(self):
        for target in ("/", "/api/health"):
            self.assertEqual(self.page(target).header_list("Strict-Transport-Security"), [HSTS])
        plain = self.edge.fetch("/api/health", host=self.host)
        self.assertEqual((plain.status, plain.header("Location")), (308, f"https://{self.host}:{self.edge.tls_address[1]}/api/health"))
        self.assertIsNone(plain.header("Strict-Transport-Security"))

    def test_limits_of_the_api(self):
        refused = self.exhaust()
        self.assertGreaterEqual(int(refused.header("Retry-After")), 1)
        # A page of another origin may read that it was refused, and until when.
        self.assertEqual(refused.header("Access-Control-Allow-Origin"), "https://docs.example.com")
        self.assertEqual(refused.header("Access-Control-Expose-Headers"), "Retry-After")
        self.assertEqual(refused.header("Strict-Transport-Security"), HSTS)
        self.assertEqual(self.page("/api/health").status, 200)
        self.assertEqual(self.page("/").status, 200)
        self.assertEqual(self.preflight("/api/notes", "https://docs.example.com").status, 204)

    def test_cors(self):
        response = self.preflight("/api/notes/1", "https://docs.example.com", "DELETE", "authorization")
        self.assertEqual((response.status, response.header("Access-Control-Allow-Origin")), (204, "https://docs.example.com"))
        self.assertIn("DELETE", response.header("Access-Control-Allow-Methods"))
        self.assertIsNone(response.header("Access-Control-Allow-Credentials"))
        self.assertIsNone(self.preflight("/api/notes/1", "https://example.com.evil.example").header("Access-Control-Allow-Origin"))

    def test_prometheus(self):
        self.page("/api/health")
        self.exhaust()
        text = self.scraped()
        self.assertRegex(text, r'headgate_requests_total\{site="app.example.com",route="/api/health",method="GET",code="200"\} [1-9]')
        self.assertRegex(text, r'headgate_rate_limited_total\{limit="api"[^}]*\} [1-9]')
        self.assertRegex(text, r'headgate_upstream_healthy\{upstream="backend",pool="blue",server="127\.0\.0\.1:\d+"\} 1')
        self.assertRegex(text, r"headgate_certificate_expiry_seconds\{[^}]*app\.example\.com[^}]*\} \d{5,}")

    def test_a_new_back_end_under_load(self):
        self.wait_healthy("backend", "green", 1)
        releases = set()
        visitors = self.visitors("/api/health", "/", keep=lambda answer: releases.update(re.findall(r'"release":"(\d)"', answer.text)))
        visitors.wait_for_more(20)
        self.run_ok("switch", "backend", "green", "--wait")
        self.backends["1"].close()
        visitors.wait_for_more(50)
        self.assertEqual(visitors.stop(), [])
        self.assertEqual(releases, {"1", "2"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
