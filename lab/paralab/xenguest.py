# SPDX-License-Identifier: Apache-2.0
"""A guest of Xen's: a DomU."""

import asyncio

from . import xendomain
from .errors import LabError
from .guest import Guest

# What makes a device of paradice's whose back-end is not in dom0; only dom0 may.
MAKE_DEVICE = """\
set -e
front=/local/domain/{guest}/device/paradice/0 back=/local/domain/{driver}/backend/paradice/{guest}/0
xenstore-write $back/frontend $front $back/frontend-id {guest} $back/domain {name} $back/state 1
xenstore-write $front/backend $back $front/backend-id {driver} $front/state 1
xenstore-chmod -r $back n{driver} r{guest}
xenstore-chmod -r $front n{guest} r{driver}"""


class XenGuest(Guest):
    """Guest number `number` on Xen."""

    drivers = xendomain.DRIVERS

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._domain = 0

    @property
    def vm_id(self):
        return self._domain

    async def _start_parts(self):
        if not self.host.driver_domain:
            await super()._start_parts()
            return
        # There the daemon can find neither the guest by its name nor make its device.
        if self.daemon:
            await self.daemon.stop()
        await self._boot()
        await self.host.outer.output(
            MAKE_DEVICE.format(guest=self._domain, driver=self.host.driver_domain, name=self.name),
            "making the guest's device")
        if self.daemon:
            await self.daemon.start()

    def daemon_transport(self):
        domain = str(self._domain) if self.host.driver_domain else self.name
        # dom0 is PV
        pv = [] if self.options.xen_driver_domain == "pvh" else ["--allow-pv"]
        return ["--xen", domain, *pv], self.daemon.control

    async def _boot(self):
        options, host = self.options, self.host
        settings = {
            "name": self.name, "type": options.xen_guest, "kernel": host.kernel, "ramdisk": host.initrd,
            "memory": host.guest_memory, "vcpus": options.guest_cpus,
        }
        self._domain = await xendomain.create(host.outer, self.run_folder, self.place, settings,
                                              host.disks, host.append)
        self.boots += 1
        await self._note_id(self._domain)

    async def stop_vm(self):
        vm = self.place.vm
        if vm and vm.running:
            try:
                await self.host.outer.output(f"{xendomain.STATE}/bin/xl destroy {self.name}",
                                             "ending the guest", 10)
            except LabError:
                vm.kill()
            await asyncio.wait([vm.ended], timeout=10)
