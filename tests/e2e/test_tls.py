# SPDX-License-Identifier: Apache-2.0
"""TLS towards clients: names, versions, certificates that change, client certificates, resumption, the redirect."""

import hashlib
import os
import pathlib
import shutil
import ssl
import tempfile
import threading
import unittest

from certs import Authority
from client import Broken, Client
from harness import GateTest, Headgate, answer, client_tls, fetch, run_program, wait_until, write_files

REFUSED = (ssl.SSLError, ConnectionError, Broken, EOFError)


class TlsTest(GateTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.mkdtemp(prefix="headgate-ca-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.authority = Authority(folder)
        cls.issued = {}

    @classmethod
    def pair(cls, *names):
        if names not in cls.issued:
            cls.issued[names] = cls.authority.issue(*names)
        return cls.issued[names]

    def tls_gate(self, pairs, tls="", sites=None, plain=False, **more):
        """A TLS listener with these (cert, key) pairs; with `plain` another one in clear."""
        listed = ", ".join(f"{{ cert: '{cert}', key: '{key}' }}" for cert, key in pairs)
        clear = '{ address: "127.0.0.2:0" }, ' if plain else ""
        sites = sites or "sites: [{ routes: [{ path: /*, respond: { status: 200, body: '$scheme $tls_version' } }] }]"
        return self.gate(f'listeners: [{clear}{{ address: "127.0.0.1:0", tls: true }}]\n'
                         f"tls: {{ certificates: [{listed}]{', ' + tls if tls else ''} }}\n{sites}\n", listeners=2 if plain else 1, **more)

    def trusting(self, **more):
        return client_tls(self.authority.cert, **more)

    def certificate(self, edge, name):
        """The DER bytes that a handshake for this name shows."""
        with Client(edge.tls_address, tls=client_tls(), server_name=name) as client:
            return client.sock.getpeercert(binary_form=True)


def der(pair):
    return ssl.PEM_cert_to_DER_cert(pathlib.Path(pair[0]).read_text())


class Handshakes(TlsTest):
    def test_verified_end_to_end(self):
        edge = self.tls_gate([self.pair("a.test")])
        for _ in range(3):
            response = fetch(edge.tls_address, tls=self.trusting(), server_name="a.test", host="a.test")
            self.assertEqual(response.text, "https TLSv1.3")
        record = edge.wait_access(count=3)[0]
        self.assertEqual((record["tls_version"], record["status"]), ("TLSv1.3", 200))

    def test_names(self):
        first, wild, exact = self.pair("first.test"), self.pair("*.b.test"), self.pair("exact.b.test")
        edge = self.tls_gate([first, wild, exact])
        for name, expected in [("first.test", first), ("x.b.test", wild), ("exact.b.test", exact), ("EXACT.b.test", exact),
                               ("b.test", first), ("x.y.b.test", first), ("unknown.test", first), (None, first)]:
            with self.subTest(name):
                self.assertEqual(self.certificate(edge, name), der(expected))

    def test_strict_sni(self):
        edge = self.tls_gate([self.pair("a.test")], "strict_sni: true")
        self.assertEqual(self.certificate(edge, "a.test"), der(self.pair("a.test")))
        with self.assertRaises(REFUSED):
            self.certificate(edge, "unknown.test")
        with self.assertRaises(REFUSED):
            self.certificate(edge, None)
        self.assertEqual(self.certificate(edge, "a.test"), der(self.pair("a.test")))

    def test_versions(self):
        old = client_tls(maximum=ssl.TLSVersion.TLSv1_2)
        edge = self.tls_gate([self.pair("a.test")])
        self.assertEqual(fetch(edge.tls_address, tls=old, server_name="a.test").text, "https TLSv1.2")
        edge = self.tls_gate([self.pair("a.test")], 'min_version: "1.3"')
        with self.assertRaises(REFUSED):
            fetch(edge.tls_address, tls=old, server_name="a.test")
        self.assertEqual(fetch(edge.tls_address, tls=client_tls(), server_name="a.test").text, "https TLSv1.3")

    def test_weak_ciphers_are_refused(self):
        weak = client_tls(maximum=ssl.TLSVersion.TLSv1_2)
        weak.set_ciphers("AES128-SHA:AES256-SHA:@SECLEVEL=0")
        for ciphers in ("modern", "intermediate"):
            with self.subTest(ciphers):
                edge = self.tls_gate([self.pair("a.test")], f"ciphers: {ciphers}")
                with self.assertRaises(REFUSED):
                    fetch(edge.tls_address, tls=weak, server_name="a.test")

    def test_alpn(self):
        edge = self.tls_gate([self.pair("a.test")])
        settings = client_tls()
        settings.set_alpn_protocols(["http/1.1"])
        with Client(edge.tls_address, tls=settings, server_name="a.test") as client:
            self.assertEqual(client.sock.selected_alpn_protocol(), "http/1.1")
            self.assertEqual(client.request().status, 200)

    def test_resumption(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version):
                edge = self.tls_gate([self.pair("a.test")], sites="workers: 2\n"
                                     "sites: [{ routes: [{ path: /*, respond: { status: 200, body: x } }] }]")
                settings = client_tls(minimum=version, maximum=version)
                with Client(edge.tls_address, tls=settings, server_name="a.test") as client:
                    client.request()
                    self.assertFalse(client.sock.session_reused)
                    session = client.sock.session
                for _ in range(8):  # whichever worker takes the connection: the ticket keys are shared
                    with Client(edge.tls_address, tls=settings, server_name="a.test", session=session) as client:
                        self.assertEqual(client.request().status, 200)
                        self.assertTrue(client.sock.session_reused)
                        session = client.sock.session

    def test_tickets_outlive_a_reload(self):
        edge = self.tls_gate([self.pair("a.test")])
        settings = client_tls()
        with Client(edge.tls_address, tls=settings, server_name="a.test") as client:
            client.request()
            session = client.sock.session
        self.assertEqual(edge.command("reload").returncode, 0)
        with Client(edge.tls_address, tls=settings, server_name="a.test", session=session) as client:
            self.assertEqual(client.request().status, 200)
            self.assertTrue(client.sock.session_reused)

    def test_no_tickets(self):
        edge = self.tls_gate([self.pair("a.test")], "session_tickets: false")
        settings = client_tls(maximum=ssl.TLSVersion.TLSv1_2)
        with Client(edge.tls_address, tls=settings, server_name="a.test") as client:
            client.request()
            self.assertFalse(client.sock.session.has_ticket)

    def test_noise_on_the_tls_port(self):
        edge = self.tls_gate([self.pair("a.test")], sites="limits: { header_timeout: 300ms }\n"
                             "sites: [{ routes: [{ path: /*, respond: { status: 200, body: x } }] }]")
        for noise in (b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", os.urandom(200), b"\x16\x03\x01", b""):
            with self.subTest(noise[:10]), Client(edge.tls_address) as client:
                client.send(noise)
                client.rest()  # answered, refused or timed out: it ends
        self.assertEqual(fetch(edge.tls_address, tls=client_tls(), server_name="a.test").status, 200)

    def test_large_bodies(self):
        origin = self.origin(lambda request, connection: answer(body=request.body))
        edge = self.tls_gate([self.pair("a.test")], sites=f"sites: [{{ routes: [{{ path: /*, proxy: '{origin.url}', max_body: 20MiB }}] }}]")
        body = os.urandom(1 << 20) * 20
        with Client(edge.tls_address, tls=client_tls(), server_name="a.test") as client:
            sender = threading.Thread(target=client.send_request, args=("POST", "/up", (), body))
            sender.start()
            response = client.read_response()
            sender.join()
            self.assertEqual(hashlib.sha256(response.body).digest(), hashlib.sha256(body).digest())
            self.assertEqual(client.request(target="/small").status, 200)
        self.assertEqual(origin.requests[0].header("X-Forwarded-Proto"), "https")

    def test_static_file(self):
        root = self.folder()
        content = os.urandom(5_000_000)
        write_files(root, {"big.bin": content, "small.txt": "small"})
        edge = self.tls_gate([self.pair("a.test")], sites=f"sites: [{{ routes: [{{ path: /*, static: {{ root: '{root}' }} }}] }}]")
        with Client(edge.tls_address, tls=client_tls(), server_name="a.test") as client:
            self.assertEqual(client.request(target="/big.bin").body, content)
            self.assertEqual(client.request(target="/small.txt").text, "small")

    def test_broken_body_is_seen(self):
        def handler(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            return False

        origin = self.origin(handler)
        edge = self.tls_gate([self.pair("a.test")], sites=f"sites: [{{ routes: [{{ path: /*, proxy: '{origin.url}' }}] }}]")
        for version in ("HTTP/1.1", "HTTP/1.0"):
            with self.subTest(version), self.assertRaises(REFUSED):
                fetch(edge.tls_address, tls=client_tls(), server_name="a.test", version=version)


class Names(TlsTest):
    SITES = "sites:\n  - { hosts: [a.test], https: redirect, routes: [{ path: /*, respond: { status: 200, body: a } }] }\n" \
            "  - { hosts: [b.test], routes: [{ path: /*, respond: { status: 200, body: b } }] }\n"

    def test_redirect_to_https(self):
        edge = self.tls_gate([self.pair("a.test", "b.test")], sites=self.SITES, plain=True)
        port = edge.tls_address[1]
        for method in ("GET", "POST", "HEAD"):
            response = edge.fetch("/x%20y?z=1", method, host="a.test:8080")
            self.assertEqual((response.status, response.header("Location")), (308, f"https://a.test:{port}/x%20y?z=1"))
        self.assertEqual(edge.fetch(host="b.test").text, "b")
        self.assertEqual(fetch(edge.tls_address, tls=client_tls(), server_name="a.test", host="a.test").text, "a")

    def test_misdirected(self):
        edge = self.tls_gate([self.pair("a.test", "b.test")], sites=self.SITES)
        with Client(edge.tls_address, tls=client_tls(), server_name="a.test") as client:
            self.assertEqual(client.request(host="nowhere.test").status, 421)
            self.assertEqual(client.request(host="a.test").text, "a")
        self.assertEqual(fetch(edge.tls_address, tls=client_tls(), server_name="nowhere.test", host="nowhere.test").status, 404)


class Reloading(TlsTest):
    def files(self, pair):
        """A pair copied to where it can be replaced."""
        folder = self.folder()
        return self.replace((str(folder / "cert.pem"), str(folder / "key.pem")), pair)

    @staticmethod
    def replace(place, pair):
        for target, source in zip(place, pair):
            shutil.copyfile(source, target + ".new")
        for target in place:
            os.replace(target + ".new", target)
        return place

    def test_changed_files_are_loaded(self):
        place = self.files(self.pair("a.test"))
        edge = self.tls_gate([place])
        with Client(edge.tls_address, tls=client_tls(), server_name="a.test") as client:
            self.assertEqual(client.request().status, 200)
            renewed = self.authority.issue("a.test", file="renewed")
            self.replace(place, renewed)
            wait_until(lambda: self.certificate(edge, "a.test") == der(renewed), what="the renewed certificate")
            self.assertEqual(client.request().status, 200, "the connection from before lives on")

    def test_certbot_switches_a_symlink(self):
        base = self.folder()
        one, two = self.pair("a.test"), self.authority.issue("a.test", file="second")
        (base / "live").mkdir()
        for name, path in zip(("fullchain.pem", "privkey.pem"), one):
            (base / "live" / name).symlink_to(path)
        edge = self.tls_gate([(f"{base}/live/fullchain.pem", f"{base}/live/privkey.pem")])
        self.assertEqual(self.certificate(edge, "a.test"), der(one))
        for name, path in zip(("fullchain.pem", "privkey.pem"), two):
            (base / "live" / (name + ".new")).symlink_to(path)
            os.replace(base / "live" / (name + ".new"), base / "live" / name)
        wait_until(lambda: self.certificate(edge, "a.test") == der(two), what="the renewed certificate")

    def test_bad_pair_is_kept_out(self):
        good = self.pair("a.test")
        other = self.pair("b.test")
        for name, spoil in [("not a certificate", lambda place: pathlib.Path(place[0]).write_text("nonsense")),
                            ("a key of another", lambda place: shutil.copyfile(other[1], place[1])),
                            ("a file that is gone", lambda place: os.unlink(place[1]))]:
            with self.subTest(name):
                place = self.files(good)
                edge = self.tls_gate([place])
                known = edge.count_log("listening on")
                spoil(place)
                edge.wait_log(r"(warn|error).*" + os.path.basename(os.path.dirname(place[0])))
                self.assertEqual(self.certificate(edge, "a.test"), der(good))
                self.assertEqual(edge.count_log("listening on"), known)
                self.replace(place, other)
                wait_until(lambda: self.certificate(edge, "b.test") == der(other), what="the pair to be good again")

    def test_bad_pair_is_not_started_with(self):
        cert, key = self.pair("a.test")[0], self.pair("b.test")[1]
        gate = Headgate(f'listeners: [{{ address: "127.0.0.1:0", tls: true }}]\n'
                        f"tls: {{ certificates: [{{ cert: '{cert}', key: '{key}' }}] }}\n"
                        "sites: [{ routes: [{ path: /*, respond: { status: 200, body: x } }] }]\n", self.folder(), start=False)
        done = run_program("check", "-c", str(gate.file))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout + done.stderr, r"headgate\.yaml:2:\d+: ")


class ClientCertificates(TlsTest):
    def edge_with(self, mode):
        return self.tls_gate([self.pair("a.test")], f"client_ca: '{self.authority.cert}', verify_client: {mode}")

    def ask(self, edge, **more):
        return fetch(edge.tls_address, tls=client_tls(**more), server_name="a.test").status

    def test_required(self):
        edge = self.edge_with("required")
        self.assertEqual(self.ask(edge, cert=self.pair("client.test")), 200)
        with self.assertRaises(REFUSED):
            self.ask(edge)
        with self.assertRaises(REFUSED):
            self.ask(edge, cert=self.stranger())
        self.assertEqual(self.ask(edge, cert=self.pair("client.test")), 200)

    def test_optional(self):
        edge = self.edge_with("optional")
        self.assertEqual(self.ask(edge), 200)
        self.assertEqual(self.ask(edge, cert=self.pair("client.test")), 200)
        with self.assertRaises(REFUSED):
            self.ask(edge, cert=self.stranger())

    def stranger(self):
        return Authority(self.folder() / "other", "another CA").issue("client.test")


if __name__ == "__main__":
    unittest.main(verbosity=2)
