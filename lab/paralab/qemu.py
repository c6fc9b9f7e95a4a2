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
ANY_KERNEL = ("loglevel=5 panic=-1 oops=panic mitigations=off tsc=reliable no_timer_check "
              "cryptomgr.notests apparmor=0 audit=0 nmi_watchdog=0")
KERNEL_ARGUMENTS = f"console=ttyS0 {ANY_KERNEL} pci=nommconf 8250.nr_uarts=1"

# Xen is up as soon as possible, too, and says on the first serial port what it and dom0 have to say.
XEN_ARGUMENTS = "console=com1 com1=115200,8n1 loglvl=warning bootscrub=0 spec-ctrl=no,eager-fpu"
XEN_KERNEL_ARGUMENTS = f"console=hvc0 {ANY_KERNEL}"
# What Xen cannot stand of an emulated processor: with XSAVE (or without eager-fpu) a domain's floating
# point state changes while another runs; with SMAP dom0 crashes; with RDTSCP PVH guests stand still.
XEN_EMULATED_CPU = "max,+svm,-smap,-rdtscp,-xsave"


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
    xen: str = ""                               # the hypervisor that runs the kernel as its dom0
    xen_append: str = ""                        # further arguments of Xen's

    def argv(self):
        """QEMU's arguments, without the program."""
        share = "on" if self.memory_share else "off"
        cpu = "host" if self.accel == "kvm" else XEN_EMULATED_CPU if self.xen else "max"
        accel = "tcg,thread=multi" if self.accel == "tcg" else self.accel
        backend = "memory-backend-memfd"
        if self.memory_anonymous:
            # Anonymous memory, which Linux gives in huge pages.
            backend = "memory-backend-ram"
        elif self.memory_folder:
            # A memfd is not aligned for huge pages, which spare a nested guest half of its boot.
            backend = f"memory-backend-file,mem-path={self.memory_folder},align=2M"
        argv = [
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-accel", accel, "-cpu", cpu, "-smp", str(self.cpus), "-m", self.memory,
            "-object", f"{backend},id=mem,size={self.memory},share={share}",
            "-machine", "q35,memory-backend=mem,smm=off,vmport=off,graphics=off,sata=off,"
                        f"smbus=off,hpet={'on' if self.xen else 'off'}",
            *self._kernel_argv(),
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

    def _kernel_argv(self):
        """What is booted, and by which firmware."""
        shares = f"lab.9p={','.join(self.shares)}" if self.shares else ""
        words = XEN_KERNEL_ARGUMENTS if self.xen else KERNEL_ARGUMENTS
        append = " ".join(f"{words} {self.append} {shares}".split())
        if self.xen:
            # Commas separate the modules that Xen finds.
            modules = [f"{self.kernel} {append}", self.initrd]
            return ["-kernel", self.xen, "-append", f"{XEN_ARGUMENTS} {self.xen_append}",
                    "-initrd", ",".join(m.replace(",", ",,") for m in modules)]
        return ["-bios", FIRMWARE, "-kernel", self.kernel, "-append", append, "-initrd", self.initrd]
