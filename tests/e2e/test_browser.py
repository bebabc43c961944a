# SPDX-License-Identifier: Apache-2.0
"""Chromium with the demo's single-page application over HTTP/2. Skipped where there is no Chromium.

The browser is told what to do over its debugging pipe (Chrome DevTools Protocol): one JSON object after another, each
ended by a NUL, on its descriptors 3 and 4."""

import json
import os
import shutil
import signal
import subprocess
import threading
import unittest

import test_demo
from harness import PROGRAM, GateTest, Lines

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LIMIT = 60  # a browser on a busy machine takes its time
ANSWERED = "/^blue . blue-\\d/.test(document.querySelector('table tbody td')?.textContent)"
OPTIONS = ["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--disable-quic", "--disable-sync",
           "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
           "--disable-dev-shm-usage", "--ignore-certificate-errors"]


class Browser:
    """`hosts`: further names that stand for 127.0.0.1."""

    def __init__(self, folder, hosts=()):
        resolver = "--host-resolver-rules=" + ", ".join([*(f"MAP {host} 127.0.0.1" for host in hosts), "MAP * ~NOTFOUND", "EXCLUDE localhost"])
        to_browser, self.commands = os.pipe()
        self.answers, from_browser = os.pipe()

        def descriptors():
            # Either may be 3 or 4 already: out of the way first.
            commands, answers = os.dup(to_browser), os.dup(from_browser)
            high = [os.dup2(commands, 100), os.dup2(answers, 101)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)
        rights = ["--no-sandbox"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen([BROWSER, *OPTIONS, resolver, *rights, f"--user-data-dir={folder}", "about:blank"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)},
                                        preexec_fn=descriptors, close_fds=False, start_new_session=True)
        os.close(to_browser)
        os.close(from_browser)
        self.news = threading.Condition()
        self.results, self.events, self.last, self.ended = {}, [], 0, False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        rest = b""
        while got := os.read(self.answers, 1 << 16):
            *whole, rest = (rest + got).split(b"\0")
            with self.news:
                for text in whole:
                    message = json.loads(text)
                    if "id" in message:
                        self.results[message["id"]] = message
                    else:
                        self.events.append(message)
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def wait(self, find, what):
        """What `find` gives, once that is something."""
        with self.news:
            found = self.news.wait_for(lambda: find() or self.ended, LIMIT)
            if not found or found is True and self.ended:
                raise AssertionError(f"no {what}; the browser {'has ended' if self.ended else 'said'}: {self.events[-20:]}")
            return found

    def command(self, method, session=None, **parameters):
        with self.news:
            self.last += 1
            number = self.last
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        answer = self.wait(lambda: self.results.pop(number, None), f"answer to {method}")
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.reader.join(LIMIT)
        os.close(self.commands)
        os.close(self.answers)


class Page:
    """A tab of its own, which notes all that goes wrong in it."""

    def __init__(self, browser):
        self.browser = browser
        target = browser.command("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")

    def command(self, method, **parameters):
        return self.browser.command(method, self.session, **parameters)

    def events(self, name):
        return [one["params"] for one in self.browser.events if one.get("sessionId") == self.session and one["method"] == name]

    def open(self, address):
        failed = self.command("Page.navigate", url=address).get("errorText")
        if failed:
            raise AssertionError(f"{address}: {failed}")
        self.browser.wait(lambda: self.events("Page.loadEventFired"), "load event")

    def value(self, expression):
        """Of an expression in the page, awaited where it is a promise."""
        got = self.command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in got:
            raise AssertionError(f"{expression}: {got['exceptionDetails']}")
        return got["result"].get("value")

    def until(self, expression):
        """Waits in the page, frame by frame, until the expression is true there."""
        self.value(f"""new Promise((done) => {{
            const look = () => ({expression}) ? done(true) : requestAnimationFrame(look);
            look();
        }})""")

    def complaints(self):
        return ([one for one in self.events("Log.entryAdded") if one["entry"]["level"] in ("error", "warning")]
                + self.events("Runtime.exceptionThrown")
                + [one for one in self.events("Runtime.consoleAPICalled") if one["type"] in ("error", "warning", "assert")]
                + [one for one in self.events("Network.loadingFailed") if not one.get("canceled")])


@unittest.skipUnless(BROWSER, "no chromium")
class SinglePageApplication(GateTest):
    def setUp(self):
        self.demo = subprocess.Popen([PROGRAM, "demo"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     cwd=self.folder())
        self.addCleanup(self.end_demo)
        out = Lines(self.demo.stdout)
        addresses = out.wait(test_demo.Demo.addresses, timeout=30)
        self.assertTrue(addresses, out.text)
        self.root = f"https://localhost:{addresses['https']}"
        self.browser = Browser(self.folder())
        self.addCleanup(self.browser.close)
        self.page = Page(self.browser)

    def end_demo(self):
        self.demo.kill()
        self.demo.wait()
        self.demo.stdout.close()

    def protocols(self):
        """Of the page and of all that it has loaded, by path."""
        timings = self.page.value("""[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
            .map((one) => [new URL(one.name).pathname, one.nextHopProtocol])""")
        return {path: protocol for path, protocol in timings}

    def test_the_application_loads_and_works(self):
        self.page.open(self.root + "/")
        self.page.until(ANSWERED)
        self.page.until("document.getElementById('stream').textContent.includes('live')")
        loaded = self.protocols()
        self.assertEqual(set(loaded.values()), {"h2"}, loaded)
        self.assertIn("/api/hello", loaded)
        self.assertTrue(any(path.endswith(".js") for path in loaded) and any(path.endswith(".css") for path in loaded), loaded)
        # One connection carries it all, the endless event stream as well.
        connections = {one["response"]["connectionId"] for one in self.page.events("Network.responseReceived")}
        self.assertEqual(len(connections), 1)
        self.assertEqual(self.page.complaints(), [])

    def test_a_deep_link(self):
        self.page.open(self.root + "/orders/42")
        self.page.until("document.querySelector('main').textContent.includes('42')")
        self.assertEqual(self.page.value("location.pathname"), "/orders/42")
        self.assertEqual(set(self.protocols().values()), {"h2"})
        self.assertEqual(self.page.complaints(), [])
        # From there on the application goes where it likes without asking for another page.
        self.page.value("document.querySelector('nav a[href=\"/\"]').click()")
        self.page.until(ANSWERED)
        self.assertEqual(self.page.value("performance.getEntriesByType('navigation').length"), 1)
        self.assertEqual(self.page.complaints(), [])


if __name__ == "__main__":
    unittest.main()
