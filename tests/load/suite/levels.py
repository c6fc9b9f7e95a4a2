# SPDX-License-Identifier: Apache-2.0
"""What guests and host held before the load, beside what they hold after it."""

from fnmatch import fnmatch

# What may differ: a part of what was, and so much more. What is not named must be level to the number.
# Kernels take memory in whole slabs and pages, which stay as long as one object in them; a worker keeps the
# threads that it has once needed, up to a bound, and their stacks. "files" and "processes" are the whole
# system's: what the guest's module has open has another name, and no slack.
SLACK = {
    "SUnreclaim.kB": (0.05, 4096),
    "PageTables.kB": (0.10, 1024),
    "KernelStack.kB": (0.10, 512),
    "VmallocUsed.kB": (0.05, 1024),
    "daemon-*.anon.kB": (0.10, 1024),
    "daemon-*.mappings": (0, 16),
    "daemon-*.tasks": (0, 8),
    "files": (0, 32),
    "processes": (0, 8),
}


def read(path):
    """{name: number} of a file that tests/load/share/level wrote; empty when there is none."""
    if not path.exists():
        return {}
    return {name: int(value) for name, value in (line.split() for line in
                                                 path.read_text().splitlines())}


def compare(before, after):
    """(name, before, after, level?) of everything that one of them has; less is never wrong."""
    rows = []
    for name in {**before, **after}:
        if name not in before or name not in after:
            rows.append((name, before.get(name, "none"), after.get(name, "gone"), False))
            continue
        was, now = before[name], after[name]
        part, more = next((slack for names, slack in SLACK.items() if fnmatch(name, names)), (0, 0))
        rows.append((name, was, now, now <= was + was * part + more))
    return rows
