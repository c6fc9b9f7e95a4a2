# SPDX-License-Identifier: Apache-2.0
"""Tables of results, on the terminal and in docs/devices.md."""

import re

from .labrun import TOP
from .verdict import EXPLAINED, SAME

PAGE = TOP / "docs/devices.md"
_MADE = re.compile(r"(<!-- begin: results -->\n).*?(<!-- end: results -->)", re.S)


def page():
    """docs/devices.md as it is."""
    return PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""


def terminal(results):
    """Lines: class, step, tool, host, guest, verdict."""
    rows = [("class", "step", "tool", "host", "guest", "seconds", "verdict")]
    for result in results:
        for v in result["steps"]:
            verdict = v["kind"] if v["kind"] == SAME else f"{v['kind']} {v['why']}".strip()
            rows.append((result["class"], v["step"], v["tool"], v["host"], v["guest"],
                         "{} {}".format(*v["seconds"]), verdict))
    widths = [min(32, max(len(row[at]) for row in rows)) for at in range(len(rows[0]))]
    return ["  ".join(cell[:60].ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows]


def markdown(results):
    """The section that the page has between its markers."""
    lines = ["| class | host's driver | program | on the host | in the guest | |",
             "|---|---|---|---|---|---|"]
    for result in results:
        for number, v in enumerate(result["steps"]):
            head = (result["title"], result["driver"]) if number == 0 else ("", "")
            note = {SAME: "same", EXPLAINED: f"explained: {v['why']}"}.get(
                v["kind"], f"{v['kind']} {v['why']}".strip())
            cells = (*head, f"{v['tool']} ({v['step']})", v["host"], v["guest"], note)
            lines.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    form = {r["form"] for r in results}
    kernels = sorted({f"{r['title']}: Linux {r['host-kernel']}" for r in results})
    lines += ["", f"Form: {', '.join(sorted(form))}. Kernels of the host: {'; '.join(kernels)}."]
    return "\n".join(lines) + "\n"


def write(results):
    """Puts the results into the page."""
    text = page()
    if not _MADE.search(text):
        raise SystemExit(f"{PAGE} has no markers for the results")
    PAGE.write_text(_MADE.sub(lambda m: m[1] + markdown(results) + m[2], text), encoding="utf-8")
