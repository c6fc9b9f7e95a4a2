# SPDX-License-Identifier: Apache-2.0
"""A guest's kernel that looks for mistakes: Debian's source, with lab/debug.config."""

import os
import shutil
from pathlib import Path

from . import apt, cache, paths, tool
from .errors import LabError
from .say import say

CONFIG = paths.LAB / "debug.config"
SOURCE = "linux-source-6.1"
SUITE = "bookworm"
# What a module is built with stays; of 1.4 GB the rest goes.
KEPT = {"arch", "include", "scripts", "tools", "Makefile", ".config", "Module.symvers", "Kconfig"}
KEPT_TOOLS = {"objtool", "include", "build", "scripts"}


def key():
    """What the kernel is made from, besides the newest source of the suite."""
    return cache.key(CONFIG.read_text(), SOURCE, SUITE, sorted(KEPT), sorted(KEPT_TOOLS))


def make(path):
    """Builds it below path, in the layout of kernels.Kernel."""
    path = Path(path)
    source = _fetch(path)
    _configure(source)
    say(f"building {SOURCE} with its checks (up to half an hour on two processors)")
    make_argv = ["make", "-s", "-C", source, "LOCALVERSION=-debug", f"-j{os.cpu_count()}"]
    tool.run([*make_argv, "bzImage", "modules"], "building the debug kernel")
    release = tool.run([*make_argv, "kernelrelease"], "asking for the kernel's release").strip()
    (path / "release").write_text(release + "\n")
    tool.run([*make_argv, f"INSTALL_MOD_PATH={path}", "modules_install"], "installing its modules")
    # Packed, since QEMU starts an unpacked one only where it can be started by Xen, too.
    shutil.copyfile(source / "arch/x86/boot/bzImage", path / "vmlinux")
    _keep(source, path / "usr/src" / f"linux-headers-{release}")


def _fetch(path):
    """The unpacked source's folder."""
    archive = apt.Archive(SUITE)
    archive.update()
    say(f"fetching {SOURCE}")
    package = path / "package"
    package.mkdir(parents=True)
    archive.download([SOURCE], package)
    deb = next(package.glob("*.deb"))
    tool.run(["dpkg", "-x", deb, package], f"unpacking {deb.name}")
    tool.run(["tar", "-C", path, "-xf", package / "usr/src" / f"{SOURCE}.tar.xz"], "unpacking the source")
    shutil.rmtree(package)
    return path / SOURCE


def _configure(source):
    tool.run(["make", "-s", "-C", source, f"KCONFIG_ALLCONFIG={CONFIG}", "allnoconfig"],
             "configuring the debug kernel")
    made = set((source / ".config").read_text().splitlines())
    lost = [line for line in CONFIG.read_text().splitlines()
            if line.startswith("CONFIG_") and line not in made]
    if lost:
        raise LabError(f"{CONFIG.name}: this kernel does not take {', '.join(lost)}")


def _keep(source, headers):
    """Moves what modules are built with to where Kernel.headers says."""
    for folder, kept in ((source, KEPT), (source / "tools", KEPT_TOOLS),
                         (source / "arch", {"x86", "Kconfig"})):
        for entry in folder.iterdir():
            if entry.name in kept:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    for built in source.glob("arch/**/*.[oa]"):
        built.unlink()
    headers.parent.mkdir(parents=True)
    source.rename(headers)
