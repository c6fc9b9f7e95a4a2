# SPDX-License-Identifier: Apache-2.0
"""The host side of a run: where the daemon, the drivers and the guests' QEMU are."""

import asyncio
from pathlib import Path

from . import accel, built, enter, initramfs, kernels, paths, qemu, tree
from .errors import LabError
from .place import Agent, Machine
from .say import say

BOOT_SECONDS = 300


def load_script(modules, own):
    """A script that loads modules [[name, parameter…], …]; `own`: file names of ours in /run/lab."""
    lines = ["set -e"]
    for name, *parameters in modules:
        words = " ".join(parameters)
        file_name = name.replace("-", "_") + ".ko"
        if file_name in own:
            lines += [f"for d in $(modinfo -F depends /run/lab/modules/{file_name} | tr , ' ');"
                      " do modprobe $d; done", f"insmod /run/lab/modules/{file_name} {words}"]
        else:
            lines.append(f"modprobe {name} {words}")
    return "\n".join(lines)


class LocalHost:
    """This machine is the host."""

    memory_folder = ""

    def __init__(self, options, run):
        self.options, self.run_folder = options, run
        self.place = Machine()
        self.accel = accel.choose(options.accel)
        self.logs = str(run.path)
        self.sockets = str(run.tmp)
        self.share = options.share
        self.programs = Path(run.tmp, "bin")

    async def start(self, guest_kernel, initrd):
        """Makes the host ready for guests."""
        self.disks = [str(tree.image(tree.with_packages(self.options.install))),
                      str(guest_kernel.image())]
        self.kernel, self.initrd = str(guest_kernel.vmlinux), str(initrd)
        self.programs.mkdir()
        for name, path in built.programs(self.options.daemon).items():
            (self.programs / name).symlink_to(path)

    def qemu(self, arguments):
        """The command line of QEMU in this place."""
        binds = [paths.cache(), self.run_folder.path]
        return tree.qemu_argv(arguments, binds + ([self.share] if self.share else []))

    def native(self, command):
        """The command line that runs command with the programs that guests have."""
        binds = [paths.cache(), self.run_folder.path]
        if self.share:
            binds.append((self.share, "/share"))
        root = tree.with_packages(self.options.install)
        return enter.argv_for(root, command, binds, overlay=True)


class VmHost:
    """A VM with Debian's kernel and its drivers is the host; what is below may differ."""

    logs = "/lab"
    sockets = "/run/paradice"
    programs = Path("/run/lab/bin")
    memory_folder = ""
    what = ""  # what runs the host's Linux, beside the processor

    def __init__(self, options, run):
        self.options, self.run_folder = options, run
        self.place = self.outer = Agent("host")  # the VM; drivers and daemon may be in one within it
        self.share = "/share" if options.share else None
        self.packages = options.install

    async def start(self, guest_kernel, initrd):
        """Boots the host VM and makes it ready for guests."""
        kernel = kernels.get(self.options.host_kernel)
        own = built.modules(kernel.release)
        kind = accel.choose(self.options.accel)
        await self._boot(self._vm(kind, kernel, guest_kernel, own))
        self.disks = ["/dev/vda", "/dev/vdc"]
        self.kernel, self.initrd = "/run/lab/guest/vmlinux", f"/lab/tmp/{initrd.name}"
        await self.outer.output("\n".join([
            "set -e", "mkdir -p /run/lab/guest", "mount -t erofs -o ro /dev/vdc /run/lab/guest",
            f"mkdir -p {self.sockets} {self.programs}", *self._setup(kind)]), "setting up the host")
        await self._start_inner(kernel, own)
        await self.place.output(load_script(self.options.host_modules, own), "loading --host-modules")

    def _vm(self, kind, kernel, guest_kernel, own):
        """The VM, whose third disk is the guests' kernel with its modules."""
        options, run = self.options, self.run_folder
        initramfs.write(kernel, self._files(own), run.tmp / "host.cpio")
        shares = {"lab": str(run.path)}
        if options.share:
            shares["share"] = options.share
        say(f"booting the host: {self.what}Linux {kernel.release} ({kind})")
        return qemu.Vm(
            kernel=str(kernel.vmlinux), initrd=str(run.tmp / "host.cpio"),
            log=str(run.path / "host-kernel.log"), accel=kind, memory=options.host_memory,
            memory_anonymous=True, memory_share=False, append=accel.kernel_arguments(kind),
            # Under emulation one of two stops for good after some minutes of nested guests (6.1:
            # halted, no interrupt wakes it), or the kernel oopses (7.x, with svmfix, too: exceptions
            # within exceptions until the stack is full).
            cpus=options.host_cpus or (1 if kind == "tcg" else 2),
            disks=[str(tree.image(tree.with_packages(self.packages))), str(kernel.image()),
                   str(guest_kernel.image())],
            shares=shares, extra=options.host_qemu_args)

    def _files(self, own):
        """What the host finds in /run/lab."""
        files = {f"modules/{name}": path for name, path in own.items()}
        programs = built.programs(self.options.daemon)
        return {**files, **{f"bin/{name}": path for name, path in programs.items()}}

    async def _boot(self, vm):
        options, run = self.options, self.run_folder
        binds = [paths.cache(), run.path] + ([options.share] if options.share else [])
        await boot(Machine(), tree.qemu_argv(vm.argv(), binds, options.install), self.outer,
                   run.appender("host-qemu.log"), options.host_qemu_env)

    def _setup(self, kind):
        """Lines of a script that makes the host ready for guests."""
        raise NotImplementedError

    async def _start_inner(self, kernel, own):
        """Starts a VM within the VM for drivers and daemon, where that is not the host itself."""

    def qemu(self, arguments):
        """The command line of QEMU in this place."""
        return ["qemu-system-x86_64", *arguments]

    def native(self, command):
        """The command line that runs command with the programs that guests have."""
        return command


class NestedHost(VmHost):
    """The host runs guests with KVM."""

    accel = "kvm"
    memory_folder = "/run/paradice/memory"

    def _needs_svmfix(self):
        """See lab/svmfix. It costs an exit for each interrupt, so that not every host has it."""
        return self.options.host_kernel == "7" or self.options.guest_kernel == "debug"

    def _setup(self, kind):
        return [
            f"mkdir -p {self.memory_folder}",
            f"mount -t tmpfs -o huge=always memory {self.memory_folder}",
            "if grep -qw svm /proc/cpuinfo; then modprobe kvm_amd; else modprobe kvm_intel; fi",
            *(["insmod /run/lab/modules/svmfix.ko"] if kind == "tcg" and self._needs_svmfix() else []),
        ]


async def boot(place, argv, agent, stderr, env=None):
    """Starts a VM's QEMU (or what else runs it) in a place, `env` added to its environment, and
    waits for its agent, whose frames go over what was started."""
    tail = bytearray()

    def on_err(data):
        stderr(data)
        tail.extend(data)
        del tail[:-2000]

    agent.vm = await place.start(argv, env, on_out=agent.feed, on_err=on_err)

    def ended(_future):
        agent.lost()

    agent.vm.ended.add_done_callback(ended)
    up = asyncio.ensure_future(agent.up(BOOT_SECONDS))
    try:
        await up
    except LabError as error:
        if not agent.vm.running:
            said = tail.decode(errors="replace").strip()
            raise LabError(f"{error}\nwhat ran it said: {said or 'nothing'}") from None
        raise
