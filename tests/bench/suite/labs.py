# SPDX-License-Identifier: Apache-2.0
"""The runs of the lab that are measured: what each has on its host, and what its guests do."""

from dataclasses import dataclass, field

NOP = "0xb500"  # TD_NOP; of other devices no ioctl
FEATURES = "0x800454cf"  # TUNGETFEATURES: one number through a pointer


@dataclass
class Lab:
    """One run of the lab, or of a program on this machine."""

    name: str
    plan: list       # lines of tests/bench/share/in-guest; with several guests, of together
    arguments: list  # of lab/run
    native: list = field(default_factory=list)  # lines of host-before
    qemu: str = ""   # the guest's further devices
    guests: int = 1
    script: str = ""      # what the guest runs instead, without the peers
    packages: str = "bench"
    programs: dict = field(default_factory=dict)  # of tests/classes/programs: what they are linked with
    here: tuple = ()      # instead of all that: the program, in the build's folder, and its arguments

    @property
    def local(self):
        """Is this machine the host?"""
        return "local" in self.arguments


SIZES = {"4 KiB": 4096, "64 KiB": 65536, "1 MiB": 1 << 20, "16 MiB": 16 << 20}
TESTDEV = "/dev/testdev"
ZERO = "/dev/host-zero"  # the host's /dev/zero; the guest has one of its own
PEERS = "stat=stat:/mnt/virtiofs/file rng=read:/dev/hwrng:64"
IOCTLS = f"flat=array:{TESTDEV}:1 nest=nest:{TESTDEV}"
CALLS = f"syscall=syscall ping=write1:@PING noop=ioctl:{TESTDEV}:{NOP}:0 {PEERS}"


def _memory(*sizes):
    return " ".join(f"{kind}-{size}=mem{kind}:{TESTDEV}:{size}" for kind in ("read", "write") for size in sizes)


# the test device has memory of 1 MiB; more is read from one that has as much as one likes
DATA = _memory(*(size for size in SIZES.values() if size <= 1 << 20)) + \
    f" read-{SIZES['16 MiB']}=read:{ZERO}:{SIZES['16 MiB']}"
NATIVE_DATA = DATA.replace(ZERO, "/dev/zero")
SWITCHED = f"--switch {IOCTLS} {_memory(SIZES['1 MiB'])}"
READS = " ".join(f"read-{size}=read:{ZERO}:{size}" for size in SIZES.values())
NATIVE_READS = READS.replace(ZERO, "/dev/zero")
# the test device's mappings: kind * 0x100000; 0 is RAM, 64 pages
TOUCH = f"maptouch=touch:{TESTDEV}:0:0x40000 ramtouch=ramtouch:0x40000"
# where its memory comes to lie makes more of a difference to a process than whose memory it is
TOUCHES = [f"touch{n}" for n in range(8)]
MAPS = f"map1=mmap:{TESTDEV}:0:0x1000 map64=mmap:{TESTDEV}:0:0x40000"
LOCAL_CALLS = f"syscall=syscall ping=write1:@PING noop=ioctl:{ZERO}:{NOP}:0 " \
    f"flat=ioctl:/dev/net/tun:{FEATURES}:4 {PEERS}"
COPIED = f"copied=read:{ZERO}:{SIZES['1 MiB']}"
SOUND_SECONDS = 10
FORWARDED_NODE = "/dev/dri/renderD160"  # the guest has a renderD128 of its own
THREADS = (1, 2, 4, 8, 16)
PACKET_SIZES = (64, 512, 1500)
PACKETS = " ".join(f"tap-{size}=tap:/dev/net/tun:tap{size}:{size} card-{size}=packet:@CARD:{size}"
                   for size in PACKET_SIZES)


