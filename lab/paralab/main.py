# SPDX-License-Identifier: Apache-2.0
"""lab/run from its arguments to its exit status, and the end of all it started."""

import asyncio
import ctypes
import os
import signal
import time

from . import options as command_line
from . import say as saying
from .errors import EXIT_LAB, EXIT_TIMEOUT, LabError, LabTimeout
from .logs import RunFolder
from .say import warn
from .session import Session

PR_SET_CHILD_SUBREAPER = 36


def main(argv):
    """Runs the lab; the exit status."""
    run = None
    status = EXIT_LAB
    try:
        options = command_line.parse(argv)
        saying.quiet = options.quiet
        if os.geteuid() != 0:
            raise LabError("run it as root: it makes namespaces and mounts")
        # Whatever our children leave behind becomes our child, to be ended with the rest.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        run = RunFolder(options.logs)
        run.keep |= options.keep_logs
        status = asyncio.run(_limited(options, run))
    except LabTimeout as error:
        warn(str(error))
        status = EXIT_TIMEOUT
    except LabError as error:
        warn(str(error))
    finally:
        end_children()
        if run:
            run.close(failed=status != 0)
    return status


async def _limited(options, run):
    session = Session(options, run)
    task = asyncio.ensure_future(session.go())
    caught = []

    def on_signal(number):
        caught.append(number)
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal, number)
    try:
        done, _ = await asyncio.wait([task], timeout=options.timeout)
        if not done:
            task.cancel()
            await asyncio.wait([task], timeout=5)
            raise LabTimeout(f"not done within the time limit of {options.timeout:g} s")
        return task.result()
    except asyncio.CancelledError:
        if not caught:
            raise
        warn(f"ended by {signal.Signals(caught[0]).name}")
        return 128 + caught[0]
    finally:
        try:
            await asyncio.wait_for(session.stop(), 15)
        except (LabError, asyncio.TimeoutError):
            pass


def end_children():
    """Kills every process below this one, however often they fork meanwhile."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        below = _children(os.getpid())
        if not below:
            return
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)
    warn(f"processes that do not end: {_children(os.getpid())}")


def _children(pid):
    """Process ids of the direct children."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as handle:
                fields = handle.read().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if int(fields[1]) == pid:
            found.append(int(name))
    return found
