# SPDX-License-Identifier: Apache-2.0
"""All classes of devices as one: the drivers on one host, the steps as load for guests."""

import re
import tomllib
from pathlib import Path

from classes.suite import spec

HERE = Path(__file__).resolve().parents[1]
CONFIG = tomllib.loads((HERE / "mix.toml").read_text(encoding="utf-8"))
TESTDEV = "/dev/testdev"  # for the witness
SETUPS = ("setup", "host-setup", "guest-setup")


def mix(faults, every):
    """A DeviceClass of all classes' steps, named CLASS.STEP; {class: lock}.

    Of each class those that tell most in a short time, so that each has many turns, or all where none is
    marked so; with `every` all of the quick form. None that must keep up: guests share a processor.
    """
    known = {cls.name: cls for cls in spec.load_all()}
    classes = [known[name] for name in CONFIG["classes"]]
    without = dict(CONFIG["without"], **(CONFIG["without-in-faults"] if faults else {}))
    steps, names = [], set()
    for cls in classes:
        all_of_it = every or not any(step.check for step in cls.steps)
        for step in cls.steps:
            step.name = f"{cls.name}.{step.name}"
            names.add(step.name)
            if not step.full and not step.fast and step.name not in without and (step.check or all_of_it):
                steps.append(step)
    unknown = set(without) - names
    if unknown:
        raise SystemExit(f"mix.toml: no step {', '.join(sorted(unknown))}")
    options = {name: CONFIG[name] for name in ("packages", "host-kernel", "host-qemu-args",
                                               "host-qemu-env", "host-memory", "guest-memory")}
    options["host-modules"] = " ".join(_modules(classes))
    options["devices"] = _devices(classes)
    options["build"] = {program: libraries for cls in classes
                        for program, libraries in cls.options.get("build", {}).items()}
    _no_file_twice(classes)
    for part in SETUPS:
        options[part] = "\n".join(f"(\n{cls.options[part]}\n)" for cls in classes
                                  if part in cls.options)
    return spec.DeviceClass("load", "all classes", "", options, steps), _locks(classes)


def _modules(classes):
    """What is loaded, each once, as the first class has it."""
    found = {}
    for cls in classes:
        for words in cls.options.get("host-modules", "").split():
            found.setdefault(words.split(":")[0], words)
    return [*found.values(), "testdev"]


def _no_file_twice(classes):
    """Each class has a guest of its own in its own tests; here what one makes for its steps is there for all."""
    owners = {}
    for cls in classes:
        for part in SETUPS:
            for name in re.findall(r">\s*(/tmp/[\w.-]+)", cls.options.get(part, "")):
                first = owners.setdefault(name, cls.name)
                if first != cls.name:
                    raise SystemExit(f"{name} is made by {first}.toml and by {cls.name}.toml: give one another name")


def _devices(classes):
    found = {}
    for cls in classes:
        for device in cls.options["devices"]:
            found.setdefault(device.split(",")[0], device)
    return list(found.values())


def _locks(classes):
    """{class: lock}: those that have a device in common have one lock."""
    locks, owners = {cls.name: cls.name for cls in classes}, {}
    for cls in classes:
        for device in cls.options["devices"]:
            first = owners.setdefault(device, cls.name)
            old, new = locks[cls.name], locks[first]
            locks = {name: new if lock == old else lock for name, lock in locks.items()}
    return locks
