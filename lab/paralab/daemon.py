# SPDX-License-Identifier: Apache-2.0
"""A running paradiced, of one guest or of all."""

import asyncio
import signal

from .errors import LabError

SOCKET_SECONDS = 30


class Daemon:
    """Number `number` of a host's daemons; guests add themselves to `guests` before it starts."""

    def __init__(self, options, run, host, number):
        self.options, self.run_folder, self.host, self.number = options, run, host, number
        self.guests = []
        self.process = None
        self._starting = asyncio.Lock()

    @property
    def control(self):
        """The socket by which paradiced is told what to do."""
        return f"{self.host.sockets}/control-{self.number}.sock"

    @property
    def running(self):
        """True from its start to its end."""
        return bool(self.process) and self.process.running

    @property
    def pid(self):
        """Its process id, in the host."""
        return self.process.pid.result()

    async def start(self):
        """Starts it, unless it runs, and waits until it is ready."""
        async with self._starting:
            if not self.running:
                await self._start()

    def _argv(self):
        """The command line, and the files that show that it is ready."""
        options, programs = self.options, self.host.programs
        argv = [str(programs / "paradiced"), "--mirror", str(programs / "paradice-mirror"),
                "--control", self.control]
        ready = []
        for guest in self.guests:
            transport, sign = guest.daemon_transport()
            argv += ["--vm", guest.name, *transport]
            ready.append(sign)
            if self.host.accel == "tcg":
                argv.append("--allow-pfnmap")
            for device in options.device:
                argv += ["--device", device]
            argv += options.daemon_args
        return argv, ready

    async def _start(self):
        argv, ready = self._argv()
        name = f"daemon-{self.number}.log"
        log = self.run_folder.appender(name)
        self.process = await self.host.place.start(argv, self.options.daemon_env, log, log)
        there = " && ".join(f"[ -S {file} ]" for file in ready)
        try:
            await self.host.place.output(f"echo {self.pid} >{self.host.sockets}/daemon-{self.number}.pid",
                                         "noting a process id")
            await self.host.place.output(
                f"n=0; until {there}; do n=$((n + 1)); kill -0 {self.pid} || exit 1;"
                f" [ $n -lt {SOCKET_SECONDS * 20} ] || exit 2; sleep 0.05; done",
                "waiting for paradiced's socket", SOCKET_SECONDS * 4)
        except LabError:
            await asyncio.wait([self.process.ended], timeout=2)
            if self.running:
                raise
            raise LabError(f"paradiced ended with status {self.process.ended.result()} "
                           f"before the guest started:\n{self.run_folder.tail(name)}") from None

    async def stop(self):
        """Asks it to end, then makes it."""
        for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            if self.running:
                self.process.kill(number)
                await asyncio.wait([self.process.ended], timeout=patience)
