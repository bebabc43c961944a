# SPDX-License-Identifier: Apache-2.0
"""h2spec in full, where it is installed: $H2SPEC or h2spec in the PATH. docs/http2.md says how it is built from Debian's
libraries."""

import os
import shutil
import subprocess
import tempfile
import unittest

from certs import Authority
from harness import GateTest, answer

H2SPEC = os.environ.get("H2SPEC") or shutil.which("h2spec")


@unittest.skipUnless(H2SPEC, "h2spec is not installed")
class H2spec(GateTest):
    def test_all(self):
        """Against an origin that reads what it is sent: an answer that came before the whole request would hide from
        h2spec what is wrong with the rest."""
        folder = tempfile.mkdtemp(prefix="headgate-ca-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        cert, key = Authority(folder).issue("localhost")
        origin = self.origin(lambda request, connection: answer(body=b"content\n" * 100))
        edge = self.gate(f"listeners: [{{ address: '127.0.0.1:0', tls: true }}]\n"
                         f"tls: {{ certificates: [{{ cert: '{cert}', key: '{key}' }}] }}\n"
                         f"sites: [{{ routes: [{{ path: /*, proxy: '{origin.url}' }}] }}]\n")
        host, port = edge.tls_address
        done = subprocess.run([H2SPEC, "-t", "-k", "-h", host, "-p", str(port), "-o", "5"],
                              capture_output=True, text=True, timeout=150, check=False)
        _, _, failures = done.stdout.partition("\nFailures")
        self.assertEqual((done.returncode, failures), (0, ""), done.stderr)
        last = done.stdout.strip().splitlines()[-1]
        self.assertRegex(last, r"^\d+ tests, \d+ passed, 0 skipped, 0 failed$")


if __name__ == "__main__":
    unittest.main()
