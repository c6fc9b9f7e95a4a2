# SPDX-License-Identifier: Apache-2.0
"""Sets of Debian packages for --install."""

import tomllib

from . import paths


def packages(names):
    """The packages of some sets of lab/packages.toml, whose names are words of one text."""
    sets = tomllib.loads((paths.LAB / "packages.toml").read_text(encoding="utf-8"))
    return list(dict.fromkeys(p for name in names.split() for p in sets[name]["packages"]))
