# SPDX-License-Identifier: Apache-2.0
"""The admin API, as its clients see it."""

import json
import unittest

from harness import GateTest, fetch, run_program, write_files

ONE = "sites: [{ routes: [{ path: /*, respond: { status: 200, body: one } }] }]\n"
TWO = "sites: [{ routes: [{ path: /*, respond: { status: 200, body: two } }] }]\n"


class Admin(GateTest):
    def ask(self, edge, target, method="GET", **more):
        response = fetch(edge.admin.removeprefix("unix:"), target, method, **more)
        kind = response.header("Content-Type") or ""
        return response.status, json.loads(response.body) if "json" in kind else response.text

    def test_health_and_readiness(self):
        edge = self.gate(ONE)
        self.assertEqual(self.ask(edge, "/healthz")[0], 200)
        self.assertEqual(self.ask(edge, "/readyz")[0], 200)

    def test_status(self):
        edge = self.gate("upstreams: { api: { servers: ['127.0.0.1:1', { address: '127.0.0.1:2', weight: 3 }] } }\n"
                         "sites: [{ routes: [{ path: /api/*, proxy: api }, { path: /*, respond: { status: 200, body: x } }] }]\n")
        status, said = self.ask(edge, "/v1/status")
        self.assertEqual(status, 200)
        self.assertEqual(said["listeners"][0]["address"], f"127.0.0.1:{edge.port}")
        self.assertIn("127.0.0.1:2", json.dumps(said["upstreams"]))
        before = said["requests"]
        for _ in range(3):
            edge.fetch()
        edge.wait_access(count=3)
        self.assertEqual(self.ask(edge, "/v1/status")[1]["requests"], before + 3, "admin calls do not count")
        done = edge.command("status", "--json")
        self.assertEqual((done.returncode, json.loads(done.stdout)["generation"]), (0, 1))
        done = edge.command("status")
        self.assertEqual(done.returncode, 0)
        self.assertIn("api", done.stdout)

    def test_reload(self):
        edge = self.gate(ONE)
        edge.write(TWO)
        self.assertEqual(self.ask(edge, "/v1/reload", "POST")[0], 200)
        self.assertEqual(edge.fetch().text, "two")
        edge.write("sites: nonsense\n")
        status, said = self.ask(edge, "/v1/reload", "POST")
        self.assertTrue(400 <= status < 500)
        self.assertRegex(said["error"]["message"], r":1:\d+")
        self.assertTrue(said["error"]["code"])
        self.assertEqual(edge.fetch().text, "two")

    def test_reading_does_not_reload(self):
        edge = self.gate(ONE)
        edge.write(TWO)
        status, said = self.ask(edge, "/v1/reload", "GET")
        self.assertTrue(400 <= status < 500)
        self.assertIn("error", said)
        self.assertEqual(edge.fetch().text, "one")

    def test_config(self):
        edge = self.gate(ONE)
        status, said = self.ask(edge, "/v1/config")
        self.assertEqual(status, 200)
        self.assertIn("header_timeout", json.dumps(said))

    def test_unknown_resource(self):
        status, said = self.ask(self.gate(ONE), "/v1/nothing")
        self.assertEqual(status, 404)
        self.assertTrue(said["error"]["code"] and said["error"]["message"])

    def test_it_is_not_on_the_public_listener(self):
        edge = self.gate(ONE)
        self.assertEqual(edge.fetch("/v1/status").text, "one")
        self.assertEqual(edge.fetch("/healthz").text, "one")

    def test_socket_is_its_owners(self):
        edge = self.gate(ONE, umask=0)
        self.assertEqual((edge.folder / "admin.sock").stat().st_mode & 0o077, 0)

    def test_token(self):
        folder = self.folder()
        write_files(folder, {"token": "s3cret-s3cret-s3cret\n"})
        edge = self.gate(f"admin: {{ listen: 'unix:{folder}/admin.sock', token_file: '{folder}/token' }}\n" + ONE, folder=folder)
        self.assertEqual(self.ask(edge, "/healthz")[0], 200)
        self.assertEqual(self.ask(edge, "/v1/status")[0], 401)
        self.assertEqual(self.ask(edge, "/v1/status", headers=[("Authorization", "Bearer wrong")])[0], 401)
        self.assertEqual(self.ask(edge, "/v1/status", headers=[("Authorization", "Bearer s3cret-s3cret-s3cret")])[0], 200)
        done = edge.command("reload")
        self.assertEqual(done.returncode, 0, done.stderr)  # the token of the configuration in reach

    def test_public_address_needs_a_token(self):
        folder = self.folder()
        write_files(folder, {"headgate.yaml": "admin: { listen: '0.0.0.0:0' }\n" + ONE})
        done = run_program("check", cwd=folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn("token_file", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
