# SPDX-License-Identifier: Apache-2.0
"""The folder of one run: logs of every kernel, daemon and QEMU, and what they must not hold."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from . import paths
from .say import warn

BAD = re.compile(
    r"WARNING:|\bBUG:|kernel BUG|\bOops\b|Call Trace|KASAN|KCSAN|UBSAN|Kernel panic"
    r"|possible .*deadlock|lockdep|\bunsafe\b|general protection fault|refcount_t:"
    r"|blocked for more than|detected stall|self-detected|scheduling while atomic"
    r"|sleeping function called|Bad page state|Bad rss-counter|list_(add|del) corruption"
    r"|unreferenced object|kvm run failed")
# Said by kernels that are well: the command line holds "oops=panic"; debug kernels say what they look for.
FINE = re.compile(r"[Cc]ommand line:|RCU lockdep checking is enabled|Lock dependency validator"
                  r"|KernelAddressSanitizer initialized")
# What is followed by a stack trace of a kernel that is well: the killer for want of memory, in a cgroup too;
# vivid's own thread, when an emulated host cannot keep its frame rate.
EXPLAINED = re.compile(r" invoked oom-killer: |schedule_timeout: wrong timeout value")
TRACE = re.compile(r"Call Trace:|\+0x[0-9a-f]+/0x[0-9a-f]+")


class RunFolder:
    """Where one run keeps its files."""

    def __init__(self, chosen=None):
        if chosen:
            self.path = Path(chosen).resolve()
            self.path.mkdir(parents=True, exist_ok=True)
        else:
            paths.RUNS.mkdir(parents=True, exist_ok=True)
            self.path = Path(tempfile.mkdtemp(prefix="run-", dir=paths.RUNS))
            os.chmod(self.path, 0o755)
        self.keep = bool(chosen)
        (self.path / "tmp").mkdir(exist_ok=True)

    @property
    def tmp(self):
        """For files that nobody reads afterwards."""
        return self.path / "tmp"

    def appender(self, name):
        """A sink that appends to a log of that name."""
        def sink(data):
            with open(self.path / name, "ab") as log:
                log.write(data)
        return sink

    def tail(self, name, lines=12):
        """The last lines of a log; empty when there is none."""
        try:
            text = (self.path / name).read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.strip().splitlines()[-lines:])

    def bad_lines(self):
        """(log, line) for each line of a kernel or QEMU log that should not be there."""
        found = []
        for log in sorted(self.path.glob("*.log")):
            if "kernel" not in log.name and "dmesg" not in log.name and "qemu" not in log.name:
                continue
            explained = False
            for line in log.read_text(errors="replace").splitlines():
                explained = bool(EXPLAINED.search(line)) or explained and "</TASK>" not in line
                if BAD.search(line) and not FINE.search(line) and \
                        not (explained and TRACE.search(line)):
                    found.append((log.name, line.strip()))
        return found

    def close(self, failed):
        """Removes the folder of a run that went well; names it otherwise."""
        shutil.rmtree(self.tmp, ignore_errors=True)
        for log in self.path.glob("*.log"):
            if log.stat().st_size == 0:
                log.unlink()
        if failed or self.keep:
            warn(f"logs: {self.path}")
        else:
            shutil.rmtree(self.path, ignore_errors=True)
