# SPDX-License-Identifier: Apache-2.0
"""Runs a program inside a Debian tree of the cache, in a mount namespace of its own.

    python3 enter.py TREE [--bind PATH]… [--bind-at PATH PLACE]… [--overlay] -- ARGV…

The new root is the tree, read-only, or with --overlay writable with every write forgotten at
the end. The machine's /dev, /proc, /sys and each --bind PATH keep their places; --bind-at
puts PATH at PLACE. All mounts
vanish with the program, which dies with the one that started it.
"""

import ctypes
import os
import signal
import sys

CLONE_NEWNS = 0x00020000
MS_RDONLY, MS_NOSUID, MS_REMOUNT, MS_BIND = 1, 2, 32, 4096
MS_REC, MS_PRIVATE = 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)
libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong,
                       ctypes.c_char_p]


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        sys.exit(f"lab: {what}: {os.strerror(number)}")


def mount(source, target, fstype=None, flags=0, data=None):
    """mount(2); ends the program with a message on failure."""
    args = [None if a is None else os.fsencode(a) for a in (source, target, fstype)]
    _check(libc.mount(*args, flags, None if data is None else os.fsencode(data)),
           f"cannot mount {source} on {target}")


def _touch_place(source, target):
    """Makes the place in the new root that a bind mount of source needs."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY))


def make_root(tree, overlay):
    """A new root on a tmpfs: the tree's entries bound read-only, or an overlay above it."""
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    # An empty folder beside the tree is the place; this mount is seen by nobody else.
    base = os.path.join(os.path.dirname(os.path.abspath(tree)), ".newroot")
    os.makedirs(base, exist_ok=True)
    mount("lab", base, "tmpfs", MS_NOSUID, "mode=755")
    root = os.path.join(base, "root")
    os.mkdir(root)
    if overlay:
        for name in ("upper", "work"):
            os.mkdir(os.path.join(base, name))
        mount("lab", root, "overlay", 0,
              f"lowerdir={tree},upperdir={base}/upper,workdir={base}/work")
        return root
    for name in os.listdir(tree):
        source, target = os.path.join(tree, name), os.path.join(root, name)
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
        elif name in ("dev", "proc", "sys", "tmp", "run", "root", "home", "srv", "mnt", "media"):
            os.mkdir(target, 0o1777 if name == "tmp" else 0o755)
        else:
            _touch_place(source, target)
            mount(source, target, None, MS_BIND)
            mount(None, target, None, MS_BIND | MS_REMOUNT | MS_RDONLY)
    return root


def enter(tree, binds, overlay):
    """Moves this process into the tree; does not return on failure."""
    cwd = os.getcwd()
    _check(libc.unshare(CLONE_NEWNS), "cannot make a mount namespace (are you root?)")
    root = make_root(tree, overlay)
    for path, place in [(p, p) for p in ("/dev", "/proc", "/sys")] + binds:
        target = root + os.path.realpath(place)
        _touch_place(path, target)
        mount(path, target, None, MS_BIND | MS_REC)
    os.chroot(root)
    os.chdir(cwd if os.path.isdir(cwd) else "/")


def _execute(command):
    # os.execvp would import more of Python's library, which is out of reach by now.
    folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    os.environ["PATH"] = ":".join(folders)
    name = command[0]
    error = None
    for path in [name] if "/" in name else [f"{folder}/{name}" for folder in folders]:
        try:
            os.execv(path, command)
        except OSError as failure:
            error = failure
            if not isinstance(failure, FileNotFoundError):
                break
    os.write(2, f"lab: cannot run {name}: {error.strerror}\n".encode())
    os._exit(127)


def main(argv):
    split = argv.index("--")
    options, command = argv[:split], argv[split + 1:]
    tree, binds, overlay = options.pop(0), [], False
    while options:
        word = options.pop(0)
        if word == "--bind":
            binds.append((options[0], options.pop(0)))
        elif word == "--bind-at":
            binds.append((options.pop(0), options.pop(0)))
        elif word == "--overlay":
            overlay = True
        else:
            sys.exit(f"lab: enter: unknown option {word}")
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    enter(tree, binds, overlay)
    _execute(command)


def argv_for(tree, command, binds=(), overlay=False):
    """The command line that runs command inside the tree; binds: paths, or (path, place)."""
    argv = [sys.executable, __file__, str(tree)]
    for bind in binds:
        argv += ["--bind-at", *map(str, bind)] if isinstance(bind, tuple) else ["--bind", str(bind)]
    if overlay:
        argv.append("--overlay")
    return [*argv, "--", *map(str, command)]


if __name__ == "__main__":
    main(sys.argv[1:])
