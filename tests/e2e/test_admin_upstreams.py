# SPDX-License-Identifier: Apache-2.0
"""The operators' side of upstreams: what status says of each server and why, drains that wait and last, events told
live and after a reconnect, the metrics of servers."""

import json
import re
import subprocess
import threading
import unittest
import urllib.parse

from client import Broken, Client
from harness import PROGRAM, GateTest, Lines, answer, fetch, wait_until, write_files
from test_metrics import Scrape
from test_proxy_upstreams import free_port

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
UPGRADE = [("Upgrade", "echo"), ("Connection", "Upgrade")]


class EventReader:
    """A connection to /v1/events; every wait has the client's deadline."""

    def __init__(self, edge, last=None):
        self.client = Client(edge.admin.removeprefix("unix:"), timeout=20)
        headers = [("Last-Event-ID", last)] if last else []
        self.client.send_request(target="/v1/events", headers=headers)
        self.head = self.client.read_final_head()
        self.text = b""

    def block(self):
        """The lines up to the next empty one; None at the end of the stream."""
        while b"\n\n" not in self.text:
            chunk = self.client.reader.chunk()
            if not chunk:
                return None
            self.text += chunk
        block, _, self.text = self.text.partition(b"\n\n")
        return block.decode().splitlines()

    def next(self, kind=None):
        """(id, type, data) of the next event, of this type; None at the end."""
        while (block := self.block()) is not None:
            if block[0].startswith(":"):
                continue
            fields = dict(line.split(": ", 1) for line in block)
            if kind in (None, fields["event"]):
                return fields["id"], fields["event"], json.loads(fields["data"])
        return None

    def close(self):
        self.client.close()


class AdminTest(GateTest):
    def ask(self, edge, target, method="GET", **more):
        response = fetch(edge.admin.removeprefix("unix:"), target, method, **more)
        return response.status, json.loads(response.body)

    def servers(self, edge, upstream="app"):
        """{address: server} of the upstream's pools."""
        status = self.ask(edge, "/v1/status")[1]
        found = next(one for one in status["upstreams"] if one["name"] == upstream)
        return {server["address"]: server for pool in found["pools"] for server in pool["servers"]}

    def wait_state(self, edge, server, state):
        def look():
            found = self.servers(edge)[server]
            return found if found["state"] == state else None
        return wait_until(look, what=f"{server} to be {state}")

    def events(self, edge, last=None):
        reader = EventReader(edge, last)
        self.addCleanup(reader.close)
        self.assertEqual(reader.head.status, 200)
        self.assertEqual(reader.head.header("Content-Type"), "text/event-stream")
        self.assertTrue(reader.block()[0].startswith(":"))  # it is being told from now on
        return reader

    def restart(self, edge):
        edge.stop()
        edge.process.stdout.close()
        edge.process.stderr.close()
        edge.stopped = False
        edge.start()

    def scrape(self, edge):
        return Scrape(fetch(edge.admin.removeprefix("unix:"), "/metrics").text)

    def app(self, *servers, extra="", top="", **more):
        listed = json.dumps(servers)
        text = (f"{top}\nupstreams:\n  app:\n    servers: {listed}\n    balance: round_robin\n{extra}\n"
                "sites: [{ routes: [{ path: /*, proxy: app }] }]\n")
        return self.gate(text, **more)


class Gated:
    """An origin that answers /slow only when it is told to, and echoes after an upgrade."""

    def __init__(self, test):
        self.release = threading.Event()
        test.addCleanup(self.release.set)
        self.origin = test.origin(self.handle)

    def handle(self, request, connection):
        if request.header("Upgrade"):
            connection.send(SWITCH)
            try:
                while connection.reader.buffer or connection.reader.fill():
                    data, connection.reader.buffer = connection.reader.buffer, b""
                    connection.send(data)
            except (OSError, Broken):
                pass
            return False
        if request.target == "/slow":
            self.release.wait(30)
        return answer()


