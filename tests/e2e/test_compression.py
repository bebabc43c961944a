# SPDX-License-Identifier: Apache-2.0
"""`compress:`: what is compressed on its way, with what, when, and what the head says of it."""

import gzip
import hashlib
import json
import threading
import unittest
import zlib

import brotli
import zstandard

from harness import Broken, GateTest, answer, fetch, run_program, wait_until, write_files
from http2_client import Http2Client

BROWSER = [("Accept-Encoding", "gzip, deflate, br, zstd")]
TEXT = "\n".join(f"line {number}: the quick brown fox {number * 7919 % 1000}" for number in range(2000)).encode()
ENCODINGS = ("zstd", "br", "gzip")


def accepts(*encodings):
    return [("Accept-Encoding", ", ".join(encodings))]


class Decoder:
    """Decodes what has arrived so far, as a browser does."""

    def __init__(self, encoding):
        if encoding == "gzip":
            self.decode = zlib.decompressobj(31).decompress
        elif encoding == "br":
            self.decode = brotli.Decompressor().process
        else:
            self.decode = zstandard.ZstdDecompressor().decompressobj().decompress


def decoded(response):
    encoding = response.header("Content-Encoding")
    return Decoder(encoding).decode(response.body) if encoding else response.body


class CompressTest(GateTest):
    def decoded(self, response, encoding, text=TEXT):
        self.assertEqual(response.status, 200)
        self.assertEqual(response.header("Content-Encoding"), encoding)
        self.assertEqual(response.header_list("Vary"), ["Accept-Encoding"])
        if encoding:
            self.assertLess(len(response.body), len(text) * 0.7)
        self.assertTrue(decoded(response) == text)

    def origin_of(self, body=TEXT, headers=(), content_type="text/plain", compress="on", **more):
        """An edge before an origin that always answers so."""
        fields = [("Content-Type", content_type), *headers]
        return self.proxied(lambda request, connection: answer(body=b"" if request.method == "HEAD" else body, headers=fields, **more),
                            route=f", compress: {compress}")[0]

    def files(self, files, settings="compress: on", static=""):
        root = self.folder()
        write_files(root, files)
        edge = self.gate(f"sites: [{{ {settings}, routes: [{{ path: /*, static: {{ root: {root}{static} }} }}] }}]\n")
        edge.root = root
        return edge


class Negotiation(CompressTest):
    def test_each_encoding(self):
        edge = self.origin_of()
        for encoding in ENCODINGS:
            self.decoded(edge.fetch(headers=accepts(encoding)), encoding)
        self.decoded(edge.fetch(headers=BROWSER), "zstd")
        self.decoded(edge.fetch(headers=accepts("gzip;q=1.0", "br;q=0.9", "zstd;q=0.1")), "gzip")
        self.decoded(edge.fetch(headers=accepts("*")), "zstd")
        for nothing in ([], accepts("deflate"), accepts("identity"), accepts("gzip;q=0"), accepts("identity;q=0")):
            response = edge.fetch(headers=nothing)
            self.decoded(response, None)
            self.assertEqual(response.header("Content-Length"), str(len(TEXT)))

    def test_one_connection(self):
        """One answer after another; an encoder is used again."""
        edge = self.origin_of()
        with edge.connect() as client:
            for number in range(12):
                encoding = (*ENCODINGS, None)[number % 4]
                self.decoded(client.request(headers=accepts(encoding or "identity")), encoding)

    def test_http_1_0(self):
        edge = self.origin_of()
        with edge.connect() as client:
            self.decoded(client.request(headers=accepts("br"), version="HTTP/1.0"), "br")

    def test_order_of_the_server(self):
        edge = self.origin_of(compress="{ encodings: [br, gzip], level: { br: 4, gzip: 1 } }")
        self.decoded(edge.fetch(headers=BROWSER), "br")
        self.decoded(edge.fetch(headers=accepts("zstd", "gzip")), "gzip")

    def test_a_route_stands_in_place_of_its_site(self):
        edge = self.gate("""
            sites:
              - compress: { encodings: [gzip], min_size: 10 }
                routes:
                  - { path: /site, respond: { body: "of the site, long enough" } }
                  - { path: /off, respond: { body: "of the route, off, however long" }, compress: off }
                  - { path: /own, respond: { body: "of the route, its own defaults" }, compress: {} }
                  - { path: /br, respond: { body: "of the route, its own rules" }, compress: { min_size: 1, encodings: [br] } }
            """)
        def got(path):
            response = edge.fetch(path, headers=BROWSER)
            self.assertIn(b"of the ", decoded(response))
            return response.header("Content-Encoding"), response.header("Vary")
        self.assertEqual(got("/site"), ("gzip", "Accept-Encoding"))
        self.assertEqual(got("/off"), (None, None))
        self.assertEqual(got("/own"), (None, None))
        self.assertEqual(got("/br"), ("br", "Accept-Encoding"))
        edge.reload(edge.file.read_text().replace("compress: { encodings: [gzip], min_size: 10 }", "compress: off"))
        self.assertEqual(got("/site"), (None, None))
        self.assertEqual(got("/br"), ("br", "Accept-Encoding"))

    def test_a_small_answer_has_its_length(self):
        edge = self.gate("sites: [{ compress: on, routes: [{ path: /*, respond: { body: '" + "x" * 3000 + "' } }] }]\n")
        for encoding in ENCODINGS:
            response = edge.fetch(headers=accepts(encoding))
            self.assertEqual(response.header("Content-Length"), str(len(response.body)))
            self.assertEqual(decoded(response), b"x" * 3000)


