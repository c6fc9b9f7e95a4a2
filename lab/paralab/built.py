# SPDX-License-Identifier: Apache-2.0
"""What the build leaves for the lab: user space programs and kernel modules."""

import os
from pathlib import Path

from . import paths
from .errors import LabError

PROGRAM_FOLDERS = ("daemon", "mirror", "tools")


def programs(daemon_instead=None):
    """{name: path} of the programs that meson built, one perhaps in place of paradiced."""
    found = {}
    for folder in PROGRAM_FOLDERS:
        for path in sorted((paths.BUILD / folder).glob("*")):
            if path.is_file() and os.access(path, os.X_OK) and path.suffix == "":
                found[path.name] = path
    if daemon_instead:
        found["paradiced"] = Path(daemon_instead).resolve()
    return found


def daemon():
    """The path of paradiced; LabError when it is not built."""
    path = programs().get("paradiced")
    if not path:
        raise LabError("paradiced is not built: run `make` first")
    return path


def modules(release):
    """{file name: path} of our modules for that kernel."""
    return {p.name: p for p in sorted((paths.MODULES / release).glob("*.ko"))}


def guest_module(release, instead=None):
    """The path of paradice.ko for that kernel, or of one in its place; LabError when it is not built."""
    if instead:
        return Path(instead).resolve()
    path = Path(paths.MODULES / release / "paradice.ko")
    if not path.exists():
        raise LabError(f"paradice.ko is not built for {release}: run `make modules` first")
    return path


def module_needs(path):
    """Names of the modules that a module file says it depends on."""
    for entry in Path(path).read_bytes().split(b"\0"):
        if entry.startswith(b"depends="):
            return [n for n in entry[len(b"depends="):].decode().split(",") if n]
    return []
