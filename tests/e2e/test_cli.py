# SPDX-License-Identifier: Apache-2.0
"""The commands that need no running server, and their exit codes."""

import re
import unittest

from harness import GateTest, run_program, write_files

GOOD = """\
upstreams:
  api: { servers: ["127.0.0.1:8001", { address: "127.0.0.1:8002", weight: 2 }] }
sites:
  - hosts: [shop.example.test, "*.shop.example.test"]
    routes:
      - { path: /healthz, respond: { status: 200, body: ok } }
      - { path: /api/*, methods: [GET, POST], strip_prefix: /api, proxy: api, max_body: 20MiB }
      - { path: /merchant/admin*, rewrite: { regex: "^/merchant(/.*)$", to: "$1" } }
      - { path: /old/*, redirect: { to: "https://$host/new$uri", status: 301 } }
      - { path: /*, static: { root: ROOT, spa: true } }
"""


class Commands(GateTest):
    def setUp(self):
        self.place = self.folder()
        write_files(self.place, {"dist/index.html": "<app>"})
        self.file = self.write("good.yaml", GOOD.replace("ROOT", str(self.place / "dist")))

    def write(self, name, text):
        write_files(self.place, {name: text})
        return str(self.place / name)

    def test_check_good(self):
        done = run_program("check", "-c", self.file)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_check_says_everything(self):
        file = self.write("bad.yaml", "limits:\n  header_timeout: soon\n  max_headr_bytes: 1KiB\nlisteners:\n  - { address: nonsense }\n"
                          "sites:\n  - routes:\n      - { path: /a*b, proxy: nowhere }\n      - { path: /x }\n")
        done = run_program("check", "-c", file)
        self.assertEqual(done.returncode, 1)
        said = done.stdout + done.stderr
        for line, words in [(2, ("header_timeout", "soon")), (3, ("max_headr_bytes", "max_header_bytes")), (5, ("nonsense",)), (8, ("nowhere",)), (9, ())]:
            with self.subTest(line):
                found = [one for one in said.splitlines() if re.match(rf"{re.escape(file)}:{line}:\d+: ", one)]
                self.assertTrue(found, said)
                for word in words:
                    self.assertTrue(any(word in one for one in found), found)

    def test_check_looks_at_files(self):
        file = self.write("gone.yaml", 'listeners: [{ address: "127.0.0.1:0", tls: true }]\n'
                          f"tls: {{ certificates: [{{ cert: '{self.place}/no.pem', key: '{self.place}/no.key' }}] }}\n"
                          f"sites: [{{ routes: [{{ path: /*, static: {{ root: '{self.place}/nowhere' }} }}] }}]\n")
        done = run_program("check", "-c", file)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no.pem", done.stdout + done.stderr)
        self.assertIn("nowhere", done.stdout + done.stderr)

    def test_check_missing_file(self):
        done = run_program("check", "-c", str(self.place / "none.yaml"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.yaml", done.stdout + done.stderr)

    def test_not_available_yet(self):
        file = self.write("later.yaml", "rate_limits: { one: { key: $remote_addr, rate: 1/s } }\n"
                          "sites: [{ routes: [{ path: /*, respond: { status: 200 }, rate_limit: [one] }] }]\n")
        done = run_program("check", "-c", file)
        if done.returncode != 0:  # in effect, or a clear word: never silently ignored
            self.assertIn("not available yet", done.stdout + done.stderr)
            self.assertRegex(done.stdout + done.stderr, r"later\.yaml:1:\d+: ")

    def test_environment(self):
        text = "sites: [{ routes: [{ path: /*, respond: { status: 200, body: '${GREETING:-hello} ${NAME}' } }] }]\n"
        file = self.write("env.yaml", text)
        done = run_program("check", "-c", file)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout + done.stderr, r"env\.yaml:1:\d+: .*NAME")
        edge = self.gate(text, env={"NAME": "world"})
        self.assertEqual(edge.fetch().text, "hello world")

    def test_include(self):
        write_files(self.place, {"conf.d/a.yaml": "sites: [{ hosts: [a.test], routes: [{ path: /*, respond: { status: 200, body: a } }] }]\n",
                                 "conf.d/b.yaml": "sites: [{ hosts: [b.test], routes: [{ path: /*, respond: { status: 200, body: b } }] }]\n"})
        edge = self.gate("include: [conf.d/*.yaml]\n", folder=self.place)
        self.assertEqual((edge.fetch(host="a.test").text, edge.fetch(host="b.test").text), ("a", "b"))
        self.write("conf.d/c.yaml", "sites:\n  - hosts: 7x\n    routez: []\n")
        done = run_program("check", "-c", str(edge.file))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout + done.stderr, r"c\.yaml:3:\d+: .*routez")

    def test_dump(self):
        done = run_program("dump", "-c", self.file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("header_timeout: 10s", done.stdout)
        again = run_program("dump", "-c", self.write("dumped.yaml", done.stdout))
        self.assertEqual((again.returncode, again.stdout), (0, done.stdout), again.stderr)

    def explain(self, *arguments):
        done = run_program("explain", "-c", self.file, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_explain_proxy(self):
        said = self.explain("http://shop.example.test/api/users?x=1")
        for words in ("shop.example.test", "/api/*", "/users", "127.0.0.1:8001", "127.0.0.1:8002"):
            self.assertIn(words, said)

    def test_explain_conditions(self):
        said = self.explain("-X", "DELETE", "http://shop.example.test/api/users")
        self.assertRegex(said, r"(?i)method")
        self.assertIn("/*", said)

    def test_explain_rewrite(self):
        said = self.explain("http://shop.example.test/merchant/admin/x")
        self.assertIn("/admin/x", said)
        self.assertIn("index.html", said)

    def test_explain_unknown_host(self):
        done = run_program("explain", "-c", self.file, "http://other.test/")
        self.assertIn("404", done.stdout + done.stderr)

    def test_version(self):
        done = run_program("version")
        self.assertEqual(done.returncode, 0)
        for name in ("headgate", "OpenSSL", "llhttp", "Boost"):
            self.assertIn(name.lower(), done.stdout.lower())

    def test_wrong_usage_is_64(self):
        for arguments in ([], ["no-such-command"], ["serve", "--no-such-option"], ["check", "-c"], ["explain", "-c", self.file]):
            with self.subTest(arguments):
                done = run_program(*arguments)
                self.assertEqual(done.returncode, 64)
                self.assertNotEqual((done.stderr + done.stdout).strip(), "")

    def test_help(self):
        done = run_program("--help")
        self.assertEqual(done.returncode, 0)
        for command in ("serve", "check", "explain", "dump", "demo", "reload", "version"):
            self.assertIn(command, done.stdout)

    def test_serve_refuses_a_bad_file(self):
        file = self.write("bad.yaml", "sites:\n  - routes:\n      - { path: /*, prox: x }\n")
        done = run_program("serve", "-c", file)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"bad\.yaml:3:\d+: .*prox.*proxy")

    def test_default_file(self):
        folder = self.folder()
        write_files(folder, {"headgate.yaml": "sites: [{ routes: [{ path: /*, respond: { status: 200, body: x } }] }]\n"})
        self.assertEqual(run_program("check", cwd=folder).returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
