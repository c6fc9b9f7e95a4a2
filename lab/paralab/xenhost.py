# SPDX-License-Identifier: Apache-2.0
"""The host of --topology xen: Xen in a VM of this machine, with Debian's kernel as its dom0."""

import gzip
from pathlib import Path

from . import qemu, tool, tree
from .errors import LabError
from .host import VmHost

# Hypervisor and tools of one version, which they insist on.
PACKAGES = ["xen-system-amd64"]
# MiB beside the domains' own memory: Xen's, and what it needs for each guest.
XEN_MEMORY = 160
GUEST_MEMORY = 32
# Xen's programs, without the scripts around them that look for the right version first.
TOOLS = "/usr/lib/xen-[0-9]*/bin"
STATE = "/run/lab/xen"

SETUP = f"""\
modprobe -a xenfs xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xen-blkback
mount -t xenfs xenfs /proc/xen
mkdir -p {STATE}/console /run/xen /run/xenstored /var/lib/xen /var/lib/xenstored /var/log/xen
ln -s {TOOLS} {STATE}/bin
# They leave processes that would hold this script's output open.
run() {{
	(umask 022; {STATE}/bin/"$@") </dev/null >>{VmHost.logs}/xen-tools.log 2>&1 || {{
		echo "$*: status $?"; cat {VmHost.logs}/xen-tools.log; exit 1
	}}
}}
run xenstored
run xen-init-dom0
run xenconsoled --log=guest --log-dir={STATE}/console"""


def mebibytes(size):
    """What a size of QEMU's -m is in MiB."""
    units = {"M": 1, "G": 1024}
    digits, unit = (size[:-1], size[-1].upper()) if size[-1:].isalpha() else (size, "M")
    if not digits.isdigit() or unit not in units:
        raise LabError(f"{size!r} is no size that --topology xen understands: 512M, 3G")
    return int(digits) * units[unit]


class XenHost(VmHost):
    """Xen's dom0 is the host."""

    def __init__(self, options, run):
        super().__init__(options, run)
        self.accel = f"Xen, {options.xen_guest}"
        self.packages = [*options.install, *PACKAGES]
        self.guest_memory = mebibytes(options.guest_memory)
        self.dom0_memory = mebibytes(options.host_memory)

    def _hypervisor(self):
        """Xen itself, unpacked for QEMU to start; and its version."""
        found = sorted((tree.with_packages(self.packages) / "boot").glob("xen-*.gz"))
        if not found:
            raise LabError(f"Debian's {' '.join(PACKAGES)} brought no /boot/xen-*.gz")
        path = self.run_folder.tmp / "xen"
        path.write_bytes(gzip.decompress(found[-1].read_bytes()))
        return path, found[-1].name.split("-")[1]

    def _vm(self, kind, kernel, guest_kernel, own):
        hypervisor, version = self._hypervisor()
        self.what = f"Xen {version} with "
        vm = super()._vm(kind, kernel, guest_kernel, own)
        guests = self.options.guests * (self.guest_memory + GUEST_MEMORY)
        vm.memory = f"{self.dom0_memory + XEN_MEMORY + guests}M"
        vm.xen = str(hypervisor)
        vm.xen_append = (f"dom0_mem={self.dom0_memory}M,max:{self.dom0_memory}M "
                         f"dom0_max_vcpus={vm.cpus}")
        if self.options.share and self.options.on == "guest":
            vm.disks.append(str(self._share_copy()))
        return vm

    def _share_copy(self):
        """A disk with what --share holds now: without QEMU no guest mounts a folder of the host."""
        path = self.run_folder.tmp / "share.erofs"
        tree.pack(self.options.share, path)
        return path

    async def _boot(self, vm):
        try:
            await super()._boot(vm)
        except LabError as error:
            raise LabError(f"{error}\nXen and dom0 said at last (host-kernel.log):\n"
                           f"{self.run_folder.tail('host-kernel.log')}") from None

    def _setup(self, kind, own):
        lines = [SETUP]
        if self.options.share and self.options.on == "guest":
            self.disks.append("/dev/vdd")
        for disk in self.disks:
            # What /etc/xen/scripts/block finds out in seconds, for a disk that is there for sure.
            name = f"{STATE}/{Path(disk).name}"
            lines += [f"cat >{name} <<END", "#!/bin/sh", '[ "\\$1" = add ] || exit 0',
                      'exec xenstore-write "\\$XENBUS_PATH/physical-device" '
                      f"$(stat -c %t:%T {disk}) "
                      '"\\$XENBUS_PATH/hotplug-status" connected', "END", f"chmod 755 {name}"]
        return lines