class LeftAlone(CompressTest):
    def as_it_is(self, edge, headers=BROWSER, vary=None, **more):
        response = edge.fetch(headers=headers, **more)
        self.assertEqual(response.header("Content-Length"), str(len(TEXT)))
        self.assertTrue(response.body == TEXT)
        self.assertEqual(response.header("Vary"), vary)
        return response

    def test_types(self):
        self.as_it_is(self.origin_of(content_type="image/png"))
        self.decoded(self.origin_of(content_type="image/svg+xml; charset=utf-8").fetch(headers=BROWSER), "zstd")

    def test_not_twice(self):
        body = gzip.compress(TEXT)
        edge = self.origin_of(body, [("Content-Encoding", "gzip"), ("Vary", "Origin")])
        response = edge.fetch(headers=BROWSER)
        self.assertEqual((response.header_list("Content-Encoding"), response.header("Vary")), (["gzip"], "Origin"))
        self.assertEqual(response.body, body)

    def test_no_transform(self):
        self.as_it_is(self.origin_of(headers=[("Cache-Control", "max-age=60, no-transform")]))
        self.as_it_is(self.origin_of(), headers=BROWSER + [("Cache-Control", "no-transform")])

    def test_rules_for_fields_come_first(self):
        """What response_headers say counts: the head is judged as the client would see it."""
        edge, _ = self.proxied(lambda request, connection: answer(body=TEXT, headers=[("Content-Type", "text/plain")]),
                               route=", compress: on, response_headers: { set: { Cache-Control: no-transform } }")
        self.as_it_is(edge)

    def test_ranges(self):
        self.as_it_is(self.origin_of(headers=[("Content-Range", "bytes 0-1/2")], status=206, reason="Partial Content"))

    def test_digests(self):
        self.as_it_is(self.origin_of(headers=[("Content-Digest", "sha-256=:AA==:")]))

    def test_small(self):
        edge = self.origin_of(b"x" * 1023)
        self.assertEqual(edge.fetch(headers=BROWSER).body, b"x" * 1023)
        edge = self.origin_of(b"x" * 1024)
        self.assertEqual(decoded(edge.fetch(headers=BROWSER)), b"x" * 1024)

    def test_no_content(self):
        edge = self.origin_of(b"", status=204, reason="No Content", length=False)
        response = edge.fetch(headers=BROWSER)
        self.assertEqual((response.status, response.header("Content-Encoding"), response.header("Vary")), (204, None, None))

    def test_upgrade(self):
        def handler(request, connection):
            connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\nContent-Type: text/plain\r\n\r\nhello")
            return False
        edge, _ = self.proxied(handler, route=", compress: on")
        with edge.connect() as client:
            client.send_request(headers=BROWSER + [("Connection", "upgrade"), ("Upgrade", "chat")])
            head = client.read_final_head()
            self.assertEqual((head.status, head.header("Content-Encoding")), (101, None))
            self.assertEqual(client.reader.exactly(5), b"hello")

    def test_grpc(self):
        self.as_it_is(self.origin_of(content_type="application/grpc", compress="{ types: ['*/*'] }"))


