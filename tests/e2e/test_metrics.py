# SPDX-License-Identifier: Apache-2.0
"""Metrics as a scraper sees them: what traffic of every kind is counted as, over reloads, on both listeners."""

import re
import ssl
import textwrap
import threading
import unittest

from certs import Authority
from client import Client
from harness import GateTest, answer, client_tls, fetch, run_program, wait_until, write_files
from http2_client import Http2Client
from test_proxy_upstreams import free_port

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
ESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class Scrape:
    """The text format 0.0.4, read strictly: every line must be one that the format has."""

    def __init__(self, text):
        assert text.endswith("\n"), "the last line has no end"
        self.types = {}
        self.samples = {}
        told = None
        for line in text.splitlines():
            if line.startswith("# HELP "):
                continue
            if line.startswith("# TYPE "):
                _, _, told, kind = line.split(" ")
                assert told not in self.types, f"{told} stands twice"
                self.types[told] = kind
                continue
            match = SAMPLE.fullmatch(line)
            assert match, f"not of the format: {line}"
            name, labels, value = match.groups()
            assert told and name in (told, f"{told}_bucket", f"{told}_sum", f"{told}_count"), f"{line} below {told}"
            found = LABEL.findall(labels or "")
            key = (name, tuple((key, re.sub(r"\\.", lambda m: ESCAPED[m.group()], text)) for key, text in found))
            assert key not in self.samples, f"{line} stands twice"
            self.samples[key] = float(value)

    def all(self, name, /, **wanted):
        """[(labels, value)] of the samples whose labels include these."""
        found = [(dict(labels), value) for (one, labels), value in self.samples.items() if one == name]
        return [(labels, value) for labels, value in found if wanted.items() <= labels.items()]

    def sum(self, name, /, **wanted):
        return sum(value for _, value in self.all(name, **wanted))

    def requests(self, **wanted):
        return self.sum("headgate_requests_total", **wanted)


