# SPDX-License-Identifier: Apache-2.0
"""Files: every promise of `static:`, with real files."""

import gzip
import os
import re
import unittest
from email.utils import formatdate, parsedate_to_datetime

from harness import GateTest, wait_until, write_files

IMMUTABLE = "public, max-age=31536000, immutable"
BROWSER = [("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]
SCRIPT = [("Accept", "*/*"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "script")]


class StaticTest(GateTest):
    def site(self, files, settings="", route="path: /*"):
        """(edge, root) with these files."""
        self.root = self.folder() / "root"
        self.root.mkdir()
        write_files(self.root, files)
        more = f", {settings}" if settings else ""
        return self.gate(f"sites: [{{ routes: [{{ {route}, static: {{ root: '{self.root}'{more} }} }}] }}]\n")


class Plain(StaticTest):
    def test_files_and_types(self):
        files = {"a.html": "<p>", "a.css": "a{}", "a.js": "1", "a.mjs": "1", "a.json": "{}", "a.svg": "<svg/>", "a.txt": "t",
                 "a.png": b"\x89PNG", "a.woff2": b"w", "a.wasm": b"\0asm", "a.webmanifest": "{}", "a.map": "{}", "a.ico": b"i",
                 "a.avif": b"a", "a.webp": b"w", "a.pdf": b"%PDF", "a.mp4": b"m", "a.unknownkind": b"?", "noextension": b"n", "empty.txt": b""}
        edge = self.site(files)
        types = {"a.html": "text/html; charset=utf-8", "a.css": "text/css; charset=utf-8", "a.svg": "image/svg+xml",
                 "a.txt": "text/plain; charset=utf-8", "a.png": "image/png", "a.woff2": "font/woff2", "a.wasm": "application/wasm",
                 "a.avif": "image/avif", "a.webp": "image/webp", "a.pdf": "application/pdf", "a.mp4": "video/mp4",
                 "a.unknownkind": "application/octet-stream", "noextension": "application/octet-stream"}
        with edge.connect() as client:
            for name, content in files.items():
                with self.subTest(name):
                    response = client.request(target="/" + name)
                    self.assertEqual(response.status, 200)
                    self.assertEqual(response.body, content if isinstance(content, bytes) else content.encode())
                    given = response.header("Content-Type").lower().replace(" ", "")
                    if name in types:
                        expected = types[name].replace(" ", "")
                        self.assertIn(given, (expected, expected + ";charset=utf-8") if "svg" in name else (expected,))
            self.assertRegex(client.request(target="/a.js").header("Content-Type"), r"^(text|application)/javascript; ?charset=utf-8$")
            self.assertRegex(client.request(target="/a.json").header("Content-Type"), r"^application/json")

    def test_index_and_trailing_slash(self):
        edge = self.site({"index.html": "top", "docs/index.html": "docs", "empty/x.txt": "x"})
        self.assertEqual(edge.fetch("/").text, "top")
        self.assertEqual(edge.fetch("/docs/").text, "docs")
        response = edge.fetch("/docs?x=1")
        self.assertIn(response.status, (301, 308))
        self.assertRegex(response.header("Location"), r"^(http://example\.test(:\d+)?)?/docs/\?x=1$")
        self.assertIn(edge.fetch("/empty/").status, (403, 404))  # autoindex is off
        self.assertEqual(edge.fetch("/empty/x.txt").text, "x")
        self.assertEqual(edge.fetch("/index.html/").status, 404)

    def test_redirect_stays_here(self):
        """A directory's redirect must not become a way to another host."""
        edge = self.site({"evil.test/index.html": "x", "a b/index.html": "x"})
        for target in ("//evil.test", "/%2fevil.test", "/\\evil.test", "/%5cevil.test"):
            with self.subTest(target):
                location = edge.fetch(target).header("Location") or ""
                self.assertNotRegex(location, r"^(//|/\\|https?://evil)")
        self.assertRegex(edge.fetch("/a%20b").header("Location"), r"/a%20b/$")

    def test_head_and_methods(self):
        edge = self.site({"a.txt": "hello"})
        with edge.connect() as client:
            response = client.request("HEAD", "/a.txt")
            self.assertEqual((response.status, response.header("Content-Length"), response.body), (200, "5", b""))
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                response = client.request(method, "/a.txt", headers=[("Content-Length", "0")])
                self.assertEqual(response.status, 405)
                self.assertEqual({m.strip() for m in response.header("Allow").split(",")} & {"GET", "HEAD", "POST"}, {"GET", "HEAD"})

    def test_escaped_names(self):
        edge = self.site({"a b.txt": "blank", "caf\u00e9.txt": "accent", "100%.txt": "percent", "a+b.txt": "plus", "a&b?.txt": "marks"})
        for target, text in [("/a%20b.txt", "blank"), ("/caf%C3%A9.txt", "accent"), ("/100%25.txt", "percent"),
                             ("/a+b.txt", "plus"), ("/a%26b%3f.txt", "marks")]:
            with self.subTest(target):
                self.assertEqual(edge.fetch(target).text, text)

    def test_large_file(self):
        content = os.urandom(1 << 20) * 24
        edge = self.site({"big.bin": content})
        with edge.connect() as client:
            self.assertEqual(client.request(target="/big.bin").body, content)
            self.assertEqual(client.request(target="/big.bin", headers=[("Range", "bytes=1000000-20999999")]).body, content[1000000:21000000])

    def test_alias(self):
        edge = self.site({"app.css": "css"}, route="path: /static/*, strip_prefix: /static")
        self.assertEqual(edge.fetch("/static/app.css").text, "css")
        self.assertEqual(edge.fetch("/app.css").status, 404)
        self.assertEqual(edge.fetch("/static/static/app.css").status, 404)

    def test_change_is_seen(self):
        """Answered from memory, but never more than about a second behind the disk."""
        edge = self.site({"a.txt": "old"})
        first = edge.fetch("/a.txt")
        write_files(self.root, {"a.txt": "newer"})
        wait_until(lambda: edge.fetch("/a.txt").text == "newer", what="the change of a file")
        self.assertNotEqual(edge.fetch("/a.txt").header("ETag"), first.header("ETag"))
        (self.root / "a.txt").unlink()
        wait_until(lambda: edge.fetch("/a.txt").status == 404, what="the end of a file")
        write_files(self.root, {"a.txt": "again"})
        wait_until(lambda: edge.fetch("/a.txt").text == "again", what="the return of a file")

    def test_root_replaced_by_a_deploy(self):
        base = self.folder()
        write_files(base, {"releases/1/index.html": "one", "releases/2/index.html": "two"})
        (base / "current").symlink_to("releases/1")
        edge = self.gate(f"sites: [{{ routes: [{{ path: /*, static: {{ root: '{base}/current', spa: true }} }}] }}]")
        self.assertEqual(edge.fetch("/").text, "one")
        (base / "next").symlink_to("releases/2")
        os.replace(base / "next", base / "current")
        wait_until(lambda: edge.fetch("/").text == "two", what="the switch of the root")

    def test_autoindex(self):
        edge = self.site({"d/b.txt": "b", "d/<a>.txt": "a", "d/.hidden": "h"}, "autoindex: true")
        response = edge.fetch("/d/")
        self.assertEqual(response.status, 200)
        self.assertIn("b.txt", response.text)
        self.assertIn("&lt;a&gt;.txt", response.text)
        self.assertNotIn("<a>", response.text)
        self.assertNotIn(".hidden", response.text)


class Fallbacks(StaticTest):
    SPA = {"index.html": "<app>", "assets/app-3f9a1b2c.js": "js", "assets/plain.js": "plain", "favicon.svg": "<svg/>",
           "sw.js": "sw", "about/index.html": "about"}

    def test_spa(self):
        edge = self.site(self.SPA, "spa: true")
        for target in ("/", "/deep/link", "/users/42", "/a.b/c", "/index.html"):
            with self.subTest(target):
                response = edge.fetch(target, headers=BROWSER)
                self.assertEqual((response.status, response.text), (200, "<app>"))
                self.assertEqual(response.header("Cache-Control"), "no-cache")
                self.assertTrue(response.header("Content-Type").startswith("text/html"))
        self.assertEqual(edge.fetch("/deep/link", headers=[("Accept", "*/*")]).text, "<app>")

    def test_spa_missing_asset(self):
        edge = self.site(self.SPA, "spa: true")
        for target in ("/assets/app-00000000.js", "/missing.css", "/img/logo.png", "/x.map", "/f.woff2"):
            for headers in (SCRIPT, [], BROWSER):
                with self.subTest(target=target, headers=headers):
                    response = edge.fetch(target, headers=headers)
                    self.assertEqual(response.status, 404)
                    self.assertEqual(response.header("Cache-Control"), "no-store")
                    self.assertNotIn("<app>", response.text)

    def test_spa_call_is_not_a_navigation(self):
        edge = self.site(self.SPA, "spa: true")
        response = edge.fetch("/api/nothing", headers=[("Accept", "application/json"), ("Sec-Fetch-Mode", "cors")])
        self.assertEqual(response.status, 404)
        self.assertEqual(edge.fetch("/deep", "POST").status, 405)

    def test_spa_cache_rules(self):
        edge = self.site(self.SPA, "spa: true")
        self.assertEqual(edge.fetch("/assets/app-3f9a1b2c.js").header("Cache-Control"), IMMUTABLE)
        self.assertEqual(edge.fetch("/sw.js").header("Cache-Control"), "no-cache")
        self.assertNotEqual(edge.fetch("/assets/plain.js").header("Cache-Control"), IMMUTABLE)

    def test_also(self):
        old = self.folder()
        older = self.folder()
        write_files(old, {"index.html": "<old>", "assets/app-11111111.js": "old js", "assets/both-22222222.js": "old both"})
        write_files(older, {"assets/app-00000000.js": "older js", "assets/both-22222222.js": "older both"})
        edge = self.site(self.SPA, f"spa: true, also: ['{old}', '{older}']")
        for target, text in [("/assets/app-3f9a1b2c.js", "js"), ("/assets/app-11111111.js", "old js"),
                             ("/assets/app-00000000.js", "older js"), ("/assets/both-22222222.js", "old both")]:
            with self.subTest(target):
                response = edge.fetch(target, headers=SCRIPT)
                self.assertEqual((response.status, response.text), (200, text))
                self.assertEqual(response.header("Cache-Control"), IMMUTABLE)
        self.assertEqual(edge.fetch("/", headers=BROWSER).text, "<app>")
        self.assertEqual(edge.fetch("/assets/nowhere-33333333.js").status, 404)

    def test_try_files(self):
        edge = self.site({"index.html": "top", "a.html": "a", "dir/index.html": "dir", "fallback.html": "fallback"},
                         "try_files: [$uri, $uri.html, $uri/index.html, /fallback.html]")
        for target, text in [("/a.html", "a"), ("/a", "a"), ("/dir", "dir"), ("/nothing", "fallback"), ("/x.js", "fallback")]:
            with self.subTest(target):
                response = edge.fetch(target)
                self.assertEqual((response.status, response.text), (200, text))

    def test_cache_control(self):
        edge = self.site({"index.html": "i", "assets/a.js": "a", "assets/sub/b.js": "b", "c.js": "c"},
                         "try_files: [$uri, /index.html], cache_control: { '/assets/*': 'public, max-age=60', "
                         "'/assets/sub/*': 'max-age=5', '/index.html': no-cache, '*.js': 'max-age=1' }")
        for target, value in [("/assets/a.js", "public, max-age=60"), ("/assets/sub/b.js", "max-age=5"), ("/c.js", "max-age=1"),
                              ("/index.html", "no-cache"), ("/any/where", "no-cache")]:
            with self.subTest(target):
                self.assertEqual(edge.fetch(target).header("Cache-Control"), value)


class Conditions(StaticTest):
    def setUp(self):
        self.edge = self.site({"a.txt": "0123456789"})
        first = self.edge.fetch("/a.txt")
        self.etag, self.date = first.header("ETag"), first.header("Last-Modified")
        self.assertRegex(self.etag, r'^"[^"]+"$')
        parsedate_to_datetime(self.date)

    def status(self, *headers, method="GET"):
        return self.edge.fetch("/a.txt", method, headers=list(headers)).status

    def test_if_none_match(self):
        response = self.edge.fetch("/a.txt", headers=[("If-None-Match", self.etag)])
        self.assertEqual((response.status, response.body, response.header("ETag")), (304, b"", self.etag))
        for value, status in [(f'"x", {self.etag}', 304), (f"W/{self.etag}", 304), ("*", 304), ('"x"', 200), ("x", 200)]:
            with self.subTest(value):
                self.assertEqual(self.status(("If-None-Match", value)), status)
        self.assertEqual(self.status(("If-None-Match", self.etag), method="HEAD"), 304)

    def test_if_modified_since(self):
        self.assertEqual(self.status(("If-Modified-Since", self.date)), 304)
        self.assertEqual(self.status(("If-Modified-Since", formatdate(0, usegmt=True))), 200)
        self.assertEqual(self.status(("If-Modified-Since", "yesterday")), 200)

    def test_if_match(self):
        self.assertEqual(self.status(("If-Match", self.etag)), 200)
        self.assertEqual(self.status(("If-Match", "*")), 200)
        self.assertEqual(self.status(("If-Match", '"x"')), 412)
        self.assertEqual(self.status(("If-Match", f"W/{self.etag}")), 412)

    def test_if_unmodified_since(self):
        self.assertEqual(self.status(("If-Unmodified-Since", self.date)), 200)
        self.assertEqual(self.status(("If-Unmodified-Since", formatdate(0, usegmt=True))), 412)

    def test_precedence(self):
        """RFC 9110 section 13.2.2: entity tags decide before dates."""
        self.assertEqual(self.status(("If-None-Match", '"x"'), ("If-Modified-Since", self.date)), 200)
        self.assertEqual(self.status(("If-Match", self.etag), ("If-Unmodified-Since", formatdate(0, usegmt=True))), 200)
        self.assertEqual(self.status(("If-Match", '"x"'), ("If-None-Match", self.etag)), 412)

    def range_of(self, value, *headers):
        return self.edge.fetch("/a.txt", headers=[("Range", value), *headers])

    def test_single_ranges(self):
        for value, body, place in [("bytes=0-0", b"0", "0-0"), ("bytes=2-4", b"234", "2-4"), ("bytes=7-", b"789", "7-9"),
                                   ("bytes=-3", b"789", "7-9"), ("bytes=5-100", b"56789", "5-9"), ("bytes=-100", b"0123456789", "0-9")]:
            with self.subTest(value):
                response = self.range_of(value)
                self.assertEqual((response.status, response.body), (206, body))
                self.assertEqual(response.header("Content-Range"), f"bytes {place}/10")
        self.assertEqual(self.edge.fetch("/a.txt").header("Accept-Ranges"), "bytes")

    def test_impossible_ranges(self):
        for value in ("bytes=10-", "bytes=100-200", "bytes=-0"):
            with self.subTest(value):
                response = self.range_of(value)
                self.assertEqual((response.status, response.header("Content-Range")), (416, "bytes */10"))

    def test_ranges_that_are_none(self):
        for value in ("bytes=4-2", "bytes=a-b", "lines=1-2", "bytes", "bytes=", "bytes=1--2", "bytes=99999999999999999999-"):
            with self.subTest(value):
                response = self.range_of(value)
                self.assertIn(response.status, (200, 416))
                if response.status == 200:
                    self.assertEqual(response.body, b"0123456789")

    def test_several_ranges(self):
        response = self.range_of("bytes=0-1, 4-5, -1")
        self.assertEqual(response.status, 206)
        mark = re.fullmatch(r"multipart/byteranges; ?boundary=\"?([^\"]+)\"?", response.header("Content-Type")).group(1)
        parts = response.body.split(b"--" + mark.encode())
        self.assertEqual(parts[-1].strip(), b"--")
        found = []
        for part in parts[1:-1]:
            head, _, body = part.partition(b"\r\n\r\n")
            found.append((re.search(rb"(?i)content-range: (.*)", head).group(1).strip(), body.removesuffix(b"\r\n")))
        self.assertEqual(found, [(b"bytes 0-1/10", b"01"), (b"bytes 4-5/10", b"45"), (b"bytes 9-9/10", b"9")])

    def test_abusive_ranges_are_bounded(self):
        response = self.range_of("bytes=" + ",".join(["0-"] * 1000))
        self.assertIn(response.status, (200, 206, 416))
        self.assertLess(len(response.body), 3000)

    def test_if_range(self):
        self.assertEqual(self.range_of("bytes=0-1", ("If-Range", self.etag)).status, 206)
        self.assertEqual(self.range_of("bytes=0-1", ("If-Range", '"x"')).status, 200)
        self.assertEqual(self.range_of("bytes=0-1", ("If-Range", f"W/{self.etag}")).status, 200)
        self.assertEqual(self.range_of("bytes=0-1", ("If-Range", formatdate(0, usegmt=True))).status, 200)

    def test_range_of_head_is_ignored(self):
        response = self.edge.fetch("/a.txt", "HEAD", headers=[("Range", "bytes=0-1")])
        self.assertIn(response.status, (200, 206))
        self.assertEqual(response.body, b"")


class Precompressed(StaticTest):
    def setUp(self):
        self.edge = self.site({"app.js": "plain " * 100, "app.js.gz": gzip.compress(b"plain " * 100), "app.js.br": b"brotli bytes", "only.js": "x"})
        now = os.stat(self.root / "app.js").st_mtime
        for name in ("app.js.gz", "app.js.br"):
            os.utime(self.root / name, (now + 1, now + 1))

    def coding(self, accept, target="/app.js"):
        response = self.edge.fetch(target, headers=[("Accept-Encoding", accept)] if accept is not None else [])
        self.assertEqual(response.status, 200)
        return response.header("Content-Encoding"), response

    def test_choice(self):
        for accept, expected in [(None, None), ("", None), ("gzip", "gzip"), ("br", "br"), ("gzip, deflate, br, zstd", "br"),
                                 ("gzip;q=1.0, br;q=0.5", "gzip"), ("br;q=0, gzip", "gzip"), ("br;q=0,gzip;q=0", None),
                                 ("identity", None), ("*", "br"), ("*;q=0, gzip", "gzip"), ("deflate", None), ("GZIP", "gzip")]:
            with self.subTest(accept):
                coding, response = self.coding(accept)
                self.assertEqual(coding, expected)
                self.assertIn("accept-encoding", (response.header("Vary") or "").lower())
                self.assertRegex(response.header("Content-Type"), "javascript")

    def test_each_has_its_own_tag(self):
        tags = {self.coding(accept)[1].header("ETag") for accept in ("identity", "gzip", "br")}
        self.assertEqual(len(tags), 3)
        tag = self.coding("gzip")[1].header("ETag")
        response = self.edge.fetch("/app.js", headers=[("Accept-Encoding", "gzip"), ("If-None-Match", tag)])
        self.assertEqual(response.status, 304)
        self.assertIn("accept-encoding", response.header("Vary").lower())

    def test_contents(self):
        self.assertEqual(gzip.decompress(self.coding("gzip")[1].body), b"plain " * 100)
        self.assertEqual(self.coding("br")[1].body, b"brotli bytes")
        response = self.edge.fetch("/app.js", headers=[("Accept-Encoding", "br"), ("Range", "bytes=0-5")])
        self.assertEqual((response.status, response.body, response.header("Content-Range")), (206, b"brotli", "bytes 0-5/12"))

    def test_none_beside_it(self):
        coding, response = self.coding("gzip, br", "/only.js")
        self.assertEqual((coding, response.body), (None, b"x"))

    def test_stale_variant_is_not_served(self):
        old = os.stat(self.root / "app.js").st_mtime - 100
        edge = self.site({"b.js": "new", "b.js.gz": gzip.compress(b"old")})
        os.utime(self.root / "b.js.gz", (old, old))
        response = edge.fetch("/b.js", headers=[("Accept-Encoding", "gzip")])
        self.assertEqual((response.header("Content-Encoding"), response.body), (None, b"new"))


class Safety(StaticTest):
    def test_hidden_files(self):
        edge = self.site({".env": "secret", ".git/config": "secret", "a/.htpasswd": "secret", ".well-known/acme-challenge/t": "token"})
        for target in ("/.env", "/.git/config", "/a/.htpasswd", "/%2eenv", "/a/%2ehtpasswd", "/x/../.env", "/.well-known/../.env"):
            with self.subTest(target):
                response = edge.fetch(target)
                self.assertIn(response.status, (403, 404))
                self.assertNotIn("secret", response.text)
        self.assertEqual(edge.fetch("/.well-known/acme-challenge/t").text, "token")

    def test_hidden_files_allowed(self):
        edge = self.site({".env": "open"}, "hidden_files: allow")
        self.assertEqual(edge.fetch("/.env").text, "open")

    def test_symlinks(self):
        outside = self.folder()
        write_files(outside, {"secret.txt": "secret", "dir/secret.txt": "secret"})
        for setting, inside, beyond in [("", True, False), ("follow_symlinks: always", True, True), ("follow_symlinks: never", False, False)]:
            with self.subTest(setting):
                edge = self.site({"real.txt": "inside"}, setting)
                (self.root / "inside.txt").symlink_to("real.txt")
                (self.root / "outside.txt").symlink_to(outside / "secret.txt")
                (self.root / "outdir").symlink_to(outside / "dir")
                (self.root / "up.txt").symlink_to(os.path.relpath(outside / "secret.txt", self.root))
                (self.root / "loop").symlink_to("loop")
                self.assertEqual(edge.fetch("/inside.txt").status == 200, inside)
                for target in ("/outside.txt", "/outdir/secret.txt", "/up.txt"):
                    response = edge.fetch(target)
                    self.assertIn(response.status, (200,) if beyond else (403, 404), target)
                    self.assertEqual("secret" in response.text, beyond)
                self.assertIn(edge.fetch("/loop").status, (403, 404))

    def test_no_spelling_leaves_the_root(self):
        edge = self.site({"index.html": "top", "a/b.txt": "b"})
        write_files(self.root.parent, {"secret.txt": "secret", "rootx/secret.txt": "secret"})
        for target in ("/../secret.txt", "/a/../../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/%2e%2e%2fsecret.txt",
                       "/..%5csecret.txt", "/..\\secret.txt", "/a/..%2f..%2fsecret.txt", "/.%2e/secret.txt", "//../secret.txt",
                       "/a//..//..//secret.txt", "/%252e%252e/secret.txt", "/%c0%ae%c0%ae/secret.txt", "/../rootx/secret.txt",
                       "/..;/secret.txt", "/a/%2e%2e%5c%2e%2e%5csecret.txt"):
            with self.subTest(target):
                response = edge.fetch(target)
                self.assertIn(response.status, (400, 404))
                self.assertNotIn("secret", response.text)

    def test_strip_prefix_does_not_leave_the_root(self):
        """nginx's classic: /static../secret with an alias."""
        edge = self.site({"a.txt": "a"}, route="path: /static*, strip_prefix: /static")
        write_files(self.root.parent, {"secret.txt": "secret"})
        for target in ("/static../secret.txt", "/static..%2fsecret.txt", "/static%2e%2e/secret.txt", "/static/../secret.txt", "/static\\..\\secret.txt"):
            with self.subTest(target):
                response = edge.fetch(target)
                self.assertIn(response.status, (400, 404))
                self.assertNotIn("secret", response.text)

    def test_only_regular_files(self):
        edge = self.site({"a.txt": "a"})
        os.mkfifo(self.root / "pipe")
        self.assertIn(edge.fetch("/pipe").status, (403, 404))
        self.assertEqual(edge.fetch("/a.txt/").status, 404)
        self.assertEqual(edge.fetch("/a.txt/b").status, 404)
        self.assertIn(edge.fetch("/" + "a" * 4000).status, (404, 414))
        self.assertEqual(edge.fetch("/" + "a/" * 1500).status, 404)

    def test_error_answers(self):
        edge = self.site({"a.txt": "a"})
        response = edge.fetch("/nothing")
        self.assertEqual((response.status, response.header("Cache-Control")), (404, "no-store"))
        self.assertEqual(edge.wait_access()["error"], "not_found")
        self.assertEqual(response.header("ETag"), None)


if __name__ == "__main__":
    unittest.main(verbosity=2)