class Heads(CompressTest):
    def test_tag_ranges_and_vary(self):
        edge = self.origin_of(headers=[("ETag", '"v1"'), ("Accept-Ranges", "bytes"), ("Vary", "Origin")])
        response = edge.fetch(headers=BROWSER)
        self.assertEqual(response.header_list("ETag"), ['W/"v1"'])
        self.assertIsNone(response.header("Accept-Ranges"))
        self.assertIsNone(response.header("Content-Length"))
        self.assertEqual(response.header_list("Vary"), ["Origin, Accept-Encoding"])
        response = edge.fetch()
        self.assertEqual(response.header_list("ETag"), ['"v1"'])
        self.assertEqual(response.header("Accept-Ranges"), "bytes")
        self.assertEqual(response.header_list("Vary"), ["Origin, Accept-Encoding"])

    def test_head_says_what_get_would(self):
        def handler(request, connection):
            head = answer(body=TEXT, headers=[("Content-Type", "text/plain"), ("ETag", '"v1"')])
            return head[:-len(TEXT)] if request.method == "HEAD" else head
        edge, _ = self.proxied(handler, route=", compress: on")
        def told(method, headers):
            with edge.connect() as client:
                response = client.request(method, headers=headers)
                return {name: response.header(name) for name in ("Content-Encoding", "ETag", "Vary", "Content-Length", "Content-Type")}
        self.assertEqual(told("HEAD", BROWSER), told("GET", BROWSER))
        self.assertEqual(told("HEAD", BROWSER)["Content-Encoding"], "zstd")
        self.assertEqual(told("HEAD", []), told("GET", []))
        self.assertEqual(told("HEAD", [])["Content-Length"], str(len(TEXT)))

    def test_not_modified_of_an_origin(self):
        """An origin compares weakly, and its 304 keeps the tag that the client knows."""
        def handler(request, connection):
            if '"v1"' in (request.header("If-None-Match") or ""):
                return answer(304, b"", [("ETag", '"v1"')], "Not Modified", length=False)
            return answer(body=TEXT, headers=[("Content-Type", "text/plain"), ("ETag", '"v1"')])
        edge, _ = self.proxied(handler, route=", compress: on")
        tag = edge.fetch(headers=BROWSER).header("ETag")
        response = edge.fetch(headers=BROWSER + [("If-None-Match", tag)])
        self.assertEqual((response.status, response.header("ETag"), response.header("Vary")), (304, 'W/"v1"', "Accept-Encoding"))
        self.assertIsNone(response.header("Content-Encoding"))
        response = edge.fetch(headers=[("If-None-Match", '"v1"')])
        self.assertEqual((response.status, response.header("ETag")), (304, '"v1"'))