class Drain(AdminTest):
    def test_wait_returns_when_requests_have_ended_and_tunnels_live_on(self):
        left, other = Gated(self), self.origin()
        edge = self.app(left.origin.address, other.address)
        # Round robin: until both a slow request and a tunnel are at the one to be drained.
        slow, tunnels = [], []
        while not any(request.target == "/slow" for request in left.origin.requests):
            slow.append(edge.connect())
            self.addCleanup(slow[-1].close)
            slow[-1].send_request(target="/slow")
            wait_until(lambda: (left.origin.targets + other.targets).count("/slow") == len(slow), what="the slow request")
        while not any(request.header("Upgrade") for request in left.origin.requests):
            client = edge.connect()
            self.addCleanup(client.close)
            client.send_request(target="/socket", headers=UPGRADE)
            if client.read_final_head().status == 101:
                tunnels.append(client)
        wait_until(lambda: self.servers(edge)[left.origin.address]["tunnels"] == 1, what="the tunnel to be counted")
        self.assertEqual(self.servers(edge)[left.origin.address]["in_flight"], 1)

        # Load all the while.
        over = threading.Event()
        failed = []

        def load():
            with edge.connect() as client:
                while not over.is_set():
                    status = client.request(target="/load").status
                    if status != 200:
                        failed.append(status)
        loaders = [threading.Thread(target=load) for _ in range(4)]
        for loader in loaders:
            loader.start()
        self.addCleanup(over.set)
        drain = subprocess.Popen([PROGRAM, "drain", "app", left.origin.address, "--wait", "--admin", edge.admin],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=edge.folder)
        self.wait_state(edge, left.origin.address, "drained")
        wait_until(lambda: self.servers(edge)[left.origin.address]["in_flight"] == 1, what="the load to have left")
        self.assertIsNone(drain.poll(), "a request is in flight")
        left.release.set()
        out, err = drain.communicate(timeout=20)
        seen = len(left.origin.requests)
        self.assertEqual((drain.returncode, err), (0, ""))
        self.assertIn("0 requests in flight, 1 tunnel open", out)
        before = len(other.requests)
        wait_until(lambda: len(other.requests) > before + 50, what="more load")
        over.set()
        for loader in loaders:
            loader.join()
        self.assertEqual(failed, [])
        self.assertEqual(left.origin.targets[seen:], [], "nothing reaches it after --wait has returned")
        tunnels[-1].send(b"still there")
        self.assertEqual(tunnels[-1].reader.exactly(11), b"still there")

    def test_timeout(self):
        gated, other = Gated(self), self.origin()
        edge = self.app(gated.origin.address, {"address": other.address, "backup": True})
        client = self.client(edge.address)
        client.send_request(target="/slow")
        gated.origin.wait_requests(1)
        done = edge.command("drain", "app", gated.origin.address, "--wait", "--timeout", "1ms")
        self.assertEqual(done.returncode, 1)
        self.assertIn("1 request in flight", done.stderr)
        self.assertEqual(self.servers(edge)[gated.origin.address]["state"], "drained")
        self.assertEqual(edge.command("drain", "app", gated.origin.address, "--timeout", "soon").returncode, 64)

    def test_undrained_by_somebody_else(self):
        gated, other = Gated(self), self.origin()
        edge = self.app(gated.origin.address, {"address": other.address, "backup": True})
        client = self.client(edge.address)
        client.send_request(target="/slow")
        gated.origin.wait_requests(1)
        drain = subprocess.Popen([PROGRAM, "drain", "app", gated.origin.address, "--wait", "--admin", edge.admin],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=edge.folder)
        self.wait_state(edge, gated.origin.address, "drained")
        self.assertEqual(edge.command("undrain", "app", gated.origin.address).returncode, 0)
        out, err = drain.communicate(timeout=20)
        self.assertEqual((drain.returncode, out), (1, ""))
        self.assertIn("undrained", err)

    def test_it_lasts_over_reload_and_restart(self):
        one, two = self.origin(), self.origin()
        edge = self.app(one.address, two.address)
        self.assertEqual(edge.command("drain", "app", one.address).returncode, 0)
        for change in (edge.reload, lambda: self.restart(edge)):
            change()
            server = self.servers(edge)[one.address]
            self.assertEqual((server["state"], server["override"]), ("drained", True))
            self.assertEqual(server["reason"], "drained by an operator")
            for _ in range(4):
                self.assertEqual(edge.fetch().status, 200)
        self.assertEqual(one.requests, [])
        self.assertEqual((edge.folder / "state" / "overrides.json").stat().st_mode & 0o077, 0)
        self.assertEqual(edge.command("undrain", "app", one.address).returncode, 0)
        for _ in range(4):
            edge.fetch()
        self.assertEqual(len(one.requests), 2)
        self.restart(edge)
        self.assertEqual(self.servers(edge)[one.address]["state"], "serving")

    def test_the_last_one_stays(self):
        one, two = self.origin(), self.origin()
        edge = self.app(one.address, two.address)
        self.assertEqual(edge.command("drain", "app", one.address).returncode, 0)
        self.assertEqual(edge.command("drain", "app", one.address).returncode, 0, "twice is no mistake")
        done = edge.command("drain", "app", two.address)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("last server of pool 'default'", done.stderr)
        self.assertIn("--force", done.stderr)
        path = f"/v1/upstreams/app/servers/{two.address}/drain"
        self.assertEqual(self.ask(edge, path, "POST")[0], 409)
        self.assertEqual(edge.fetch().status, 200)
        self.assertEqual(edge.command("drain", "app", two.address, "--force").returncode, 0)
        self.assertEqual(edge.fetch().status, 503)
        self.assertEqual(edge.wait_access(lambda record: record["status"] == 503)["error"], "no_healthy_server")

    def test_the_last_one_that_is_well_stays(self):
        one = self.origin()
        edge = self.app(one.address, f"127.0.0.1:{free_port()}", extra="    health: { path: /, interval: 1s, unhealthy_after: 1 }")
        wait_until(lambda: sorted(s["state"] for s in self.servers(edge).values()) == ["serving", "unhealthy"], what="the checks")
        done = edge.command("drain", "app", one.address)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no other server of pool 'default' is well", done.stderr)

    def test_unknown_names(self):
        one, two = self.origin(), self.origin()
        edge = self.app(one.address, two.address)
        done = edge.command("drain", "ap", one.address)
        self.assertEqual(done.returncode, 1)
        self.assertIn("did you mean 'app'?", done.stderr)
        done = edge.command("drain", "app", one.address + "1")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"did you mean '{one.address}'?", done.stderr)
        self.assertEqual(edge.command("undrain", "app", "127.0.0.1:1").returncode, 1)
        status, said = self.ask(edge, "/v1/upstreams/app/servers/nothing/drain", "POST")
        self.assertEqual((status, said["error"]["code"]), (404, "unknown_server"))
        self.assertEqual(self.ask(edge, f"/v1/upstreams/app/servers/{one.address}/drain")[0], 405)
        self.assertEqual(self.servers(edge)[one.address]["state"], "serving")

    def test_addresses_of_every_kind(self):
        path = f"{self.folder()}/app.sock"
        local = self.origin(unix_path=path)
        edge = self.app(local.address, f"[::1]:{free_port()}", f"127.0.0.1:{free_port()}")
        for address in self.servers(edge):
            quoted = urllib.parse.quote(address, safe="")
            for spelling in (address.replace("[", "%5B").replace("]", "%5D"), quoted):
                status, said = self.ask(edge, f"/v1/upstreams/app/servers/{spelling}/drain", "POST")
                self.assertEqual((status, said.get("drained")), (200, True), said)
                status, said = self.ask(edge, f"/v1/upstreams/app/servers/{spelling}")
                self.assertEqual((status, said["server"], said["drained"]), (200, address, True))
                self.assertEqual(self.ask(edge, f"/v1/upstreams/app/servers/{spelling}/undrain", "POST")[1]["drained"], False)
            self.assertEqual(edge.command("drain", "app", address).returncode, 0)
            self.assertEqual(edge.command("undrain", "app", address).returncode, 0)

    def test_proxy_url(self):
        """Its upstream's name is a URL, and it has one server."""
        edge, origin = self.proxied()
        self.assertEqual(edge.command("drain", origin.url, origin.address).returncode, 1)
        done = edge.command("drain", origin.url, origin.address, "--force")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(edge.fetch().status, 503)

    def test_a_damaged_file_is_put_aside(self):
        for number, text in enumerate((b"{", b"[]", b'{"version": 99}', b'{"version": 1, "drained": [{"server": 1}]}', b"\xff\x00")):
            folder = self.folder()
            write_files(folder, {"state/overrides.json": text})
            edge = self.app("127.0.0.1:1", "127.0.0.1:2", folder=folder)
            edge.wait_log("put aside")
            self.assertEqual((folder / "state" / "overrides.json.damaged").read_bytes(), text)
            self.assertEqual(edge.command("drain", "app", "127.0.0.1:1").returncode, 0, number)
            edge.stop()

    def test_what_has_left_the_file_is_kept(self):
        one, two = self.origin(), self.origin()
        edge = self.app(one.address, two.address)
        text = edge.file.read_text()
        self.assertEqual(edge.command("drain", "app", one.address).returncode, 0)
        edge.reload(text.replace(f'"{one.address}", ', ""))
        overrides = self.ask(edge, "/v1/status")[1]["overrides"]
        self.assertEqual(overrides, [{"upstream": "app", "server": one.address, "drained": True, "in_effect": False}])
        self.assertIn("without effect", edge.command("status").stdout)
        self.restart(edge)
        self.assertEqual(self.ask(edge, "/v1/status")[1]["overrides"], overrides)
        edge.reload(text)
        self.assertEqual(self.servers(edge)[one.address]["state"], "drained")
        edge.reload(text.replace(f'"{one.address}", ', ""))
        self.assertEqual(edge.command("undrain", "app", one.address).returncode, 0)
        self.assertEqual(self.ask(edge, "/v1/status")[1]["overrides"], [])

    def test_after_a_reload_that_was_refused_late(self):
        """An address that is taken is found when everything else has been built."""
        one, two = self.origin(), self.origin()
        edge = self.app(one.address, two.address)
        text = edge.file.read_text()
        edge.write(re.sub(r"^listeners:.*$", f'listeners: [{{ address: "{one.address}" }}]', text, flags=re.MULTILINE))
        self.assertEqual(edge.command("reload").returncode, 1)
        wait_until(lambda: len(self.servers(edge)) == 2, what="status to know the servers")
        self.assertEqual(edge.command("drain", "app", one.address).returncode, 0)
        for _ in range(4):
            self.assertEqual(edge.fetch().status, 200)
        self.assertEqual(one.requests, [])


