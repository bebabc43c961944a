# SPDX-License-Identifier: Apache-2.0
"""Who may come in: by address, by password, by the word of a service."""

import base64
import crypt
import re
import subprocess
import threading
import unittest

from client import Broken, Client
from harness import GateTest, answer, fetch, run_program
from http2_client import Http2Client

H2C = "listeners: [{ address: '127.0.0.1:0', h2c: true }]\n"
COSTLY = crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=1 << 11)  # a tenth of a second and more for one comparison


def basic(user, password):
    return ("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())


def apr1(password):
    return subprocess.run(["openssl", "passwd", "-apr1", password], capture_output=True, text=True,
                          check=True).stdout.strip()


def cheap_bcrypt(password):
    return crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=1 << 4))


class AccessTest(GateTest):
    def users(self, lines):
        path = self.folder() / "users"
        self.replace(path, lines)
        return path

    @staticmethod
    def replace(path, lines):
        new = path.with_suffix(".new")
        new.write_text("".join(f"{user}:{hashed}\n" for user, hashed in lines.items()))
        new.rename(path)

    def metrics(self, gate):
        line = gate.wait_log(r"listening on \S+ \(metrics\)")
        return fetch(("127.0.0.1", int(re.search(r":(\d+) \(metrics\)", line).group(1))), "/metrics").text


class Address(AccessTest):
    CONFIG = """
        trusted_proxies: [127.0.0.1]
        metrics: { listen: "127.0.0.1:0" }
        sites:
          - access: { allow: [192.0.2.0/24, "2001:db8::/32"], deny: [192.0.2.128/25] }
            routes:
              - { path: /in, respond: { body: in } }
              - { path: /own, respond: { body: own }, access: { allow: [198.51.100.0/24] } }
              - { path: /open, respond: { body: open }, access: {} }
              - { path: /off, respond: { body: off }, access: off }
        """

    def status(self, gate, path, client):
        return fetch(gate.address, path, headers=[("X-Forwarded-For", client)]).status

    def test_the_derived_address_decides(self):
        gate = self.gate(self.CONFIG)
        for client, status in (("192.0.2.1", 200), ("192.0.2.128", 403), ("198.51.100.1", 403), ("2001:db8::1", 200),
                               ("2001:db9::1", 403)):
            self.assertEqual(self.status(gate, "/in", client), status, client)
        self.assertEqual(self.status(gate, "/own", "198.51.100.1"), 200)
        self.assertEqual(self.status(gate, "/own", "192.0.2.1"), 403)
        self.assertEqual(self.status(gate, "/open", "203.0.113.1"), 200)
        self.assertEqual(self.status(gate, "/off", "203.0.113.1"), 200)
        self.assertEqual(self.status(gate, "/nowhere", "203.0.113.1"), 403, "not even what there is")
        self.assertEqual(self.status(gate, "/nowhere", "192.0.2.1"), 404)
        record = gate.wait_access(lambda one: one["status"] == 403)
        self.assertEqual((record["error"], record["client"]), ("access_denied", "192.0.2.128"))
        self.assertIn('headgate_denied_total{site="default",reason="access_denied"} 5\n', self.metrics(gate))

    def test_a_unix_peer_has_no_address(self):
        folder = self.folder()
        gate = self.gate(f"""
            listeners: [{{ address: "unix:{folder}/in.sock" }}]
            sites:
              - routes:
                  - {{ path: /allow, respond: {{}}, access: {{ allow: [0.0.0.0/0, "::/0"] }} }}
                  - {{ path: /deny, respond: {{}}, access: {{ deny: [0.0.0.0/0, "::/0"] }} }}
            """)
        self.assertEqual(fetch(f"{folder}/in.sock", "/allow").status, 403)
        self.assertEqual(fetch(f"{folder}/in.sock", "/deny").status, 200)
        self.assertEqual(gate.wait_access(lambda one: one["status"] == 403)["error"], "access_denied")

    def test_explain(self):
        path = self.folder() / "headgate.yaml"
        path.write_text("sites: [{ access: { allow: [192.0.2.0/24], deny: [192.0.2.128/25] }, routes: [{ path: /*, respond: {} }] }]\n")
        done = run_program("explain", "-c", str(path), "--client", "192.0.2.200", "http://a.test/")
        self.assertIn("access     192.0.2.200 is in 192.0.2.128/25: 403, access_denied (of the site)\n", done.stdout)
        done = run_program("explain", "-c", str(path), "--client", "203.0.113.1", "http://a.test/")
        self.assertIn("203.0.113.1 is in no network of allow: 403", done.stdout)