class MetricsTest(GateTest):
    def gate_with_metrics(self, config, path="", **more):
        more_keys = f", path: {path}" if path else ""
        edge = self.gate(f'metrics: {{ listen: "127.0.0.1:0"{more_keys} }}\n' + textwrap.dedent(config), **more)
        line = edge.wait_log(r"listening on \S+ \(metrics\)")
        edge.metrics = ("127.0.0.1", int(re.search(r":(\d+) \(metrics\)", line).group(1)))
        return edge

    def scrape(self, edge, target="/metrics"):
        response = fetch(edge.metrics, target)
        self.assertEqual(response.status, 200)
        self.assertEqual(response.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8")
        return Scrape(response.text)

    def scrape_until(self, edge, condition, what):
        """A request is counted when its answer has ended, which the client may see a moment before."""
        def look():
            scrape = self.scrape(edge)
            return scrape if condition(scrape) else None
        return wait_until(look, what=what)


RESPOND = "sites: [{ routes: [{ path: /*, respond: { status: 200, body: ok } }] }]\n"


class Listener(MetricsTest):
    def test_serves_its_path_and_nothing_else(self):
        edge = self.gate_with_metrics(RESPOND, path="/numbers")
        self.scrape(edge, "/numbers")
        self.assertEqual(fetch(edge.metrics, "/metrics").status, 404)
        self.assertEqual(fetch(edge.metrics, "/v1/status").status, 404)
        refused = fetch(edge.metrics, "/numbers", "POST")
        self.assertEqual((refused.status, refused.header("Allow")), (405, "GET, HEAD"))
        head = fetch(edge.metrics, "/numbers", "HEAD")
        self.assertEqual((head.status, head.body), (200, b""))
        with Client(edge.metrics) as client:
            client.send(b"nonsense\r\n\r\n")
            self.assertEqual(client.read_response().status, 400)

    def test_scrapes_and_admin_calls_are_not_counted(self):
        edge = self.gate_with_metrics(RESPOND)
        for _ in range(3):
            self.scrape(edge)
        edge.command("status")
        self.assertEqual(self.scrape(edge).requests(), 0)

    def test_an_old_client_gets_all_of_it(self):
        edge = self.gate_with_metrics(RESPOND)
        with Client(edge.metrics) as client:
            client.send_request("GET", "/metrics", version="HTTP/1.0")
            Scrape(client.read_response().text)

    def test_also_on_the_admin_listener(self):
        edge = self.gate(RESPOND)
        self.assertFalse(edge.count_log(r"\(metrics\)"))
        text = fetch(edge.admin.removeprefix("unix:"), "/metrics").text
        self.assertIn(("headgate_config_generation", ()), Scrape(text).samples)

    def test_the_admin_listener_wants_its_token(self):
        folder = self.folder()
        write_files(folder, {"token": "s3cret-s3cret-s3cret\n"})
        edge = self.gate(f"admin: {{ listen: 'unix:{folder}/admin.sock', token_file: '{folder}/token' }}\n" + RESPOND,
                         folder=folder)
        self.assertEqual(fetch(f"{folder}/admin.sock", "/metrics").status, 401)
        given = [("Authorization", "Bearer s3cret-s3cret-s3cret")]
        self.assertEqual(fetch(f"{folder}/admin.sock", "/metrics", headers=given).status, 200)
        self.assertEqual(edge.fetch().status, 200)

    def test_an_address_that_is_taken_stops_the_start(self):
        edge = self.gate_with_metrics(RESPOND)
        folder = self.folder()
        write_files(folder, {"headgate.yaml": f"metrics: {{ listen: '127.0.0.1:{edge.metrics[1]}' }}\n"
                             f"admin: {{ listen: 'unix:{folder}/admin.sock' }}\nstate_dir: {folder}/state\n"
                             "listeners: [{ address: '127.0.0.1:0' }]\n" + RESPOND})
        done = run_program("serve", "-c", str(folder / "headgate.yaml"))
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(edge.metrics[1]), done.stderr)

    def test_a_slow_scraper_holds_up_nobody(self):
        routes = ", ".join(f"{{ path: /{i}, respond: {{ status: 200, body: x }} }}" for i in range(300))
        edge = self.gate_with_metrics(f"sites: [{{ routes: [{routes}] }}]\n")
        with edge.connect() as client:
            for i in range(300):
                self.assertEqual(client.request(target=f"/{i}").status, 200)
        with Client(edge.metrics, receive_buffer=4096) as slow:
            slow.send_request("GET", "/metrics")
            slow.read_head()  # and no further: far more waits than the kernel takes
            scrape = self.scrape_until(edge, lambda now: now.requests() == 300, "all requests")
            self.assertEqual(len(scrape.all("headgate_requests_total")), 300)
            self.assertEqual(edge.command("status").returncode, 0)


