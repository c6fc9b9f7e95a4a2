# SPDX-License-Identifier: Apache-2.0
"""The frames between the lab and the agent in a VM; keep alike with agent/frames.h."""

import struct

HEADER = struct.Struct("<IBI")
RUN, STDIN, CLOSE_STDIN, KILL, POWEROFF = 1, 2, 3, 4, 5
HELLO, STARTED, STDOUT, STDERR, EXIT = 16, 17, 18, 19, 20
MAX_PAYLOAD = 65536
CHUNK = 16384


def pack(kind, number, payload=b""):
    """One frame as bytes."""
    return HEADER.pack(len(payload), kind, number) + payload


def pack_command(argv, env):
    """The payload of RUN."""
    strings = [f"{name}={value}" for name, value in env.items()] + list(argv)
    payload = struct.pack("<HH", len(env), len(argv))
    payload += b"".join(s.encode(errors="surrogateescape") + b"\0" for s in strings)
    if len(payload) > MAX_PAYLOAD:
        raise ValueError("command line too long for the lab's agent")
    return payload


class Parser:
    """Cuts a stream of bytes into frames."""

    def __init__(self):
        self._held = bytearray()

    def feed(self, data):
        """Yields (kind, number, payload) for each frame that is complete by now."""
        self._held += data
        while len(self._held) >= HEADER.size:
            length, kind, number = HEADER.unpack_from(self._held)
            if length > MAX_PAYLOAD:
                raise ValueError("not a frame of the lab's agent")
            end = HEADER.size + length
            if len(self._held) < end:
                return
            payload = bytes(self._held[HEADER.size:end])
            del self._held[:end]
            yield kind, number, payload