class Password(AccessTest):
    def protected(self, users, more="", top="", handler=None, rest=""):
        origin = self.origin(handler)
        return self.gate(f"""{top}
sites:
  - basic_auth: {{ realm: 'The "Staff"', users_file: {users} }}
    routes:
      - {{ path: /free, respond: {{ body: free }}, basic_auth: off }}
      - {{ path: /*, proxy: '{origin.url}'{more} }}
{rest}"""), origin

    def test_every_kind_of_hash(self):
        kinds = {"apr": apr1("secret"), "bcrypt": cheap_bcrypt("secret"),
                 "sha256": crypt.crypt("secret", crypt.mksalt(crypt.METHOD_SHA256, rounds=1000)),
                 "sha512": crypt.crypt("secret", crypt.mksalt(crypt.METHOD_SHA512, rounds=1000)),
                 "sha1": "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="}
        gate, origin = self.protected(self.users(kinds))
        for user in kinds:
            with self.subTest(user=user):
                self.assertEqual(fetch(gate.address, "/", headers=[basic(user, "secret")]).status, 200)
                self.assertEqual(fetch(gate.address, "/", headers=[basic(user, "Secret")]).status, 401)
        self.assertEqual(len(origin.requests), len(kinds))

    def test_what_clients_applications_and_logs_see(self):
        gate, origin = self.protected(self.users({"alice": apr1("secret")}), top='metrics: { listen: "127.0.0.1:0" }',
                                      more=', request_headers: { set: { X-User: "$remote_user" } }')
        refused = fetch(gate.address, "/a")
        self.assertEqual(refused.status, 401)
        self.assertEqual(refused.header_list("WWW-Authenticate"), [r'Basic realm="The \"Staff\"", charset="UTF-8"'])
        self.assertEqual(refused.header("Cache-Control"), "no-store")
        self.assertEqual(fetch(gate.address, "/free").text, "free")
        wrong = [basic("alice", "x"), basic("bob", "secret"), ("Authorization", "Bearer abc"),
                 ("Authorization", "Basic ???")]
        for credentials in wrong:
            answered = fetch(gate.address, "/b", headers=[credentials])
            self.assertEqual((answered.status, len(answered.header_list("WWW-Authenticate"))), (401, 1), credentials)
        self.assertEqual(fetch(gate.address, "/c", headers=[basic("alice", "secret"), basic("bob", "x")]).status, 401)
        self.assertEqual(origin.requests, [])
        answered = fetch(gate.address, "/d", headers=[basic("alice", "secret"), ("X-User", "root")])
        self.assertEqual((answered.status, answered.header("WWW-Authenticate")), (200, None))
        request = origin.wait_requests(1)[0]
        self.assertEqual(request.header_list("X-User"), ["alice"])
        self.assertEqual(request.header("Authorization"), basic("alice", "secret")[1], "passed on as it came")
        self.assertEqual(gate.wait_access(lambda one: one["uri"] == "/d")["user"], "alice")
        self.assertEqual(gate.wait_access(lambda one: one["uri"] == "/a")["error"], "auth_required")
        record = gate.wait_access(lambda one: one["uri"] == "/b")
        self.assertEqual((record["error"], record["user"]), ("auth_failed", ""))
        metrics = self.metrics(gate)
        self.assertIn('headgate_denied_total{site="default",reason="auth_required"} 1\n', metrics)
        self.assertIn('headgate_denied_total{site="default",reason="auth_failed"} 5\n', metrics)

    def test_a_changed_file_is_taken_up(self):
        users = self.users({"alice": apr1("secret"), "bob": apr1("secret")})
        gate, _ = self.protected(users)
        status = lambda user, password: fetch(gate.address, "/", headers=[basic(user, password)]).status
        self.assertEqual((status("alice", "secret"), status("bob", "secret")), (200, 200))
        self.replace(users, {"alice": apr1("changed")})
        gate.wait_log("users_file reloaded: .*, 1 users")
        self.assertEqual((status("alice", "secret"), status("alice", "changed"), status("bob", "secret")),
                         (401, 200, 401), "also what was proven before")
        users.write_text("alice\n")
        gate.wait_log("users_file not reloaded, the old users stay: .*:1: expected NAME:HASH")
        self.assertEqual(status("alice", "changed"), 200)
        done = gate.command("reload")
        self.assertEqual(done.returncode, 1)
        self.assertIn("expected NAME:HASH", done.stdout + done.stderr)
        self.assertEqual(status("alice", "changed"), 200)

    def test_mistakes_have_a_place(self):
        folder = self.folder()
        (folder / "users").write_text("# staff\nalice:plain\nbob\n")
        (folder / "headgate.yaml").write_text("""
sites:
  - routes:
      - { path: /a, respond: {}, basic_auth: { users_file: users } }
      - { path: /b, respond: {}, basic_auth: { users_file: none } }
""")
        done = run_program("check", "-c", "headgate.yaml", cwd=folder)
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, 1)
        self.assertRegex(said, r"users:2:1: expected bcrypt, apr1, SHA-crypt or \{SHA\}")
        self.assertRegex(said, r"users:3:1: expected NAME:HASH")
        self.assertRegex(said, r"headgate.yaml:5:\d+: basic_auth.users_file: \S*none cannot be read: No such file")
        done = run_program("serve", "-c", "headgate.yaml", cwd=folder)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, r"headgate.yaml:4:\d+: users_file: \S*users:2: expected bcrypt")

    def test_comparing_does_not_hold_up_the_loop(self):
        """One worker, and comparisons that take long: others are answered meanwhile."""
        gate, _ = self.protected(self.users({"alice": crypt.crypt("secret", COSTLY)}))
        guesses = []
        for number in range(4):
            client = self.client(gate.address)
            client.send_request(target=f"/guess{number}", headers=[basic("alice", f"guess{number}")])
            guesses.append(client)
        with Client(gate.address) as other:
            for _ in range(20):
                self.assertEqual(other.request(target="/free").text, "free")
        for client in guesses:
            self.assertIn(client.read_response().status, (401, 503))  # 503: this machine had no time for it
        order = [one["uri"] for one in gate.wait_access(count=24)]
        self.assertTrue(order.index("/free") < min(order.index(f"/guess{n}") for n in range(4)), order)

    def test_one_client_guesses_slowly_and_a_browser_asks_once(self):
        gate, _ = self.protected(self.users({"alice": crypt.crypt("secret", COSTLY)}))
        clients = []
        for number in range(10):
            client = self.client(gate.address)
            client.send_request(target=f"/{number}", headers=[basic("alice", "secret")])
            clients.append(client)
        self.assertEqual([client.read_response().status for client in clients], [200] * 10,
                         "ten connections with the same credentials are one comparison")
        clients = []
        for number in range(10):
            client = self.client(gate.address)
            client.send_request(headers=[basic("alice", f"guess{number}")])
            clients.append(client)
        statuses = sorted(client.read_response().status for client in clients)
        self.assertEqual(set(statuses), {401, 503})
        self.assertEqual(gate.wait_access(lambda one: one["status"] == 503)["error"], "auth_busy")

    def test_rate_limits_come_before_the_password(self):
        gate, _ = self.protected(self.users({"alice": apr1("secret")}), more=", rate_limit: guesses",
                                 top="rate_limits: { guesses: { key: $remote_addr, rate: 1/h, burst: 3 } }")
        statuses = [fetch(gate.address, "/", headers=[basic("alice", "x")]).status for _ in range(5)]
        self.assertEqual(statuses, [401, 401, 401, 429, 429])

    def test_over_http2_and_of_grpc(self):
        gate, _ = self.protected(self.users({"alice": apr1("secret")}), top=H2C)
        client = Http2Client(gate.address)
        self.addCleanup(client.close)
        refused = client.fetch("/")
        self.assertEqual(refused.status, 401)
        self.assertIn("www-authenticate", dict(refused.headers))
        name, value = basic("alice", "secret")
        self.assertEqual(client.fetch("/", headers=[(name.lower(), value)]).status, 200)
        call = client.fetch("/", headers=[("content-type", "application/grpc")])
        self.assertEqual((dict(call.headers)["grpc-status"], dict(call.headers)["grpc-message"]), ("16", "auth_required"))

    def test_the_combined_log_has_the_user(self):
        gate, _ = self.protected(self.users({"alice": apr1("secret")}), top="access_log: { format: combined }")
        fetch(gate.address, "/a", headers=[basic("alice", "secret")])
        self.assertTrue(gate.out.wait(lambda lines: any(" - alice [" in line for line in lines)))