class Requests(MetricsTest):
    def test_what_is_counted_as_what(self):
        folder = self.folder()
        write_files(folder, {"root/app.js": "x" * 100})
        origin = self.origin(lambda request, connection: answer(201 if request.method == "POST" else 200))
        edge = self.gate_with_metrics(f"""\
            upstreams:
              app: {{ servers: ['{origin.address}'] }}
              gone: {{ servers: ['127.0.0.1:{free_port()}'] }}
            sites:
              - hosts: [shop.test]
                routes:
                  - {{ path: /api/*, proxy: app }}
                  - {{ path: /gone, proxy: gone }}
                  - {{ path: [/assets/*, /files/*], strip_prefix: /assets, static: {{ root: '{folder}/root' }} }}
                  - {{ path: /old, redirect: {{ to: /new }} }}
            """)
        for method, target, more, status in (
                ("GET", "/api/1", {}, 200), ("GET", "/api/2", {}, 200), ("POST", "/api/3", {}, 201),
                ("GET", "/gone", {}, 502), ("GET", "/assets/app.js", {}, 200), ("HEAD", "/assets/app.js", {}, 200),
                ("GET", "/assets/none.js", {}, 404), ("GET", "/old", {}, 308), ("GET", "/nowhere", {}, 404),
                ("GET", "/", {"host": "other.test"}, 404), ("BREW", "/api/4", {}, 501)):
            self.assertEqual(edge.fetch(target, method, **{"host": "shop.test", **more}).status, status, target)
        with edge.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n folded: x\r\n\r\n")
            self.assertEqual(client.read_response().status, 400)
        with edge.connect() as client:
            client.send(b"\x16\x03\x01\x02\x00\r\n\r\n")
            self.assertEqual(client.read_response().status, 400)
        now = self.scrape_until(edge, lambda scrape: scrape.requests() == 13, "13 requests")
        shop = {"site": "shop.test"}
        for wanted, count in (
                ({"route": "/api/*", "method": "GET", "code": "200"}, 2),
                ({"route": "/api/*", "method": "POST", "code": "201"}, 1),
                ({"route": "/gone", "method": "GET", "code": "502"}, 1),
                ({"route": "/assets/*, /files/*", "method": "GET", "code": "200"}, 1),
                ({"route": "/assets/*, /files/*", "method": "HEAD", "code": "200"}, 1),
                ({"route": "/assets/*, /files/*", "method": "GET", "code": "404"}, 1),
                ({"route": "/old", "method": "GET", "code": "308"}, 1),
                ({"route": "", "method": "GET", "code": "404"}, 1)):
            self.assertEqual(now.requests(**shop, **wanted), count, wanted)
        self.assertEqual(now.requests(site="", route="", code="404"), 1, "no such site")
        self.assertEqual(now.requests(site="", route="", method="OTHER", code="501"), 1, "no method we know")
        self.assertEqual(now.requests(route="", code="400"), 2, "refused")
        self.assertEqual(now.types["headgate_requests_total"], "counter")

    def test_durations_are_a_histogram_of_every_request(self):
        edge = self.gate_with_metrics(RESPOND)
        for _ in range(5):
            edge.fetch()
        edge.fetch("/", "HEAD")
        now = self.scrape_until(edge, lambda scrape: scrape.requests() == 6, "6 requests")
        name = "headgate_request_duration_seconds"
        self.assertEqual(now.types[name], "histogram")
        labels = {"site": "default", "route": "/*", "method": "GET"}
        buckets = [value for _, value in now.all(name + "_bucket", **labels)]
        self.assertEqual(buckets, sorted(buckets), "cumulative")
        self.assertEqual(now.all(name + "_bucket", **labels)[-1], ({**labels, "le": "+Inf"}, 5))
        self.assertEqual(now.all(name + "_count", **labels), [(labels, 5)])
        self.assertGreater(now.sum(name + "_sum", **labels), 0)
        self.assertEqual(now.sum(name + "_count", method="HEAD"), 1)

    def test_a_client_that_leaves_counts_as_499(self):
        asked = threading.Event()
        never = threading.Event()
        self.addCleanup(never.set)

        def silent(request, connection):
            asked.set()
            never.wait(20)

        origin = self.origin(silent)
        edge = self.gate_with_metrics(f"sites: [{{ routes: [{{ path: /*, proxy: '{origin.url}' }}] }}]\n")
        with edge.connect() as client:
            client.send_request()
            self.assertTrue(asked.wait(20))
        now = self.scrape_until(edge, lambda scrape: scrape.requests() == 1, "the request")
        self.assertEqual(now.requests(code="499"), 1)
        self.assertEqual(now.sum("headgate_upstream_requests_total", code="499"), 1)

    def test_all_workers_are_added_up(self):
        edge = self.gate_with_metrics("workers: 3\n" + RESPOND)
        for _ in range(30):
            edge.fetch()
        now = self.scrape_until(edge, lambda scrape: scrape.requests() == 30, "30 requests")
        self.assertEqual(now.sum("headgate_workers"), 3)
        self.assertEqual(len(now.all("headgate_requests_total")), 1)

    def test_labels_hold_anything(self):
        edge = self.gate_with_metrics("sites: [{ routes: [{ path_regex: '^/a\"b|\\d', respond: { status: 200 } },"
                                      " { path: /*, respond: { status: 200 } }] }]\n")
        edge.fetch('/a%22b')
        now = self.scrape_until(edge, lambda scrape: scrape.requests() == 1, "the request")
        self.assertEqual(now.all("headgate_requests_total")[0][0]["route"], '^/a"b|\\d')


