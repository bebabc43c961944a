# SPDX-License-Identifier: Apache-2.0
"""CORS as browsers meet it: preflights, answers of an origin, of files, and errors of the edge's own."""

import unittest

from harness import GateTest, answer, run_program, write_files
from http2_client import Http2Client

SHOP, ADMIN, OTHER = "https://shop.example", "https://a.admin.example", "https://evil-admin.example"
CORS = ('cors: { origins: ["https://shop.example", "https://*.admin.example"], methods: [GET, PUT], '
        "headers: [Authorization, X-A], expose_headers: [X-Total], credentials: true, max_age: 10m }")


def names(response):
    return sorted(name for name, _ in response.headers if name.lower().startswith("access-control-"))


class Cors(GateTest):
    def shop(self, handler=None):
        root = self.folder()
        write_files(root, {"a.json": "{}", "a.json.br": "x", "a.json.gz": "y"})
        origin = self.origin(handler)
        gate = self.gate(f"""
listeners: [{{ address: "127.0.0.1:0", h2c: true }}]
rate_limits: {{ once: {{ key: $remote_addr, rate: 1/h }} }}
limits: {{ max_body: 4 }}
sites:
  - routes:
      - {{ path: /api/*, methods: [GET, PUT], proxy: '{origin.url}', {CORS} }}
      - {{ path: /files/*, strip_prefix: /files, static: {{ root: {root} }}, {CORS} }}
      - {{ path: /once, respond: {{ body: x }}, rate_limit: once, {CORS} }}
      - {{ path: /down, proxy: 'http://127.0.0.1:1', {CORS} }}
      - {{ path: /plain/*, proxy: '{origin.url}' }}
      - {{ path: /public, respond: {{ body: x }}, cors: {{ origins: "*" }} }}
""")
        return gate, origin

    def preflight(self, gate, target, origin=SHOP, method="PUT", headers=()):
        return gate.fetch(target, "OPTIONS", headers=[("Origin", origin), ("Access-Control-Request-Method", method), *headers])

    def test_preflights_are_answered_here(self):
        gate, origin = self.shop()
        for asks in (SHOP, ADMIN):
            response = self.preflight(gate, "/api/x", asks, headers=[("Access-Control-Request-Headers", "x-a")])
            self.assertEqual((response.status, response.body), (204, b""))
            self.assertEqual(response.header("Access-Control-Allow-Origin"), asks)
            self.assertEqual(response.header("Access-Control-Allow-Methods"), "GET, PUT")
            self.assertEqual(response.header("Access-Control-Allow-Headers"), "Authorization, X-A")
            self.assertEqual(response.header("Access-Control-Allow-Credentials"), "true")
            self.assertEqual(response.header("Access-Control-Max-Age"), "600")
            self.assertIn("Origin", response.header("Vary"))
        refused = self.preflight(gate, "/api/x", OTHER)
        self.assertEqual((refused.status, names(refused)), (204, []))
        self.assertIn("Origin", refused.header("Vary"))
        self.assertEqual(origin.requests, [])
        self.assertEqual(gate.wait_access(lambda line: line["error"] == "cors_origin")["route"], "/api/*")
        # No route takes a DELETE.
        self.assertEqual(self.preflight(gate, "/api/x", method="DELETE").status, 404)

    def test_without_cors_the_application_answers(self):
        gate, origin = self.shop(lambda request, connection: answer(headers=[("Access-Control-Allow-Origin", "*")]))
        response = self.preflight(gate, "/plain/x")
        self.assertEqual((response.status, response.header_list("Access-Control-Allow-Origin")), (200, ["*"]))
        self.assertEqual(origin.requests[0].method, "OPTIONS")
        self.assertIsNone(response.header("Vary"))
        # An OPTIONS that is no preflight is a request like any other, and here there is no route for it.
        self.assertEqual(gate.fetch("/api/x", "OPTIONS", headers=[("Origin", SHOP)]).status, 404)

    def test_answers(self):
        gate, _ = self.shop(lambda request, connection: answer(headers=[("Vary", "Accept")]))
        for asks, allowed in ((SHOP, True), (ADMIN, True), (OTHER, False), ("null", False), (None, False)):
            with self.subTest(origin=asks):
                response = gate.fetch("/api/x", headers=[("Origin", asks)] if asks else [])
                self.assertEqual(response.header_list("Access-Control-Allow-Origin"), [asks] if allowed else [])
                self.assertEqual(response.header("Access-Control-Expose-Headers"), "X-Total" if allowed else None)
                self.assertEqual(response.header_list("Vary"), ["Accept, Origin"])
        public = gate.fetch("/public")
        self.assertEqual((public.header("Access-Control-Allow-Origin"), public.header("Vary")), ("*", None))

    def test_an_applications_own_stays_once(self):
        own = [("Access-Control-Allow-Origin", "https://own.example"), ("Access-Control-Allow-Origin", "*")]
        gate, _ = self.shop(lambda request, connection: answer(headers=own))
        response = gate.fetch("/api/x", headers=[("Origin", SHOP)])
        self.assertEqual(names(response), ["Access-Control-Allow-Origin"])
        self.assertEqual(response.header("Access-Control-Allow-Origin"), "https://own.example")

    def test_files_and_304(self):
        gate, _ = self.shop()
        asked = [("Origin", SHOP), ("Accept-Encoding", "gzip")]
        response = gate.fetch("/files/a.json", headers=asked)
        self.assertEqual(response.header_list("Vary"), ["Accept-Encoding, Origin"])
        self.assertEqual(response.header("Access-Control-Allow-Origin"), SHOP)
        again = gate.fetch("/files/a.json", headers=[*asked, ("If-None-Match", response.header("ETag"))])
        self.assertEqual(again.status, 304)
        self.assertEqual(again.header("Access-Control-Allow-Origin"), SHOP)
        self.assertEqual(again.header_list("Vary"), ["Accept-Encoding, Origin"])

    def test_our_own_errors_can_be_read(self):
        gate, _ = self.shop()
        asked = [("Origin", SHOP)]
        answers = {"404": gate.fetch("/files/none", headers=asked), "502": gate.fetch("/down", headers=asked),
                   "413": gate.fetch("/api/x", "PUT", headers=asked, body=b"too long")}
        gate.fetch("/once", headers=asked)
        answers["429"] = gate.fetch("/once", headers=asked)
        for status, response in answers.items():
            self.assertEqual(response.status, int(status))
            self.assertEqual(response.header_list("Access-Control-Allow-Origin"), [SHOP], status)
            self.assertIn("Origin", response.header("Vary"))

    def test_over_http2(self):
        gate, _ = self.shop()
        with Http2Client(gate.address) as client:
            got = client.fetch("/api/x", method="OPTIONS", headers=[("origin", ADMIN), ("access-control-request-method", "PUT")])
            self.assertEqual((got.status, got.header("access-control-allow-origin")), (204, ADMIN))
            got = client.fetch("/api/x", headers=[("origin", ADMIN)])
            self.assertEqual((got.status, got.header("access-control-allow-origin"), got.header("vary")), (200, ADMIN, "Origin"))
            got = client.fetch("/files/none", headers=[("origin", OTHER)])
            self.assertEqual((got.status, got.header("access-control-allow-origin"), got.header("vary")), (404, None, "Origin"))

    def test_mistakes_have_a_place(self):
        folder = self.folder()
        (folder / "h.yaml").write_text('sites:\n  - cors: { origins: "*", credentials: true }\n    routes: '
                                       '[{ path: /, respond: {}, cors: { origins: "https://a.example/x" } }]\n')
        done = run_program("check", "-c", folder / "h.yaml")
        self.assertEqual(done.returncode, 1)
        self.assertIn('h.yaml:2:40: sites[0].cors.credentials: expected false beside the origin "*"', done.stderr + done.stdout)
        self.assertIn("an origin has no path", done.stderr + done.stdout)

    def test_explain(self):
        gate, _ = self.shop()

        def said(*arguments):
            done = run_program("explain", "-c", gate.file, *arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        self.assertIn(f"the origin {OTHER} is not allowed", said("-H", f"Origin: {OTHER}", "http://a/files/x"))
        self.assertIn(f"Access-Control-Allow-Origin: {SHOP} (cors)", said("-H", f"Origin: {SHOP}", "http://a/files/x"))
        text = said("-X", "OPTIONS", "-H", f"Origin: {SHOP}", "-H", "Access-Control-Request-Method: PUT", "http://a/api/x")
        self.assertIn("204, a preflight is answered here", text)
        self.assertIn("Access-Control-Allow-Methods: GET, PUT (cors)", text)
        self.assertNotIn("a preflight", said("-X", "OPTIONS", "-H", f"Origin: {SHOP}", "http://a/files/x"))


if __name__ == "__main__":
    unittest.main()