class Service(AccessTest):
    def setUp(self):
        self.say = {}
        self.service = self.origin(lambda request, connection: self.verify(request, connection))
        self.app = self.origin(lambda request, connection: answer(body=b"app"))

    def verify(self, request, connection):
        return self.say.get(request.header("X-Forwarded-Uri"), answer(204, b"", length=False))

    def gated(self, more="", route="", top="", url=None):
        return self.gate(f"""{top}
sites:
  - forward_auth: {{ url: "{url or self.service.url + '/verify?realm=a'}"{more} }}
    routes:
      - {{ path: /free, respond: {{ body: free }}, forward_auth: off }}
      - {{ path: /*, proxy: '{self.app.url}'{route} }}
""")

    def test_what_the_service_is_asked(self):
        gate = self.gated()
        self.assertEqual(fetch(gate.address, "/free").text, "free")
        done = fetch(gate.address, "/a%2fb?c=d", "POST", headers=[
            ("Cookie", "s=1"), ("If-None-Match", '"x"'), ("Range", "bytes=0-1"), ("Content-Type", "text/plain"),
            ("X-Forwarded-For", "203.0.113.1"), ("X-Forwarded-Uri", "/public"), ("X_Forwarded_Method", "GET"),
            ("X-Forwarded-Method", "GET")], body=b"content")
        self.assertEqual(done.text, "app")
        asked = self.service.wait_requests(1)[0]
        self.assertEqual((asked.method, asked.target, asked.body), ("GET", "/verify?realm=a", b""))
        self.assertEqual(asked.header("Host"), self.service.address)
        for name, value in (("X-Forwarded-Method", "POST"), ("X-Forwarded-Uri", "/a%2fb?c=d"), ("Cookie", "s=1"),
                            ("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "example.test"),
                            ("X-Forwarded-For", "127.0.0.1")):
            self.assertEqual(asked.header_list(name), [value])
        for name in ("If-None-Match", "Range", "Content-Type", "Content-Length", "X_Forwarded_Method"):
            self.assertEqual(asked.header_list(name), [], name)
        passed = self.app.wait_requests(1)[0]
        self.assertEqual((passed.method, passed.body, passed.header("If-None-Match")), ("POST", b"content", '"x"'))
        self.assertEqual(passed.header("X-Request-Id"), asked.header("X-Request-Id"))

    def test_dot_segments_are_judged_as_they_are_served(self):
        gate = self.gated()
        with Client(gate.address) as client:
            self.assertEqual(client.request(target="/public/../admin?x=1").status, 200)
        self.assertEqual(self.service.wait_requests(1)[0].header("X-Forwarded-Uri"), "/admin?x=1")

    def test_copied_fields_cannot_be_smuggled(self):
        gate = self.gated(", copy_headers: [X-User, X-Roles]")
        self.say["/known"] = answer(200, b"ignored", headers=[("x-user", "alice"), ("X-Roles", "a"), ("X-Roles", "b"),
                                                              ("X-Other", "no")])
        claims = [("X-User", "root"), ("X_User", "root"), ("x-roles", "admin"), ("X-Other", "mine")]
        for target in ("/known", "/unknown"):
            self.assertEqual(fetch(gate.address, target, headers=claims).status, 200)
        known, unknown = self.app.wait_requests(2)
        self.assertEqual((known.header_list("X-User"), known.header_list("X-Roles")), (["alice"], ["a", "b"]))
        self.assertEqual((known.header_list("X_User"), known.header_list("X-Other")), ([], ["mine"]))
        self.assertEqual((unknown.header_list("X-User"), unknown.header_list("X-Roles")), ([], []))
        for asked in self.service.requests:
            self.assertEqual(asked.header_list("X-User") + asked.header_list("X_User"), [])
        refused = fetch(gate.address, "/known", headers=[("Connection", "close, X-User")])
        self.assertEqual(refused.status, 400)
        self.assertEqual(gate.wait_access(lambda one: one["status"] == 400)["error"], "bad_connection_field")

    def test_only_the_fields_that_are_named(self):
        gate = self.gated(", request_headers: [Cookie]")
        fetch(gate.address, "/", headers=[("Cookie", "s=1"), ("Authorization", "Bearer x"), ("X-A", "b")])
        asked = self.service.wait_requests(1)[0]
        self.assertEqual(sorted(name.lower() for name, _ in asked.headers),
                         ["cookie", "host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-method",
                          "x-forwarded-proto", "x-forwarded-uri", "x-request-id"])

    def test_refusals_and_redirects_are_the_clients(self):
        gate = self.gated(top='metrics: { listen: "127.0.0.1:0" }')
        self.say["/401"] = answer(401, b"who?", headers=[("WWW-Authenticate", "Bearer"), ("Set-Cookie", "a=1"),
                                                         ("Set-Cookie", "b=2"), ("Keep-Alive", "timeout=9")])
        self.say["/403"] = answer(403, b"no")
        self.say["/302"] = answer(302, b"", headers=[("Location", "https://login.test/?rd=x")])
        with Client(gate.address) as client:
            refused = client.request(target="/401")
            self.assertEqual((refused.status, refused.text, refused.header("WWW-Authenticate")), (401, "who?", "Bearer"))
            self.assertEqual((refused.header_list("Set-Cookie"), refused.header("Keep-Alive")), (["a=1", "b=2"], None))
            self.assertEqual(client.request(target="/403").text, "no")
            login = client.request(target="/302")
            self.assertEqual((login.status, login.header("Location")), (302, "https://login.test/?rd=x"))
            self.assertEqual(client.request(target="/in").text, "app")
        self.assertEqual(self.app.targets, ["/in"])
        self.assertEqual(self.service.connections, 1, "one kept connection")
        self.assertEqual(gate.wait_access(lambda one: one["uri"] == "/302")["error"], "forward_auth_denied")
        self.assertIn('headgate_denied_total{site="default",reason="forward_auth_denied"} 3\n', self.metrics(gate))

    def test_a_body_is_not_asked_for_before_the_answer(self):
        gate = self.gated()
        self.say["/no"] = answer(401, b"no")
        with Client(gate.address) as client:
            client.send_request("POST", "/no", headers=[("Expect", "100-continue"), ("Content-Length", "5")])
            self.assertEqual(client.read_head().status, 401, "and no 100 before")
        with Client(gate.address) as client:
            client.send_request("POST", "/yes", headers=[("Expect", "100-continue"), ("Content-Length", "5")])
            self.assertEqual(client.read_head().status, 100)
            client.send(b"hello")
            self.assertEqual(client.read_response().text, "app")
        self.assertEqual(self.app.requests[0].body, b"hello")

    def test_whatever_else_it_says_is_a_failure(self):
        gate = self.gated(top='metrics: { listen: "127.0.0.1:0" }')
        self.say["/500"] = answer(500, b"secret trace")
        self.say["/304"] = answer(304, b"", length=False)
        self.say["/404"] = answer(404, b"secret page")
        self.say["/long"] = answer(403, b"x" * (65 * 1024))
        self.say["/junk"] = b"what?\r\n\r\n"
        for target in self.say:
            with self.subTest(target=target):
                failed = fetch(gate.address, target)
                self.assertEqual(failed.status, 502)
                self.assertNotIn("secret", failed.text)
                record = gate.wait_access(lambda one, uri=target: one["uri"] == uri)
                self.assertEqual(record["error"], "forward_auth_failed")
        self.assertEqual(self.app.requests, [])
        self.assertIn(f'reason="forward_auth_failed"}} {len(self.say)}\n', self.metrics(gate))

    def test_a_service_that_is_down(self):
        gate = self.gated()
        self.service.close()
        self.assertEqual(fetch(gate.address, "/").status, 502)
        self.assertEqual(gate.wait_access()["error"], "forward_auth_failed")
        self.assertEqual(fetch(gate.address, "/free").status, 200)

    def test_a_kept_connection_that_was_closed_is_no_failure(self):
        gate = self.gated()
        for number in range(3):
            self.assertEqual(fetch(gate.address, f"/{number}").text, "app")
            for connection in list(self.service.live):
                connection.close()
        self.assertEqual(self.service.connections, 3)

    def test_another_server_is_asked(self):
        other = self.origin(lambda request, connection: answer(503, b"") )
        origin = self.app
        gate = self.gate(f"""
upstreams:
  auth: {{ servers: ["{other.address}", "{self.service.address}"], balance: round_robin }}
sites:
  - routes:
      - {{ path: /*, proxy: '{origin.url}', forward_auth: {{ upstream: auth, path: /check }} }}
""")
        self.assertEqual([fetch(gate.address, "/").status for _ in range(4)], [200] * 4)
        self.assertGreater(len(other.requests), 0)
        self.assertEqual({request.target for request in self.service.requests}, {"/check"})

    def test_a_slow_service_is_a_timeout_and_holds_up_nobody(self):
        asked, go = threading.Event(), threading.Event()
        self.addCleanup(go.set)

        def wait(request, connection):
            if request.header("X-Forwarded-Uri") == "/slow":
                asked.set()
                go.wait(20)
            return answer(200, b"")
        self.verify = wait
        gate = self.gated(", timeout: 300ms")
        with Client(gate.address) as slow:
            slow.send_request(target="/slow")
            self.assertTrue(asked.wait(10))
            self.assertEqual(fetch(gate.address, "/quick").status, 200)
            self.assertEqual(slow.read_response().status, 502)
        self.assertEqual(gate.wait_access(lambda one: one["uri"] == "/slow")["error"], "forward_auth_timeout")
        self.assertEqual(self.app.targets, ["/quick"])

    def leaving(self):
        """A service that hears when its question is broken off."""
        asked, left = threading.Event(), threading.Event()

        def wait(request, connection):
            asked.set()
            try:
                connection.reader.fill()
            except Broken:
                pass
            left.set()
            return False
        self.verify = wait
        return asked, left

    def test_a_client_that_leaves_breaks_the_question_off(self):
        asked, left = self.leaving()
        gate = self.gated(", timeout: 60s")
        client = Client(gate.address)
        client.send_request(target="/left")
        self.assertTrue(asked.wait(10))
        client.reset()
        self.assertTrue(left.wait(10))
        self.assertEqual(gate.wait_access(lambda one: one["uri"] == "/left")["error"], "client_closed")

    def test_a_stream_that_is_reset_breaks_the_question_off(self):
        asked, left = self.leaving()
        gate = self.gated(", timeout: 60s", top=H2C)
        client = Http2Client(gate.address)
        self.addCleanup(client.close)
        stream = client.request("/left")
        self.assertTrue(asked.wait(10))
        client.reset(stream)
        self.assertTrue(left.wait(10))

    def test_over_http2_and_of_grpc(self):
        gate = self.gated(top=H2C)
        self.say["/no"] = answer(302, b"", headers=[("Location", "/login")])
        client = Http2Client(gate.address)
        self.addCleanup(client.close)
        self.assertEqual(client.fetch("/yes").body, b"app")
        self.assertEqual(client.fetch("/no").status, 302)
        call = client.fetch("/no", headers=[("content-type", "application/grpc")])
        self.assertEqual((dict(call.headers)["grpc-status"], dict(call.headers)["grpc-message"]),
                         ("16", "forward_auth_denied"))

    def test_a_slow_client_body_still_reaches_the_application(self):
        """The client is watched while the service is silent; what it sends meanwhile is not lost."""
        go = threading.Event()
        self.addCleanup(go.set)

        def wait(request, connection):
            go.wait(20)
            return answer(200, b"")
        self.verify = wait
        gate = self.gated(", timeout: 20s")
        with Client(gate.address) as client:
            client.send_request("POST", "/up", headers=[("Content-Length", "10")])
            self.service.wait_requests(1)
            client.send(b"01234")
            go.set()
            client.send(b"56789")
            self.assertEqual(client.read_response().text, "app")
        self.assertEqual(self.app.requests[0].body, b"0123456789")

    def test_explain(self):
        path = self.folder() / "headgate.yaml"
        users = self.users({"alice": apr1("x")})
        path.write_text(f"""
sites:
  - basic_auth: {{ users_file: {users} }}
    routes:
      - {{ path: /*, respond: {{}}, forward_auth: {{ url: "http://127.0.0.1:9/v", copy_headers: [X-User] }} }}
""")
        done = run_program("explain", "-c", str(path), "http://a.test/")
        self.assertIn("(1 users), else 401 (of the site)", done.stdout)
        self.assertIn("GET /v of upstream http://127.0.0.1:9 within 5s, else 502 (of the route)", done.stdout)
        self.assertIn("its answer's X-User in place of the client's", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