class Upstreams(MetricsTest):
    def test_attempts_servers_and_retries(self):
        dead = f"127.0.0.1:{free_port()}"
        origin = self.origin(lambda request, connection: answer(503 if request.target == "/busy" else 200))
        edge = self.gate_with_metrics(f"""\
            upstreams: {{ app: {{ pools: {{ blue: {{ servers: ['{dead}', '{origin.address}'] }} }} }} }}
            sites: [{{ routes: [{{ path: /*, proxy: app }}] }}]
            """)
        for _ in range(4):
            self.assertEqual(edge.fetch().status, 200)
        edge.fetch("/busy")
        now = self.scrape_until(edge, lambda scrape: scrape.requests() == 5, "5 requests")
        name = "headgate_upstream_requests_total"
        living = {"upstream": "app", "pool": "blue", "server": origin.address}
        self.assertEqual(now.sum(name, code="200", **living), 4)
        self.assertEqual(now.sum(name, code="503", **living), 1)
        failed = now.sum(name, server=dead, code="502")
        self.assertGreaterEqual(failed, 2)
        self.assertEqual(now.sum("headgate_upstream_retries_total", upstream="app", pool="blue"), failed)
        self.assertEqual(now.sum("headgate_upstream_duration_seconds_count", upstream="app", pool="blue"), 5)
        self.assertEqual(now.sum("headgate_requests_total", code="502"), 0, "no client saw it")

    def test_in_flight(self):
        asked = threading.Semaphore(0)
        go = threading.Event()
        self.addCleanup(go.set)

        def held(request, connection):
            asked.release()
            go.wait(20)
            return answer()

        origin = self.origin(held)
        edge = self.gate_with_metrics(f"sites: [{{ routes: [{{ path: /*, proxy: '{origin.url}' }}] }}]\n")
        clients = [self.client(edge.address) for _ in range(3)]
        for client in clients:
            client.send_request()
        for _ in clients:
            self.assertTrue(asked.acquire(timeout=20))
        now = self.scrape(edge)
        self.assertEqual(now.sum("headgate_upstream_in_flight"), 3)
        self.assertEqual(now.sum("headgate_requests_in_flight"), 3)
        self.assertEqual(now.sum("headgate_connections", state="active"), 3)
        go.set()
        for client in clients:
            self.assertEqual(client.read_response().status, 200)
        now = self.scrape_until(edge, lambda scrape: scrape.requests() == 3, "3 requests")
        self.assertEqual(now.sum("headgate_upstream_in_flight"), 0)
        self.assertEqual(now.sum("headgate_requests_in_flight"), 0)
        self.assertEqual(now.sum("headgate_connections", state="active"), 0)
        self.assertEqual(now.sum("headgate_connections", state="idle"), 3)

    def test_timeouts_are_504(self):
        never = threading.Event()
        self.addCleanup(never.set)
        origin = self.origin(lambda request, connection: never.wait(20) and None)
        edge = self.gate_with_metrics(
            f"sites: [{{ routes: [{{ path: /*, proxy: '{origin.url}', timeouts: {{ first_byte: 200ms }} }}] }}]\n")
        self.assertEqual(edge.fetch().status, 504)
        now = self.scrape_until(edge, lambda scrape: scrape.requests() == 1, "the request")
        self.assertEqual(now.sum("headgate_upstream_requests_total", code="504"), 1)


