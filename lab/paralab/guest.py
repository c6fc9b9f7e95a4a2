# SPDX-License-Identifier: Apache-2.0
"""One guest: its VM, its devices and the command in it."""

import asyncio
import shlex

from . import initramfs, qemu
from .accel import kernel_arguments
from .errors import LabError
from .host import boot
from .kernels import DEBUG
from .place import Agent

NODE_SECONDS = 60
# A debug kernel's leaks, too. What was freed just now may show at the first look.
KMEMLEAK = """\
leaks=/sys/kernel/debug/kmemleak
echo scan >$leaks; sleep 6; echo scan >$leaks
cat $leaks
"""


class Guest:
    """Guest number `number` on a host, run by QEMU."""

    drivers = initramfs.VIRTIO

    def __init__(self, options, run, host, number, daemon=None, module_needs=()):
        self.module_needs = module_needs  # modules that paradice.ko depends on
        self.options, self.run_folder, self.host, self.number = options, run, host, number
        self.name = f"guest-{number}"
        self.place = Agent(self.name)
        self.daemon = daemon  # None without devices
        if daemon:
            daemon.guests.append(self)
        self.boots = 0

    @property
    def socket(self):
        """paradiced's socket for this guest, as the host names it; empty without devices."""
        return f"{self.host.sockets}/{self.name}.sock" if self.options.device else ""

    @property
    def vm_id(self):
        """What ends the VM when it is killed, in the host."""
        return self.place.vm.pid.result()

    def daemon_transport(self):
        """paradiced's arguments on how this guest is reached, and the file that shows it is ready."""
        return ["--socket", self.socket], self.socket

    async def start(self):
        """Starts the VM, and its daemon unless it runs, and waits until the devices are there."""
        if self.boots:
            self.place = Agent(self.name)
        await self._start_parts()
        script = self._setup_script()
        if script:
            await self.place.output(script, "setting up the guest", timeout=NODE_SECONDS + 180)

    async def _start_parts(self):
        if self.daemon:
            await self.daemon.start()
        await self._boot()

    async def _boot(self):
        options, host = self.options, self.host
        vm = qemu.Vm(
            kernel=host.kernel, initrd=host.initrd, log=f"{host.logs}/{self.name}-kernel.log",
            log_append=self.boots > 0, disks=host.disks, accel=host.accel, cpus=options.guest_cpus,
            memory=options.guest_memory, memory_folder=host.memory_folder,
            memory_share=options.guest_memory_share == "on",
            shares={"share": host.share} if host.share else {}, socket=self.socket,
            extra=options.guest_qemu_args, append=kernel_arguments(host.accel))
        await boot(host.place, host.qemu(vm.argv()), self.place,
                   self.run_folder.appender(f"{self.name}-qemu.log"))
        self.boots += 1
        await self._note_id(self.vm_id)

    async def _note_id(self, number):
        """For --host-script: the process now, in PARADICE_RUN_DIR."""
        await self.host.place.output(
            f"echo {number} >{self.host.sockets}/{self.name}.pid", "noting a process id")

    def _setup_script(self):
        options = self.options
        if not options.device or options.no_module:
            return ""
        busybox, ko = "/run/lab/busybox", "/run/lab/modules/paradice.ko"
        names = " ".join(shlex.quote(inside) for _path, inside in options.devices)
        return f"""\
set -e
for m in {' '.join(self.module_needs)}; do [ -d /sys/module/$m ] || modprobe $m; done
{busybox} insmod {ko} {options.module_params}
n=0
for node in {names}; do
	until [ -e "$node" ]; do
		n=$((n + 1))
		if [ $n -gt {NODE_SECONDS * 20} ]; then
			echo "$node did not appear in the guest within {NODE_SECONDS} s; its kernel says:"
			dmesg | grep -i paradice | tail -n 5
			exit 1
		fi
		{busybox} usleep 50000
	done
done"""

    async def run(self, command, on_out, on_err):
        """Runs the command to its end; its status."""
        env = {"PARADICE_GUEST": str(self.number), "PARADICE_BOOT": str(self.boots)}
        if self.options.share:
            env["PARADICE_SHARE"] = "/share"
        running = await self.place.start(command, env, on_out, on_err)
        return await running.ended

    @property
    def running(self):
        """True until its VM has ended."""
        return bool(self.place.vm) and self.place.vm.running

    async def save_dmesg(self):
        """Keeps the whole kernel log, which the console shows only in part."""
        look = KMEMLEAK if self.options.guest_kernel == DEBUG else ""
        if not self.running:
            raise LabError(f"{self.name}: reading the kernel log: the virtual machine has ended")
        text = await self.place.output(f"set -e\n{look}dmesg", "reading the kernel log", timeout=180)
        (self.run_folder.path / f"{self.name}-dmesg.log").write_text(text)

    async def stop_vm(self):
        """Ends the VM at once, as pulling the plug does."""
        vm = self.place.vm
        if vm and vm.running:
            vm.kill()
            await asyncio.wait([vm.ended], timeout=10)
