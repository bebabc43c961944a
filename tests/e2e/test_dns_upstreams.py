# SPDX-License-Identifier: Apache-2.0
"""Servers that are given by name, with a name server whose answers change while requests are under way."""

import threading
import time
import unittest

from dns_server import DnsServer, REFUSED, SERVFAIL
from harness import answer, wait_until
from test_upstream_failures import FailureTest, logged_at

NAME = "api.internal"


class DnsTest(FailureTest):
    def dns(self):
        dns = DnsServer()
        self.addCleanup(dns.close)
        return dns

    def hosts(self, count, handler=None):
        """Origins with one port at 127.0.0.2, 127.0.0.3 and so on, which answer with the last number of theirs."""
        handler = handler or (lambda number: lambda request, connection: answer(body=str(number).encode()))
        for _ in range(50):
            origins, port = [], 0
            try:
                for number in range(2, 2 + count):
                    origins.append(self.origin(handler(number), host=f"127.0.0.{number}", port=port))
                    port = origins[0].port
                return origins
            except OSError:  # that port is taken at the next address
                continue
        raise AssertionError("no port is free at all of the addresses")

    def gate_by_name(self, dns, port, settings="", top="", **more):
        return self.gate_to([f"{NAME}:{port}"], settings,
                            f"dns: {{ servers: ['{dns.address}'], min_ttl: 100ms, timeout: 500ms }}\n{top}", **more)

    def wait_for(self, edge, text, **more):
        wait_until(lambda: edge.fetch(**more).text == text, what=f"answers of {text}")


class Changes(DnsTest):
    def test_traffic_moves_and_nothing_is_cut(self):
        release, held = threading.Event(), threading.Event()
        self.addCleanup(release.set)

        def handler(number):
            def handle(request, connection):
                if request.target == "/slow":
                    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl")
                    held.set()
                    release.wait(20)
                    return b"ow"
                return answer(body=str(number).encode())
            return handle

        dns, (old, new) = self.dns(), self.hosts(2, handler)
        dns.set(NAME, "127.0.0.2", ttl=0)
        edge = self.gate_by_name(dns, old.port, top="workers: 2")
        self.assertEqual({edge.fetch().text for _ in range(10)}, {"2"})
        with edge.connect() as slow:
            slow.send_request(target="/slow")
            self.assertTrue(held.wait(10))
            traffic = self.traffic(edge, 3)
            traffic.wait_for_more(20)
            dns.set(NAME, "127.0.0.3", ttl=0)
            changed = time.time()
            noticed = logged_at(edge.wait_log(rf"{NAME} is 127\.0\.0\.3"))
            self.assertLess(noticed - changed, 1, "a tenth of a second is how long the answer before it holds")
            self.wait_for(edge, "3")
            moved = time.time()
            traffic.wait_for_more(60)
            traffic.stop()
            self.assertEqual(traffic.failed(), [])
            late = [asked for asked in traffic.results if asked.begun > moved and asked.answer.text == "2"]
            # The other worker may have its news a moment later.
            self.assertLess(len(late), 20)
            self.assertEqual({edge.fetch().text for _ in range(10)}, {"3"})
            release.set()
            self.assertEqual(slow.read_response().text, "slow")

    def test_several_addresses_are_several_servers(self):
        dns, (first, second, third) = self.dns(), self.hosts(3)
        dns.set(NAME, "127.0.0.3", "127.0.0.2")
        edge = self.gate_by_name(dns, first.port, "ejection: { base_time: 60s }")
        self.assertEqual([edge.fetch().text for _ in range(6)].count("2"), 3)
        dns.set(NAME, "127.0.0.2", "127.0.0.3", "127.0.0.4")
        self.wait_for(edge, "4")
        self.assertEqual({edge.fetch().text for _ in range(12)}, {"2", "3", "4"})
        # One that is down is ejected, for itself.
        third.close()
        traffic = self.traffic(edge, 2)
        edge.wait_log("ejected")
        traffic.wait_for_more(20)
        traffic.stop()
        self.assertEqual(traffic.failed(), [])
        self.assertEqual({edge.fetch().text for _ in range(12)}, {"2", "3"})
        self.assertTrue(second.requests)

    def test_a_name_that_has_moved_is_found_by_the_first_failure(self):
        dns, (old, new) = self.dns(), self.hosts(2)
        dns.set(NAME, "127.0.0.2", ttl=3600)
        edge = self.gate_by_name(dns, old.port)
        self.assertEqual(edge.fetch().text, "2")
        asked = dns.questions(NAME)
        dns.set(NAME, "127.0.0.3", ttl=3600)
        old.close()
        self.assertEqual(edge.fetch().status, 502)
        dns.wait_for_questions(NAME, asked + 1)
        wait_until(lambda: edge.fetch().status == 200, what="the new address")
        self.assertEqual(edge.fetch().text, "3")
        self.assertTrue(new.requests)


