# SPDX-License-Identifier: Apache-2.0
"""Tests that boot VMs. Each battery boots once; its tests look at what it left."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock
import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = TOP / "build"
sys.path.append(str(TOP / "tests"))


def pytest_configure(config):
    """What marks there are."""
    config.addinivalue_line("markers", "attacks: only in make check-attacks")
    config.addinivalue_line("markers", "debug: only in make check-debug")
    config.addinivalue_line("markers", "xen: only in make check-xen")


def pytest_collection_modifyitems(items):
    """What takes longest by itself comes first: as the last, it would leave a processor idle."""
    items.sort(key=lambda item: item.path.name != "test_xen.py")


class LabRun:
    """What one lab/run did."""

    def __init__(self, status, output, share, logs):
        self.status, self.output, self.share, self.logs = status, output, share, logs

    def text(self, name):
        """What a step of the battery printed."""
        path = self.share / "out" / f"{name}.out"
        assert path.exists(), f"the step {name} never began; lab/run said:\n{self.output}"
        return path.read_text(errors="replace")

    def step(self, name):
        """(status, output and errors) of a step of the battery."""
        text = self.text(name)
        errors = self.share / "out" / f"{name}.err"
        if errors.exists():
            text += errors.read_text(errors="replace")
        path = self.share / "out" / f"{name}.status"
        assert path.exists(), f"the step {name} never ended:\n{text[-3000:]}"
        return int(path.read_text()), text

    def log(self, name, may_be_missing=False):
        """A log of the run. The lab removes empty ones: only who says so takes a missing one for empty."""
        path = self.logs / name
        if may_be_missing and not path.exists():
            return ""
        assert path.exists(), f"there is no {path}; lab/run said:\n{self.output[-3000:]}"
        return path.read_text(errors="replace")

    def assert_ok(self):
        assert self.status == 0, f"lab/run: status {self.status}, logs in {self.logs}:\n" \
            f"{self.output[-6000:]}"


def fill_share(share):
    """The programs that guests and hosts run."""
    (share / "bin").mkdir(parents=True)
    (share / "out").mkdir()
    for program in (BUILD / "tests/guest").iterdir():
        if program.is_file() and os.access(program, os.X_OK):
            shutil.copy2(program, share / "bin")
    for script in ("battery", "beside-unit", "host-side", "identity", "lying-host", "told-lies"):
        shutil.copy2(TOP / "tests/vm" / script, share / "bin")
    for script in ("in-domu", "hostile-front-end", "count-grants", "twice", "lying-store", "store-lies"):
        shutil.copy2(TOP / "tests/domu" / script, share / "bin")
    weak = BUILD / "tests/attacks/paradice-xen-weak"
    if weak.exists():
        shutil.copy2(weak, share / "bin")


def run_lab(name, args, command, tmp, host_kernel="6.1", check_logs=True, timeout=1500):
    """lab/run with the test programs in /share."""
    share = tmp / "share"
    if not share.exists():
        fill_share(share)
    logs = BUILD / "tests" / "vm" / name
    shutil.rmtree(logs, ignore_errors=True)
    argv = [TOP / "lab/run", "--share", share, "--logs", logs, "--timeout", str(timeout),
            "--host-kernel", host_kernel]
    if check_logs:
        argv.append("--check-logs")
    done = subprocess.run([*map(str, argv), *args, "--", *command], text=True, timeout=timeout + 60,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, errors="replace", check=False)
    return LabRun(done.returncode, done.stdout, share, logs)


def once(tmp_path_factory, name, make):
    """make(folder), a LabRun, made once for all of pytest's processes."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / name
    with FileLock(f"{folder}.lock"):
        done = folder / "run"
        if not done.exists():
            folder.mkdir(exist_ok=True)
            done.write_bytes(pickle.dumps(make(folder)))
        return pickle.loads(done.read_bytes())


@pytest.fixture
def lab(tmp_path, request):
    """A function that runs the lab for one test."""
    def run(args, command, **more):
        name = request.node.name.replace("/", "-").replace("[", "-").rstrip("]")
        return run_lab(name, args, command, tmp_path, **more)
    return run
