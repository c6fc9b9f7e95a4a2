# SPDX-License-Identifier: Apache-2.0
"""What is measured beside what, and what is to be reached."""

import json
from dataclasses import dataclass
from statistics import median, quantiles

from . import figures
from .figures import Ratio, ratio
from .labs import PACKET_SIZES, SIZES, SOUND_SECONDS, THREADS, TOUCHES


@dataclass
class Measure:
    """A row of the report."""

    name: str
    beside: str
    where: str
    ratio: Ratio
    reach: float | None = None    # at most this; None: reported only
    at_least: bool = False        # at least, instead
    note: str = ""

    @property
    def reached(self):
        """None where nothing is to be reached."""
        if self.reach is None:
            return None
        return self.ratio.value >= self.reach if self.at_least else self.ratio.value <= self.reach


def _count(value):
    return Ratio(value, value, value)


def _us(figure):
    return f"{figure.median:.1f} µs"


def _trips(where, outs):
    """Empty requests and no-op ioctls beside the peers in the same guest."""
    rows = []
    for name, words in (("spinning", "the guest looks before it sleeps"),
                        ("sleeping", "it looks once, then sleeps")):
        case = figures.read(outs / name)
        ping, noop = case["ping"], case["noop"]
        notes = f"{words}; {_us(noop)}, {_us(ping)}"
        if name == "spinning":
            rows.append(Measure("no-op ioctl", "our empty request", where, ratio(noop, ping), 1.15, note=notes))
            # what must be there with a mirror that is another process
            hop = figures.read(outs / "native.hop")["hop"]
            rows.append(Measure("no-op ioctl: what it takes more than an empty request",
                                "two processes of the host that wake each other", where,
                                _count((noop.median - ping.median) / hop.median),
                                note=f"there and back {_us(hop)}"))
            rows.append(Measure("our empty request", "virtiofs GETATTR", where, ratio(ping, case["stat"]), 0.8,
                                note=f"{_us(ping)}, {_us(case['stat'])}"))
            rows.append(Measure("our empty request", "virtio-rng, one request", where,
                                ratio(ping, case["rng"]), 1.0, note=f"{_us(ping)}, {_us(case['rng'])}"))
        else:
            for peer, title in (("stat", "virtiofs GETATTR"), ("rng", "virtio-rng, one request")):
                rows.append(Measure("no-op ioctl, sleeping", title, where, ratio(noop, case[peer]), 1.0,
                                    note=f"{words}; {_us(noop)}, {_us(case[peer])}"))
    return rows


def _deep(outs):
    """Pointers three deep beside none: the two took turns, so it is their rounds' differences that say most."""
    case = figures.read(outs / "deep")
    rows = []
    for when, words in (("deep", ""), ("switched", ", which had another task before")):
        # the driver's own work is not the boundary's
        native = figures.read(outs / f"native.{when}")
        flat = case["flat"].median - native["flat"].median
        driver = median(figures.differences(native["nest"], native["flat"]))
        more = quantiles([us - driver for us in figures.differences(case["nest"], case["flat"])], n=4)
        rows.append(Measure(f"ioctl, pointers three deep, warm: what is added to the host's{words}", "to a flat ioctl",
                            "nested", Ratio(*(1 + us / flat for us in (more[1], more[0], more[2]))),
                            None if words else 1.05,
                            note=f"{case['nest'].faults:.2f} faults each; {_us(case['nest'])}, {_us(case['flat'])}, "
                                 f"natively {_us(native['nest'])}, {_us(native['flat'])}"))
    return rows


def _memory(outs):
    cold = figures.read(outs / "cold")
    new = cold["coldnest"]
    return [
        Measure("ioctl, pointers three deep, all pages new", "requests each", "nested", _count(new.requests), 1.05,
                note=f"{new.faults:.2f} faults each, {_us(new)}"),
        Measure("poll() that finds nothing new", "requests each", "nested", _count(cold["idle"].requests), 0.01),
        # two of them are the ioctls that ask for the event and take it back; of all counts a ping each second is part
        Measure("wake-up of poll(), and a read", "requests each", "nested",
                _count(cold["event"].requests - 2), 2.1),
    ]