class Silence(DnsTest):
    def test_the_last_answer_stays(self):
        dns, (origin,) = self.dns(), self.hosts(1)
        dns.set(NAME, "127.0.0.2", ttl=0)
        edge = self.gate_by_name(dns, origin.port)
        traffic = self.traffic(edge, 2)
        traffic.wait_for_more(10)
        for number, fail in enumerate((dns.silence, lambda: dns.fail(NAME, SERVFAIL), lambda: dns.fail(NAME, REFUSED),
                                       lambda: dns.remove(NAME), lambda: dns.set(NAME)), start=1):
            fail()
            edge.wait_log(f"{NAME}: .*its last good answer stays in use", number)
            dns.speak()
            traffic.wait_for_more(20)
            dns.set(NAME, "127.0.0.2", ttl=0)
            edge.wait_log(rf"{NAME} is 127\.0\.0\.2", number + 1)
        traffic.stop()
        self.assertEqual(traffic.failed(), [])

    def test_a_reload_without_dns(self):
        dns, (origin,) = self.dns(), self.hosts(1)
        dns.set(NAME, "127.0.0.2", ttl=0)
        edge = self.gate_by_name(dns, origin.port)
        self.assertEqual(edge.fetch().status, 200)
        dns.silence()
        edge.reload(edge.file.read_text() + "\n# the same\n")
        for _ in range(10):
            self.assertEqual(edge.fetch().status, 200)


class Start(DnsTest):
    def test_without_dns_and_then_with(self):
        dns, (origin,) = self.dns(), self.hosts(1)
        dns.silence()
        edge = self.gate_by_name(dns, origin.port, access_log=True)
        self.assertEqual(edge.fetch("/nobody").status, 502)
        self.assertEqual(edge.wait_access(lambda record: record["uri"] == "/nobody")["error"], "resolve_timeout")
        dns.set(NAME, "127.0.0.2")
        dns.speak()
        self.wait_for(edge, "2")

    def test_a_name_that_appears(self):
        dns, (origin,) = self.dns(), self.hosts(1)
        edge = self.gate_by_name(dns, origin.port, access_log=True)
        edge.wait_log(f"{NAME}: .*it has no address yet")
        self.assertEqual(edge.fetch("/nobody").status, 502)
        self.assertEqual(edge.wait_access(lambda record: record["uri"] == "/nobody")["error"], "name_does_not_exist")
        dns.set(NAME, "127.0.0.2")
        self.wait_for(edge, "2")

    def test_the_first_requests_wait_for_the_first_answer(self):
        dns, (origin,) = self.dns(), self.hosts(1)
        dns.silence()
        dns.set(NAME, "127.0.0.2")
        edge = self.gate_to([f"{NAME}:{origin.port}"], top=f"dns: {{ servers: ['{dns.address}'], timeout: 900ms }}")
        dns.wait_for_questions(NAME, 1)
        traffic = self.traffic(edge, 2)
        dns.speak()  # the next of the three tries is answered
        traffic.wait_for_more(2)
        traffic.stop()
        self.assertEqual(traffic.failed(), [])

    def test_another_server_serves_meanwhile(self):
        dns, (origin,) = self.dns(), self.hosts(1)
        other = self.named("other")
        edge = self.gate_to([f"{NAME}:{origin.port}", other], top=f"dns: {{ servers: ['{dns.address}'], min_ttl: 100ms }}")
        for method in ("GET", "POST") * 10:
            self.assertEqual(edge.fetch("/", method).text, "other says 200")
        dns.set(NAME, "127.0.0.2")
        self.wait_for(edge, "2")


if __name__ == "__main__":
    unittest.main(verbosity=2)
