# SPDX-License-Identifier: Apache-2.0
"""The command line of lab/run."""

import argparse
import os
import shlex

from . import kernels
from .errors import LabError

EPILOG = """\
CMD runs as root in the guest (with --on host: beside the drivers), with stdin a pipe that stays
open, and its status is lab/run's. 124: the time limit passed. 125: the lab itself failed.
126: --check-logs found something in a kernel log. In CMD: PARADICE_GUEST=1…N,
PARADICE_SHARE=/share when --share is given. One CMD word with spaces is a shell script."""


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise LabError(f"{message} (see lab/run --help)")


def parser():
    """The argument parser, for all before the "--"."""
    p = _Parser(prog="lab/run", epilog=EPILOG, usage="lab/run [OPTION…] -- CMD…",
                description="Runs CMD in a VM that uses a host's devices.")
    add = p.add_argument
    add("--topology", choices=("local", "nested", "xen"), default="nested",
        help="local: the guest runs on this machine; nested: in a lab host (default); xen: beside a "
             "lab host that is Xen's dom0")
    add("--xen-guest", choices=("pv", "pvh"), default="pv",
        help="the kind of Xen's guests (default pv, which is up sooner)")
    add("--xen-driver-domain", choices=("pv", "pvh"),
        help="with --topology xen: the host is such a domain beside dom0, not dom0 itself")
    add("--guest-kernel", choices=[*kernels.NAMES, kernels.DEBUG], default="6.1", metavar="K",
        help=f"one of {', '.join([*kernels.NAMES, kernels.DEBUG])} (default 6.1)")
    add("--host-kernel", choices=("6.1", "6.12", "7"), default="6.1", metavar="K",
        help="the lab host's: 6.1, 6.12 or 7 (default 6.1)")
    add("--host-modules", default="", metavar="LIST",
        help='modules to load in the lab host: "vivid:n_devs=1 snd-aloop"')
    add("--host-run", action="append", default=[], metavar="CMD",
        help="run on the host before the daemon starts")
    add("--host-script", metavar="CMD",
        help="run on the host in parallel with CMD, once the guests are up")
    add("--host-after", metavar="CMD", help="run on the host after the guests have ended")
    add("--device", action="append", default=[], metavar="PATH[,OPTS]",
        help="a device file to share; as=NAME renames, the other options are paradiced's")
    add("--guests", type=int, default=1, metavar="N", help="number of guests (default 1)")
    add("--one-daemon", action="store_true",
        help="one paradiced serves all guests (default: each guest has its own)")
    add("--guest-cpus", type=int, default=1, metavar="N")
    add("--guest-memory", default="512M", metavar="SIZE")
    add("--guest-memory-share", choices=("on", "off"), default="on")
    add("--guest-qemu-args", default="", metavar="ARGS", help="further arguments of guests' QEMU")
    add("--host-cpus", type=int, default=0, metavar="N", help="the lab host's processors")
    add("--host-memory", metavar="SIZE",
        help="the lab host's memory (default 3G, of which guests get theirs; with --topology xen dom0's "
             "alone, default 1G)")
    add("--host-qemu-args", default="", metavar="ARGS", help="further arguments of L1's QEMU")
    add("--host-qemu-env", action="append", default=[], metavar="NAME=VALUE",
        help="environment of L1's QEMU")
    add("--daemon", metavar="FILE", help="run this program instead of paradiced (for tests)")
    add("--daemon-args", default="", metavar="ARGS", help="further arguments of paradiced, for each VM")
    add("--daemon-env", action="append", default=[], metavar="NAME=VALUE",
        help="environment of paradiced")
    add("--module", metavar="FILE", help="take this paradice.ko for the guests (for tests)")
    add("--no-module", action="store_true", help="do not load paradice.ko in the guests; it is in /run/lab/modules")
    add("--module-params", default="", metavar="PARAMS", help="parameters of paradice.ko")
    add("--install", default="", metavar="PKG,…", help="Debian packages for host and guests")
    add("--guest-may-end", action="store_true",
        help="a guest that ends before CMD does is no failure (it was killed on purpose)")
    add("--guest-restart", action="store_true",
        help="a guest that ends before CMD does is booted again, with its daemon if that has ended, "
             "and CMD runs again: PARADICE_BOOT=1, 2, …")
    add("--share", metavar="DIR", help="a folder to mount writable at /share, host and guests")
    add("--on", choices=("guest", "host"), default="guest", help="where CMD runs")
    add("--accel", choices=("auto", "tcg", "kvm"), default="auto",
        help="auto: KVM where a probe boot shows that it works")
    add("--timeout", type=float, default=900, metavar="SECONDS", help="for everything")
    add("--check-logs", action="store_true", help="fail (126) when a kernel log has a warning or cannot be read")
    add("--keep-logs", action="store_true", help="keep the logs of a run that went well too")
    add("--logs", metavar="DIR", help="put the logs there (implies --keep-logs)")
    add("--quiet", action="store_true", help="no progress lines")
    return p


def parse(argv):
    """The checked options; LabError names what is wrong."""
    at = argv.index("--") if "--" in argv else len(argv)
    args = parser().parse_args(argv[:at])
    args.command = argv[at + 1:]
    if not args.command:
        raise LabError("no command: give it behind -- (see lab/run --help)")
    if args.guests < 1:
        raise LabError("--guests: at least 1")
    args.host_memory = args.host_memory or ("1G" if args.topology == "xen" else "3G")
    args.install = [p for p in args.install.replace(",", " ").split() if p]
    args.host_modules = [m.split(":") for m in args.host_modules.split()]
    args.devices = [device_names(d) for d in args.device]
    for name in ("guest_qemu_args", "host_qemu_args", "daemon_args"):
        setattr(args, name, shlex.split(getattr(args, name)))
    for name in ("host_qemu_env", "daemon_env"):
        settings = [setting.split("=", 1) for setting in getattr(args, name)]
        if any(len(setting) != 2 for setting in settings):
            raise LabError(f"--{name.replace('_', '-')}: NAME=VALUE")
        setattr(args, name, dict(settings))
    if args.daemon and not os.access(args.daemon, os.X_OK):
        raise LabError(f"--daemon: {args.daemon} is no program")
    if args.module and not os.path.isfile(args.module):
        raise LabError(f"--module: {args.module} is no file")
    if args.share:
        args.share = os.path.realpath(args.share)
        if not os.path.isdir(args.share):
            raise LabError(f"--share: {args.share} is not a folder")
    if args.share and args.guest_kernel.endswith("-cloud") and args.on == "guest":
        raise LabError("--share: Debian's cloud kernels have no 9p file system to mount it with; "
                       f"take --guest-kernel {args.guest_kernel.removesuffix('-cloud')}")
    if args.topology == "local" and args.host_modules:
        raise LabError("--host-modules needs --topology nested or xen: "
                       "modules are loaded into the lab's host, never into this machine")
    if args.topology == "xen" and args.one_daemon:
        raise LabError("--one-daemon: not with --topology xen")
    if args.topology == "xen" and args.guest_qemu_args:
        raise LabError("--guest-qemu-args: no QEMU runs a guest of --topology xen")
    if len(args.command) == 1 and " " in args.command[0]:
        args.command = ["/bin/sh", "-c", args.command[0]]
    return args


def device_names(text):
    """(path on the host, path in the guest) of one --device."""
    path, *words = text.split(",")
    if not path.startswith("/"):
        raise LabError(f"--device: {path!r} is not an absolute path")
    renamed = [w[3:] for w in words if w.startswith("as=")]
    return path, (renamed[-1] if renamed else path)
