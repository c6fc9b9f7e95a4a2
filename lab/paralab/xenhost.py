# SPDX-License-Identifier: Apache-2.0
"""The host of --topology xen: Xen in a VM of this machine, with Debian's kernel as its dom0."""

import gzip

from . import initramfs, tree, xendomain
from .errors import LabError
from .host import VmHost
from .place import Agent
from .say import say
from .xendomain import STATE

# Hypervisor and tools of one version, which they insist on.
PACKAGES = ["xen-system-amd64"]
# MiB beside the domains' own memory: Xen's, and what it needs for each guest.
XEN_MEMORY = 160
GUEST_MEMORY = 32
# dom0's, when the drivers are in another domain
BARE_DOM0 = 512
# Xen's programs, without the scripts around them that look for the right version first.
TOOLS = "/usr/lib/xen-[0-9]*/bin"

SETUP = f"""\
modprobe -a xenfs xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xen-blkback
mount -t xenfs xenfs /proc/xen
mkdir -p {STATE}/console /run/xen /run/xenstored /var/lib/xen /var/lib/xenstored /var/log/xen
ln -s {TOOLS} {STATE}/bin
# They leave processes that would hold this script's output open.
run() {{
	{STATE}/bin/"$@" </dev/null >>{VmHost.logs}/xen-tools.log 2>&1 || {{
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
    """Xen's dom0 is the host, or a domain that has the drivers instead."""

    def __init__(self, options, run):
        super().__init__(options, run)
        self.accel = f"Xen, {options.xen_guest}"
        self.packages = [*options.install, *PACKAGES]
        self.guest_memory = mebibytes(options.guest_memory)
        self.host_memory = mebibytes(options.host_memory)
        self.append = ""
        self.driver_domain = 0
        if options.xen_driver_domain:
            self.outer = Agent("dom0")

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
        dom0 = self.host_memory
        guests = self.options.guests * (self.guest_memory + GUEST_MEMORY)
        if self.options.xen_driver_domain:
            guests += dom0 + GUEST_MEMORY
            dom0 = BARE_DOM0
        vm.memory = f"{XEN_MEMORY + dom0 + guests}M"
        vm.xen = str(hypervisor)
        vm.xen_append = f"dom0_mem={dom0}M,max:{dom0}M dom0_max_vcpus={vm.cpus}"
        if self.options.share:
            # A disk with what is there now: without QEMU no domain but dom0 mounts a folder.
            copy = self.run_folder.tmp / "share.erofs"
            tree.pack(self.options.share, copy)
            vm.disks.append(str(copy))
            self.append = "lab.copy=share"
        return vm

    async def _boot(self, vm):
        try:
            await super()._boot(vm)
        except LabError as error:
            raise LabError(f"{error}\nXen and dom0 said at last (host-kernel.log):\n"
                           f"{self.run_folder.tail('host-kernel.log')}") from None

    def _setup(self, kind):
        if self.options.share:
            self.disks.append("/dev/vdd")
        return [SETUP, *(line for disk in ["/dev/vdb", *self.disks]
                         for line in xendomain.disk_script(disk))]

    async def _start_inner(self, kernel, own):
        kind = self.options.xen_driver_domain
        if not kind:
            return
        say(f"booting the drivers' domain: Linux {kernel.release} (Xen, {kind})")
        initrd = self.run_folder.tmp / "drivers.cpio"
        initramfs.write(kernel, self._files(own), initrd, xendomain.DRIVERS)
        root, _, *share = self.disks
        settings = {
            "name": "drivers", "type": kind, "kernel": f"/usr/lib/modules/{kernel.release}/vmlinux",
            "ramdisk": f"{self.logs}/tmp/{initrd.name}", "memory": self.host_memory,
            "vcpus": self.options.host_cpus or 1, "driver_domain": 1,
        }
        self.driver_domain = await xendomain.create(
            self.outer, self.run_folder, self.place, settings, [root, "/dev/vdb", *share], self.append)
        await self.place.output(f"mkdir -p {self.sockets} {self.programs} && modprobe xen-gntdev",
                                "setting up the drivers' domain")
