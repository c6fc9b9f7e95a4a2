# SPDX-License-Identifier: Apache-2.0
"""QEMU command lines of the lab's VMs."""

from dataclasses import dataclass, field

# The generic vhost-user device as Paradice uses it: the one place of these numbers.
DEVICE = "vhost-user-test-device-pci"
VIRTIO_ID = 31
QUEUE_SIZE = 1024
CONFIG_SIZE = 64

# A lab VM is up as soon as an emulated processor can: no firmware work beyond what Linux needs,
# and no work of the kernel's own that matters on real hardware only. Scanning all buses that
# memory-mapped PCI configuration could have costs 4 s in a nested guest. Linux leaves the HPET
# ticking once it has better timers: 250 times a second QEMU would wake for nothing.
FIRMWARE = "qboot.rom"
KERNEL_ARGUMENTS = ("console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off pci=nommconf "
                    "tsc=reliable no_timer_check cryptomgr.notests apparmor=0 audit=0 "
                    "nmi_watchdog=0 8250.nr_uarts=1")


def queues(cpus):
    """Virtqueues for a guest: control, events, and at least four for requests."""
    return 2 + max(4, cpus)


@dataclass
class Vm:
    """What a VM is made of; all paths are those of the place where QEMU runs."""

    kernel: str
    initrd: str
    log: str                                    # begun anew unless log_append
    disks: list
    log_append: bool = False
    accel: str = "tcg"
    cpus: int = 1
    memory: str = "512M"
    memory_share: bool = True
    memory_anonymous: bool = False              # for a VM whose memory no daemon maps
    memory_folder: str = ""                     # on tmpfs with huge pages; none: a memfd
    shares: dict = field(default_factory=dict)  # name: folder, mounted at /name
    socket: str = ""                            # of paradiced; none: no device
    extra: list = field(default_factory=list)   # further arguments
    append: str = ""                            # further kernel arguments

    def argv(self):
        """QEMU's arguments, without the program."""
        share = "on" if self.memory_share else "off"
        cpu = "host" if self.accel == "kvm" else "max"
        accel = "tcg,thread=multi" if self.accel == "tcg" else self.accel
        backend = "memory-backend-memfd"
        if self.memory_anonymous:
            # Anonymous memory, which Linux gives in huge pages.
            backend = "memory-backend-ram"
        elif self.memory_folder:
            # A memfd is not aligned for huge pages, which spare a nested guest half of its boot.
            backend = f"memory-backend-file,mem-path={self.memory_folder},align=2M"
        shares = f"lab.9p={','.join(self.shares)}" if self.shares else ""
        argv = [
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-bios", FIRMWARE,
            "-accel", accel, "-cpu", cpu, "-smp", str(self.cpus), "-m", self.memory,
            "-object", f"{backend},id=mem,size={self.memory},share={share}",
            "-machine", "q35,memory-backend=mem,smm=off,vmport=off,graphics=off,sata=off,"
                        "smbus=off,hpet=off",
            "-append", " ".join(f"{KERNEL_ARGUMENTS} {self.append} {shares}".split()),
            "-kernel", self.kernel, "-initrd", self.initrd,
            "-chardev", f"file,id=log,path={self.log},append={'on' if self.log_append else 'off'}",
            "-serial", "chardev:log",
            "-chardev", "stdio,id=agent,signal=off", "-device", "virtio-serial-pci",
            "-device", "virtserialport,chardev=agent,name=agent,nr=1",
        ]
        for number, disk in enumerate(self.disks):
            argv += ["-drive", f"if=none,id=disk{number},file={disk},format=raw,readonly=on",
                     "-device", f"virtio-blk-pci,drive=disk{number}"]
        for tag, folder in self.shares.items():
            argv += ["-virtfs", f"local,id={tag},path={folder},mount_tag={tag},"
                                "security_model=none,multidevs=remap"]
        if self.socket:
            argv += ["-chardev", f"socket,id=pd,path={self.socket}",
                     "-device", f"{DEVICE},chardev=pd,virtio-id={VIRTIO_ID},"
                                f"num_vqs={queues(self.cpus)},vq_size={QUEUE_SIZE},"
                                f"config_size={CONFIG_SIZE}"]
        return argv + self.extra
