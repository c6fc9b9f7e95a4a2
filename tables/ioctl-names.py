#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ioctl-names.py OUTPUT CC…

Writes the ioctl commands that the kernel's user headers define, {"NAME", number} a line, sorted by
name, as a part of a C array. The compiler says what is defined and what it is worth.
"""

import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile

FOLDERS = ("/usr/include/linux", "/usr/include/sound", "/usr/include/misc",
           "/usr/include/rdma", "/usr/include/mtd", "/usr/include/scsi", "/usr/include/libdrm")
ALSO = ("/usr/include/asm-generic/ioctls.h",)
COMMAND = re.compile(r"\b_IO[CWR]*\s*\(")
OBJECT = re.compile(r"#define (\w+) (.*)")


def compiler(cc, arguments, text):
    """What the compiler makes of text: (status, output, errors)."""
    done = subprocess.run([*cc, "-w", "-xc", "-I/usr/include/libdrm", *arguments, "-"], input=text,
                          text=True, capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr


def commands(cc, header):
    """{name: number} of one header."""
    # some headers rely on others' types
    top = "#include <stddef.h>\n#include <stdint.h>\n#include <sys/types.h>\n" \
          f"#include <linux/types.h>\n#include <sys/ioctl.h>\n#include <time.h>\n#include \"{header}\"\n"
    status, macros, _ = compiler(cc, ["-E", "-dM"], top)
    if status:
        return {}
    with open(header, encoding="utf-8", errors="replace") as source:
        own = source.read()
    bodies = dict(m.groups() for m in map(OBJECT.fullmatch, macros.splitlines()) if m)
    is_command = {n for n, body in bodies.items() if COMMAND.search(body)}
    # names for a command, and the old commands that are plain numbers
    is_command |= {n for n, body in bodies.items() if body in is_command}
    if header in ALSO:
        is_command |= {n for n, body in bodies.items() if re.fullmatch(r"0x[0-9A-Fa-f]+", body)}
    names = sorted(n for n in is_command if re.search(rf"\b{n}\b", own))
    while names:
        lines = [f"unsigned int c_{n} = {n};" for n in names]
        status, asm, errors = compiler(cc, ["-S", "-o-", "-fno-common"], top + "\n".join(lines))
        if not status:
            values = re.findall(r"^c_(\w+):\n\s+\.(?:long|zero)\s+(\d+|-\d+)", asm, re.M)
            return {n: int(v) & 0xffffffff for n, v in values}
        first = top.count("\n") + 1
        bad = {int(n) - first for n in re.findall(r"^<stdin>:(\d+):", errors, re.M)}
        bad = {i for i in bad if 0 <= i < len(names)}
        if not bad:
            return {}
        names = [n for i, n in enumerate(names) if i not in bad]
    return {}


def main(output, *cc):
    """Writes the table."""
    headers = [h for folder in FOLDERS for h in glob.glob(f"{folder}/**/*.h", recursive=True)]
    with_commands = [h for h in sorted(headers)
                     if COMMAND.search(open(h, encoding="utf-8", errors="replace").read())]
    table = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(lambda h: commands(cc, h), [*with_commands, *ALSO]):
            table.update(found)
    with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(output) or ".", delete=False) as file:
        file.write("/* SPDX-License-Identifier: Apache-2.0 */\n/* made by tables/ioctl-names.py */\n")
        for name in sorted(table):
            file.write(f'{{ "{name}", {table[name]:#010x} }},\n')
    os.replace(file.name, output)
    return 0 if table else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
