# SPDX-License-Identifier: Apache-2.0
"""Places where commands run: this machine, or a VM behind its agent. One interface for both."""

import asyncio
import ctypes
import os
import signal
import struct

from . import frames
from .errors import LabError

PATH = "/run/lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENV = {"PATH": PATH, "HOME": "/root", "TERM": "dumb", "LC_ALL": "C.UTF-8"}
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _drop(_data):
    """The sink of output that nobody wants."""


class Command:
    """A running command: its process id in its place, and its end."""

    def __init__(self, on_out=None, on_err=None):
        loop = asyncio.get_running_loop()
        self.pid = loop.create_future()
        self.ended = loop.create_future()
        self.on_out = on_out or _drop
        self.on_err = on_err or _drop

    @property
    def running(self):
        """True until it has ended."""
        return not self.ended.done()

    def write(self, data):
        """Sends bytes to its standard input."""
        raise NotImplementedError

    def kill(self, number=signal.SIGKILL):
        """Sends a signal to its process group."""
        raise NotImplementedError


class Place:
    """Somewhere commands run."""

    name = "?"

    async def start(self, argv, env=None, on_out=None, on_err=None):
        """Starts argv with its stdin a pipe that stays open; returns the Command."""
        raise NotImplementedError

    async def output(self, script, what, timeout=180, env=None):
        """Runs a shell script to its end; its output. LabError when it fails."""
        out, err = bytearray(), bytearray()
        command = await self.start(["/bin/sh", "-c", script], env, out.extend, err.extend)
        try:
            status = await asyncio.wait_for(asyncio.shield(command.ended), timeout)
        except asyncio.TimeoutError:
            command.kill()
            raise LabError(f"{self.name}: {what}: no end within {timeout} s") from None
        if status != 0:
            tail = (out + err).decode(errors="replace").strip()[-2000:]
            raise LabError(f"{self.name}: {what} failed (status {status}): {tail}")
        return out.decode(errors="replace")


class _MachineCommand(Command):
    started = []

    def __init__(self, process, on_out, on_err):
        super().__init__(on_out, on_err)
        self.started.append(self)
        self.process = process
        self.pid.set_result(process.pid)
        self._task = asyncio.ensure_future(self._follow())

    async def _copy(self, stream, sink):
        while data := await stream.read(65536):
            sink(data)

    async def _follow(self):
        copies = [asyncio.ensure_future(self._copy(self.process.stdout, self.on_out)),
                  asyncio.ensure_future(self._copy(self.process.stderr, self.on_err))]
        status = await self.process.wait()
        # Its own output is in the pipes by now; a child it left may hold them open for ever.
        await asyncio.wait(copies, timeout=0.5)
        if not self.ended.done():
            self.ended.set_result(128 - status if status < 0 else status)

    def write(self, data):
        self.process.stdin.write(data)

    def kill(self, number=signal.SIGKILL):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass


def die_with_parent():
    """Between fork and exec: this process is killed when the one that started it ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _in_child():
    os.setsid()
    die_with_parent()


class Machine(Place):
    """This machine."""

    name = "machine"

    async def start(self, argv, env=None, on_out=None, on_err=None):
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *map(str, argv), stdin=pipe, stdout=pipe, stderr=pipe,
            env={**ENV, **(env or {})}, preexec_fn=_in_child)
        return _MachineCommand(process, on_out, on_err)


async def stop_machine_commands():
    """Kills what still runs on this machine and waits for its end."""
    for command in _MachineCommand.started:
        command.kill()
    ends = [command.ended for command in _MachineCommand.started if command.running]
    if ends:
        await asyncio.wait(ends, timeout=5)


class _VmCommand(Command):
    def __init__(self, agent, number, on_out, on_err):
        super().__init__(on_out, on_err)
        self.agent, self.number = agent, number

    def write(self, data):
        for at in range(0, len(data), frames.CHUNK):
            self.agent.send(frames.STDIN, self.number, data[at:at + frames.CHUNK])

    def kill(self, number=signal.SIGKILL):
        self.agent.send(frames.KILL, self.number, bytes([number]))


class Agent(Place):
    """A VM, reached through the stdin and stdout of its QEMU, which is itself a Command."""

    def __init__(self, name):
        self.name = name
        self.vm = None
        self._parser = frames.Parser()
        self._commands = {}
        self._next = 1
        self._hello = asyncio.get_running_loop().create_future()

    def feed(self, data):
        """Takes bytes that the agent wrote."""
        for kind, number, payload in self._parser.feed(data):
            if kind == frames.HELLO and not self._hello.done():
                self._hello.set_result(True)
            command = self._commands.get(number)
            if not command:
                continue
            if kind == frames.STARTED:
                command.pid.set_result(struct.unpack("<i", payload)[0])
            elif kind == frames.STDOUT:
                command.on_out(payload)
            elif kind == frames.STDERR:
                command.on_err(payload)
            elif kind == frames.EXIT and not command.ended.done():
                command.ended.set_result(struct.unpack("<i", payload)[0])

    def lost(self):
        """Tells those who wait for commands there that the VM has ended."""
        error = LabError(f"{self.name}: the virtual machine ended; see its kernel log")
        futures = [f for c in self._commands.values() for f in (c.pid, c.ended)]
        for future in [self._hello, *futures]:
            if not future.done():
                future.set_exception(error)
                future.exception()  # it counts as looked at: nobody may be waiting

    def send(self, kind, number, payload=b""):
        """Sends one frame; dropped when the VM has ended."""
        if self.vm and self.vm.running:
            self.vm.write(frames.pack(kind, number, payload))

    async def up(self, timeout):
        """Waits until the agent runs."""
        try:
            await asyncio.wait_for(asyncio.shield(self._hello), timeout)
        except asyncio.TimeoutError:
            raise LabError(f"{self.name}: no sign of life within {timeout} s; "
                           "see its kernel log") from None

    async def start(self, argv, env=None, on_out=None, on_err=None):
        number, self._next = self._next, self._next + 1
        command = _VmCommand(self, number, on_out, on_err)
        self._commands[number] = command
        self.send(frames.RUN, number,
                  frames.pack_command([str(a) for a in argv], {**ENV, **(env or {})}))
        if not self.vm.running:
            self.lost()
        await asyncio.shield(command.pid)
        return command