class Status(AdminTest):
    def test_the_reason_for_each_state(self):
        bad = threading.Event()
        well = self.origin()
        ejected = self.origin(lambda request, connection: answer(503 if bad.is_set() else 200))
        edge = self.app(well.address, ejected.address,
                        extra="    ejection: { consecutive_errors: 3, base_time: 300s }\n    retry: { attempts: 0 }")
        server = self.servers(edge)[well.address]
        self.assertEqual((server["state"], server["health"], server["in_rotation"], server["resolved"]),
                         ("serving", "unchecked", True, well.address))
        self.assertEqual((server["trial_in_s"], server["override"]), (None, False))
        bad.set()
        while self.servers(edge)[ejected.address]["state"] != "ejected":
            edge.fetch()
        server = self.servers(edge)[ejected.address]
        self.assertEqual((server["ejections"], server["ejections_total"], server["in_rotation"]), (1, 1, False))
        self.assertRegex(server["reason"], "errors in a row")
        self.assertRegex(server["since"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertGreater(server["trial_in_s"], 100)
        self.assertGreaterEqual(server["for_s"], 0)
        recent = self.servers(edge)[well.address]["recent"]
        self.assertEqual((recent["failed"], recent["error_share"]), (0, 0))
        self.assertGreater(recent["requests"], 0)

    def test_trial(self):
        well, bad = self.origin(), self.origin(lambda request, connection: answer(503))
        edge = self.app(well.address, bad.address,
                        extra="    ejection: { consecutive_errors: 1, base_time: 1ms, max_time: 1ms }\n    retry: { attempts: 0 }")
        wait_until(lambda: edge.fetch().status == 503, what="a failure")
        server = self.wait_state(edge, bad.address, "trial")
        self.assertTrue(server["reason"])
        self.assertFalse(server["in_rotation"])

    def test_checked_servers(self):
        well = self.origin()
        ill = self.origin(lambda request, connection: answer(500))
        silent = Gated(self)
        silent.origin.handler = lambda request, connection: silent.release.wait(30) and None
        edge = self.app(well.address, ill.address, silent.origin.address,
                        extra="    health: { path: /health, interval: 300s, timeout: 60s, healthy_after: 1, unhealthy_after: 1 }")
        self.assertEqual(self.wait_state(edge, well.address, "serving")["health"], "healthy")
        server = self.wait_state(edge, ill.address, "unhealthy")
        self.assertEqual((server["health"], server["in_rotation"]), ("unhealthy", False))
        self.assertIn("500", server["reason"])
        self.assertIsNotNone(server["since"])
        server = self.wait_state(edge, silent.origin.address, "unknown")
        self.assertEqual((server["health"], server["reason"]), ("unknown", "not checked yet"))
        table = edge.command("status").stdout
        for word in ("serving", "unhealthy", "unknown", "not checked yet", "pool default"):
            self.assertIn(word, table)
        self.assertNotIn("\033", table)

    def test_panic_and_rotation(self):
        edge = self.app(f"127.0.0.1:{free_port()}", extra="    health: { path: /, interval: 1s, unhealthy_after: 1 }")
        def rotation():
            return self.ask(edge, "/v1/status")[1]["upstreams"][0]["pools"][0]["rotation"]
        wait_until(lambda: rotation() == "panic", what="panic")
        self.assertEqual(self.scrape(edge).sum("headgate_upstream_panic", upstream="app", pool="default"), 1)

    def test_backup_and_weight(self):
        one, two = self.origin(), self.origin()
        edge = self.app({"address": one.address, "weight": 3}, {"address": two.address, "backup": True})
        servers = self.servers(edge)
        self.assertEqual((servers[one.address]["weight"], servers[one.address]["backup"]), (3, False))
        self.assertEqual((servers[two.address]["backup"], servers[two.address]["in_rotation"]), (True, False))

    def test_a_name_that_is_not_known(self):
        edge = self.app("nowhere.invalid:80")
        server = self.servers(edge)["nowhere.invalid:80"]
        self.assertEqual((server["state"], server["resolved"]), ("unknown", None))
        self.assertTrue(server["reason"])


class Events(AdminTest):
    def test_live_and_after_a_reconnect(self):
        bad = threading.Event()
        well = self.origin()
        failing = self.origin(lambda request, connection: answer(503 if bad.is_set() else 200))
        edge = self.app(well.address, failing.address,
                        extra="    ejection: { consecutive_errors: 2, base_time: 300s }\n    retry: { attempts: 0 }")
        reader = self.events(edge)
        bad.set()
        while self.servers(edge)[failing.address]["state"] != "ejected":
            edge.fetch()
        last, _, data = reader.next()
        self.assertEqual((data["type"], data["upstream"], data["pool"], data["server"]), ("ejected", "app", "default", failing.address))
        self.assertRegex(data["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertIn("errors in a row", data["reason"])
        reader.close()
        self.assertEqual(edge.command("drain", "app", failing.address).returncode, 0)
        again = self.events(edge, last)
        self.assertEqual(again.next()[2]["type"], "drained")
        self.assertEqual(edge.command("undrain", "app", failing.address).returncode, 0)
        self.assertEqual(again.next()[1], "undrained")
        # An id of another start of the program: everything that is kept.
        everything = self.events(edge, "1-1")
        self.assertEqual([everything.next()[1] for _ in range(4)], ["started", "ejected", "drained", "undrained"])

    def test_reloads_and_the_end(self):
        edge = self.app(self.origin().address)
        reader = self.events(edge)
        edge.reload()
        self.assertEqual(reader.next()[2]["generation"], "2")
        text = edge.file.read_text()
        edge.write("sites: nonsense\n")
        self.assertEqual(edge.command("reload").returncode, 1)
        self.assertEqual(reader.next()[1], "reload_refused")
        edge.write(text)
        edge.signal(15)
        self.assertEqual(reader.next()[1], "stopping")
        self.assertIsNone(reader.next(), "the stream ends, and is not cut off")
        self.assertEqual(edge.wait_exit(), 0)

    def test_the_command(self):
        edge = self.app(self.origin().address, self.origin().address)
        process = subprocess.Popen([PROGRAM, "events", "--all", "--admin", edge.admin], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, cwd=edge.folder)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        lines = Lines(process.stdout)
        self.assertTrue(lines.wait(lambda seen: any(" started " in line for line in seen)))
        address = next(iter(self.servers(edge)))
        self.assertEqual(edge.command("drain", "app", address).returncode, 0)
        self.assertTrue(lines.wait(lambda seen: any(f" drained upstream=app server={address}" in line for line in seen)), lines.text)
        edge.stop()
        self.assertEqual(process.wait(20), 0)

    def test_readers_are_few_and_each_makes_place_when_it_leaves(self):
        edge = self.app(self.origin().address)
        readers = [self.events(edge) for _ in range(16)]
        refused = EventReader(edge)
        self.addCleanup(refused.close)
        self.assertEqual(refused.head.status, 503)
        readers.pop().close()
        def place():
            reader = EventReader(edge)
            self.addCleanup(reader.close)
            return reader.head.status == 200
        wait_until(place, what="the place of the one that has left")

    def test_a_slow_reader_is_dropped(self):
        """One that takes nothing holds up nobody, and is let go after the session's idle limit."""
        edge = self.app("127.0.0.1:1", "127.0.0.1:2")
        quick, slow = self.events(edge), self.events(edge)
        with Client(edge.admin.removeprefix("unix:")) as client:
            for _ in range(400):
                for action in ("drain", "undrain"):
                    self.assertEqual(client.request("POST", f"/v1/upstreams/app/servers/127.0.0.1:1/{action}").status, 200)
                    self.assertEqual(quick.next()[1], action + "ed", "the quick one is told all the same")
        wait_until(lambda: edge.count_log("reader of events"), timeout=30, what="the slow one to be let go")
        with self.assertRaises(Broken):
            while slow.block() is not None:
                pass

    def test_it_needs_the_token(self):
        folder = self.folder()
        write_files(folder, {"token": "s3cret-s3cret-s3cret\n"})
        edge = self.app("127.0.0.1:1", "127.0.0.1:2", folder=folder,
                        top=f"admin: {{ listen: 'unix:{folder}/admin.sock', token_file: '{folder}/token' }}")
        self.assertEqual(self.ask(edge, "/v1/events")[0], 401)
        self.assertEqual(self.ask(edge, "/v1/upstreams/app/servers/127.0.0.1:1/drain", "POST")[0], 401)
        self.assertEqual(edge.command("drain", "app", "127.0.0.1:1").returncode, 0)


class ServerMetrics(AdminTest):
    def test_health_and_ejections(self):
        bad = threading.Event()
        well, failing = self.origin(), self.origin(lambda request, connection: answer(503 if bad.is_set() else 200))
        edge = self.app(well.address, failing.address,
                        extra="    ejection: { consecutive_errors: 2, base_time: 300s }\n    retry: { attempts: 0 }")
        labels = {"upstream": "app", "pool": "default", "server": failing.address}
        scrape = self.scrape(edge)
        self.assertEqual(scrape.all("headgate_upstream_healthy", **labels), [(labels, 1)])
        self.assertEqual(scrape.all("headgate_upstream_ejections_total", **labels), [(labels, 0)])
        self.assertEqual(scrape.all("headgate_upstream_reuse_races_total", **labels), [(labels, 0)])
        self.assertEqual(scrape.all("headgate_upstream_panic"), [({"upstream": "app", "pool": "default"}, 0)])
        bad.set()
        while self.servers(edge)[failing.address]["state"] != "ejected":
            edge.fetch()
        scrape = self.scrape(edge)
        self.assertEqual(scrape.all("headgate_upstream_healthy", **labels), [(labels, 0)])
        self.assertEqual(scrape.all("headgate_upstream_ejections_total", **labels), [(labels, 1)])
        self.assertEqual(scrape.sum("headgate_upstream_healthy", server=well.address), 1)

    def test_reuse_races(self):
        def handler(request, connection):
            if request.target == "/race":
                if connection.origin.connections == 1:
                    connection.reset()
                    return False
            return answer()
        edge, origin = self.proxied(handler)
        with edge.connect() as client:
            self.assertEqual(client.request().status, 200)
            self.assertEqual(client.request(target="/race").status, 200)
        wait_until(lambda: self.scrape(edge).sum("headgate_upstream_reuse_races_total", server=origin.address) == 1,
                   what="the race to be counted")


if __name__ == "__main__":
    unittest.main(verbosity=2)