def _data(where, outs):
    guest, native = figures.read(outs / "data"), figures.read(outs / "native.data")
    rows = []
    for name, figure in guest.items():
        kind, size = name.split("-")
        title = next(title for title, number in SIZES.items() if number == int(size))
        rows.append(Measure(f"{kind} of {title}", "the lab's host", where, ratio(figure, native[name]),
                            1.1 if title == "1 MiB" else None, note=f"{_us(figure)}, {_us(native[name])}"))
    return rows


def _copied(outs):
    """What the daemon itself copies: messages, whose size is not that of what is read."""
    before, after = (json.loads((outs / f"{when}.stats").read_text())["vms"][0]["stats"]
                     for when in ("begin", "end"))
    read, copied = (after[name] - before[name] for name in ("bytes_read", "bytes_copied"))
    return [Measure("bytes copied by the daemon, reading 1 MiB at a time", "bytes read", "local",
                    _count(copied / read), 0.001,
                    note=f"{copied / (read / SIZES['1 MiB']):.0f} in the messages of each read")]


def _switched(outs):
    """Beside the host when another task ran before: what the processor has to look up anew is the same then."""
    guest, native = figures.read(outs / "data"), figures.read(outs / "native.switched")
    return [Measure(f"{name.split('-')[0]} of 1 MiB", "the lab's host after a switch of tasks", "nested",
                    ratio(guest[name], native[name]), note=f"{_us(guest[name])}, {_us(native[name])}")
            for name in native if name in guest]


def _maps(outs):
    case = figures.read(outs / "maps")
    fit, evict = figures.read(outs / "fit")["fit"], figures.read(outs / "evict")["evict"]
    return [
        Measure("touching mapped device memory, warm", "the guest's RAM", "nested",
                ratio(*(figures.joined([figures.read(outs / name)[kind] for name in TOUCHES])
                        for kind in ("maptouch", "ramtouch"))), 1.05,
                note=f"{len(TOUCHES)} processes"),
        Measure("mapping 64 pages, touching each", "mapping and touching 1", "nested",
                ratio(case["map64"], case["map1"]), None,
                note=f"{case['map64'].requests:.1f} and {case['map1'].requests:.1f} requests each; "
                     f"{_us(case['map64'])}"),
        Measure("touching more mappings in turn than the window holds", "first touch of one that fits", "nested",
                ratio(evict, case["map1"]),
                note=f"{_us(evict)} each, {evict.requests:.1f} requests; all fitting: {_us(fit)}"),
    ]


def _threads(outs):
    alone, blocked = figures.read(outs / "alone")["alone"], figures.read(outs / "blocked")["blocked"]
    rows = [Measure("an ioctl while 128 block", "alone", "nested", ratio(blocked, alone), 1.1)]
    case = figures.read(outs / "threads")
    for n in THREADS[1:]:
        # never falling: a call takes no longer, however many threads make calls
        rows.append(Measure(f"no-op ioctls of {n} threads, time per call", "of 1 thread", "nested",
                            ratio(case[f"threads{n}"], case["threads1"]), 1.1))
    return rows


def _streams(outs):
    frames, native = figures.read(outs / "frames")["frames"], figures.read(outs / "native.frames")["frames"]
    rows = [Measure("a camera's frame, 640×360 by mmap", "the lab's host", "nested", ratio(frames, native), 1.02,
                    note=f"{frames.lost} lost, {native.lost} natively; {_us(frames)}, {_us(native)}; heard of later "
                         f"than at best by {frames.lateness}; natively {native.lateness}")]
    sound, native = figures.read(outs / "sound"), figures.read(outs / "native.sound")
    played, native_played = sound["sound-all"], native["sound-all"]
    rows.append(Measure(f"{SOUND_SECONDS} s of sound, mmap, periods of 1 ms", "the lab's host", "nested",
                        ratio(played, native_played), 1.02,
                        note=f"ran dry {played.lost} times, {native_played.lost} natively; periods heard of later "
                             f"than at best by {sound['sound'].lateness}; natively {native['sound'].lateness}"))
    case = figures.read(outs / "packets")
    for size in PACKET_SIZES:
        # packets per second: the times the other way round
        rows.append(Measure(f"packets of {size} bytes through a tap opened in the guest, each second",
                            "virtio-net on a tap", "nested", ratio(case[f"card-{size}"], case[f"tap-{size}"]),
                            note=f"{_us(case[f'tap-{size}'])}, {_us(case[f'card-{size}'])} each"))
    return rows


