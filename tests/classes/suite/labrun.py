# SPDX-License-Identifier: Apache-2.0
"""One class in the lab: the steps on the host beside the driver, then the same in a guest."""

import contextlib
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .screens import Screens
from .spec import HERE

TOP = HERE.parents[1]
sys.path[:0] = [str(TOP / "lab"), str(TOP / "tests")]

from domu.unpack import unpack  # pylint: disable=wrong-import-position
from paralab.compile import build  # pylint: disable=wrong-import-position
from paralab.packages import packages  # pylint: disable=wrong-import-position

BUILD = TOP / "build"
OUT = BUILD / "classes"
PLACES = ("host", "guest")
NOISE_BYTES = 60 * 48000 * 4  # a minute of sound
XEN_MEMORY = "1G"  # of the drivers' domain
LONG = {"quick": "5", "full": "60"}


@dataclass
class Ran:
    """What a step did in one place."""

    status: int | None  # None: it never ended
    text: str = ""
    errors: str = ""
    seconds: float = 0.0


@dataclass
class ClassRun:
    """What one run of the lab left."""

    status: int
    said: str
    ran: dict  # (place, step's name): Ran
    logs: Path


def run(cls, steps, form, before, host_only=False):
    """Runs these steps of a class, first on the host, then in a guest; `before`: what each begins with."""
    folder = OUT / cls.name
    share, logs = folder / "share", folder / "logs"
    shutil.rmtree(folder, ignore_errors=True)
    fill(share, cls, steps, form, before)
    said = folder / "lab.log"
    screens = Screens(share) if cls.options.get("screens") else contextlib.nullcontext()
    with open(said, "wb") as log, screens:
        done = subprocess.run(_argv(cls, steps, share, logs, host_only), check=False,
                              stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    if "xen-guest" in cls.options:
        unpack(said.read_text(errors="replace"), share / "out")
    ran = {(place, step.name): _ran(share / "out" / place, step)
           for place in PLACES for step in steps}
    return ClassRun(done.returncode, said.read_text(errors="replace"), ran, logs)


def fill(share, cls, steps, form, before):
    """The folder that host and guest see as /share; `before`: what each step begins with."""
    for name in ("bin", "steps", "data", "out", "screen"):
        (share / name).mkdir(parents=True)
    for script in ("steps", "screendump", "make-inputs"):
        shutil.copy2(HERE / script, share / "bin")
    shutil.copy2(TOP / "tests/domu/in-domu", share / "bin")
    for program, libraries in cls.options.get("build", {}).items():
        build(HERE / "programs" / f"{program}.c", share / "bin" / program, libraries.split(),
              packages(cls.options["packages"]))
    for program in (BUILD / "tests/guest").iterdir():
        if program.is_file() and os.access(program, os.X_OK):
            shutil.copy2(program, share / "bin")
    (share / "data/noise").write_bytes(random.Random(1).randbytes(NOISE_BYTES))
    for step in steps:
        head = f"FORM={form} LONG={LONG[form]}\n{before}"
        (share / "steps" / step.name).write_text(head + step.run)
    for name in ("setup", "host-setup", "host-between", "guest-setup"):
        text = cls.options.get(name, "")
        (share / "steps" / f"@{name}").write_text(f"set -e\nPATH=$PATH:/share/bin\n{text}")


def _argv(cls, steps, share, logs, host_only):
    options = cls.options
    names = " ".join(f"{step.name}={step.timeout}" for step in steps)
    xen = "xen-guest" in options
    printed = "/share/bin/in-domu" if xen else ""

    def pieces(place):
        return (f"sh /share/steps/@{place}-setup && sh /share/steps/@setup || exit 1; "
                f"{printed} /share/bin/steps {place} {names}")

    # the debug kernel remembers much of each page and object
    memory = "2G" if options["guest-kernel"] == "debug" else options.get("guest-memory", "512M")
    argv = [TOP / "lab/run", "--share", share, "--logs", logs, "--check-logs",
            "--timeout", sum(2 * step.timeout for step in steps) + 600,
            "--host-kernel", options.get("host-kernel", "6.1"),
            "--host-modules", options.get("host-modules", ""),
            "--install", ",".join(packages(options.get("packages"))),
            "--host-memory", options.get("host-memory", XEN_MEMORY if xen else "4G"),
            "--guest-kernel", options["guest-kernel"], "--guest-memory", memory]
    if xen:
        # where drivers may pin what a guest shows them
        argv += ["--topology", "xen", "--xen-guest", options["xen-guest"], "--xen-driver-domain", "pvh"]
    if options.get("screens"):
        argv.append(f"--host-qemu-args=-qmp unix:{share}/qmp.sock,server=on,wait=off "
                    + options.get("host-qemu-args", ""))
    elif "host-qemu-args" in options:
        argv.append(f"--host-qemu-args={options['host-qemu-args']}")
    argv += [f"--host-qemu-env={setting}" for setting in options.get("host-qemu-env", [])]
    argv += [f"--daemon-args={options['daemon-args']}"] if "daemon-args" in options else []
    if host_only:
        return [*map(str, argv), "--on", "host", "--", "/bin/sh", "-c", pieces("host")]
    for device in options["devices"]:
        argv += ["--device", device]
    argv += ["--host-run", pieces("host"), "--host-run", "sh /share/steps/@host-between"]
    return [*map(str, argv), "--", "/bin/sh", "-c", pieces("guest")]


def _ran(folder, step):
    def read(ending):
        path = folder / f"{step.name}.{ending}"
        return path.read_text(errors="replace") if path.exists() else ""

    if not read("status"):
        return Ran(None)
    began, ended = map(float, read("time").split())
    return Ran(int(read("status")), read("out"), read("err"), ended - began)
