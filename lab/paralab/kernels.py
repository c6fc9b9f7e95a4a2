# SPDX-License-Identifier: Apache-2.0
"""Debian's kernels, downloaded and unpacked in the cache; never installed on the machine."""

import lzma
import os
import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import apt, cache, debugkernel, tool, tree
from .errors import LabError
from .say import say

# name: (suite, the ending of the metapackages' names without "-amd64")
SERIES = {"6.1": ("bookworm", ""), "6.12": ("bookworm", "-6.12"), "7": ("testing", "")}
FLAVOURS = ("amd64", "cloud")
NAMES = [f"{series}{dash}" for series in SERIES for dash in ("", "-cloud")]
# for guests: see debugkernel.py
DEBUG = "debug"


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel."""

    name: str
    folder: Path

    @property
    def release(self):
        """What uname -r says there."""
        return (self.folder / "release").read_text().strip()

    @property
    def vmlinux(self):
        """The uncompressed kernel, which boots without unpacking itself first."""
        return self.folder / "vmlinux"

    @property
    def modules(self):
        """The folder of its modules."""
        return self.folder / "lib/modules" / self.release

    @property
    def headers(self):
        """Where an out-of-tree build points make -C at."""
        return self.folder / "usr/src" / f"linux-headers-{self.release}"

    @property
    def in_tree(self):
        """True when its build tools and compiler are those of the Debian tree."""
        return self.name != DEBUG and SERIES[self.name.removesuffix("-cloud")][0] == tree.SUITE

    def image(self):
        """A disk image of its modules, with vmlinux beside them."""
        def make(path):
            say(f"packing the modules of {self.release} into a disk image")
            stage = Path(path).parent / "stage"
            stage.mkdir()
            os.symlink(self.modules, stage / "link")
            tool.run(["cp", "-a", "--reflink=auto", f"{self.modules}/.", stage / "modules"],
                     "staging modules")
            os.unlink(stage / "link")
            for left in ("build", "source"):
                (stage / "modules" / left).unlink(missing_ok=True)
            tool.run(["cp", "--reflink=auto", self.vmlinux, stage / "modules/vmlinux"],
                     "staging vmlinux")
            tree.pack(stage / "modules", path)

        return cache.item(f"{self.folder.relative_to(paths_cache())}.erofs", make)


def paths_cache():
    """The cache's root."""
    return cache.paths.cache()


def get(name):
    """The kernel of that name (6.1, 6.12 or 7, with -cloud for the cloud flavour, or debug)."""
    if name == DEBUG:
        return Kernel(name, cache.item(f"kernels/{name}-{debugkernel.key()}", debugkernel.make))
    if name not in NAMES:
        raise LabError(f"unknown kernel {name!r}: choose from {', '.join([*NAMES, DEBUG])}")
    final = paths_cache() / f"kernels/{name}-{cache.key(name, apt.KERNEL_PART.pattern)}"
    return Kernel(name, cache.item(f"kernels/{final.name}", lambda path: _make(name, path, final)))


def _make(name, path, final):
    series = name.removesuffix("-cloud")
    suite, ending = SERIES[series]
    flavour = "cloud-amd64" if name.endswith("-cloud") else "amd64"
    archive = apt.Archive(suite)
    archive.update()
    image = _real_package(archive, f"linux-image{ending}-{flavour}")
    release = image.removeprefix("linux-image-")
    say(f"fetching Debian's kernel {release}")
    parts = archive.kernel_parts(image) + archive.kernel_parts(f"linux-headers-{release}")
    os.makedirs(f"{path}/debs")
    archive.download(dict.fromkeys(parts), f"{path}/debs")
    for deb in sorted(Path(path, "debs").glob("*.deb")):
        tool.run(["dpkg", "-x", deb, path], f"unpacking {deb.name}")
        deb.unlink()
    os.rmdir(f"{path}/debs")
    _settle(Path(path), final, release)


def _real_package(archive, meta):
    for group in archive.fields(meta).get("Depends", "").split(","):
        name = group.split("(")[0].strip()
        if re.fullmatch(r"linux-image-[0-9]\S*", name):
            return name
    raise LabError(f"Debian's {meta} names no kernel image package")


def _settle(path, final, release):
    """Brings the unpacked packages into one layout and points the headers at `final`."""
    (path / "release").write_text(release + "\n")
    if not (path / "lib").exists():
        (path / "lib").symlink_to("usr/lib")
    elif (path / "usr/lib/modules").is_dir() and not (path / "lib").is_symlink():
        raise LabError(f"kernel {release}: modules in two places, /lib and /usr/lib")
    modules = path / "lib/modules" / release
    boot = [p for p in (path / f"boot/vmlinuz-{release}", modules / "vmlinuz") if p.exists()]
    if not boot:
        raise LabError(f"kernel {release}: its packages hold no vmlinuz")
    (path / "vmlinux").write_bytes(unpack(boot[0].read_bytes(), release))
    tool.run(["depmod", "-b", path, release], f"depmod for {release}")
    # Debian's header makefiles name /usr/src and the tools below it in full.
    for makefile in (path / "usr/src").glob("linux-headers-*/Makefile"):
        text = makefile.read_text()
        makefile.write_text(re.sub(r"(?<![\w.-])/usr/", f"{final}/usr/", text))


def unpack(image, release):
    """The vmlinux inside a bzImage."""
    sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (sectors + 1) * 512 + offset
    payload = image[start:start + length]
    if payload[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(payload)
    for magic, command in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x02\x21\x4c\x18", "lz4"),
                           (b"\x1f\x8b", "gzip")):
        if payload.startswith(magic):
            # The payload ends with its unpacked size, which the tool calls trailing noise.
            done = subprocess.run([command, "-dc"], input=payload[:-4], capture_output=True,
                                  check=False)
            if done.stdout.startswith(b"\x7fELF"):
                return done.stdout
            break
    raise LabError(f"kernel {release}: cannot unpack its vmlinuz")
