# SPDX-License-Identifier: Apache-2.0
"""The most telling steps of each class of devices; make check-classes runs them all."""

import subprocess
import tomllib

import pytest

from conftest import TOP

CLASSES = sorted(file.stem for file in (TOP / "tests/classes").glob("*.toml")
                 if any(step.get("check") for step in tomllib.loads(file.read_text())["step"]))


@pytest.mark.parametrize("name", CLASSES)
def test_class(name):
    """Every step prints and does in a guest what it does on the host."""
    done = subprocess.run([TOP / "tests/classes/run", "--check", name], text=True, timeout=1500,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-8000:]
