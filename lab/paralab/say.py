# SPDX-License-Identifier: Apache-2.0
"""Progress lines on stderr, each with the seconds since the start."""

import sys
import time

_start = time.monotonic()
quiet = False


def say(text):
    """Prints one progress line unless the lab was told to be quiet."""
    if not quiet:
        print(f"lab: [{time.monotonic() - _start:5.1f}s] {text}", file=sys.stderr, flush=True)


def warn(text):
    """Prints a line that even a quiet run shows."""
    print(f"lab: {text}", file=sys.stderr, flush=True)
