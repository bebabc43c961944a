# SPDX-License-Identifier: Apache-2.0
"""Which site and route serve a request, and the actions that need no origin: redirect, respond, rewrite."""

import unittest

from client import Broken
from harness import GateTest, fetch


class Routes(GateTest):
    def routes(self, *lines, sites=""):
        body = "\n".join(f"      - {line}" for line in lines)
        return self.gate(f"sites:\n  - routes:\n{body}\n{sites}")

    def bodies(self, edge, expected, **more):
        for target, body in expected:
            with self.subTest(target, **{k: str(v) for k, v in more.items()}):
                response = edge.fetch(target, **more)
                self.assertEqual(response.text if response.status == 200 else response.status, body)

    def test_order(self):
        """Exact, then regexes in file order, then the longest prefix; the order in the file is no matter otherwise."""
        edge = self.routes(
            "{ path: /*, respond: { status: 200, body: all } }",
            "{ path: /a/*, respond: { status: 200, body: short } }",
            "{ path: /a/b/*, respond: { status: 200, body: long } }",
            "{ path_regex: '^/a/[0-9]+$', respond: { status: 200, body: regex1 } }",
            "{ path_regex: '^/a/1', respond: { status: 200, body: regex2 } }",
            "{ path: /a/1, respond: { status: 200, body: exact } }",
            "{ path: [/l1, /l2/*], respond: { status: 200, body: list } }")
        self.bodies(edge, [("/", "all"), ("/x", "all"), ("/a/x", "short"), ("/a", "all"), ("/a/b/c", "long"), ("/a/b", "short"),
                           ("/a/1", "exact"), ("/a/12", "regex1"), ("/a/1x", "regex2"), ("/a/2", "regex1"), ("/l1", "list"),
                           ("/l1/x", "all"), ("/l2/x", "list"), ("/a/1?q=1", "exact"), ("/A/1", "all")])

    def test_one_normalised_path(self):
        """No spelling walks around a route's rule."""
        edge = self.routes("{ path: /*, respond: { status: 200, body: open } }",
                           "{ path: /admin/*, respond: { status: 403, body: closed } }")
        for target in ("/admin/", "/admin/x", "//admin/x", "/./admin/x", "/x/../admin/x", "/%61dmin/x", "/admin%2fx", "/x/..%2fadmin/x",
                       "/x%2f..%2fadmin/x", "/admin//x", "/admin\\x", "/x\\..\\admin\\x", "/%2e/admin/x", "/x/%2e%2e/admin/x", "/admin%5cx"):
            with self.subTest(target):
                self.assertIn(edge.fetch(target).status, (403, 400))

    def test_hosts(self):
        edge = self.gate("""\
            sites:
              - hosts: [shop.example.test, "*.shop.example.test"]
                routes: [{ path: /*, respond: { status: 200, body: shop } }]
              - hosts: [api.shop.example.test]
                routes: [{ path: /*, respond: { status: 200, body: api } }]
              - hosts: ["*.example.test"]
                routes: [{ path: /*, respond: { status: 200, body: wild } }]
              - routes: [{ path: /*, respond: { status: 200, body: default } }]
            """)
        for host, body in [("shop.example.test", "shop"), ("SHOP.Example.TEST", "shop"), ("shop.example.test:8443", "shop"),
                           ("a.shop.example.test", "shop"), ("api.shop.example.test", "api"), ("x.example.test", "wild"),
                           ("example.test", "default"), ("other.test", "default"), ("127.0.0.1", "default"), ("notshop.example.test", "wild"),
                           ("shop.example.test.", None)]:
            with self.subTest(host):
                response = edge.fetch(host=host)
                self.assertEqual(response.status, 200)
                if body:
                    self.assertEqual(response.text, body)

    def test_unknown_host(self):
        edge = self.gate("sites: [{ hosts: [a.test], routes: [{ path: /*, respond: { status: 200, body: a } }] }]")
        with edge.connect() as client:
            self.assertEqual(client.request(host="b.test").status, 404)
            self.assertEqual(client.request(host="a.test").text, "a")
        self.assertTrue(edge.wait_access(lambda r: r["host"].startswith("b.test"))["error"])

    def test_no_route(self):
        edge = self.routes("{ path: /only, respond: { status: 200, body: x } }")
        response = edge.fetch("/other")
        self.assertEqual(response.status, 404)
        self.assertTrue(edge.wait_access()["error"])

    def test_conditions(self):
        edge = self.routes(
            "{ path: /*, respond: { status: 200, body: any } }",
            "{ path: /c/*, methods: [POST, PUT], respond: { status: 200, body: write } }",
            "{ path: /c/*, headers: { X-Beta: yes-please }, respond: { status: 200, body: beta } }",
            "{ path: /q/*, query: { v: '2' }, respond: { status: 200, body: v2 } }",
            "{ path: /ip/*, client: [10.0.0.0/8], respond: { status: 200, body: inside } }",
            "{ path: /me/*, client: [127.0.0.0/8], respond: { status: 200, body: loopback } }")
        self.bodies(edge, [("/c/x", "any"), ("/q/x", "any"), ("/q/x?v=1", "any"), ("/q/x?v=2", "v2"), ("/q/x?a=1&v=2", "v2"),
                           ("/q/x?v=%32", "v2"), ("/ip/x", "any"), ("/me/x", "loopback")])
        self.bodies(edge, [("/c/x", "write")], method="POST")
        self.bodies(edge, [("/c/x", "beta")], headers=[("x-beta", "yes-please")])
        self.bodies(edge, [("/c/x", "any")], headers=[("x-beta", "no")])

    def test_client_condition_behind_a_proxy(self):
        edge = self.gate("""\
            trusted_proxies: [127.0.0.1]
            sites:
              - routes:
                  - { path: /*, respond: { status: 200, body: outside } }
                  - { path: /in/*, client: [10.0.0.0/8], respond: { status: 200, body: inside } }
            """)
        self.bodies(edge, [("/in/x", "inside")], headers=[("X-Forwarded-For", "1.2.3.4, 10.1.1.1")])
        self.bodies(edge, [("/in/x", "outside")], headers=[("X-Forwarded-For", "10.1.1.1, 1.2.3.4")])

    def test_rewrite(self):
        edge = self.routes(
            "{ path: [/merchant/admin*, /merchant/support*], rewrite: { regex: '^/merchant(/.*)$', to: '$1' } }",
            "{ path: /admin*, respond: { status: 200, body: 'admin $uri $request_uri' } }",
            "{ path: /support*, respond: { status: 200, body: 'support $uri' } }",
            "{ path: /q/*, rewrite: { regex: '^/q/(.*)$', to: '/admin/$1?a=1' } }",
            "{ path: /*, respond: { status: 200, body: 'rest $uri' } }")
        self.bodies(edge, [("/merchant/admin", "admin /admin /merchant/admin"), ("/merchant/admin/x?y=1", "admin /admin/x /merchant/admin/x?y=1"),
                           ("/merchant/support/7", "support /support/7"), ("/merchant/other", "rest /merchant/other")])
        self.assertEqual(edge.fetch("/q/z").text.split()[1], "/admin/z")

    def test_rewrite_on_the_way_to_an_origin(self):
        origin = self.origin()
        edge = self.routes(f"{{ path: /old/*, rewrite: {{ regex: '^/old/(.*)$', to: '/new/$1' }}, proxy: '{origin.url}' }}",
                           f"{{ path: /again/*, rewrite: {{ regex: '^/again/(.*)$', to: '/v2/$1' }} }}",
                           f"{{ path: /v2/*, strip_prefix: /v2, proxy: '{origin.url}' }}")
        for sent, seen in [("/old/a%20b?x=1", "/new/a%20b?x=1"), ("/again/y?z=1", "/y?z=1")]:
            with self.subTest(sent):
                self.assertEqual(edge.fetch(sent).status, 200)
                self.assertEqual(origin.requests[-1].target, seen)

    def test_rewrite_loop_is_500(self):
        edge = self.routes("{ path: /a/*, rewrite: { regex: '^/a/(.*)$', to: '/b/$1' } }",
                           "{ path: /b/*, rewrite: { regex: '^/b/(.*)$', to: '/a/$1' } }")
        self.assertEqual(edge.fetch("/a/x").status, 500)
        self.assertIn("rewrite", edge.wait_access()["error"])

    def test_ten_rewrites_are_allowed(self):
        lines = [f"{{ path: /{i}/*, rewrite: {{ regex: '^/{i}/(.*)$', to: '/{i + 1}/$1' }} }}" for i in range(11)]
        edge = self.routes(*lines, "{ path: /11/*, respond: { status: 200, body: end } }")
        self.bodies(edge, [("/1/x", "end"), ("/0/x", 500)])

    def test_rewrite_may_not_leave_the_root(self):
        edge = self.routes("{ path: /up/*, rewrite: { regex: '^/up/(.*)$', to: '/../$1' } }", "{ path: /*, respond: { status: 200, body: x } }")
        self.assertIn(edge.fetch("/up/etc").status, (400, 500))

    def test_hostile_regex_input_ends(self):
        edge = self.routes("{ path_regex: '^/(a+)+$', respond: { status: 200, body: a } }", "{ path: /*, respond: { status: 200, body: rest } }")
        self.assertIn(edge.fetch("/" + "a" * 5000 + "!").status, (200, 500))

    def test_redirect(self):
        edge = self.routes("{ path: /old/*, redirect: { to: 'https://$host/new$uri', status: 301 } }",
                           "{ path: /query, redirect: { to: '/found?$query' } }",
                           "{ path_regex: '^/u/([0-9]+)$', redirect: { to: '/users/$1', status: 302 } }")
        response = edge.fetch("/old/a%20b", host="shop.example.test:81")
        self.assertEqual((response.status, response.header("Location")), (301, "https://shop.example.test/new/old/a%20b"))
        response = edge.fetch("/query?a=1&b=2")
        self.assertIn(response.status, (302, 307, 308, 301))
        self.assertEqual(response.header("Location"), "/found?a=1&b=2")
        response = edge.fetch("/u/42")
        self.assertEqual((response.status, response.header("Location")), (302, "/users/42"))

    def test_redirect_cannot_be_split(self):
        edge = self.routes("{ path: /*, redirect: { to: 'https://$host$uri?$query', status: 302 } }")
        for target in ("/a%0d%0aX-Evil:%201", "/a?b%0d%0aX-Evil:%201", "/%E5%98%8D%E5%98%8AX-Evil"):
            response = edge.fetch(target)
            self.assertIn(response.status, (302, 400))
            self.assertIsNone(response.header("X-Evil"))

    def test_respond_and_templates(self):
        edge = self.routes("{ path: /t/*, respond: { status: 200, body: '$method|$scheme|$host|$uri|$request_uri|$query|$arg_a|"
                           "$http_x_one|$cookie_c|$remote_addr|$server_port|$$' } }",
                           "{ path: /teapot, respond: { status: 418, body: short } }",
                           "{ path_regex: '^/g/([a-z]+)/([0-9]+)$', respond: { status: 200, body: '$2-$1' } }",
                           "{ path: /empty, respond: { status: 204 } }")
        response = edge.fetch("/t/a%20b?a=1&b=2", headers=[("X-One", "one"), ("Cookie", "b=0; c=crumb")])
        self.assertEqual(response.text, f"GET|http|example.test|/t/a b|/t/a%20b?a=1&b=2|a=1&b=2|1|one|crumb|127.0.0.1|{edge.port}|$")
        self.assertEqual(edge.fetch("/teapot").status, 418)
        self.bodies(edge, [("/g/abc/42", "42-abc")])
        response = edge.fetch("/empty")
        self.assertEqual((response.status, response.body), (204, b""))
        response = edge.fetch("/t/x", "HEAD")
        self.assertEqual((response.status, response.body), (200, b""))

    def test_upload_to_an_answer_that_reads_none(self):
        """A body that no one wants must not be taken for the next request."""
        edge = self.routes("{ path: /*, respond: { status: 200, body: ok } }")
        with edge.connect() as client:
            client.send_request("POST", "/x", body=b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(client.read_response().text, "ok")
            try:
                self.assertEqual(client.request(target="/next").text, "ok")
            except (Broken, ConnectionError):
                pass  # closing the connection is right, too
        edge.fetch("/last")
        edge.wait_access(lambda record: record["uri"] == "/last")
        self.assertNotIn("/smuggled", [record["uri"] for record in edge.access_log()])

    def test_sites_by_listener(self):
        edge = self.gate("""\
            listeners: [{ address: "127.0.0.1:0" }, { address: "127.0.0.2:0" }]
            sites:
              - listeners: ["127.0.0.2:0"]
                routes: [{ path: /*, respond: { status: 200, body: second } }]
              - hosts: [first.test]
                listeners: ["127.0.0.1:0"]
                routes: [{ path: /*, respond: { status: 200, body: first } }]
            """, listeners=2)
        one, two = edge.address_of("plain", 0), edge.address_of("plain", 1)
        if one[0] == "127.0.0.2":
            one, two = two, one
        self.assertEqual(fetch(one, host="first.test").text, "first")
        self.assertEqual(fetch(two, host="first.test").text, "second")
        self.assertEqual(fetch(one, host="x.test").status, 404)


if __name__ == "__main__":
    unittest.main(verbosity=2)
