# SPDX-License-Identifier: Apache-2.0
"""Running one of the labs."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
TOP = HERE.parents[1]
sys.path.insert(0, str(TOP / "lab"))

from paralab.compile import build  # pylint: disable=wrong-import-position
from paralab.packages import packages  # pylint: disable=wrong-import-position

BUILD = TOP / "build"
OUT = BUILD / "bench"

VIRTIOFSD = "/usr/libexec/virtiofsd --sandbox none --cache never"


class BenchError(Exception):
    """Something could not be measured."""


def run(lab):
    """Runs it; the folder with its results."""
    folder = OUT / lab.name
    share, logs = folder / "share", folder / "logs"
    shutil.rmtree(folder, ignore_errors=True)
    if lab.here:
        return _run_here(share / "out", lab)
    _fill(share, lab)
    line = [TOP / "lab/run", "--share", share, "--logs", logs, "--check-logs", "--timeout", "3600",
            "--install", ",".join(packages(lab.packages)), *lab.arguments]
    script = lab.script or f"PARADICE_GUESTS={lab.guests} sh /share/bin/together"
    if lab.guests > 1:
        line += ["--guests", lab.guests]
    elif not lab.script:
        script = "sh /share/bin/in-guest; s=$?; touch /share/done; exit $s"
        socket = share / "virtiofs.sock" if lab.local else "/run/virtiofs.sock"
        line += [f"--guest-qemu-args={lab.qemu}-chardev socket,id=vfs,path={socket} "
                 "-device vhost-user-fs-pci,chardev=vfs,tag=bench "
                 "-object rng-builtin,id=rng -device virtio-rng-pci,rng=rng"]
    if lab.local:
        line += ["--host-script", f"sh {share}/bin/stats {TOP}/tools/paradicectl"]
        for name, rounds, ms, cases in (words.split(maxsplit=3) for words in lab.native):
            with open(share / "out" / f"native.{name}", "wb") as out:
                subprocess.run([share / "bin/pd-bench", "--rounds", rounds, "--ms", ms, *cases.split()],
                               check=True, stdout=out)
    elif lab.guests == 1 and not lab.script:
        line += ["--host-run", "sh /share/bin/host-before", "--host-script", "sh /share/bin/on-host"]
    with _virtiofsd(share) if lab.local else contextlib.nullcontext():
        done = subprocess.run([*map(str, line), "--", "/bin/sh", "-c", script], check=False,
                              stdin=subprocess.DEVNULL)
    if done.returncode:
        raise BenchError(f"{lab.name}: lab/run ended with status {done.returncode}, logs in {logs}")
    return share / "out"


def _run_here(out, lab):
    out.mkdir(parents=True)
    program, *arguments = lab.here
    with open(out / lab.name, "wb") as file:
        done = subprocess.run([BUILD / program, *map(str, arguments)], check=False, stdout=file,
                              env={**os.environ, "PARADICED": str(BUILD / "daemon/paradiced")})
    if done.returncode:
        raise BenchError(f"{lab.name}: {program} ended with status {done.returncode}")
    return out


def _fill(share, lab):
    for name in ("bin", "files", "out"):
        (share / name).mkdir(parents=True)
    (share / "files/file").write_text("for virtiofs\n")
    for program in (BUILD / "tests/guest").iterdir():
        if program.is_file() and os.access(program, os.X_OK):
            shutil.copy2(program, share / "bin")
    for program, libraries in lab.programs.items():
        build(TOP / "tests/classes/programs" / f"{program}.c", share / "bin" / program, libraries.split(),
              packages(lab.packages))
    for script in (HERE / "share").iterdir():
        shutil.copy2(script, share / "bin")
    (share / "plan").write_text("".join(f"{line}\n" for line in lab.plan))
    (share / "native").write_text("".join(f"{line}\n" for line in lab.native))


@contextlib.contextmanager
def _virtiofsd(share):
    """virtiofsd beside a guest on this machine, out of the lab's tree."""
    line = [TOP / "lab/run", "--quiet", "--topology", "local", "--on", "host", "--install",
            ",".join(packages("bench")), "--share", share, "--timeout", "3600", "--", *VIRTIOFSD.split(),
            "--socket-path=/share/virtiofs.sock", "--shared-dir=/share/files"]
    with open(share / "out/virtiofsd.log", "wb") as log:
        daemon = subprocess.Popen([*map(str, line)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        for _ in range(600):
            if (share / "virtiofs.sock").exists():
                break
            if daemon.poll() is not None:
                raise BenchError(f"virtiofsd does not start: {share}/out/virtiofsd.log")
            time.sleep(0.2)
        yield
    finally:
        if daemon.poll() is None:
            daemon.send_signal(signal.SIGTERM)
        daemon.wait()
