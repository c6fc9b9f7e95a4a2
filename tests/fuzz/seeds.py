#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""seeds.py FOLDER: inputs for the fuzzers that do something sensible, for them to start from."""

import struct
import sys
from pathlib import Path

HANDLE = [b"\0", b"\1", b"\2", b"\3"]  # the handles that earlier steps gave, by order
NONE = b"\xe8"  # handle 0
CONTINUE, MM_CREATE, OPEN, RELEASE, FLUSH, READ, WRITE, LLSEEK, FSYNC, POLL, IOCTL = \
    33, 3, 16, 17, 18, 19, 20, 21, 22, 23, 24
FASYNC, MMAP, MUNMAP, WINDOW_MAP, WINDOW_UNMAP, DROP, CANCEL = 25, 26, 27, 30, 31, 32, 5
ADDRESS = struct.pack("<H", 4)


def request(op, mm=NONE, file=NONE, oflags=2, arguments=b"", lists=b"\0", queue=0):
    """One step: a request."""
    of_mm = b"" if op == MM_CREATE else mm
    return b"\0" + bytes([op, queue]) + of_mm + file + struct.pack("<H", oflags) + arguments + lists


def vec(length):
    """The lists of a read or write."""
    return b"\x10" + ADDRESS + struct.pack("<H", length)


def pages(write=1):
    """Four of the program's pages, and the buffers behind them."""
    return b"\x04" + ADDRESS + struct.pack("<H", 0x300) + b"\3" + bytes([write])


def message(what, payload=b"", nfds=0, flags=0):
    """One step: a message of the VMM's, by its place in the fuzzer's table."""
    return b"\xd0" + bytes([what, flags, nfds]) + struct.pack("<H", len(payload)) + payload \
        + b"\1" * nfds


MM = request(MM_CREATE)
ZERO, FULL, PIPE = (request(OPEN, HANDLE[0], arguments=bytes([n])) for n in (1, 2, 3))
GO_ON = request(CONTINUE, HANDLE[0], arguments=b"\0", lists=pages())
PAUSE = b"\xff"
MAPPED = MM + ZERO + request(MMAP, HANDLE[0], HANDLE[1], arguments=HANDLE[1] + ADDRESS + b"\4\3")
WORKER = {
    "read": MM + ZERO + request(READ, HANDLE[0], HANDLE[1], arguments=bytes(48), lists=vec(100)) + GO_ON,
    "write": MM + FULL + request(WRITE, HANDLE[0], HANDLE[1], arguments=bytes(48), lists=vec(100)) + GO_ON,
    "wait": MM + PIPE + request(READ, HANDLE[0], HANDLE[1], arguments=bytes(48), lists=vec(10))
            + request(CANCEL, arguments=b"\1\0") + PAUSE,
    "poll": MM + PIPE + request(POLL, NONE, HANDLE[1], arguments=bytes(48))
            + request(FASYNC, NONE, HANDLE[1], arguments=b"\1" + bytes(47)),
    "map": MAPPED + request(WINDOW_MAP, arguments=HANDLE[2] + b"\0\4\0")
           + request(WINDOW_UNMAP, arguments=HANDLE[2] + b"\0\4\0")
           + request(MUNMAP, HANDLE[0], arguments=HANDLE[2] + ADDRESS + b"\4\3"),
    "release": MAPPED + request(RELEASE, NONE, HANDLE[1], arguments=bytes(48)),
    "ioctl": MM + ZERO + request(IOCTL, HANDLE[0], HANDLE[1],
                                 arguments=ADDRESS + struct.pack("<Q", 0x5401)),
    "files": MM + ZERO + request(LLSEEK, HANDLE[0], HANDLE[1], arguments=bytes(48))
             + request(FSYNC, HANDLE[0], HANDLE[1], arguments=bytes(48))
             + request(FLUSH, HANDLE[0], HANDLE[1], arguments=bytes(48))
             + request(RELEASE, NONE, HANDLE[1], arguments=bytes(48)),
    "drop": MM + ZERO + request(DROP, HANDLE[0], lists=pages())
            + request(DROP, HANDLE[0], lists=b"\1" + ADDRESS + b"\3"),
    "control": b"".join(request(op, arguments=bytes(48)) for op in (2, 6, 7, 34)),
    "events": b"\xa1" + b"\1\0" + struct.pack("<QIHH", 0x20000, 64, 2, 0) + b"\0" + MM + PIPE
              + request(POLL, NONE, HANDLE[1], arguments=bytes(48)),
    "chain": b"\xa1" + b"\2\5" + struct.pack("<QIHH", 0x20000, 400, 1, 5) + b"\5"
             + b"\xa1" + b"\2\6" + struct.pack("<QIHH", 0x20000, 64, 4, 0) + b"\6",
    "stop": MM + ZERO + message(4, struct.pack("<II", 2, 0)) + PAUSE
            + message(5, struct.pack("<Q", 2), 1),
    "table": MM + message(0, struct.pack("<II4Q", 1, 0, 0, 4 << 20, 0x7e0000000000, 0), 1)
             + message(0, struct.pack("<II8Q", 2, 0, 0, 1 << 20, 0x7e0000000000, 0,
                                      1 << 32, 1 << 20, 1 << 40, 0), 2),
    "reset": MM + PIPE + message(8) + MM,
    "config": message(9, struct.pack("<III", 0, 60, 0) + bytes(60)) + message(13),
}


def said(kind, device=1, number=1, oflags=2, in_mirror=0, length=64, nfds=0):
    """A worker's message to the manager."""
    return struct.pack("<HBBBBHBB", length, nfds, kind, device, number, oflags, in_mirror, 8) + bytes(64)


OPENS, CLOSED, STATS = 7, 8, 13
MANAGER = {
    "open": said(OPENS) + said(OPENS, number=2) + said(CLOSED) + said(OPENS, device=2, oflags=0),
    "mirror": said(OPENS, in_mirror=1) + said(OPENS, device=3),
    "stats": said(STATS, length=200),
    "short": said(OPENS, length=3, nfds=3),
    "empty": said(OPENS, length=0, nfds=3),
}


def main(folder):
    """Writes them, each fuzzer's to a folder of its name."""
    for fuzzer, seeds in (("worker", WORKER), ("manager", MANAGER)):
        (Path(folder) / fuzzer).mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (Path(folder) / fuzzer / name).write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1])
