# SPDX-License-Identifier: Apache-2.0
"""Classes of devices as data: one TOML file each."""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
_CLASS_KEYS = {"title", "driver", "order", "packages", "host-kernel", "host-modules", "host-qemu-args",
               "host-qemu-env", "host-memory", "guest-memory", "build", "screens", "devices", "daemon-args",
               "setup", "host-setup", "host-between", "guest-setup", "step"}
_STEP_KEYS = {"name", "tool", "run", "same", "proof", "result", "status", "timeout", "full",
              "check", "maps", "meets", "fast"}


class SpecError(Exception):
    """A class file says something that nobody understands."""


@dataclass
class Step:
    """One command, which runs unchanged on host and guest."""

    name: str
    tool: str                                    # the programs, as people know them
    run: str                                     # shell, with -e
    same: list = field(default_factory=list)     # [regex, replacement] for what varies legitimately
    proof: list = field(default_factory=list)    # regexes that the host's output must match
    result: str = ""                             # regex: what of the output the table shows
    status: int = 0                              # what it ends with on the host
    timeout: int = 60
    full: bool = False                           # too long for the quick form
    check: bool = False                          # a part of `make check`
    maps: bool = False                           # maps the device's memory
    meets: bool = False                          # needs a folder that host and guest share
    fast: bool = False                           # must keep up with the host: not as load or on the debug kernel

    def normal(self, text):
        """The text without what varies."""
        for pattern, replacement in self.same:
            text = re.sub(pattern, replacement, text, flags=re.M)
        return text

    def shown(self, text, status):
        """The result in a few words."""
        found = re.findall(self.result, text, flags=re.M) if self.result else []
        words = "; ".join(" ".join(f) if isinstance(f, tuple) else f for f in found[-3:])
        if status != self.status:
            return f"status {status}" + (f", {words}" if words else "")
        return words or "ok"


@dataclass
class DeviceClass:
    """One class of devices: the drivers on the host, and the steps."""

    name: str
    title: str
    driver: str
    options: dict
    steps: list


def load(path):
    """The class that a file describes."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    _known(path, data, _CLASS_KEYS)
    steps = []
    for raw in data.pop("step"):
        _known(path, raw, _STEP_KEYS)
        if isinstance(raw.get("proof"), str):
            raw["proof"] = [raw["proof"]]
        step = Step(**raw)
        if not re.fullmatch(r"[a-z0-9.-]+", step.name):
            raise SpecError(f"{path}: step name {step.name!r}: small letters, digits, . and -")
        steps.append(step)
    names = [s.name for s in steps]
    if len(set(names)) != len(names):
        raise SpecError(f"{path}: two steps of one name")
    return DeviceClass(path.stem, data.pop("title"), data.pop("driver"), data, steps)


def load_all():
    """All classes, in the order of the documentation's table."""
    classes = [load(path) for path in HERE.glob("*.toml")]
    return sorted(classes, key=lambda c: (c.options.get("order", 99), c.name))


def _known(path, data, keys):
    unknown = set(data) - keys
    if unknown:
        raise SpecError(f"{path}: unknown: {', '.join(sorted(unknown))}")
