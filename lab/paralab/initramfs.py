# SPDX-License-Identifier: Apache-2.0
"""The small initial root of a lab VM: init, the modules it needs, and what a run brings."""

import hashlib
import lzma
import os
import subprocess
from dataclasses import astuple, dataclass
from pathlib import Path

from . import cache, paths, tool
from .errors import LabError

# A static busybox is in every VM: it starts in a tenth of the time of the tree's own programs.
BUSYBOX = "/bin/busybox"
# An algorithm that erofs asks for by name, so that no dependency shows it; gone in newer kernels.
FIRST = ["crc32c_generic"]


@dataclass(frozen=True)
class Drivers:
    """Modules that a kind of VM needs."""

    needed: tuple  # to reach the root image and the agent's port
    shares: tuple  # to mount a shared folder


VIRTIO = Drivers(("virtio_pci", "virtio_blk", "virtio_console", "erofs", "overlay"),
                 ("9p", "9pnet_virtio"))


class Cpio:
    """Writes a newc archive, which is what Linux unpacks at boot."""

    def __init__(self):
        self.data = bytearray()
        self._inode = 1
        self._folders = set()

    def _entry(self, name, mode, content=b""):
        fields = [self._inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        self._inode += 1
        self.data += b"070701" + b"".join(b"%08X" % f for f in fields)
        self.data += name.encode() + b"\0"
        self._pad()
        self.data += content
        self._pad()

    def _pad(self):
        self.data += b"\0" * (-len(self.data) % 4)

    def add(self, name, content, mode=0o755):
        """Adds a file and the folders above it."""
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in self._folders:
                self._folders.add(folder)
                self._entry(folder, 0o40755)
        self._entry(name, 0o100000 | mode, content)

    def finish(self):
        """The archive's bytes."""
        self._entry("TRAILER!!!", 0)
        self.data += b"\0" * (-len(self.data) % 512)
        return bytes(self.data)


def module_order(kernel, names, wanted=()):
    """Paths of modules and what they depend on, in loading order; built-in ones left out.

    A kernel must have those of `names`; those that are only `wanted` go first where it has them.
    """
    dependencies, by_name = {}, {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        dependencies[path] = rest.split()
        by_name[module_name(path)] = path
    builtin = {module_name(line) for line in
               (kernel.modules / "modules.builtin").read_text().splitlines()}
    order = []

    def visit(path):
        for below in reversed(dependencies[path]):
            visit(below)
        if path not in order:
            order.append(path)

    for name in [*(w for w in wanted if w in by_name), *names]:
        if name in by_name:
            visit(by_name[name])
        elif name not in builtin:
            raise LabError(f"kernel {kernel.release} has no module {name}")
    return order


def module_name(path):
    """A module's name from its file name."""
    return os.path.basename(path).split(".ko")[0].replace("-", "_")


def read_module(path):
    """A module file's content, unpacked."""
    data = Path(path).read_bytes()
    if path.name.endswith(".xz"):
        return lzma.decompress(data)
    if path.name.endswith(".zst"):
        return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout
    return data


def base(kernel, drivers=VIRTIO):
    """The cached part: init, busybox and modules for that kernel."""
    init = compiled("init").read_bytes()
    if not os.path.exists(BUSYBOX):
        raise LabError(f"{BUSYBOX} is missing: run lab/setup as root")

    def make(path):
        archive = Cpio()
        archive.add("init", init)
        archive.add("payload/busybox", Path(BUSYBOX).read_bytes())
        first = module_order(kernel, drivers.needed, FIRST)
        shares = [m for m in module_order(kernel, [], drivers.shares) if m not in first]
        for name, modules in (("order", first), ("order-9p", shares)):
            for module in modules:
                archive.add(f"modules/{module_name(module)}.ko",
                            read_module(kernel.modules / module), 0o644)
            lines = "".join(f"{module_name(module)}.ko\n" for module in modules)
            archive.add(f"modules/{name}", lines.encode(), 0o644)
        Path(path).write_bytes(archive.finish())

    mark = cache.key(hashlib.sha256(init).hexdigest(), FIRST, *astuple(drivers))
    return cache.item(f"initramfs/{kernel.release}-{mark}.cpio", make)


def write(kernel, files, path, drivers=VIRTIO):
    """Writes an initramfs whose VM finds `files` {name: source path} below /run/lab."""
    archive = Cpio()
    archive.add("payload/agent", compiled("agent").read_bytes())
    for name, source in files.items():
        archive.add(f"payload/{name}", Path(source).read_bytes())
    Path(path).write_bytes(base(kernel, drivers).read_bytes() + archive.finish())


def compiled(name):
    """A program out of lab/agent, compiled when its source is new."""
    folder = paths.LAB / "agent"
    source = (folder / f"{name}.c").read_text() + (folder / "frames.h").read_text()

    def make(path):
        tool.run(["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", "-static",
                  "-o", path, folder / f"{name}.c"], f"compiling the lab's {name}")

    return cache.item(f"agent/{name}-{cache.key(source)}", make)
