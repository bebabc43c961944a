# SPDX-License-Identifier: Apache-2.0
"""What sites say in the heads of their answers: response_headers, security_headers, and what explain tells of them."""

import shutil
import tempfile
import textwrap
import unittest

from certs import Authority
from harness import GateTest, answer, client_tls, fetch, run_program, write_files
from http2_client import Http2Client

STRICT = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "SAMEORIGIN",
          "Referrer-Policy": "strict-origin-when-cross-origin"}
CSP = ("default-src 'self'; script-src 'self' 'nonce-r4nd0m+/=' 'strict-dynamic'; style-src 'unsafe-inline'; "
       "img-src * data:; report-uri https://r.example/?a=1&b=%22;")

CONFIG = """
rate_limits: {{ once: {{ key: $remote_addr, rate: 1/h }} }}
sites:
  - security_headers: strict
    response_headers: {{ set: {{ Content-Security-Policy: "{csp}", X-Who: site }}, remove: [Server] }}
    routes:
      - {{ path: /app/*, strip_prefix: /app, static: {{ root: {root} }} }}
      - {{ path: /old, redirect: {{ to: /app/ }} }}
      - {{ path: /once, respond: {{ body: x }}, rate_limit: once }}
      - path: /api/*
        proxy: '{origin}'
        response_headers: {{ set: {{ X-Who: route, X-Host: "$host for $$5" }}, remove: [X-Frame-Options], add: {{ X-More: a }} }}
"""


class Headers(GateTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.mkdtemp(prefix="headgate-ca-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.authority = Authority(folder)
        cls.cert, cls.key = cls.authority.issue("localhost")

    def strict_gate(self, handler=None):
        root = self.folder()
        write_files(root, {"index.html": "<p>home</p>"})
        origin = self.origin(handler or (lambda request, connection: answer(headers=[("Server", "app"), ("X-Who", "app")])))
        top = (f"listeners: [{{ address: '127.0.0.1:0', h2c: true }}, {{ address: '127.0.0.1:0', tls: true }}]\n"
               f"tls: {{ certificates: [{{ cert: '{self.cert}', key: '{self.key}' }}] }}\n")
        text = textwrap.dedent(CONFIG).format(csp=CSP, root=root, origin=origin.url)
        return self.gate(top + text, listeners=2)

    def assert_strict(self, response):
        for name, value in STRICT.items():
            self.assertEqual(response.header_list(name), [value], name)
        self.assertEqual(response.header_list("Content-Security-Policy"), [CSP])
        self.assertEqual(response.header_list("X-Who"), ["site"])

    def test_every_answer_has_them(self):
        gate = self.strict_gate()
        etag = gate.fetch("/app/").header("ETag")
        for target, status, headers in (("/app/", 200, []), ("/app/", 304, [("If-None-Match", etag)]), ("/app/no", 404, []),
                                        ("/old", 308, []), ("/nowhere", 404, []), ("/%zz", 400, []), ("/once", 200, []),
                                        ("/once", 429, [])):
            with self.subTest(target=target, status=status):
                response = gate.fetch(target, headers=headers)
                self.assertEqual(response.status, status)
                self.assert_strict(response)
                self.assertIsNone(response.header("Strict-Transport-Security"), "in clear")

    def test_the_redirect_to_tls_does_not_carry_what_is_for_tls(self):
        gate = self.gate(f"""
            listeners: [{{ address: "127.0.0.1:0" }}, {{ address: "127.0.0.1:0", tls: true }}]
            tls: {{ certificates: [{{ cert: '{self.cert}', key: '{self.key}' }}] }}
            sites:
              - https: redirect
                response_headers: {{ set: {{ Strict-Transport-Security: "max-age=600", X-Who: site }} }}
                routes: [{{ path: /*, respond: {{ body: x }} }}]
            """, listeners=2)
        response = gate.fetch("/")
        self.assertEqual((response.status, response.header("X-Who")), (308, "site"))
        self.assertIsNone(response.header("Strict-Transport-Security"))
        response = fetch(gate.tls_address, tls=client_tls(self.authority.cert), server_name="localhost", host="localhost")
        self.assertEqual(response.header("Strict-Transport-Security"), "max-age=600")

    def test_the_route_has_the_last_word(self):
        response = self.strict_gate().fetch("/api/x")
        self.assertEqual(response.header_list("X-Who"), ["route"])
        self.assertEqual(response.header_list("X-Host"), ["example.test for $5"])
        self.assertEqual(response.header_list("X-More"), ["a"])
        self.assertIsNone(response.header("X-Frame-Options"))
        self.assertIsNone(response.header("Server"))
        self.assertEqual(response.header("X-Content-Type-Options"), "nosniff")

    def test_an_applications_own_go_first(self):
        own = [("Referrer-Policy", "no-referrer"), ("strict-transport-security", "max-age=5; includeSubDomains")]
        gate = self.strict_gate(lambda request, connection: answer(headers=own))
        response = fetch(gate.tls_address, "/api/x", tls=client_tls(self.authority.cert), server_name="localhost")
        self.assertEqual(response.header_list("Referrer-Policy"), ["no-referrer"])
        self.assertEqual(response.header_list("Strict-Transport-Security"), ["max-age=5; includeSubDomains"])

    def test_hsts_over_tls(self):
        gate = self.strict_gate()
        response = fetch(gate.tls_address, "/app/", tls=client_tls(self.authority.cert), server_name="localhost")
        self.assertEqual(response.header_list("Strict-Transport-Security"), ["max-age=31536000"])
        with Http2Client(gate.tls_address, tls=client_tls(self.authority.cert)) as client:
            for path, status in (("/app/", 200), ("/nowhere", 404), ("/api/x", 200)):
                got = client.fetch(path, scheme="https")
                self.assertEqual(got.status, status)
                self.assertEqual(got.header("strict-transport-security"), "max-age=31536000")
                self.assertEqual(got.header("content-security-policy"), CSP)

    def test_off_adds_nothing(self):
        gate = self.gate("sites: [{ security_headers: off, routes: [{ path: /, respond: { body: x } }] }]")
        names = {name.lower() for name, _ in gate.fetch("/").headers}
        self.assertEqual(names & {name.lower() for name in STRICT}, set())

    def test_explain_tells_who_says_what(self):
        gate = self.strict_gate()

        def said(*arguments):
            done = run_program("explain", "-c", gate.file, *arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        text = said("https://localhost/api/x")
        self.assertIn("Strict-Transport-Security: max-age=31536000 (security_headers)", text)
        self.assertIn("X-Who: route (the route, in place of the site)", text)
        self.assertIn("no X-Frame-Options (removed by the route)", text)
        self.assertIn("X-Host: localhost for $5 <- $host for $$5 (the route)", text)
        self.assertIn("no Server (removed by the site)", text)
        self.assertIn("X-More: a (added by the route)", text)
        self.assertNotIn("X-Frame-Options: SAMEORIGIN", text)
        text = said("http://localhost/nowhere")
        self.assertNotIn("Strict-Transport-Security", text)
        self.assertIn("X-Frame-Options: SAMEORIGIN (security_headers)", text)


if __name__ == "__main__":
    unittest.main()
