# SPDX-License-Identifier: Apache-2.0
"""What headgate is to reach, as ratios within one run or as limits, and what became of it in a run."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Target:
    case: str                # of cases.CASES
    at_most: float = None
    at_least: float = None
    of: tuple = ()           # of the best of these; () when the figure itself is judged
    figure: str = "cpu_us"
    unit: str = ""           # of a figure that is judged itself
    needs_cores: int = 1     # with fewer the figure says nothing


TARGETS = (
    Target("proxy", 1.12, of=("floor_relay",)),
    Target("proxy", 0.88, of=("nginx",)),
    Target("proxy-tls", 0.88, of=("nginx",)),
    Target("proxy-10k", 0.90, of=("nginx",)),
    Target("proxy-1m", 0.90, of=("nginx",)),
    Target("static-1k", 0.65, of=("nginx",)),
    Target("static-10k", 0.65, of=("nginx",)),
    Target("static-10k-tls", 0.80, of=("nginx", "h2o")),
    Target("static-10m", 0.60, of=("nginx",)),
    Target("h2static", 1.00, of=("h2o",)),
    Target("h2proxy", 0.95, of=("h2o",)),
    Target("handshake-full", 0.95, of=("nginx",)),
    Target("handshake-resumed", 0.95, of=("nginx",)),
    Target("idle", 1.00, of=("nginx",), figure="resident_mib"),
    Target("idle-tls", 14, figure="growth_kib_each", unit="KiB each"),
    Target("everything", 0.95, of=("nginx",)),
    Target("gzip", 0.88, of=("nginx",)),
    Target("limited", 1.03, figure="of_free", unit="of the route without"),
    Target("limited", 1.08, figure="redis_of_free", unit="of the route without, through Redis"),
    Target("sites", 1.05, figure="of_one", unit="of one site's"),
    Target("sites", 200, figure="resident_mib", unit="MiB"),
    Target("sites", 2, figure="start_s", unit="s to start"),
    Target("latency", 1.00, of=("nginx",), figure="p99_us"),
    Target("workers", at_least=1.00, of=("nginx",), figure="scaling", needs_cores=4),
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    target: Target
    value: float  # None: not judged
    said: str     # "met", "missed", or why it was not judged

    @property
    def wanted(self):
        one = self.target
        word, bound = ("at most", one.at_most) if one.at_most is not None else ("at least", one.at_least)
        if not one.of:
            return f"{word} {bound:g} {one.unit}"
        name = " and ".join(who.replace("floor_relay", "the floor") for who in one.of)
        return f"{word} {bound:.2f}x {'the better of ' if len(one.of) > 1 else ''}{name}"

    @property
    def shown(self):
        if self.value is None:
            return "-"
        return f"{self.value:.2f}" if self.target.of or self.value < 10 else f"{self.value:.1f}"


def judge(target, results, cores):
    """`results`: case name to measure.Result."""
    if target.case not in results:
        return Verdict(target, None, "not run")
    result = results[target.case]
    ours = result.rows.get("headgate")
    if not ours:
        return Verdict(target, None, "not judged: headgate: " + result.absent.get("headgate", "not in this run"))
    if cores < target.needs_cores:
        return Verdict(target, None, f"not judged: says nothing on fewer than {target.needs_cores} cores")
    if target.figure not in ours:
        return Verdict(target, None, "not judged: not measured in this run")
    value = ours[target.figure]
    if target.of:
        others = {name: result.rows[name][target.figure] for name in target.of if name in result.rows}
        if not others:
            reasons = "; ".join(f"{name}: {result.absent.get(name, 'not in this run')}" for name in target.of)
            return Verdict(target, None, f"not judged: {reasons}")
        value /= min(others.values()) if target.at_most is not None else max(others.values())
    met = value <= target.at_most if target.at_most is not None else value >= target.at_least
    missing = [name for name in target.of if name not in result.rows]
    without = f" (without {', '.join(missing)})" if missing else ""
    return Verdict(target, value, ("met" if met else "**missed**") + without)


def verdicts(results, cores):
    return [judge(target, results, cores) for target in TARGETS]