def nested(quick):
    """A lab host with the test device."""
    rounds, ms = (5, 100) if quick else (20, 200)
    # what little there may be between the two is seen in many short turns
    deep = f"{10 * rounds} {ms // 10} {IOCTLS}"
    plan = [
        f"spinning - {rounds} {ms} {CALLS}",
        f"sleeping 0 {rounds} {ms} {CALLS}",
        f"deep - {deep}",
        f"data - {rounds} {ms} {DATA}",
        f"cold - {rounds} {ms} coldnest=coldnest:{TESTDEV} idle=idlepoll:{TESTDEV} event=event:{TESTDEV}",
        *(f"{name} - {rounds // 2} {ms // 4} {TOUCH}" for name in TOUCHES),
        f"maps - {rounds} {ms} {MAPS}",
        f"fit - 3 {4 * ms} fit=maps:{TESTDEV}:0:{10 if quick else 90}",
        f"evict - 3 {4 * ms} evict=maps:{TESTDEV}:0:{50 if quick else 1000}",
        f"alone - {rounds} {ms} alone=ioctl:{TESTDEV}:{NOP}:0",
        f"blocked - {rounds} {ms} blocked=blocked:{TESTDEV}:128",
        f"threads - {rounds} {ms} " + " ".join(f"threads{n}=threads:{TESTDEV}:{n}" for n in THREADS),
        # one frame a round
        f"frames - {10 * rounds} 1 frames=frames:/dev/video0",
        f"sound {SOUND_SECONDS}",
        f"packets - {rounds} {ms} {PACKETS}",
        f"counts {10 * ms} noop=ioctl:{TESTDEV}:{NOP}:0",
        f"processes {100 if quick else 1000}",
    ]
    native = [f"hop {rounds} {ms} hop=hop", f"deep {deep}", f"data {rounds} {ms} {NATIVE_DATA}",
              f"switched {rounds} {2 * ms} {SWITCHED}", f"frames {10 * rounds} 1 frames=frames:/dev/video0",
              f"sound {SOUND_SECONDS}"]
    return Lab("nested", plan, [
        "--host-modules", "testdev vivid:n_devs=1 tun snd-dummy:index=0", "--device", TESTDEV, "--device", "/dev/video0",
        "--device", "/dev/net/tun,caps=net_admin",
        "--device", "/dev/snd/controlC0", "--device", "/dev/snd/pcmC0D0p", "--host-run",
        f"for i in card {' '.join(map(str, PACKET_SIZES))}; do"
        " ip tuntap add dev tap$i mode tap; ip link set tap$i up; done",
        "--device", f"/dev/zero,as={ZERO}",
        "--module-params", f"max_windows={10 if quick else 100}", "--guest-memory", "1G",
        "--host-memory", "4G"], native,
        "-netdev tap,id=net,ifname=tapcard,script=no,downscript=no -device virtio-net-pci,netdev=net ",
        programs={"pd-sound": "-lasound"})


def local(quick):
    """This machine as the host, with what it has: one emulation less."""
    rounds, ms = (5, 50) if quick else (40, 50)
    return Lab("local", [f"spinning - {rounds} {ms} {LOCAL_CALLS}",
                         f"sleeping 0 {rounds} {ms} {LOCAL_CALLS}",
                         f"data - {rounds} {ms} {READS}",
                         # what the daemon has counted before and after
                         "stats begin", f"copied - 3 {ms} {COPIED}", "stats end"],
               ["--topology", "local", "--device", f"/dev/zero,as={ZERO}", "--device", "/dev/net/tun"],
               [f"hop {rounds} {ms} hop=hop", f"data {rounds} {ms} {NATIVE_READS}"])


GUESTS = {True: (1, 2), False: (1, 2, 4)}  # quick?


def guests(quick):
    """Several guests with one device of one host."""
    rounds, ms = (5, 100) if quick else (20, 200)
    counts = GUESTS[quick]
    return Lab("guests", [f"{count} {rounds} {ms} noop=ioctl:{TESTDEV}:{NOP}:0" for count in counts],
               ["--host-modules", "testdev", "--device", TESTDEV, "--host-memory", "4G"], guests=counts[-1])


def neighbour(quick):
    """Two VMs of one daemon, without a VMM; one attacks the other."""
    return Lab("neighbour", [], [], here=("tests/attacks/neighbour", 5 if quick else 40, 200))


def rendering(quick):
    """A GPU that the host has by virgl: forwarded, and beside it QEMU's own for the guest, which draws on it, too."""
    rounds, frames = (5, 10) if quick else (20, 20)
    node = "/dev/dri/renderD128"
    return Lab("rendering", [], [
        "--host-kernel", "7", "--host-modules", "virtio-gpu", "--host-memory", "4G", "--guest-memory", "1G",
        "--host-qemu-args=-vga none -device virtio-gpu-gl-pci -display sdl,gl=on",
        "--host-qemu-env=SDL_VIDEODRIVER=offscreen", "--device", f"{node},as={FORWARDED_NODE}",
        "--module-params", "numbers=own",
        f"--guest-qemu-args=-vga none -device virtio-gpu-gl-pci -display egl-headless,rendernode={node}",
        "--host-run", f"/share/bin/pd-gl bench {rounds} {frames} native={node} >/share/out/native.frames"],
        script="modprobe virtio-gpu; mount -t debugfs none /sys/kernel/debug; "
               f"for i in $(seq 100); do [ -c {node} ] && break; sleep 0.2; done; "
               f"/share/bin/pd-gl bench {rounds} {frames} own={node} forwarded={FORWARDED_NODE} >/share/out/frames",
        packages="graphics", programs={"pd-gl": "-lEGL -lGLESv2 -lgbm -lm"})
