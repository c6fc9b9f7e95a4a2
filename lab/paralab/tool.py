# SPDX-License-Identifier: Apache-2.0
"""Running a helper program to its end, with its output kept for the error."""

import subprocess

from .errors import LabError


def run(argv, what, **kwargs):
    """Runs argv; its standard output as text. LabError with its last lines on failure."""
    argv = [str(a) for a in argv]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, errors="replace", **kwargs)
    except FileNotFoundError as error:
        raise LabError(f"{what}: {argv[0]} is missing; run lab/setup as root") from error
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        raise LabError(f"{what} failed ({argv[0]}: status {done.returncode}):\n{tail}")
    return done.stdout
