# SPDX-License-Identifier: Apache-2.0
"""What in-domu printed."""

import re


def unpack(text, folder):
    """Makes files in the folder, as if a guest of Xen's could have written them there."""
    files = {}
    for name, some, line in re.findall(r"^@(\S+)( ?)(.*)$", text, re.MULTILINE):
        files.setdefault(name, []).append(f"{line}\n" if some else "")
    for name, lines in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines))
