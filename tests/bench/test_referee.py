# SPDX-License-Identifier: Apache-2.0
"""What the referee makes of figures: verdicts, the table and the chart. No server runs here."""

import contextlib
import io
import pathlib
import sys
import tempfile
import unittest
import xml.dom.minidom

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

from referee import chart, command, load, report, targets, training  # noqa: E402
from referee.cases import CASES  # noqa: E402
from referee.measure import Result  # noqa: E402


def result(absent=None, **rows):
    """Of {subject: CPU microseconds} or {subject: {figure: value}}."""
    rows = {who: row if isinstance(row, dict) else {"cpu_us": row} for who, row in rows.items()}
    return Result({who: row | {"rounds": {figure: [value] for figure, value in row.items()}} for who, row in rows.items()}, absent or {})


def verdict(case, outcome, cores=2, number=0):
    return [one for one in targets.verdicts({case: outcome}, cores) if one.target.case == case][number]


class Verdicts(unittest.TestCase):
    def test_a_ratio_is_met_or_missed(self):
        self.assertEqual(verdict("static-1k", result(nginx=10.0, headgate=6.5)).said, "met")
        self.assertEqual(verdict("static-1k", result(nginx=10.0, headgate=6.6)).said, "**missed**")

    def test_each_target_of_a_case_is_judged(self):
        outcome = result(floor_relay=10.0, nginx=14.0, headgate=11.9)
        self.assertEqual(verdict("proxy", outcome, number=0).said, "**missed**")
        self.assertEqual(verdict("proxy", outcome, number=1).said, "met")

    def test_the_better_of_two_counts(self):
        outcome = result(nginx=12.0, h2o=10.0, headgate=9.0)
        self.assertAlmostEqual(verdict("static-10k-tls", outcome).value, 0.9)
        self.assertEqual(verdict("static-10k-tls", outcome).said, "**missed**")

    def test_a_missing_peer_is_told(self):
        outcome = result(nginx=12.0, headgate=9.0, absent={"h2o": "not installed"})
        self.assertEqual(verdict("static-10k-tls", outcome).said, "met (without h2o)")

    def test_without_any_peer_nothing_is_judged(self):
        outcome = result(headgate=9.0, absent={"nginx": "not installed"})
        self.assertEqual(verdict("static-1k", outcome).said, "not judged: nginx: not installed")

    def test_without_headgate_the_reason_is_told(self):
        outcome = result(h2o=2.0, absent={"headgate": "does not speak HTTP/2 yet"})
        self.assertEqual(verdict("h2static", outcome).said, "not judged: headgate: does not speak HTTP/2 yet")

    def test_a_limit_needs_no_peer(self):
        figures = {"of_one": 1.01, "resident_mib": 201.0, "start_s": 1.9}
        self.assertEqual([verdict("sites", result(headgate=figures), number=n).said for n in range(3)], ["met", "**missed**", "met"])

    def test_scaling_is_to_be_as_high_as_nginx(self):
        outcome = result(nginx={"scaling": 1.9}, headgate={"scaling": 1.8})
        self.assertEqual(verdict("workers", outcome, cores=4).said, "**missed**")
        self.assertIn("not judged", verdict("workers", outcome, cores=2).said)

    def test_a_case_that_did_not_run_is_listed(self):
        said = {one.target.case: one.said for one in targets.verdicts({}, 2)}
        self.assertEqual(set(said.values()), {"not run"})
        self.assertEqual(set(said) - set(CASES), set())


