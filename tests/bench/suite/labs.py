# SPDX-License-Identifier: Apache-2.0
"""The runs of the lab that are measured: what each has on its host, and what its guest does."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
TOP = HERE.parents[1]
BUILD = TOP / "build"
OUT = BUILD / "bench"

VIRTIOFSD = "/usr/libexec/virtiofsd --sandbox none --cache never"
NOP = "0xb500"  # TD_NOP; of other devices no ioctl
FEATURES = "0x800454cf"  # TUNGETFEATURES: one number through a pointer


class BenchError(Exception):
    """Something could not be measured."""


@dataclass
class Lab:
    """One run: its plan is lines of tests/bench/share/in-guest."""

    name: str
    plan: list
    arguments: list
    native: list = field(default_factory=list)  # lines NAME ROUNDS MS CASE…, on the host by itself
    qemu: str = ""  # the guest's further devices


SIZES = {"4 KiB": 4096, "64 KiB": 65536, "1 MiB": 1 << 20, "16 MiB": 16 << 20}
TESTDEV = "/dev/testdev"
ZERO = "/dev/host-zero"  # the host's /dev/zero; the guest has one of its own
PEERS = "stat=stat:/mnt/virtiofs/file rng=read:/dev/hwrng:64"
CALLS = f"syscall=syscall ping=write1:@PING noop=ioctl:{TESTDEV}:{NOP}:0 flat=array:{TESTDEV}:1 " \
    f"nest=nest:{TESTDEV} {PEERS}"
# the test device has memory of 1 MiB; more is read from one that has as much as one likes
DATA = " ".join([f"{kind}-{size}=mem{kind}:{TESTDEV}:{size}" for kind in ("read", "write")
                 for size in SIZES.values() if size <= 1 << 20] +
                [f"read-{SIZES['16 MiB']}=read:{ZERO}:{SIZES['16 MiB']}"])
NATIVE_DATA = DATA.replace(ZERO, "/dev/zero")
READS = " ".join(f"read-{size}=read:{ZERO}:{size}" for size in SIZES.values())
NATIVE_READS = READS.replace(ZERO, "/dev/zero")
# the test device's mappings: kind * 0x100000; 0 is RAM, 64 pages
MAPS = f"maptouch=touch:{TESTDEV}:0:0x40000 ramtouch=ramtouch:0x40000 " \
    f"map1=mmap:{TESTDEV}:0:0x1000 map64=mmap:{TESTDEV}:0:0x40000"
LOCAL_CALLS = f"syscall=syscall ping=write1:@PING noop=ioctl:{ZERO}:{NOP}:0 " \
    f"flat=ioctl:/dev/net/tun:{FEATURES}:4 {PEERS}"
SOUND_SECONDS = 10
THREADS = (1, 2, 4, 8, 16)
PACKET_SIZES = (64, 512, 1500)
PACKETS = " ".join(f"tap-{size}=tap:/dev/net/tun:tap{size}:{size} card-{size}=packet:@CARD:{size}"
                   for size in PACKET_SIZES)


def nested(quick):
    """A lab host with the test device."""
    rounds, ms = (5, 100) if quick else (20, 200)
    plan = [
        f"spinning 100 {rounds} {ms} {CALLS}",
        f"sleeping 0 {rounds} {ms} {CALLS}",
        f"data 100 {rounds} {ms} {DATA}",
        f"cold 100 {rounds} {ms} coldnest=coldnest:{TESTDEV} idle=idlepoll:{TESTDEV} event=event:{TESTDEV}",
        f"maps 100 {rounds} {ms} {MAPS}",
        f"fit 100 3 {4 * ms} fit=maps:{TESTDEV}:0:{10 if quick else 90}",
        f"evict 100 3 {4 * ms} evict=maps:{TESTDEV}:0:{50 if quick else 1000}",
        f"alone 100 {rounds} {ms} alone=ioctl:{TESTDEV}:{NOP}:0",
        f"blocked 100 {rounds} {ms} blocked=blocked:{TESTDEV}:128",
        f"threads 100 {rounds} {ms} " + " ".join(f"threads{n}=threads:{TESTDEV}:{n}" for n in THREADS),
        # one frame a round
        f"frames 100 {10 * rounds} 1 frames=frames:/dev/video0",
        f"sound {SOUND_SECONDS}",
        f"packets 100 {rounds} {ms} {PACKETS}",
        f"processes {100 if quick else 1000}",
    ]
    native = [f"data {rounds} {ms} {NATIVE_DATA}", f"frames {10 * rounds} 1 frames=frames:/dev/video0"]
    return Lab("nested", plan, [
        "--host-modules", "testdev vivid:n_devs=1 tun snd-dummy:index=0", "--device", TESTDEV, "--device", "/dev/video0",
        "--device", "/dev/net/tun,caps=net_admin",
        "--device", "/dev/snd/controlC0", "--device", "/dev/snd/pcmC0D0p", "--host-run",
        f"for i in card {' '.join(map(str, PACKET_SIZES))}; do"
        " ip tuntap add dev tap$i mode tap; ip link set tap$i up; done",
        "--device", f"/dev/zero,as={ZERO}",
        "--module-params", f"max_windows={10 if quick else 100}", "--guest-memory", "1G",
        "--host-memory", "4G"], native,
        "-netdev tap,id=net,ifname=tapcard,script=no,downscript=no -device virtio-net-pci,netdev=net ")


def local(quick):
    """This machine as the host, with what it has: one emulation less."""
    rounds, ms = (5, 50) if quick else (40, 50)
    return Lab("local", [f"spinning 100 {rounds} {ms} {LOCAL_CALLS}",
                         f"sleeping 0 {rounds} {ms} {LOCAL_CALLS}",
                         f"data 100 {rounds} {ms} {READS}"],
               ["--topology", "local", "--device", f"/dev/zero,as={ZERO}", "--device", "/dev/net/tun"],
               [f"data {rounds} {ms} {NATIVE_READS}"])


def run(lab):
    """Runs it; {name: path of the results}."""
    folder = OUT / lab.name
    share, logs = folder / "share", folder / "logs"
    shutil.rmtree(folder, ignore_errors=True)
    _fill(share, lab)
    is_local = "local" in lab.arguments
    socket = share / "virtiofs.sock" if is_local else "/run/virtiofs.sock"
    line = [TOP / "lab/run", "--share", share, "--logs", logs, "--check-logs", "--timeout", "3600",
            "--install", "virtiofsd,alsa-utils", *lab.arguments,
            f"--guest-qemu-args={lab.qemu}-chardev socket,id=vfs,path={socket} "
            "-device vhost-user-fs-pci,chardev=vfs,tag=bench "
            "-object rng-builtin,id=rng -device virtio-rng-pci,rng=rng"]
    if is_local:
        for name, rounds, ms, cases in (words.split(maxsplit=3) for words in lab.native):
            with open(share / "out" / f"native.{name}", "wb") as out:
                subprocess.run([share / "bin/pd-bench", "--rounds", rounds, "--ms", ms, *cases.split()],
                               check=True, stdout=out)
    else:
        line += ["--host-run", f"({VIRTIOFSD} --socket-path={socket} --shared-dir=/share/files "
                 ">/share/out/virtiofsd.log 2>&1 &); cd /share; "
                 "while read -r name rounds ms cases; do"
                 " bin/pd-bench --rounds $rounds --ms $ms $cases >out/native.$name || exit 1;"
                 f" done <native; bin/sound {SOUND_SECONDS} out/native.sound || exit 1; until [ -S {socket} ]; do sleep 0.2; done",
                 "--host-script", "sh /share/bin/on-host"]
    with _virtiofsd(share) if is_local else contextlib.nullcontext():
        done = subprocess.run([*map(str, line), "--", "/bin/sh", "-c",
                               "sh /share/bin/in-guest; s=$?; touch /share/done; exit $s"],
                              check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise BenchError(f"{lab.name}: lab/run ended with status {done.returncode}, logs in {logs}")
    return share / "out"


def _fill(share, lab):
    for name in ("bin", "files", "out"):
        (share / name).mkdir(parents=True)
    (share / "files/file").write_text("for virtiofs\n")
    for program in (BUILD / "tests/guest").iterdir():
        if program.is_file() and os.access(program, os.X_OK):
            shutil.copy2(program, share / "bin")
    for script in (HERE / "share").iterdir():
        shutil.copy2(script, share / "bin")
    (share / "plan").write_text("".join(f"{line}\n" for line in lab.plan))
    (share / "native").write_text("".join(f"{line}\n" for line in lab.native))


@contextlib.contextmanager
def _virtiofsd(share):
    """virtiofsd beside a guest on this machine, out of the lab's tree."""
    line = [TOP / "lab/run", "--quiet", "--topology", "local", "--on", "host", "--install",
            "virtiofsd,alsa-utils", "--share", share, "--timeout", "3600", "--", *VIRTIOFSD.split(),
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
