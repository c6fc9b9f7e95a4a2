# SPDX-License-Identifier: Apache-2.0
"""The report: a table for people, JSON, and a page with plots."""

import base64
import html
import io
import json
from statistics import quantiles

import matplotlib

from .labs import PACKET_SIZES

matplotlib.use("Agg")
from matplotlib import pyplot  # pylint: disable=wrong-import-position,wrong-import-order

STYLE = """body { font: 15px sans-serif; margin: 2em auto; max-width: 70em }
table { border-collapse: collapse } td, th { padding: .25em .8em; text-align: left; border-bottom: 1px solid #ccc }
.no { color: #b00020 } .yes { color: #006b2d } img { max-width: 100% }"""
MARKS = {True: "reached", False: "NOT reached", None: ""}


def _value(m):
    spread = f" ({m.ratio.low:.2f} to {m.ratio.high:.2f})" if m.ratio.high > m.ratio.low else ""
    return f"{m.ratio.value:.2f}{spread}"


def _reach(m):
    if m.reach is None:
        return ""
    return f"{'≥' if m.at_least else '≤'} {m.reach:g}"


def table(measures):
    """Lines for a terminal."""
    rows = [("measure", "beside", "lab", "ratio", "reach", "")]
    rows += [(m.name, m.beside, m.where, _value(m), _reach(m), MARKS[m.reached]) for m in measures]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def as_json(measures, machine, cases):
    """Everything, for programs."""
    return json.dumps({
        "machine": machine,
        "measures": [{"name": m.name, "beside": m.beside, "lab": m.where, "ratio": m.ratio.value,
                      "quartiles": [m.ratio.low, m.ratio.high], "reach": m.reach, "at_least": m.at_least,
                      "reached": m.reached, "note": m.note} for m in measures],
        "microseconds": {f"{lab}/{run}/{name}": figure.us for (lab, run), found in cases.items()
                         for name, figure in found.items()},
    }, indent=1)


def _picture(figure):
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, bbox_inches="tight")
    pyplot.close(figure)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}">'


def _plot_ratios(measures):
    shown = [m for m in measures if m.reach]
    figure, axes = pyplot.subplots(figsize=(9, 0.35 * len(shown) + 1))
    for y, m in enumerate(reversed(shown)):
        value = m.ratio.value / m.reach
        axes.barh(y, value, color="#3a7d44" if m.reached else "#b3413b")
        axes.plot([m.ratio.low / m.reach, m.ratio.high / m.reach], [y, y], color="black")
    axes.axvline(1, color="black", linestyle=":")
    axes.set_yticks(range(len(shown)), [f"{m.name} / {m.beside} ({m.where})" for m in reversed(shown)])
    axes.set_xlabel("ratio, as a part of what is to be reached")
    return _picture(figure)


def _plot_times(name, found):
    figure, axes = pyplot.subplots(figsize=(9, 0.35 * len(found) + 1))
    axes.boxplot([f.us for f in found.values()], vert=False)
    axes.set_yticks(range(1, len(found) + 1), list(found))
    axes.set_xscale("log")
    axes.set_xlabel("microseconds of one operation, each round")
    axes.set_title(name)
    return _picture(figure)


LATE = (("a camera's frame", "frames", "frames"), ("a period of sound", "sound", "sound"))


def _plot_late(cases):
    figure, axes = pyplot.subplots(1, len(LATE), figsize=(12, 4))
    for (title, run, name), ax in zip(LATE, axes):
        for place, where in ((run, "in the guest"), (f"native.{run}", "on the lab's host")):
            late = sorted(cases["nested", place][name].late)
            ax.plot(late, [(n + 1) / len(late) for n in range(len(late))], label=where)
        ax.set_title(title)
        ax.set_xlabel("heard of later than at best, microseconds")
        ax.set_ylabel("part of all")
        ax.legend()
    return _picture(figure)


def _plot_packets(found):
    """Each size with the quartiles of the rounds."""
    figure, axes = pyplot.subplots(figsize=(9, 4))
    for name, what in (("tap", "a tap opened in the guest"), ("card", "virtio-net on a tap")):
        cuts = [quantiles([1e6 / us for us in found[f"{name}-{size}"].us], n=4) for size in PACKET_SIZES]
        low, middle, high = zip(*cuts)
        axes.errorbar(PACKET_SIZES, middle, marker="o", label=what, capsize=3,
                      yerr=[[m - l for m, l in zip(middle, low)], [h - m for h, m in zip(high, middle)]])
    axes.set_ylim(bottom=0)
    axes.set_xticks(PACKET_SIZES)
    axes.set_xlabel("bytes of a packet")
    axes.set_ylabel("packets each second")
    axes.legend()
    return _picture(figure)


def as_html(measures, machine, cases):
    """The page."""
    rows = "".join(
        f"<tr><td>{html.escape(m.name)}<td>{html.escape(m.beside)}<td>{m.where}<td>{_value(m)}<td>{_reach(m)}"
        f"<td class={'no' if m.reached is False else 'yes'}>{MARKS[m.reached]}<td>{html.escape(m.note)}"
        for m in measures)
    facts = "".join(f"<li>{html.escape(name)}: {html.escape(str(value))}" for name, value in machine.items())
    plots = _plot_late(cases) if ("nested", "frames") in cases else ""
    plots += _plot_packets(cases["nested", "packets"]) if ("nested", "packets") in cases else ""
    plots += "".join(_plot_times(f"{lab}: {run}", found) for (lab, run), found in cases.items())
    return (f"<!doctype html><meta charset=utf-8><title>Paradice: what operations cost</title>"
            f"<style>{STYLE}</style><h1>What operations cost</h1><ul>{facts}</ul>"
            "<p>Ratios are medians of rounds in which both had their turns; in parentheses their quartiles.</p>"
            f"<table><tr><th>measure<th>beside<th>lab<th>ratio<th>reach<th><th>{rows}</table>"
            f"{_plot_ratios(measures)}{plots}\n")
