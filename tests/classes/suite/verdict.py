# SPDX-License-Identifier: Apache-2.0
"""What a difference between host and guest means."""

import difflib
import re
import tomllib
from dataclasses import asdict, dataclass, field

SAME, EXPLAINED, DIFFERENT, NO_PROOF = "same", "explained", "DIFFERENT", "HOST FAILS"
BAD = (DIFFERENT, NO_PROOF)
_BLOCK = re.compile(r"^```toml explained\n(.*?)^```$", re.M | re.S)


@dataclass
class Verdict:
    """How one step went."""

    step: str
    tool: str
    kind: str
    host: str
    guest: str
    seconds: list  # on the host, in the guest
    differences: list = field(default_factory=list)
    why: str = ""

    def data(self):
        """As plain data."""
        return asdict(self)

    def __str__(self):
        return f"{self.kind} ({self.why})" if self.why else self.kind


class Explained:
    """The machine-readable block of docs/devices.md."""

    def __init__(self, text):
        found = _BLOCK.search(text)
        self.entries = tomllib.loads(found[1]).get("difference", []) if found else []
        self.used = set()

    def why(self, step, differences):
        """The reason when every differing line of class/step is accounted for, or None."""
        for number, entry in enumerate(self.entries):
            if re.fullmatch(entry["step"], step) and \
                    all(any(re.search(p, d) for p in entry["lines"]) for d in differences):
                self.used.add(number)
                return entry["why"]
        return None

    def unused(self, ran):
        """Explanations of steps that ran, for differences that there are no more."""
        return [entry for number, entry in enumerate(self.entries) if number not in self.used
                and any(re.fullmatch(entry["step"], name) for name in ran)]


def judge(cls, step, host, guest, explained):
    """The verdict on one step."""
    verdict = Verdict(step.name, step.tool, SAME, _shown(step, host), _shown(step, guest),
                      [round(host.seconds, 1), round(guest.seconds, 1)])
    natural = step.normal(host.text)
    missing = [p for p in step.proof if not re.search(p, natural, re.M)]
    if host.status != step.status or missing:
        verdict.kind = NO_PROOF
        verdict.why = f"no {missing}" if missing else f"status {host.status}"
        verdict.differences = (host.text + host.errors).splitlines()[-20:]
        return verdict
    verdict.differences = _differences(step, host, guest)
    if not verdict.differences:
        return verdict
    why = explained.why(f"{cls.name}/{step.name}", verdict.differences)
    if why:
        verdict.kind, verdict.why = EXPLAINED, why
    else:
        verdict.kind = DIFFERENT
        verdict.differences += [f"! {line}" for line in guest.errors.splitlines()[-20:]]
    return verdict


def _shown(step, ran):
    if ran.status is None:
        return "never ended"
    return step.shown(step.normal(ran.text), ran.status)


def _differences(step, host, guest):
    if guest.status is None:
        return ["+ never ended"]
    lines = difflib.unified_diff(step.normal(host.text).splitlines(),
                                 step.normal(guest.text).splitlines(), lineterm="", n=0)
    found = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    if guest.status != host.status:
        found.append(f"+ status {guest.status} instead of {host.status}")
    return found