class Output(unittest.TestCase):
    def setUp(self):
        self.results = {"proxy": result(floor_relay=10.0, nginx=14.0, h2o=40.0, headgate=12.0),
                        "h2static": result(nginx=9.0, h2o=2.0, absent={"headgate": "does not speak HTTP/2 yet"}),
                        "idle": result(nginx={"resident_mib": 12.4}, headgate={"resident_mib": 11.0})}
        self.about = {"machine": {"cpu": "a <fast> one", "cores": 2, "memory_gib": 4, "kernel": "6.1", "date": "2026-01-01"},
                      "versions": {"nginx": "1.22.1"}, "run": {"rounds": 5, "seconds": 4.0}}

    def test_the_table_goes_between_the_markers(self):
        with tempfile.TemporaryDirectory() as folder:
            readme = pathlib.Path(folder) / "README.md"
            readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
            for _ in range(2):
                report.write(readme, self.results, self.about)
            text = readme.read_text()
            self.assertTrue(text.startswith(f"before\n{report.BEGIN}\n"), text)
            self.assertTrue(text.endswith(f"\n{report.END}\nafter\n"), text)
            self.assertNotIn("old", text)
            self.assertIn("| static 10 MiB | at most 0.60x nginx | - | not run |", text)
            self.assertIn("| proxy 1 KiB | at most 1.12x the floor | 1.20 | **missed** |", text)
            self.assertIn("- static 1 KiB, HTTP/2, no log: headgate: does not speak HTTP/2 yet", text)
            self.assertTrue((readme.parent / "chart.svg").is_file())

    def test_a_readme_without_markers_is_left_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            readme = pathlib.Path(folder) / "README.md"
            readme.write_text("by hand\n")
            with self.assertRaises(SystemExit):
                report.write(readme, self.results, self.about)
            self.assertEqual(readme.read_text(), "by hand\n")

    def test_this_readme_has_markers(self):
        text = (command.ROOT / "bench" / "README.md").read_text()
        self.assertEqual((text.count(report.BEGIN), text.count(report.END)), (1, 1))

    def test_the_chart_has_a_bar_for_everybody(self):
        picture = xml.dom.minidom.parseString(chart.draw(self.results, 2))
        told = [one.firstChild.data for one in picture.getElementsByTagName("title")]
        self.assertEqual(told, ["headgate 0.86", "nginx 1.00", "h2o 2.86", "nginx 1.00", "h2o 0.22", "headgate 0.89", "nginx 1.00"])
        longest = max(float(bar.getAttribute("width")) for bar in picture.getElementsByTagName("rect") if bar.hasChildNodes())
        self.assertLess(chart.LEFT + longest, chart.WIDTH)

    def test_recorded_runs_are_put_together(self):
        with tempfile.TemporaryDirectory() as folder:
            files = [pathlib.Path(folder) / name for name in ("one.json", "two.json")]
            command.record(files[0], self.results, self.about)
            command.record(files[1], {"proxy": result(nginx=10.0, headgate=5.0)}, self.about)
            results, about = command.recorded(files)
            self.assertEqual(list(results), ["proxy", "h2static", "idle"])
            self.assertEqual(results["proxy"].rows["headgate"]["cpu_us"], 5.0)
            self.assertEqual(results["h2static"].absent, self.results["h2static"].absent)
            self.assertEqual(about, self.about)


class Answers(unittest.TestCase):
    def test_bad_or_short_answers_end_a_run(self):
        load.judge(bad=0, requests=100, read=104_000, size=1024)
        with self.assertRaises(load.WrongAnswers):
            load.judge(bad=1, requests=100, read=104_000, size=1024)
        with self.assertRaises(load.WrongAnswers):
            load.judge(bad=0, requests=100, read=90_000, size=1024)
        with self.assertRaises(load.NoAnswers):
            load.judge(bad=0, requests=0, read=0, size=1024)

    def test_sizes_as_wrk_writes_them(self):
        self.assertEqual(load.in_bytes("512.00B"), 512)
        self.assertEqual(load.in_bytes("1.50MB"), 1.5 * 2**20)
        self.assertEqual(load.in_bytes("2.00GB"), 2 * 2**30)


class Training(unittest.TestCase):
    """The script that uses it takes too long for a test; what would make it fail halfway is seen here."""

    def test_every_kind_of_traffic_is_among_it(self):
        setups = [case.setup for case in training.trainings().values()]
        for which in ("tls", "h2", "gzip", "limits", "sites"):
            self.assertTrue(any(getattr(setup, which) for setup in setups), which)
        self.assertEqual({setup.action for setup in setups}, {"proxy", "static"})

    def test_it_needs_the_program_that_counts(self):
        for arguments in (["--train"], ["--train", "--headgate", "/bin/true", "--case", "proxy"]):
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()) as said:
                command.parse(arguments)
            self.assertIn("--train needs --headgate", said.getvalue())

    def test_a_program_that_does_not_end_well_has_lost_its_counts(self):
        with self.assertRaisesRegex(SystemExit, "ended with 1, and what it counted is lost"):
            training.ended_well("proxy", 1, "")
        training.ended_well("proxy", 0, "")


if __name__ == "__main__":
    unittest.main(verbosity=2)