def _processes(outs):
    count, begin, end = (float(word) for word in (outs / "processes.guest").read_text().split())
    none, many = (line.split() for line in (outs / "processes.host").read_text().splitlines())
    each = (int(many[1]) - int(none[1])) / count
    kernel = (int(many[3]) - int(none[3])) / count
    return [Measure(f"{count:.0f} processes with a device open", "KiB of the host's memory each (PSS)", "nested",
                    _count(each), 200, note=f"and {kernel:.0f} KiB of its kernel's (slab, page tables, stacks); "
                                            f"{(end - begin) / count * 1000:.1f} ms each to start")]


def _counted(path, calls):
    """{event: how often for each call} of one output of perf stat -x."""
    rows = (line.split(",") for line in path.read_text().splitlines() if "," in line and not line.startswith("#"))
    return {row[2].split(":")[-1]: int(row[0]) / calls for row in rows if row[0].isdigit()}


def _counts(outs):
    """What the warm path takes, as the kernels count it."""
    # a turn's operations; the call before the FIFO is not among them
    calls = int((outs / "counts").read_text().split()[2])
    rows = []
    for place, name in (("host", "worker and mirror"), ("guest", "the program's task")):
        found = _counted(outs / f"counts.{place}", calls)
        called = ", ".join(f"{event.removeprefix('sys_enter_')} {count:.2f}" for event, count in found.items()
                           if event.startswith("sys_enter_") and count >= 0.01)
        rows.append(Measure(f"a no-op ioctl, warm: system calls of {name}", "each", "nested",
                            _count(found["sys_enter"]), note=called))
        rows.append(Measure(f"a no-op ioctl, warm: allocations by {name}", "each", "nested",
                            _count(found["kmalloc"] + found["kmem_cache_alloc"]),
                            note=f"locks that had to be waited for: {found['contention_begin']:.2f} each"))
    return rows


def nested(outs):
    """Rows of the nested lab."""
    return [*_trips("nested", outs), *_deep(outs), *_memory(outs), *_data("nested", outs), *_switched(outs),
            *_maps(outs), *_threads(outs), *_streams(outs), *_counts(outs), *_processes(outs)]


def local(outs):
    """Rows of the local lab."""
    return [*_trips("local", outs), *_data("local", outs), *_copied(outs)]


def guests(outs):
    """Rows of several guests: how many calls all make together."""
    rate = {}
    for path in outs.iterdir():
        count = int(path.name.split(".", maxsplit=1)[0])
        rate[count] = rate.get(count, 0) + 1 / figures.read(path)["noop"].median
    return [Measure(f"no-op ioctls of {count} guests on one device, each second", "of 1 guest", "guests",
                    _count(rate[count] / rate[1]), 0.9, at_least=True)
            for count in sorted(rate) if count > 1]


def neighbour(outs):
    """A VM's reads while another attacks."""
    case = figures.read(outs / "neighbour")
    alone, busy = case["alone"], case["computes"]
    return [Measure("a read of a VM while a process computes on the other processor", "alone", "neighbour",
                    ratio(busy, alone), note=f"{_us(busy)}, {_us(alone)}; what processors share")] + [
        Measure(f"a read of a VM while another {words}", "a process that computes there", "neighbour",
                ratio(case[name], busy), 1.1,
                note=f"{_us(case[name])}, {_us(busy)}; {1e6 * case[name].requests / case[name].median:.0f} times "
                     "each second")
        for name, words in (("nonsense", "makes five requests without sense"),
                            ("programs", "begins and ends a program"),
                            ("connections", "goes and comes back"))]


def rendering(outs):
    """Frames of a GPU, each drawn and read back."""
    case, native = figures.read(outs / "frames"), figures.read(outs / "native.frames")["native"]
    forwarded, own = case["forwarded"], case["own"]
    # frames per second: the times the other way round
    return [Measure("frames drawn by virgl, each second", "QEMU's virtio-gpu in the same guest", "rendering",
                    ratio(own, forwarded), 0.9, at_least=True,
                    note=f"{_us(forwarded)}, {_us(own)} each; {forwarded.requests:.2f} requests, "
                         f"{forwarded.faults:.2f} faults each"),
            Measure("frames drawn by virgl, each second", "the lab's host", "rendering", ratio(native, forwarded),
                    note=f"{_us(forwarded)}, {_us(native)} each")]
