# SPDX-License-Identifier: Apache-2.0
"""Sets of Debian packages for --install."""

import tomllib

from . import paths


def packages(name):
    """The packages of a set of lab/packages.toml."""
    sets = tomllib.loads((paths.LAB / "packages.toml").read_text(encoding="utf-8"))
    return sets[name]["packages"]
