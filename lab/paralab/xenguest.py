# SPDX-License-Identifier: Apache-2.0
"""A guest of Xen's: a DomU that xl creates in dom0."""

import asyncio
from pathlib import Path

from . import initramfs, qemu
from .errors import LabError
from .guest import Guest
from .host import boot
from .xenhost import STATE

# The agent's bytes go through pages that the guest shares with dom0, carried at both ends by Xen's own
# program. It does not see a domain's end, but xl does, and dom0's end of it is ended then.
RUN = """\
exec 3<&0 4>&1 </dev/null >&2
PATH={state}/bin:$PATH
xl create -F {config} 2>&1 3<&- 4>&- | {{
	while [ -z "$id" ] && read -r line; do
		echo "$line"
		case $line in
		"Waiting for domain "*) id=${{line#*domid }} id=${{id%%)*}} ;;
		esac
	done
	[ "$id" ] || exit 1
	echo $id >{id_file}
	vchan-socket-proxy --mode=client $id /local/domain/$id/data/agent - <&3 >&4 &
	exec 3<&- 4>&-
	while read -r line; do echo "$line"; done
	kill $!
}}"""


class XenGuest(Guest):
    """Guest number `number` on Xen."""

    drivers = initramfs.Drivers(("xen_blkfront", "xen_gntalloc", "xen_evtchn", "erofs", "overlay"), ())

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._domain = 0

    @property
    def vm_id(self):
        return self._domain

    def _daemon_transport(self):
        # its dom0 is PV; tests that need more take a driver domain
        return ["--vm", self.name, "--xen", self.name, "--allow-pv"], self.control

    def _config(self):
        """What xl is told."""
        options, host = self.options, self.host
        disks = [f"format=raw,vdev=xvd{'abc'[n]},access=r,backendtype=phy,"
                 f"script={STATE}/{Path(disk).name},target={disk}"
                 for n, disk in enumerate(host.disks)]
        copy = "lab.copy=share" if host.share else ""
        settings = {
            "name": self.name, "type": options.xen_guest, "kernel": host.kernel,
            "ramdisk": host.initrd, "extra": f"{qemu.XEN_KERNEL_ARGUMENTS} {copy}".strip(),
            "memory": host.guest_memory, "vcpus": options.guest_cpus, "disk": disks,
            "on_poweroff": "destroy", "on_reboot": "destroy", "on_crash": "destroy",
        }
        return "".join(f"{name} = {value!r}\n" for name, value in settings.items())

    async def _boot(self):
        host = self.host
        config = self.run_folder.tmp / f"{self.name}.cfg"
        config.write_text(self._config())
        id_file = f"{host.sockets}/guest-{self.number}.pid"
        script = RUN.format(state=STATE, name=self.name, id_file=id_file,
                            config=f"{host.logs}/tmp/{config.name}")
        # xenconsoled appends what the guest's console says to a log of this name.
        await host.place.output(
            f"ln -sf {host.logs}/{self.name}-kernel.log {STATE}/console/guest-{self.name}.log",
            "making a place for the guest's console")
        await boot(host.place, ["/bin/sh", "-c", script], self.place,
                   self.run_folder.appender(f"{self.name}-xl.log"))
        self.boots += 1
        self._domain = int(await host.place.output(f"cat {id_file}", "asking for the domain"))

    async def stop_vm(self):
        vm = self.place.vm
        if vm and vm.running:
            try:
                await self.host.place.output(f"{STATE}/bin/xl destroy {self.name}",
                                             "ending the guest", 10)
            except LabError:
                vm.kill()
            await asyncio.wait([vm.ended], timeout=10)
