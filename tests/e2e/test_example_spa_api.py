# SPDX-License-Identifier: Apache-2.0
"""examples/spa-api: a single-page application and an API of the standard library alone."""

import hashlib
import json
import os
import re
import unittest

from client import Client
from examples import NAVIGATION, ExampleTest


class SpaApi(ExampleTest):
    def setUp(self):
        self.copied("spa-api")
        backend = self.backend(["/usr/bin/python3", "backend.py"], self.place, r"listening on http://127\.0\.0\.1:(\d+)", {"PORT": "0"})
        self.edge = self.example({"LISTEN": "127.0.0.1:0", "BACKEND": backend.address}, 1)

    def test_application(self):
        page = self.edge.fetch("/", headers=NAVIGATION)
        self.assertEqual(page.status, 200)
        self.assertIn("<html", page.text.lower())
        assets = re.findall(r"(?:src|href)=\"(/[^\"]+\.(?:js|css|svg))\"", page.text)
        self.assertTrue(assets)
        for asset in assets:
            with self.subTest(asset):
                response = self.edge.fetch(asset)
                self.assertEqual(response.status, 200)
                self.assertEqual(response.body, (self.place / "dist" / asset.lstrip("/")).read_bytes())
        self.assertEqual(self.edge.fetch("/deep/link", headers=NAVIGATION).body, page.body)
        missing = self.edge.fetch("/assets/missing-12345678.js")
        self.assertEqual((missing.status, missing.header("Cache-Control")), (404, "no-store"))
        self.assertEqual(self.edge.fetch("/healthz").text, "ok")

    def test_api(self):
        hello = json.loads(self.edge.fetch("/api/hello").text)
        self.assertEqual((hello["client"], hello["scheme"]), ("127.0.0.1", "http"))
        self.assertTrue(hello["request_id"])
        body = os.urandom(20 << 20)
        done = json.loads(self.edge.fetch("/api/upload", "POST", body=body).text)
        self.assertEqual(done, {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()})
        self.assertEqual(self.edge.fetch("/api/upload", "POST", body=body + b"x").status, 413)
        self.assertEqual(self.edge.fetch("/api/nothing").status, 404)

    def test_events(self):
        with Client(self.edge.address) as client:
            client.send_request(target="/api/events")
            head = client.read_final_head()
            self.assertEqual(head.header("Content-Type"), "text/event-stream")
            self.assertIn(b'"number": 0', client.reader.until(b"\n\n"))
            self.assertIn(b'"number": 1', client.reader.until(b"\n\n"))

    def test_check_and_explain(self):
        self.check_and_explain(("http://localhost:8080/api/hello", "/api/*"), ("http://localhost:8080/orders/7", "/*"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
