# SPDX-License-Identifier: Apache-2.0
"""Writes a picture of red, green and blue bytes as PNG."""

import struct
import zlib


def _chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def encode(pixels, width, height):
    """The PNG file for width * height * 3 bytes of pixels, rows from the top."""
    if len(pixels) != width * height * 3:
        raise ValueError(f"{len(pixels)} bytes are no picture of {width} x {height}")
    rows = b"".join(b"\0" + pixels[y * width * 3:(y + 1) * width * 3] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
            + _chunk(b"IDAT", zlib.compress(rows, 6)) + _chunk(b"IEND", b""))