class Connections(MetricsTest):
    def test_tls(self):
        authority = Authority(self.folder())
        cert, key = authority.issue("a.test", "b.test")
        edge = self.gate_with_metrics('listeners: [{ address: "127.0.0.1:0", tls: true }]\n'
                                      f"tls: {{ certificates: [{{ cert: '{cert}', key: '{key}' }}] }}\n" + RESPOND)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            settings = client_tls(minimum=version, maximum=version)
            with Client(edge.tls_address, tls=settings, server_name="a.test") as client:
                client.request()
                session = client.sock.session
            with Client(edge.tls_address, tls=settings, server_name="a.test", session=session) as client:
                client.request()
                self.assertTrue(client.sock.session_reused)
        with Client(edge.tls_address) as half_way:  # a handshake that does not begin
            now = self.scrape_until(edge, lambda scrape: scrape.sum("headgate_connections", state="handshake") == 1,
                                    "the handshake")
            half_way.close()
        for version in ("TLSv1.2", "TLSv1.3"):
            for resumed in ("true", "false"):
                self.assertEqual(now.sum("headgate_tls_handshakes_total", version=version, resumed=resumed), 1)
        left = now.sum("headgate_certificate_expiry_seconds", name="a.test")
        self.assertGreater(left, 3600)
        self.scrape_until(edge, lambda scrape: scrape.sum("headgate_connections") == 0, "the end of all connections")

    def test_streams_of_one_connection_are_requests_of_their_own(self):
        held = threading.Semaphore(0)
        go = threading.Event()
        self.addCleanup(go.set)

        def wait(request, connection):
            held.release()
            go.wait(20)
            return answer()

        origin = self.origin(wait)
        edge = self.gate_with_metrics("listeners: [{ address: '127.0.0.1:0', h2c: true }]\n"
                                      f"sites: [{{ routes: [{{ path: /*, proxy: '{origin.url}' }}] }}]\n")
        with Http2Client(edge.address) as client:
            streams = [client.request(f"/{i}") for i in range(3)]
            for _ in streams:
                self.assertTrue(held.acquire(timeout=20))
            now = self.scrape(edge)
            self.assertEqual(now.sum("headgate_requests_in_flight"), 3)
            self.assertEqual(now.sum("headgate_connections", state="active"), 1)
            go.set()
            self.assertEqual([client.answer(stream).status for stream in streams], [200] * 3)
            now = self.scrape_until(edge, lambda scrape: scrape.requests(code="200") == 3, "3 requests")
            self.assertEqual(now.sum("headgate_connections", state="idle"), 1)
        now = self.scrape_until(edge, lambda scrape: scrape.sum("headgate_connections") == 0, "the end of the connection")
        self.assertEqual(now.sum("headgate_upstream_in_flight"), 0)

    def test_kept_connections_are_idle(self):
        edge = self.gate_with_metrics(RESPOND)
        with edge.connect() as kept, edge.connect():
            kept.request()
            now = self.scrape_until(edge, lambda scrape: scrape.sum("headgate_connections") == 2, "both connections")
            self.assertEqual(now.sum("headgate_connections", listener="127.0.0.1:0", state="idle"), 2)
        self.scrape_until(edge, lambda scrape: scrape.sum("headgate_connections") == 0, "the end of both")


