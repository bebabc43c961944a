# SPDX-License-Identifier: Apache-2.0
"""The picture in README.md: for each case a group of bars, one a subject, as long as its cost is of nginx's, with a mark
where headgate is to be. SVG with two sets of colours, for light and dark pages."""

from xml.sax.saxutils import escape

from . import targets
from .cases import CASES

WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 900, 330, 60, 14, 16, 74
LARGEST = 2.0  # longer bars are cut off and tell their number
SUBJECTS = ("headgate", "nginx", "haproxy", "h2o")
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 } .page { fill: #ffffff }
  .title { font-size: 16px; font-weight: 600 }
  .small { font-size: 11px; fill: #59636e; paint-order: stroke; stroke: #ffffff; stroke-width: 3px }
  .grid { stroke: #d1d9e0 } .base { stroke: #59636e } .target { stroke: #cf222e; stroke-width: 2 }
  .headgate { fill: #0969da } .nginx { fill: #8c959f } .haproxy { fill: #bf8700 } .h2o { fill: #8250df }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .page { fill: #0d1117 } .small { fill: #9198a1; stroke: #0d1117 }
    .grid { stroke: #3d444d } .base { stroke: #9198a1 } .target { stroke: #ff7b72 }
    .headgate { fill: #4493f8 } .nginx { fill: #656c76 } .haproxy { fill: #d29922 } .h2o { fill: #ab7df8 }
  }
"""


def groups(results, cores):
    """(title, {subject: ratio to nginx}, the target as such a ratio or None) of each case that nginx took part in. Of several
    targets the hardest is marked."""
    verdicts = targets.verdicts(results, cores)
    for name, result in results.items():
        judged = [one.target for one in verdicts if one.target.case == name]
        figure = judged[0].figure if judged else "cpu_us"
        figure = "cpu_us" if figure in ("of_one", "of_free") else figure  # against itself: no ratio to anybody else
        if figure == "scaling" or figure not in result.rows.get("nginx", {}):
            continue
        base = result.rows["nginx"][figure]
        ratios = {who: result.rows[who][figure] / base for who in SUBJECTS if who in result.rows}
        marks = []
        for one in judged:
            best = [result.rows[who][figure] for who in one.of if who in result.rows]
            if one.figure == figure and (best or not one.of):
                marks.append(one.at_most * (min(best) if best else 1) / base)
        what = {"cpu_us": "", "p99_us": ": p99"}.get(figure, ": memory")
        yield CASES[name].title + what, ratios, min(marks, default=None)


def draw(results, cores):
    scale = (WIDTH - LEFT - RIGHT) / LARGEST
    parts, numbers, y = [], [], TOP
    for title, ratios, mark in groups(results, cores):
        height = len(ratios) * BAR
        parts.append(f'<text x="{LEFT - 12}" y="{y + height / 2 + 4:g}" text-anchor="end">{escape(title)}</text>')
        for number, (who, value) in enumerate(ratios.items()):
            top = y + number * BAR
            length = min(value, LARGEST) * scale
            parts.append(f'<rect class="{who}" x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR - 2}"><title>{who} {value:.2f}</title></rect>')
            numbers.append(f'<text class="small" x="{LEFT + length + 5:.1f}" y="{top + BAR - 4}">{value:.2f}</text>')
        if mark is not None and mark <= LARGEST:
            x = LEFT + mark * scale
            parts.append(f'<line class="target" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 3}" y2="{y + height + 1}"/>')
        y += height + GAP
    grid = [f'<line class="{"base" if value == 1 else "grid"}" x1="{LEFT + value * scale:g}" x2="{LEFT + value * scale:g}" '
            f'y1="{TOP - 10}" y2="{y - GAP + 6}"/><text class="small" x="{LEFT + value * scale:g}" y="{TOP - 14}" text-anchor="middle">{value:g}</text>'
            for value in (0, 0.5, 1, 1.5, 2)]
    legend, x = [], LEFT
    for who in SUBJECTS:
        legend.append(f'<rect class="{who}" x="{x}" y="32" width="12" height="12"/><text x="{x + 17}" y="43">{who}</text>')
        x += 90
    legend.append(f'<line class="target" x1="{x + 6}" x2="{x + 6}" y1="31" y2="46"/><text x="{x + 17}" y="43">headgate\'s target</text>')
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img">',
                      "<!-- SPDX-License-Identifier: Apache-2.0 -->", f"<style>{STYLE}</style>", '<rect class="page" width="100%" height="100%"/>',
                      '<text class="title" x="12" y="22">Cost as a ratio to nginx in the same run (less is better)</text>',
                      *legend, *grid, *parts, *numbers, "</svg>", ""])
