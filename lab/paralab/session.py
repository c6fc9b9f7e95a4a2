# SPDX-License-Identifier: Apache-2.0
"""One run of the lab from start to end."""

import asyncio
import os

from . import built, initramfs, kernels
from .daemon import Daemon
from .errors import EXIT_KERNEL_LOG, LabError
from .guest import Guest
from .host import LocalHost, NestedHost
from .place import stop_machine_commands
from .say import say, warn
from .xenguest import XenGuest
from .xenhost import XenHost

KINDS = {"local": (LocalHost, Guest), "nested": (NestedHost, Guest), "xen": (XenHost, XenGuest)}
SCRIPT_SECONDS = 60


class Stream:
    """Copies bytes to one of our own outputs, each line behind a prefix when there is one."""

    def __init__(self, fd, prefix=""):
        self.fd, self.prefix, self.held = fd, prefix.encode(), b""

    def __call__(self, data):
        if not self.prefix:
            self._write(data)
            return
        *lines, self.held = (self.held + data).split(b"\n")
        self._write(b"".join(self.prefix + line + b"\n" for line in lines))

    def finish(self):
        """Writes what is left of a last line without an end."""
        if self.held:
            self._write(self.prefix + self.held + b"\n")

    def _write(self, data):
        while data:
            data = data[os.write(self.fd, data):]


class Session:
    """Host, guests and commands of one run."""

    def __init__(self, options, run):
        self.options, self.run_folder = options, run
        host_kind, self.guest_kind = KINDS[options.topology]
        self.host = host_kind(options, run)
        self.guests, self.daemons = [], []
        self.unread = 0  # kernel logs that could not be read

    async def go(self):
        """Everything up to the command's end; its status."""
        options = self.options
        guest_kernel = kernels.get(options.guest_kernel)
        files, self.module_needs = {}, []
        if options.device and options.on == "guest":
            built.daemon()
            files["modules/paradice.ko"] = module = built.guest_module(guest_kernel.release, options.module)
            self.module_needs = built.module_needs(module)
        initrd = self.run_folder.tmp / "guest.cpio"
        initramfs.write(guest_kernel, files, initrd, self.guest_kind.drivers)
        await self.host.start(guest_kernel, initrd)
        for script in options.host_run:
            say(f"on the host: {script}")
            out = await self.host.place.output(script, f"--host-run {script!r}",
                                               timeout=options.timeout)
            if out.strip():
                say(out.rstrip())
        if options.on == "host":
            status = await self._run_on_host()
        else:
            status = await self._run_in_guests(guest_kernel)
        await self._save_dmesg()
        for guest in self.guests:
            await guest.stop_vm()
        if options.host_after:
            await self._host_script(options.host_after, "--host-after")
        return self._verdict(status)

    async def _run_on_host(self):
        env = {"PARADICE_SHARE": "/share"} if self.options.share else {}
        say("running the command on the host")
        argv = self.host.native(self.options.command)
        running = await self.host.place.start(argv, env, Stream(1), Stream(2))
        return await running.ended

    async def _run_in_guests(self, guest_kernel):
        options = self.options
        if options.device:
            self.daemons = [Daemon(options, self.run_folder, self.host, n + 1)
                            for n in range(1 if options.one_daemon else options.guests)]
        for n in range(options.guests):
            daemon = self.daemons[n % len(self.daemons)] if self.daemons else None
            self.guests.append(self.guest_kind(options, self.run_folder, self.host, n + 1, daemon,
                                               self.module_needs))
        say(f"booting {len(self.guests)} guest(s): Linux {guest_kernel.release} "
            f"({self.host.accel})")
        await _all(guest.start() for guest in self.guests)
        say("running the command")
        script = None
        if options.host_script:
            script = asyncio.ensure_future(
                self._host_script(options.host_script, "--host-script"))
        try:
            statuses = await _all(self._run_in(guest) for guest in self.guests)
            if script:
                await asyncio.wait_for(script, SCRIPT_SECONDS)
        except asyncio.TimeoutError:
            raise LabError(f"--host-script: still running {SCRIPT_SECONDS} s after the "
                           "command ended") from None
        finally:
            if script:
                script.cancel()
        return next((s for s in statuses if s), 0)

    async def _run_in(self, guest):
        prefix = f"[{guest.number}] " if self.options.guests > 1 else ""
        out, err = Stream(1, prefix), Stream(2, prefix)
        try:
            while True:
                try:
                    return await guest.run(self.options.command, out, err)
                except LabError as error:
                    if self.options.guest_may_end:
                        say(f"{error} (as --guest-may-end allows)")
                        return 0
                    if not self.options.guest_restart:
                        raise
                    say(f"{error}; booting it again")
                    await guest.start()
        finally:
            out.finish()
            err.finish()

    async def _host_script(self, script, what):
        env = {
            "PARADICE_DAEMON_PIDS": " ".join(str(daemon.pid) for daemon in self.daemons),
            "PARADICE_GUEST_PIDS": " ".join(str(g.vm_id) for g in self.guests),
            "PARADICE_RUN_DIR": self.host.sockets,
            "PARADICE_LOG_DIR": self.host.logs,
        }
        if self.options.share:
            env["PARADICE_SHARE"] = self.host.share
        out, err = Stream(1, "host: "), Stream(2, "host: ")
        running = await self.host.place.start(["/bin/sh", "-c", script], env, out, err)
        status = await running.ended
        out.finish()
        err.finish()
        if status:
            raise LabError(f"{what} ended with status {status}")

    async def _save_dmesg(self):
        for guest in self.guests:
            if self.options.guest_may_end and not guest.running:
                continue
            try:
                await guest.save_dmesg()
            except LabError as error:
                self._not_read(error, self.options.guest_may_end and not guest.running)
        if self.options.topology == "local":
            return
        try:
            text = await self.host.place.output("dmesg", "reading the kernel log", timeout=60)
            (self.run_folder.path / "host-dmesg.log").write_text(text)
        except LabError as error:
            self._not_read(error)

    def _not_read(self, error, allowed=False):
        warn(str(error))
        self.unread += not allowed

    def _verdict(self, status):
        if not self.options.check_logs:
            return status
        bad = self.run_folder.bad_lines()
        for log, line in bad[:20]:
            warn(f"{log}: {line}")
        if bad:
            warn(f"--check-logs: {len(bad)} line(s) above must not be in a log")
        if self.unread:
            warn(f"--check-logs: {self.unread} kernel log(s) could not be read")
        return status or (EXIT_KERNEL_LOG if bad or self.unread else 0)

    async def stop(self):
        """Ends daemons and VMs, in the order that lets the daemons end in peace."""
        for guest in self.guests:
            await guest.stop_vm()
        for daemon in self.daemons:
            await daemon.stop()
        await stop_machine_commands()


async def _all(jobs):
    """Runs jobs together; the first failure cancels the others and is raised."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
