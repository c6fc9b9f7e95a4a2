# SPDX-License-Identifier: Apache-2.0
"""Cached pieces: made once, under a lock, in a temporary place, then renamed."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile

from . import paths
from .say import say

# Raise when the way a piece is made changes, so that old pieces are not taken.
SCRIPT_VERSION = 1


def key(*parts):
    """A short hash of everything that a piece is made from."""
    text = json.dumps([SCRIPT_VERSION, *parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextlib.contextmanager
def locked(name):
    """Holds the lock of that name against every other run of the lab."""
    folder = paths.cache() / "locks"
    folder.mkdir(exist_ok=True)
    with open(folder / name.replace("/", "_"), "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that makes {name}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def item(name, build):
    """The path of the cached piece `name`, made by build(path) when missing.

    build gets a temporary path that does not exist yet and makes a file or a
    folder there. Nothing half-made is ever seen under the final name.
    """
    final = paths.cache() / name
    if final.exists():
        return final
    with locked(name):
        if final.exists():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.mkdtemp(prefix=".making-", dir=paths.cache())
        try:
            made = os.path.join(scratch, "it")
            build(made)
            os.rename(made, final)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return final