class Streams(CompressTest):
    def lockstep(self, encoding, content_type, client=None):
        """The origin writes a piece only after the client has decoded the one before."""
        seen = [threading.Event() for _ in range(20)]

        def handler(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % content_type)
            for number, event in enumerate(seen):
                piece = b"data: %d\n\n" % number
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                if not event.wait(10):
                    return False
            connection.send(b"0\r\n\r\n")
            return True

        edge, _ = self.proxied(handler, route=", compress: on")
        with edge.connect() as client:
            client.send_request(headers=accepts(encoding))
            head = client.read_final_head()
            self.assertEqual(head.header("Content-Encoding"), encoding)
            decoder = Decoder(encoding)
            for number, event in enumerate(seen):
                text = b""
                while not text.endswith(b"\n\n"):
                    chunk = client.reader.chunk()
                    self.assertTrue(chunk, "ended early")
                    text += decoder.decode(chunk)
                self.assertEqual(text, b"data: %d\n\n" % number)
                event.set()
            rest, _ = client.reader.chunked()
            self.assertEqual(decoder.decode(rest), b"")

    def test_events(self):
        for encoding in ENCODINGS:
            with self.subTest(encoding):
                self.lockstep(encoding, b"text/event-stream")

    def test_other_streams(self):
        for encoding in ENCODINGS:
            with self.subTest(encoding):
                self.lockstep(encoding, b"text/plain")

    def test_events_over_http2(self):
        seen = [threading.Event() for _ in range(5)]

        def handler(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            for number, event in enumerate(seen):
                connection.send(b"data: %d\n\n" % number)
                if not event.wait(10):
                    return False
            return False

        origin = self.origin(handler)
        edge = self.gate(f"listeners: [{{ address: '127.0.0.1:0', h2c: true }}]\nsites: [{{ compress: on, routes: [{{ path: /*, proxy: '{origin.url}' }}] }}]\n")
        with Http2Client(edge.address) as client:
            stream = client.request(headers=[("accept-encoding", "br")])
            decoder, text, taken = Decoder("br"), b"", 0
            for number, event in enumerate(seen):
                while not text.endswith(b"data: %d\n\n" % number):
                    client.read_frame()
                    body = client.answers[stream].body if stream in client.answers else b""
                    text += decoder.decode(body[taken:])
                    taken = len(body)
                event.set()
            self.assertEqual(client.answers[stream].header("content-encoding"), "br")

    def test_over_http2(self):
        root = self.folder()
        write_files(root, {"a.txt": TEXT})
        edge = self.gate(f"listeners: [{{ address: '127.0.0.1:0', h2c: true }}]\nsites: [{{ compress: on, routes: [{{ path: /*, static: {{ root: {root} }} }}] }}]\n")
        with Http2Client(edge.address) as client:
            for encoding in ENCODINGS * 2:
                got = client.fetch("/a.txt", headers=[("accept-encoding", encoding)])
                self.assertEqual((got.status, got.header("content-encoding"), got.header("vary")), (200, encoding, "Accept-Encoding"))
                self.assertEqual(Decoder(encoding).decode(got.body), TEXT)

    def test_a_large_body(self):
        """30 MB through each encoder, whole; another client is answered meanwhile."""
        piece = TEXT + bytes(range(256)) * 50
        count = 30_000_000 // len(piece)

        def handler(request, connection):
            if request.target == "/small":
                return answer(body=b"fine")
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (count * len(piece)))
            for _ in range(count):
                connection.send(piece)
            return True

        expected = hashlib.sha256()
        for _ in range(count):
            expected.update(piece)
        edge, _ = self.proxied(handler, route=", compress: on")
        before = edge.resident()
        for encoding in ENCODINGS:
            digest, decoder, size = hashlib.sha256(), Decoder(encoding), 0
            def sink(data):
                nonlocal size
                size += len(data)
                digest.update(decoder.decode(data))
            with edge.connect() as client:
                client.send_request(headers=accepts(encoding))
                head = client.read_final_head()
                self.assertEqual(head.header("Content-Encoding"), encoding)
                self.assertEqual(edge.fetch("/small").body, b"fine")
                client.read_body(head, sink=sink)
            self.assertEqual(digest.hexdigest(), expected.hexdigest())
            self.assertLess(size, 15_000_000)
        if not any(mark in edge.err.text for mark in ("Sanitizer",)):
            self.assertLess(edge.resident() - before, 64 << 20)

    def test_an_origin_that_breaks_off(self):
        """The client must see that the answer is not whole, and not a compressed one that ends well."""
        def handler(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\n" + TEXT[:50000])
            return False
        edge, _ = self.proxied(handler, route=", compress: on")
        for encoding in ENCODINGS:
            with edge.connect() as client:
                client.send_request(headers=accepts(encoding))
                with self.assertRaises(Broken):
                    client.read_response("GET")

    def test_trailers(self):
        def handler(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
            connection.send(b"%x\r\n%s\r\n0\r\nX-Sum: 5\r\n\r\n" % (len(TEXT), TEXT))
            return True
        edge, _ = self.proxied(handler, route=", compress: on")
        response = edge.fetch(headers=accepts("br") + [("TE", "trailers")])
        self.decoded(response, "br")
        self.assertIn(("X-Sum", "5"), response.trailers)


class Files(CompressTest):
    def test_small_and_large(self):
        large = TEXT * 8
        self.assertGreater(len(large), 256 * 1024)
        middle = TEXT * 2
        self.assertGreater(len(middle), 64 * 1024)
        edge = self.files({"small.css": TEXT[:5000], "middle.txt": middle, "large.txt": large, "tiny.txt": b"x" * 100})
        for name, text in (("small.css", TEXT[:5000]), ("middle.txt", middle), ("large.txt", large)):
            for encoding in ENCODINGS:
                bodies = set()
                for _ in range(4):  # on its way, kept, from what was kept
                    response = edge.fetch("/" + name, headers=accepts(encoding))
                    self.decoded(response, encoding, text)
                    self.assertTrue(response.header("ETag").startswith('W/"'))
                    bodies.add(response.header("ETag"))
                self.assertEqual(len(bodies), 1)
                if name != "large.txt":
                    self.assertEqual(response.header("Content-Length"), str(len(response.body)))
            self.decoded(edge.fetch("/" + name), None, text)
        self.assertIsNone(edge.fetch("/tiny.txt", headers=BROWSER).header("Vary"))

    def test_a_change_is_seen(self):
        edge = self.files({"a.txt": TEXT})
        for _ in range(3):
            self.decoded(edge.fetch("/a.txt", headers=BROWSER), "zstd")
        changed = TEXT.replace(b"fox", b"cat")
        write_files(edge.root, {"a.txt": changed})
        wait_until(lambda: decoded(edge.fetch("/a.txt", headers=BROWSER)) == changed, what="the new content")
        for _ in range(3):
            self.decoded(edge.fetch("/a.txt", headers=BROWSER), "zstd", changed)

    def test_conditions_and_ranges(self):
        edge = self.files({"a.txt": TEXT})
        plain = edge.fetch("/a.txt").header("ETag")
        self.assertTrue(plain.startswith('"'))
        for _ in range(3):
            tag = edge.fetch("/a.txt", headers=BROWSER).header("ETag")
            self.assertEqual(tag, "W/" + plain)
            response = edge.fetch("/a.txt", headers=BROWSER + [("If-None-Match", tag)])
            self.assertEqual((response.status, response.header("ETag"), response.header("Vary")), (304, tag, "Accept-Encoding"))
        response = edge.fetch("/a.txt", headers=BROWSER + [("Range", "bytes=10-19")])
        self.assertEqual((response.status, response.body, response.header("Content-Encoding")), (206, TEXT[10:20], None))
        response = edge.fetch("/a.txt", headers=BROWSER + [("Range", "bytes=10-19"), ("If-Range", plain)])
        self.assertEqual((response.status, response.body), (206, TEXT[10:20]))
        # A weak tag names no bytes: the whole, compressed or not.
        response = edge.fetch("/a.txt", headers=BROWSER + [("Range", "bytes=10-19"), ("If-Range", "W/" + plain)])
        self.decoded(response, "zstd")
        response = edge.fetch("/a.txt", headers=BROWSER + [("Range", "bytes=0-1,10-19")])
        self.assertEqual((response.status, response.header("Content-Encoding")), (206, None))
        with edge.connect() as client:
            head = client.request("HEAD", "/a.txt", headers=BROWSER)
            self.assertEqual((head.header("Content-Encoding"), head.header("ETag")), ("zstd", "W/" + plain))

    def test_siblings_win(self):
        edge = self.files({"a.js": TEXT, "a.js.gz": gzip.compress(TEXT, 9)})
        for _ in range(3):
            response = edge.fetch("/a.js", headers=accepts("gzip"))
            self.assertEqual(response.body, (edge.root / "a.js.gz").read_bytes())
            self.assertEqual(response.header_list("Vary"), ["Accept-Encoding"])
            # One who does not take the sibling gets what there is on the fly.
            self.decoded(edge.fetch("/a.js", headers=accepts("br")), "br")


class Told(CompressTest):
    def test_log_and_metrics(self):
        edge = self.files({"a.txt": TEXT}, settings="compress: { encodings: [br, gzip] }")
        sent = sum(len(edge.fetch("/a.txt?gzip", headers=accepts("gzip")).body) for _ in range(3))
        sent += len(edge.fetch("/a.txt?br", headers=BROWSER).body)
        edge.fetch("/a.txt?plain")
        self.assertEqual(edge.wait_access(lambda record: record["uri"] == "/a.txt?br")["encoding"], "br")
        self.assertEqual(edge.wait_access(lambda record: record["uri"] == "/a.txt?gzip")["encoding"], "gzip")
        self.assertNotIn("encoding", edge.wait_access(lambda record: record["uri"] == "/a.txt?plain"))
        text = fetch(edge.admin.removeprefix("unix:"), "/metrics").text
        self.assertIn('headgate_compressed_responses_total{encoding="gzip"} 3\n', text)
        self.assertIn('headgate_compressed_responses_total{encoding="br"} 1\n', text)
        self.assertIn('headgate_compressed_responses_total{encoding="zstd"} 0\n', text)
        self.assertIn('headgate_compression_bytes_total{direction="in"} %d\n' % (4 * len(TEXT)), text)
        self.assertIn('headgate_compression_bytes_total{direction="out"} %d\n' % sent, text)


    def test_explain(self):
        folder = self.folder()
        write_files(folder, {"a.yaml": "sites: [{ compress: { encodings: [br, gzip], level: { br: 2 } }, routes: [\n"
                                       "{ path: /a, respond: {} }, { path: /b, respond: {}, compress: off } ] }]\n"})
        said = run_program("explain", "-c", str(folder / "a.yaml"), "http://x.test/a").stdout
        self.assertIn("compress   br (level 2), gzip (level 5) (of the site)\n", said)
        self.assertIn("of text/*, application/json, application/javascript, image/svg+xml, from 1KiB on\n", said)
        said = run_program("explain", "-c", str(folder / "a.yaml"), "http://x.test/b").stdout
        self.assertIn("compress   off (of the route)\n", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
