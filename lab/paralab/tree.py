# SPDX-License-Identifier: Apache-2.0
"""The Debian trees: QEMU, compilers and programs, as folders and as disk images.

One tree serves the machine (QEMU by chroot, compilers for newer kernels), the lab's host
and the guests, so that the very same programs run everywhere.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from . import apt, cache, enter, tool
from .errors import LabError
from .say import say

SUITE = "testing"
PACKAGES = [
    # the VMM
    "qemu-system-x86",
    # kernel modules for this suite's kernels
    "gcc", "make", "libelf1t64", "libssl3t64",
    # what commands in guests and hosts use
    "iproute2", "iputils-ping", "kmod", "procps", "strace", "v4l-utils", "psmisc", "util-linux",
    "mount", "mawk", "socat",
    # what paradiced links with
    "libseccomp2", "libudev1",
]
LEFT_OUT = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"]
MIN_QEMU = (11, 1)


def base():
    """The base tree's folder, made with mmdebstrap when missing."""
    return cache.item(f"trees/base-{cache.key(SUITE, PACKAGES, LEFT_OUT)}/tree", _make_base)


def _make_base(path):
    say(f"making the Debian {SUITE} tree with QEMU (about a minute)")
    argv = ["mmdebstrap", "--mode=root", "--variant=apt", "--skip=cleanup/apt/lists",
            '--aptopt=APT::Install-Recommends "false"',
            '--aptopt=Acquire::Languages "none"',
            f"--include={','.join(PACKAGES)}"]
    argv += [f"--aptopt={line}" for line in apt.system_settings()]
    argv += [f"--dpkgopt=path-exclude={left}" for left in LEFT_OUT]
    tool.run([*argv, SUITE, path, *apt.sources(SUITE)], "making the Debian tree",
             env={**os.environ, "TMPDIR": "/tmp", "LC_ALL": "C.UTF-8"})
    os.chmod(path, 0o755)
    for place in ("lab", "share"):
        os.makedirs(os.path.join(path, place), exist_ok=True)


def with_packages(packages):
    """The tree's folder with these Debian packages installed too (none: the base tree)."""
    chosen = sorted(set(packages))
    if not chosen:
        return base()
    below = base()

    def make(path):
        say(f"installing {' '.join(chosen)} into a copy of the tree")
        tool.run(["cp", "-a", "--reflink=auto", below, path], "copying the tree")
        _install(path, chosen)

    name = f"trees/{below.parent.name}-with-{cache.key(chosen)}/tree"
    return cache.item(name, make)


def _install(path, packages):
    resolv = os.path.join(path, "etc/resolv.conf")
    if os.path.exists("/etc/resolv.conf"):
        shutil.copyfile("/etc/resolv.conf", resolv)
    policy = Path(path, "usr/sbin/policy-rc.d")
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    # A /dev of its own: packages set permissions there, which must not be the machine's.
    script = ('set -e; for d in proc sys; do mount --rbind /$d "$1/$d"; done; '
              'mount -t tmpfs -o mode=755 dev "$1/dev"; '
              'for n in null zero full random urandom tty; do cp -a /dev/$n "$1/dev/$n"; done; '
              'ln -s /proc/self/fd "$1/dev/fd"; mkdir "$1/dev/shm" "$1/dev/pts"; '
              'chroot "$1" apt-get -qq update; shift_root=$1; shift; '
              'DEBIAN_FRONTEND=noninteractive chroot "$shift_root" apt-get -qq install -y "$@"; '
              'chroot "$shift_root" apt-get clean')
    try:
        tool.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", path,
                  *packages], f"installing {' '.join(packages)}")
    finally:
        policy.unlink()


def image(tree):
    """A read-only disk image of the tree, for the virtual machines' root."""
    def make(path):
        say("packing the tree into a disk image")
        pack(tree, path, ["var/lib/apt/lists", "var/cache", "usr/share/qemu/edk2-*"])

    return cache.item(f"trees/{tree.parent.name}/root.erofs", make)


def pack(folder, path, left_out=()):
    """Packs a folder into an uncompressed EROFS image at path."""
    argv = ["mkfs.erofs", "--quiet", "-T0"]
    argv += [f"--exclude-path={left}" for left in left_out]
    tool.run([*argv, path, folder], f"packing {folder}")


def _version(text):
    found = re.search(r"version (\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def qemu_argv(arguments, binds, packages=()):
    """The command line for QEMU on the machine: the system's when new enough, else the tree's.

    When packages of QEMU's are among `packages` it is that tree's, which alone has them.
    """
    special = any(p.startswith("qemu-system-") for p in packages)
    own = shutil.which("qemu-system-x86_64")
    if own and not special:
        done = subprocess.run([own, "--version"], capture_output=True, text=True, check=False)
        if _version(done.stdout) >= MIN_QEMU:
            return [own, *arguments]
    tree = with_packages(packages) if special else base()
    if not (tree / "usr/bin/qemu-system-x86_64").exists():
        raise LabError(f"{tree} has no qemu-system-x86_64: remove that folder and try again")
    return enter.argv_for(tree, ["qemu-system-x86_64", *arguments], binds)
