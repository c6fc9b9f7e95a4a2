# SPDX-License-Identifier: Apache-2.0
"""Builds a Kbuild folder for one of the lab's kernels, outside of the folder itself."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from . import cache, enter, kernels, paths, tree
from .errors import LabError

IGNORED = {"__pycache__"}
# What a build that went well may say without it being shown.
NOISE = ("make", "CC [M]", "LD [M]", "CHECK ", "MODPOST", "PROBE", "warning: the compiler differs",
         "warning: pahole version differs", "The kernel was built", "You are using:")


def sources(folder):
    """Relative paths of a module's source files."""
    found = []
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f not in IGNORED and not f.startswith("."))
        for name in sorted(files):
            if name.endswith((".c", ".h", ".S", ".sh")) or name in ("Kbuild", "Makefile"):
                found.append(os.path.relpath(os.path.join(top, name), folder))
    return found


def fingerprint(folder, release, arguments):
    """A hash over all that the module is made from."""
    digest = hashlib.sha256(f"{cache.SCRIPT_VERSION} {release} {arguments}".encode())
    for base in (folder, paths.TOP / "include"):
        for name in sources(base):
            digest.update(f"\0{name}\0".encode())
            digest.update((base / name).read_bytes())
    return digest.hexdigest()


def mirror_sources(folder, work):
    """Makes `work` a copy in symbolic links of the folder's sources; gone files leave it."""
    wanted = set(sources(folder))
    for name in sources(work):
        if (work / name).is_symlink() and name not in wanted:
            (work / name).unlink()
    for name in wanted:
        link, target = work / name, folder / name
        if not (link.is_symlink() and os.readlink(link) == str(target)):
            link.unlink(missing_ok=True)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)


def make_argv(kernel, work, arguments):
    """The command line of make for an external module."""
    argv = ["make", "-C", str(kernel.headers), f"M={work}", f"-j{os.cpu_count()}",
            f"PARADICE_INCLUDE={paths.TOP / 'include'}",
            "CONFIG_DEBUG_INFO_BTF_MODULES=",  # it would take pahole, for nothing we use
            *arguments, "modules"]
    if kernel.in_tree:
        return enter.argv_for(tree.base(), argv, [paths.cache(), paths.TOP])
    return argv


def build(name, folder, arguments=()):
    """Builds the folder's module for the kernel; the .ko paths in build/modules/RELEASE.

    Nothing is done when sources, kernel and arguments are those of the last build. With
    arguments (a checker's, say) the result stays apart from the modules that VMs load.
    """
    folder = Path(folder).resolve()
    if not (folder / "Kbuild").exists():
        raise LabError(f"{folder} has no Kbuild file")
    kernel = kernels.get(name)
    place = paths.MODULES / kernel.release
    work = place / "obj" / folder.relative_to(paths.TOP).as_posix().replace("/", "-")
    if arguments:
        work = work.with_name(f"{work.name}-{cache.key(arguments)}")
    work.mkdir(parents=True, exist_ok=True)
    stamp = work / ".fingerprint"
    with cache.locked(f"module-{work}"):
        mark = fingerprint(folder, kernel.release, arguments)
        if not (stamp.exists() and stamp.read_text() == mark):
            stamp.unlink(missing_ok=True)
            mirror_sources(folder, work)
            done = subprocess.run(make_argv(kernel, work, list(arguments)), text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False)
            lines = [line for line in done.stdout.splitlines()
                     if done.returncode or not line.strip().startswith(NOISE)]
            if lines:
                print("\n".join(lines), file=sys.stderr)
            if done.returncode:
                raise LabError(f"building {folder} for {kernel.release} failed (above)")
            if not lines:
                stamp.write_text(mark)
        made = sorted(work.glob("*.ko"))
        if not made:
            raise LabError(f"building {folder} for {kernel.release} made no module")
        if arguments:
            return made
        for ko in made:
            link = place / ko.name
            if not (link.is_symlink() and os.readlink(link) == str(ko)):
                link.unlink(missing_ok=True)
                link.symlink_to(ko)
    return [place / ko.name for ko in made]
