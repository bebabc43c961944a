# SPDX-License-Identifier: Apache-2.0
"""`headgate demo`: one process, loopback only, no files; Ctrl-C leaves nothing behind."""

import os
import pathlib
import re
import signal
import subprocess
import unittest

from harness import PROGRAM, GateTest, Lines, client_tls, fetch


class Demo(GateTest):
    def setUp(self):
        self.temporary = self.folder()
        self.process = subprocess.Popen([PROGRAM, "demo"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        cwd=self.temporary, env={**os.environ, "TMPDIR": str(self.temporary)})
        self.addCleanup(self.end)
        self.out = Lines(self.process.stdout)
        addresses = self.out.wait(self.addresses, timeout=30)
        self.assertTrue(addresses, f"no address:\n{self.out.text}")
        self.plain = ("127.0.0.1", addresses["http"])
        self.tls = ("127.0.0.1", addresses["https"])

    @staticmethod
    def addresses(lines):
        found = dict(reversed(re.findall(r"(https?)://(?:127\.0\.0\.1|localhost):(\d+)", "\n".join(lines))))
        return {scheme: int(port) for scheme, port in found.items()} if len(found) == 2 else None

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def page(self, target, **more):
        return fetch(self.tls, target, tls=client_tls(), server_name="localhost", host=f"localhost:{self.tls[1]}", **more)

    def test_page_and_api(self):
        page = self.page("/")
        self.assertEqual(page.status, 200)
        self.assertIn("<html", page.text.lower())
        for asset in re.findall(r"(?:src|href)=\"(/[^\"]+\.(?:js|css|svg))\"", page.text):
            with self.subTest(asset):
                self.assertEqual(self.page(asset).status, 200)
        self.assertEqual(self.page("/some/deep/link", headers=[("Accept", "text/html")]).body, page.body)
        self.assertEqual(self.page("/api/hello").status, 200)
        self.assertEqual(self.page("/assets/missing-00000000.js").status, 404)
        plain = fetch(self.plain, "/")
        self.assertIn(plain.status, (200, 308))

    def test_prints_commands_and_listens_on_loopback_only(self):
        self.assertIn("curl", self.out.text)
        self.assertIn("headgate", self.out.text)
        listening = []
        inodes = {os.readlink(f) for f in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir() if f.is_symlink() and os.path.lexists(f)}
        for table in ("tcp", "tcp6"):
            for line in pathlib.Path(f"/proc/{self.process.pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                    listening.append(fields[1].split(":")[0])
        self.assertTrue(listening)
        self.assertEqual(set(listening) - {"0100007F", "00000000000000000000000001000000"}, set())

    def test_ctrl_c_leaves_nothing_behind(self):
        self.page("/")
        self.process.send_signal(signal.SIGINT)
        self.assertEqual(self.process.wait(15), 0, self.out.text)
        self.assertEqual(list(self.temporary.iterdir()), [])
        with self.assertRaises(OSError):
            fetch(self.plain)


if __name__ == "__main__":
    unittest.main(verbosity=2)
