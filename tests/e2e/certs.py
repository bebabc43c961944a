# SPDX-License-Identifier: Apache-2.0
"""Throw-away certificates, made by the openssl command."""

import pathlib
import subprocess


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


class Authority:
    """A certificate authority that lives as long as its folder."""

    def __init__(self, folder, name="headgate test CA"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cert = str(self.folder / "ca.pem")
        self.key = str(self.folder / "ca.key")
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                 "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                 "-keyout", self.key, "-out", self.cert)

    def issue(self, *names, file=None, common_name=None):
        """(cert, key) for these names: DNS names, or addresses when they look like one."""
        base = self.folder / (file or names[0].replace("*", "star").replace(":", "_"))
        cert, key, request, extensions = (f"{base}.{kind}" for kind in ("pem", "key", "csr", "ext"))
        _openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={common_name or names[0]}", "-keyout", key, "-out", request)
        kinds = [("IP:" if name.replace(".", "").isdigit() or ":" in name else "DNS:") + name for name in names]
        pathlib.Path(extensions).write_text(f"subjectAltName={','.join(kinds)}\nbasicConstraints=CA:FALSE\n")
        _openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", "30",
                 "-sha256", "-extfile", extensions, "-out", cert)
        return cert, key
