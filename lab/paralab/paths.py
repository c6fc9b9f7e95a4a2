# SPDX-License-Identifier: Apache-2.0
"""Where things are: the checkout, what is built, and the cache."""

import os
from pathlib import Path

LAB = Path(__file__).resolve().parent.parent
TOP = LAB.parent
BUILD = TOP / "build"
RUNS = BUILD / "lab"
MODULES = BUILD / "modules"


def cache():
    """The cache's root; made when missing."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(
        os.environ.get("HOME") or "/root", ".cache")
    path = Path(base) / "paradice"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()
