# SPDX-License-Identifier: Apache-2.0
"""The examples as their READMEs describe them: their own headgate.yaml, their files, their backends as real processes."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import unittest

from certs import Authority
from client import Client
from harness import GateTest, Lines, ROOT, client_tls, fetch, run_program

NAVIGATION = [("Accept", "text/html,*/*;q=0.8"), ("Sec-Fetch-Mode", "navigate")]


class ExampleTest(GateTest):
    def copied(self, name):
        """The example in a folder of its own."""
        folder = self.folder() / name
        shutil.copytree(ROOT / "examples" / name, folder)
        return folder

    def backend(self, command, folder, pattern, env):
        """Starts a backend process and returns the port that it says it listens on."""
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   env={**os.environ, **env})

        def end():
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stderr.close()

        self.addCleanup(end)
        lines = Lines(process.stderr)
        found = lines.wait(lambda said: next((m.group(1) for m in (re.search(pattern, line) for line in said) if m), None), timeout=30)
        self.assertTrue(found, f"the backend did not start:\n{lines.text}")
        return int(found)

    def example(self, folder, env, listeners):
        """Runs the example's file as it is."""
        text = (folder / "headgate.yaml").read_text()
        return self.gate(text, folder=folder, env=env, listeners=listeners, defaults=False)


class SpaApi(ExampleTest):
    def setUp(self):
        self.place = self.copied("spa-api")
        port = self.backend(["/usr/bin/python3", "backend.py"], self.place, r"listening on http://127\.0\.0\.1:(\d+)", {"PORT": "0"})
        self.edge = self.example(self.place, {"LISTEN": "127.0.0.1:0", "BACKEND": f"127.0.0.1:{port}", "STATE_DIR": str(self.place)}, 1)

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
        env = {"STATE_DIR": str(self.place)}
        done = run_program("check", "-c", "headgate.yaml", cwd=self.place, env=env)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        done = run_program("explain", "-c", "headgate.yaml", "http://localhost:8080/api/hello", cwd=self.place, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("/api/*", done.stdout)


class DjangoSpa(ExampleTest):
    def setUp(self):
        self.place = self.copied("django-spa")
        port = self.backend(["gunicorn", "--bind", "127.0.0.1:0", "--workers", "2", "app:application"], self.place / "backend",
                            r"Listening at: http://127\.0\.0\.1:(\d+)", {"PYTHONDONTWRITEBYTECODE": "1"})
        authority = Authority(self.place / "ca")
        cert, key = authority.issue("shop.test")
        self.edge = self.example(self.place, {
            "LISTEN": "127.0.0.2:0", "LISTEN_TLS": "127.0.0.1:0", "CERT": cert, "KEY": key, "BACKEND": f"127.0.0.1:{port}",
            "STATIC_ROOT": str(self.place / "backend/staticfiles"), "FRONTEND": str(self.place / "frontend"),
            "STATE_DIR": str(self.place / "ca")}, 2)
        self.tls = client_tls(authority.cert)

    def page(self, target, method="GET", **more):
        return fetch(self.edge.tls_address, target, method, tls=self.tls, server_name="shop.test", host="shop.test", **more)

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


if __name__ == "__main__":
    unittest.main(verbosity=2)
