# SPDX-License-Identifier: Apache-2.0
"""Whether this machine's KVM runs stock kernels: found out by booting one."""

import json
import os
import subprocess
from pathlib import Path

from . import cache, initramfs, kernels, paths, qemu, tool, tree
from .say import say


def _this_boot(name):
    """The cache's name for something that holds until the machine boots again."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"probes/{name}-{cache.key(boot)}"


def tsc_khz():
    """The rate of this machine's time stamp counter, for kernels under emulation.

    They see the same counter, and what they find out themselves is wrong by factors when the
    machine is busy at that moment.
    """
    def measure(path):
        rate = tool.run([initramfs.compiled("tsc")], "measuring the time stamp counter")
        Path(path).write_text(rate, encoding="ascii")

    return int(cache.item(_this_boot("tsc"), measure).read_text(encoding="ascii"))


def choose(wanted):
    """"kvm" or "tcg" for VMs on this machine."""
    if wanted != "auto":
        return wanted
    return "kvm" if os.path.exists("/dev/kvm") and _kvm_works() else "tcg"


def _kvm_works():
    verdict = cache.item(_this_boot("kvm"), _probe)
    return json.loads(verdict.read_text())["works"]


def _probe(path):
    say("trying whether /dev/kvm runs a stock kernel")
    kernel = kernels.get("6.1")
    scratch = Path(path).parent
    log = scratch / "probe.log"
    # It has no disks: init says so on the console and powers off. Both are signs of life.
    vm = qemu.Vm(kernel=str(kernel.vmlinux), initrd=str(initramfs.base(kernel)), log=str(log),
                 disks=[], accel="kvm", append="loglevel=7")
    argv = tree.qemu_argv(vm.argv(), [paths.cache()])
    works = False
    try:
        subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=15, check=False)
    except subprocess.TimeoutExpired:
        pass
    if log.exists():
        works = b"lab: init:" in log.read_bytes()
    say("KVM works here" if works else "KVM does not run stock kernels here: using emulation")
    Path(path).write_text(json.dumps({"works": works}))


def kernel_arguments(kind):
    """What a kernel is told on a machine of this kind ("kvm" or "tcg")."""
    return f"tsc_early_khz={tsc_khz()}" if kind == "tcg" else ""
