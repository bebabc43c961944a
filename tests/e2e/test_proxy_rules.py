# SPDX-License-Identifier: Apache-2.0
"""What the edge adds, removes and believes: forwarding headers, the client's address, hop-by-hop fields, header rules."""

import re
import unittest

from harness import GateTest, answer


class Forwarding(GateTest):
    def seen(self, edge, origin, headers=(), target="/", **more):
        """The request as it reached the origin."""
        response = edge.fetch(target, headers=list(headers), **more)
        self.assertEqual(response.status, 200, response)
        return origin.requests[-1]

    def test_forwarded_fields(self):
        edge, origin = self.proxied()
        request = self.seen(edge, origin, host="shop.example.test:8080")
        self.assertEqual(request.header_list("Host"), ["shop.example.test:8080"])
        self.assertEqual(request.header_list("X-Forwarded-For"), ["127.0.0.1"])
        self.assertEqual(request.header_list("X-Forwarded-Proto"), ["http"])
        self.assertEqual(request.header_list("X-Forwarded-Host"), ["shop.example.test:8080"])
        self.assertEqual(len(request.header_list("X-Request-Id")), 1)

    def test_strangers_are_not_believed(self):
        edge, origin = self.proxied()
        request = self.seen(edge, origin, [
            ("X-Forwarded-For", "10.9.8.7"), ("X-Forwarded-For", "10.9.8.6"), ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "evil.test"), ("Forwarded", "for=10.9.8.7"), ("X-Real-IP", "10.9.8.7")])
        self.assertEqual(request.header_list("X-Forwarded-For"), ["127.0.0.1"])
        self.assertEqual(request.header_list("X-Forwarded-Proto"), ["http"])
        self.assertEqual(request.header_list("X-Forwarded-Host"), ["example.test"])
        self.assertEqual(request.header_list("Forwarded"), [])
        self.assertNotIn("10.9.8.7", request.header_list("X-Real-IP"))
        self.assertEqual(edge.wait_access()["client"], "127.0.0.1")

    def test_trusted_proxies_right_to_left(self):
        edge, origin = self.proxied(
            route=", request_headers: { set: { X-Client: $remote_addr } }",
            top='trusted_proxies: [127.0.0.1, 10.0.0.0/8, "fd00::/8"]')
        for given, client in [
            (["203.0.113.9"], "203.0.113.9"),
            (["198.51.100.1, 203.0.113.9, 10.1.1.1"], "203.0.113.9"),
            (["198.51.100.1", "203.0.113.9", "10.1.1.1, 10.2.2.2"], "203.0.113.9"),
            (["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
            (["2001:db8::7, fd00::1"], "2001:db8::7"),
            (["203.0.113.9,10.1.1.1"], "203.0.113.9"),
            ([], "127.0.0.1"),
        ]:
            with self.subTest(given):
                request = self.seen(edge, origin, [("X-Forwarded-For", value) for value in given])
                self.assertEqual(request.header("X-Client"), client)
                self.assertEqual(re.split(r",\s*", ", ".join(request.header_list("X-Forwarded-For"))),
                                 re.split(r",\s*", ", ".join(given + ["127.0.0.1"])))

    def test_unreadable_entry_stops_the_walk(self):
        edge, origin = self.proxied(route=", request_headers: { set: { X-Client: $remote_addr } }",
                                    top="trusted_proxies: [127.0.0.1, 10.0.0.0/8]")
        for given in ("203.0.113.9, unknown, 10.1.1.1", "203.0.113.9, _hidden, 10.1.1.1", "203.0.113.9, 1.2.3, 10.1.1.1"):
            with self.subTest(given):
                request = self.seen(edge, origin, [("X-Forwarded-For", given)])
                self.assertEqual(request.header("X-Client"), "10.1.1.1")
        self.assertEqual(edge.wait_access(count=3)[2]["client"], "10.1.1.1")

    def test_trusted_proxy_may_say_https(self):
        edge, origin = self.proxied(top="trusted_proxies: [127.0.0.1]")
        request = self.seen(edge, origin, [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.example.test")])
        self.assertEqual(len(request.header_list("X-Forwarded-Proto")), 1)
        self.assertEqual(len(request.header_list("X-Forwarded-Host")), 1)

    def test_request_id(self):
        edge, origin = self.proxied(top="trusted_proxies: []")
        ids = {self.seen(edge, origin).header("X-Request-Id") for _ in range(20)}
        self.assertEqual(len(ids), 20)
        self.assertTrue(all(re.fullmatch(r"[A-Za-z0-9-]{16,64}", one) for one in ids), ids)
        logged = {record["request_id"] for record in edge.wait_access(count=20)}
        self.assertEqual(logged, ids)

    def test_hop_by_hop_fields_of_the_request(self):
        edge, origin = self.proxied()
        request = self.seen(edge, origin, [
            ("Connection", "keep-alive, X-Secret, Close-Me"), ("X-Secret", "1"), ("Close-Me", "1"), ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"), ("TE", "trailers, gzip"), ("Upgrade", "h2c"), ("Trailer", "X-T"),
            ("Proxy-Authorization", "Basic abc"), ("X-Kept", "1")])
        for name in ("X-Secret", "Close-Me", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Upgrade"):
            with self.subTest(name):
                self.assertEqual(request.header_list(name), [])
        self.assertEqual(request.header("X-Kept"), "1")
        self.assertNotIn("gzip", request.header("TE") or "")

    def test_connection_cannot_remove_what_the_edge_sets(self):
        """Connection: X-Forwarded-For must not strip the edge's own word about the client."""
        edge, origin = self.proxied(route=", request_headers: { set: { X-Secret: s3 } }")
        request = self.seen(edge, origin, [("Connection", "X-Forwarded-For, Host, X-Secret, X-Forwarded-Proto, X-Request-Id")])
        self.assertEqual(request.header_list("X-Forwarded-For"), ["127.0.0.1"])
        self.assertEqual(request.header_list("Host"), ["example.test"])
        self.assertEqual(request.header_list("X-Secret"), ["s3"])
        self.assertEqual(request.header_list("X-Forwarded-Proto"), ["http"])

    def test_hop_by_hop_fields_of_the_answer(self):
        edge, _ = self.proxied(lambda request, connection: answer(headers=[
            ("Connection", "keep-alive, X-Internal"), ("X-Internal", "1"), ("Keep-Alive", "timeout=5"),
            ("Proxy-Authenticate", "Basic"), ("Upgrade", "h2c"), ("X-Kept", "1")]))
        response = edge.fetch()
        for name in ("X-Internal", "Keep-Alive", "Upgrade"):
            with self.subTest(name):
                self.assertEqual(response.header_list(name), [])
        self.assertEqual(response.header("X-Kept"), "1")

    def test_strip_prefix(self):
        origin = self.origin()
        edge = self.gate(f"""\
            sites:
              - routes:
                  - {{ path: [/api/*, /api], strip_prefix: /api, proxy: '{origin.url}' }}
                  - {{ path: /other/*, strip_prefix: /other/, proxy: '{origin.url}' }}
                  - {{ path: /*, proxy: '{origin.url}' }}
            """)
        for sent, expected in [("/api/users?x=1", "/users?x=1"), ("/api/", "/"), ("/api", "/"), ("/api?x=1", "/?x=1"),
                               ("/api/a%20b", "/a%20b"), ("/apix", "/apix"), ("/other/a", "/a"),
                               ("/api/api/x", "/api/x")]:
            with self.subTest(sent):
                edge.fetch(sent)
                self.assertEqual(origin.requests[-1].target, expected)

    def test_request_headers(self):
        edge, origin = self.proxied(route=", request_headers: { set: { Host: backend.internal, X-Real-IP: $remote_addr, "
                                          "X-Query: '$arg_v', X-Agent: '<$http_user_agent>', X-Sid: $cookie_sid }, "
                                          "add: { X-Via: edge }, remove: [Cookie, X-Drop] }")
        request = self.seen(edge, origin, [("Cookie", "sid=abc; b=1"), ("X-Drop", "1"), ("X-Via", "client"),
                                           ("User-Agent", "test"), ("X-Real-IP", "1.1.1.1")], "/?v=7")
        self.assertEqual(request.header_list("Host"), ["backend.internal"])
        self.assertEqual(request.header_list("X-Real-IP"), ["127.0.0.1"])
        self.assertEqual(request.header("X-Query"), "7")
        self.assertEqual(request.header("X-Agent"), "<test>")
        self.assertEqual(request.header("X-Sid"), "abc")
        self.assertEqual(request.header_list("X-Via"), ["client", "edge"])
        self.assertEqual(request.header_list("Cookie") + request.header_list("X-Drop"), [])
        self.assertEqual(request.header("X-Forwarded-Host"), "example.test")

    def test_template_values_cannot_break_a_head(self):
        edge, origin = self.proxied(route=", request_headers: { set: { X-Query: '$arg_v' } }")
        response = edge.fetch("/?v=a%0d%0aX-Evil:%201")
        self.assertIn(response.status, (200, 400))
        self.assertTrue(all(not request.header_list("X-Evil") for request in origin.requests))

    def test_response_headers(self):
        origin = self.origin(lambda request, connection: answer(headers=[("Server", "app/1"), ("X-Old", "1"), ("X-Multi", "a")]))
        edge = self.gate(f"""\
            sites:
              - response_headers: {{ set: {{ X-Frame-Options: DENY, X-Pool: '$pool' }}, add: {{ X-Multi: b }}, remove: [Server] }}
                routes:
                  - {{ path: /gone, respond: {{ status: 410, body: gone }} }}
                  - {{ path: /*, proxy: '{origin.url}', response_headers: {{ set: {{ X-Route: r }}, remove: [X-Old] }} }}
            """)
        response = edge.fetch()
        self.assertEqual(response.header_list("X-Frame-Options"), ["DENY"])
        self.assertEqual(response.header_list("X-Multi"), ["a", "b"])
        self.assertEqual(response.header_list("Server") + response.header_list("X-Old"), [])
        self.assertEqual(response.header("X-Route"), "r")
        response = edge.fetch("/gone")
        self.assertEqual((response.status, response.header("X-Frame-Options")), (410, "DENY"))
        self.assertEqual(edge.fetch("/gone", host="example.test").header("X-Multi"), "b")

    def test_access_log_record(self):
        edge, _ = self.proxied(lambda request, connection: answer(201, b"made", reason="Created"))
        response = edge.fetch("/log?q=1", "POST", body=b"12345", headers=[("User-Agent", 'a "quoted" one'), ("Referer", "http://r.test/")])
        self.assertEqual(response.status, 201)
        record = edge.wait_access(lambda r: r["uri"] == "/log?q=1")
        self.assertEqual({k: record[k] for k in ("client", "method", "host", "protocol", "status", "bytes_in", "bytes_out",
                                                 "attempts", "user_agent", "referer", "site", "route")},
                         {"client": "127.0.0.1", "method": "POST", "host": "example.test", "protocol": "HTTP/1.1",
                          "status": 201, "bytes_in": 5, "bytes_out": 4, "attempts": 1, "user_agent": 'a "quoted" one',
                          "referer": "http://r.test/", "site": "default", "route": "/*"})
        self.assertRegex(record["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:?\d\d)$")
        for name in ("duration_ms", "upstream_ms"):
            self.assertIsInstance(record[name], (int, float))
        for name in ("upstream", "pool", "server"):
            self.assertTrue(record[name], name)

    def test_combined_log(self):
        edge, _ = self.proxied(top="access_log: { format: combined, output: stdout }")
        edge.fetch("/c?x=1", headers=[("User-Agent", "ua")])
        line = edge.out.wait(lambda lines: next((one for one in lines if "/c?x=1" in one), None))
        self.assertIsNotNone(line)
        self.assertRegex(line, r'^127\.0\.0\.1 - - \[[^\]]+\] "GET /c\?x=1 HTTP/1\.1" 200 2 "-" "ua"')


if __name__ == "__main__":
    unittest.main(verbosity=2)