class Reloads(MetricsTest):
    def test_counts_survive(self):
        edge = self.gate_with_metrics(RESPOND)
        metrics = edge.metrics
        for _ in range(2):
            edge.fetch()
        self.scrape_until(edge, lambda scrape: scrape.requests() == 2, "2 requests")
        edge.reload('metrics: { listen: "127.0.0.1:0" }\nsites:\n'
                    "  - routes: [{ path: /new, respond: { status: 204 } }, { path: /*, respond: { status: 200 } }]\n")
        edge.fetch()
        edge.fetch("/new")
        now = self.scrape_until(edge, lambda scrape: scrape.requests() == 4, "4 requests")
        self.assertEqual(now.requests(route="/*", code="200"), 3)
        self.assertEqual(now.requests(route="/new", code="204"), 1)
        self.assertEqual(edge.metrics, metrics)
        edge.reload("metrics: { listen: '127.0.0.1:0' }\nsites: [{ routes: [{ path: /only, respond: { status: 200 } }] }]\n")
        self.assertEqual(self.scrape(edge).requests(route="/*"), 3, "still shown for some scrapes")

    def test_reloads_and_generation(self):
        edge = self.gate_with_metrics(RESPOND)
        name = "headgate_config_reloads_total"
        now = self.scrape(edge)
        self.assertEqual(now.sum("headgate_config_generation"), 1)
        self.assertEqual([value for _, value in now.all(name)], [0, 0])
        good = edge.file.read_text()
        edge.reload(good)
        edge.write("sites: nonsense\n")
        self.assertEqual(edge.command("reload").returncode, 1)
        now = self.scrape(edge)
        self.assertEqual(now.sum("headgate_config_generation"), 2)
        self.assertEqual((now.sum(name, result="applied"), now.sum(name, result="refused")), (1, 1))

    def test_the_listener_moves(self):
        edge = self.gate(RESPOND)
        without = edge.file.read_text()
        before = edge.count_log(r"\(metrics\)")
        self.assertEqual(before, 0)
        edge.reload("metrics: { listen: '127.0.0.1:0' }\n" + without)
        first = self.metrics_address(edge, 1)
        self.assertEqual(fetch(first, "/metrics").status, 200)
        with Client(first) as kept:
            self.assertEqual(kept.request(target="/metrics").status, 200)
            edge.reload("metrics: { listen: '127.0.0.2:0', path: /m }\n" + without)
            second = self.metrics_address(edge, 2)
            self.assertEqual(kept.request(target="/m").status, 200)
        self.assertEqual(fetch(second, "/m").status, 200)
        wait_until(lambda: self.refused(first), what="the end of the old address")
        edge.reload("metrics: { listen: '127.0.0.2:0' }\n" + without)
        self.assertEqual(fetch(second, "/metrics").status, 200, "the same address is kept, with its port")
        taken = f"{edge.address[0]}:{edge.port}"
        edge.write(f"metrics: {{ listen: '{taken}' }}\n" + without)
        self.assertEqual(edge.command("reload").returncode, 1)
        self.assertEqual(fetch(second, "/metrics").status, 200, "a reload that was refused changes nothing")
        edge.reload(without)
        wait_until(lambda: self.refused(second), what="the end of the second address")

    def refused(self, address):
        try:
            fetch(address, "/metrics")
        except OSError:
            return True
        return False

    def metrics_address(self, edge, count):
        line = edge.wait_log(r"listening on \S+ \(metrics\)", count)
        host, port = re.search(r"listening on (\S+):(\d+) \(metrics\)", line).groups()
        return host, int(port)

    def test_what_the_process_says_of_itself(self):
        now = self.scrape(self.gate_with_metrics(RESPOND))
        self.assertGreater(now.sum("process_start_time_seconds"), 1e9)
        self.assertGreater(now.sum("process_resident_memory_bytes"), 1e6)
        self.assertGreater(now.sum("process_open_fds"), 5)
        self.assertGreater(now.sum("process_max_fds"), now.sum("process_open_fds"))
        self.assertEqual(now.sum("headgate_access_log_dropped_total"), 0)
        version = run_program("version").stdout.split()[1]
        self.assertEqual([labels["version"] for labels, _ in now.all("headgate_build_info")], [version])


if __name__ == "__main__":
    unittest.main(verbosity=2)
