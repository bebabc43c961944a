# SPDX-License-Identifier: Apache-2.0
"""Results as text: a table in the terminal for each case, and the section of README.md."""

import datetime
import os
import pathlib
import platform
import re
import subprocess

from . import subjects, targets
from .cases import CASES
from .chart import draw

BEGIN, END = "<!-- results: written by bench/run --write -->", "<!-- end of results -->"
LABELS = {"cpu_us": "CPU us/request", "requests_s": "requests/s", "resident_mib": "MiB", "kib_each": "KiB each",
          "growth_kib_each": "growth, KiB each", "cpu_us_one": "CPU us with one", "requests_s_one": "1/s with one", "of_one": "of one",
          "start_s": "start, s", "elsewhere_us": "load+origin us", "p50_us": "p50 us", "p99_us": "p99 us", "p999_us": "p99.9 us", "busy": "core busy",
          "scaling": "2 of 1", "cpu_us_free": "CPU us without", "of_free": "of without", "cpu_us_redis": "CPU us, Redis",
          "redis_of_free": "Redis, of without"}


def shown(figure, value):
    return f"{value:,.0f}" if figure.startswith("requests_s") else f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"


def first_figure(result):
    """What a case is about: of the first row, the first figure."""
    return next((figure for row in result.rows.values() for figure in row if figure != "rounds"), "cpu_us")


def ratio(result, name, other):
    figure = first_figure(result)
    if name not in result.rows or other not in result.rows or name == other or not result.rows[other][figure]:
        return None
    return result.rows[name][figure] / result.rows[other][figure]


def terminal(name, result):
    print(f"\n{name}: {CASES[name].title}")
    if result.rows:
        figures = [figure for figure in next(iter(result.rows.values())) if figure != "rounds"]
        main = first_figure(result)
        print(f"  {'':14}" + "".join(f"{LABELS[figure]:>17}" for figure in figures) + f"{'of nginx':>10}{'of the floor':>14}   rounds")
        for who, row in result.rows.items():
            floor = next((one for one in subjects.FLOORS if one in result.rows), None)
            ratios = [ratio(result, who, other) for other in ("nginx", floor)]
            texts = ["-" if one is None else f"{one:.2f}" for one in ratios]
            rounds = " ".join(f"{value:.2f}" for value in row["rounds"][main])
            print(f"  {who:14}" + "".join(f"{shown(figure, row[figure]):>17}" for figure in figures) +
                  f"{texts[0]:>10}{texts[1]:>14}   {rounds}")
    for who, why in result.absent.items():
        print(f"  {who:14}absent: {why}")
    for note in result.notes:
        print(f"  {note}")


def judgement(results, cores):
    print("\ntargets")
    for one in targets.verdicts(results, cores):
        if one.said != "not run":
            print(f"  {one.target.case:18}{one.wanted:42}{one.shown:>8}  {one.said.replace('*', '')}")


def machine():
    model = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / 2**20
    return {"cpu": model.group(1) if model else platform.machine(), "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory),
            "kernel": platform.release(), "date": datetime.date.today().isoformat()}


def versions(stage, root):
    found = {}
    for name in subjects.PEERS:
        if name not in stage.without and subjects.binary(name):
            found[name] = subjects.version(name, subjects.binary(name))
    for name, program in {"headgate": stage.headgate, **stage.against}.items():
        if name not in stage.without:
            found[name] = subjects.version("headgate", program)
    if "headgate" in found:
        commit = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
        if commit.returncode == 0:
            found["headgate"] += f" ({commit.stdout.strip()})"
    return found


def in_order(names):
    """headgate first, then its peers, what else took part, and the relays."""
    first = ["headgate", *subjects.PEERS]
    return sorted(names, key=lambda name: (name in subjects.RELAYS or name in subjects.FLOORS, first.index(name) if name in first else len(first), name))


def markdown(results, about):
    """The section of README.md, without its markers."""
    there, run = about["machine"], about["run"]
    names = in_order({name for result in results.values() for name in result.rows})
    lines = [f"{there['cpu']}, {there['cores']} cores, {there['memory_gib']} GiB, Linux {there['kernel']}, {there['date']}. "
             + ", ".join(f"{name} {number}" for name, number in about["versions"].items())
             + f". {run['rounds']} rounds of {run['seconds']:g} s for each subject, interleaved; medians.",
             "", "![Cost as a ratio to nginx](chart.svg)", "", "### Targets", "", "| case | target | headgate | |", "|---|---|---|---|"]
    for one in targets.verdicts(results, there["cores"]):
        title = CASES[one.target.case].title
        lines.append(f"| {title} | {one.wanted}{'' if one.target.figure == 'cpu_us' or not one.target.of else ', ' + LABELS[one.target.figure]} | "
                     f"{one.shown} | {one.said} |")
    lines += ["", "### Figures", "", f"| case | | {' | '.join(name.replace('_', ' ') for name in names)} |", "|---|---|" + "---|" * len(names)]
    for name, result in results.items():
        if not result.rows:
            continue
        figures = [figure for figure in next(iter(result.rows.values())) if figure != "rounds"]
        for number, figure in enumerate(figures):
            cells = [shown(figure, result.rows[who][figure]) if who in result.rows else "" for who in names]
            lines.append(f"| {CASES[name].title if number == 0 else ''} | {LABELS[figure]} | {' | '.join(cells)} |")
    absent, notes = [], []
    for name, result in results.items():
        absent += [f"- {CASES[name].title}: {who}: {why}" for who, why in result.absent.items()]
        notes += [f"- {CASES[name].title}: {note}" for note in result.notes]
    if absent:
        lines += ["", "Left out:", "", *absent]
    if notes:
        lines += ["", "Notes:", "", *notes]
    return "\n".join(lines)


def write(readme, results, about):
    """Puts the table and the chart between the markers; what people wrote around them stays."""
    text = readme.read_text()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{readme} has lost its markers")
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    readme.write_text(f"{before}{BEGIN}\n{markdown(results, about)}\n{END}{after}")
    (readme.parent / "chart.svg").write_text(draw(results, about["machine"]["cores"]))
