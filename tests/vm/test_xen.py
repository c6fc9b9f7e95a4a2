# SPDX-License-Identifier: Apache-2.0
"""Guests of Xen's: the same module, daemon and programs, with memory that is granted page by page."""

import re

import pytest

from conftest import BUILD, once, run_lab
from domu.unpack import unpack
from test_battery import TEST_DEVICES, assert_same
from test_hostile import HOSTILE, ZERO, weak_module

XEN = ["--topology", "xen", "--timeout", "1500"]
# dom0 is PV, where drivers cannot pin a guest's pages; this can
DRIVERS = ["--xen-driver-domain", "pvh"]
MODULES = "--host-modules=testdev vivid:n_devs=1"
DEVICES = [*TEST_DEVICES, "--device=/dev/video0"]
TOOLS = "PATH=/run/lab/xen/bin:$PATH; "
# what can leave out its defences, in the daemon's folder
WEAK_ADAPTER = ["--daemon", str(BUILD / "tests/attacks/paradiced-weak"),
                "--host-run", "cp /share/bin/paradice-xen-weak /run/lab/bin/paradice-xen"]
KINDS = [pytest.param(kind, marks=pytest.mark.xdist_group(kind)) for kind in ("pvh", "pv")]


def in_domu(name, tmp, steps, *args, **more):
    """Runs steps of the battery in a guest of Xen's."""
    run = run_lab(name, [*XEN, *args], ["/share/bin/in-domu", "/share/bin/battery", *steps], tmp, **more)
    unpack(run.output, run.share / "out")
    return run


def assert_nothing_left(run):
    """No page is pinned, shared or held, and the module went when it was told to."""
    _status, counters = run.step("counters")
    for name in (*ZERO, "pins_held"):
        assert f"/{name} <==\n0\n" in counters, counters
    assert run.step("unload")[0] == 0, run.step("unload")


def test_guest_of_xen(tmp_path):
    """The short form, in make check."""
    run = in_domu("xen", tmp_path, ["testdev-brief", "frames-nomap", "counters", "unload"], *DRIVERS,
                  MODULES, *DEVICES)
    run.assert_ok()
    status, text = run.step("testdev-brief")
    assert status == 0 and ", 0 failed" in text, text[-3000:]
    status, text = run.step("frames-nomap")
    assert status == 0 and text.count("60 frames") == 2, text
    assert_nothing_left(run)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """The test device's programs beside the driver."""
    run = once(tmp_path_factory, "xen-host", lambda tmp: in_domu(
        "xen-host", tmp, ["testdev-nomap", "testdev32"], *DRIVERS, MODULES, "--on", "host"))
    run.assert_ok()
    return run


@pytest.fixture(scope="module", params=KINDS)
def guest(request, tmp_path_factory):
    """All steps in a guest of that kind."""
    name = f"xen-{request.param}"
    return once(tmp_path_factory, name, lambda tmp: in_domu(
        name, tmp, ["testdev-nomap", "testdev32", "frames-nomap", "stream-user", "counters", "unload"],
        "--xen-guest", request.param, *DRIVERS, MODULES, *DEVICES))


@pytest.mark.xen
@pytest.mark.parametrize("step", ("testdev-nomap", "testdev32"))
def test_testdev_as_on_the_host(host, guest, step):
    assert_same(host, guest, step)


@pytest.mark.xen
def test_camera_without_device_memory(guest):
    status, text = guest.step("frames-nomap")
    assert status == 0 and text.count("60 frames") == 2, text
    status, text = guest.step("stream-user")
    assert status == 0 and text.count("<") == 300, text


@pytest.mark.xen
def test_nothing_stays_granted(guest):
    guest.assert_ok()
    assert_nothing_left(guest)


@pytest.mark.xen
@pytest.mark.parametrize("kind", KINDS)
def test_drivers_in_dom0(tmp_path, kind):
    """dom0 is PV: all but what drivers pin."""
    run = run_lab(f"xen-dom0-{kind}", [*XEN, "--xen-guest", kind, "--host-modules=testdev", *TEST_DEVICES],
                  ["/usr/bin/env", "NOT=-pins -async", "/share/bin/in-domu", "/share/bin/battery",
                   "testdev-nomap", "counters", "unload"], tmp_path)
    unpack(run.output, run.share / "out")
    run.assert_ok()
    status, text = run.step("testdev-nomap")
    assert status == 0 and ", 0 failed" in text, text[-3000:]
    assert_nothing_left(run)


@pytest.mark.xen
def test_mapping_is_refused_with_a_reason(tmp_path):
    run = run_lab("xen-mmap", [*XEN, MODULES, *DEVICES],
                  ["/share/bin/pdtest run mmap.single; dmesg | grep ENODEV"], tmp_path)
    assert "mmap fails with ENODEV" in run.output, run.output


@pytest.mark.xen
def test_two_guests_on_one_device(tmp_path):
    run = run_lab("xen-two", [*XEN, *DRIVERS, MODULES, *TEST_DEVICES, "--guests", "2"],
                  ["/share/bin/in-domu", "/share/bin/battery", "shared-nomap"], tmp_path)
    run.assert_ok()
    for number in (1, 2):
        assert f"[{number}] @shared-nomap.status 0" in run.output, run.output[-4000:]


@pytest.mark.xen
def test_only_what_is_granted_is_reached(tmp_path):
    """A back-end that was taken over sees the page of an operation under way, and no other."""
    run = run_lab("xen-granted", [*XEN, *DRIVERS, *PTY, "--host-script",
                                  "until ps -eo comm | grep -q ^pd:pd-grants; do sleep 0.2; done; sleep 1;"
                                  " modprobe xen-privcmd; /share/bin/pd-grants look $PARADICE_GUEST_PIDS 8192;"
                                  " touch /tmp/looked"],
                  ["/share/bin/pd-grants hold /dev/zero-of-host /dev/pty-of-host & sleep 60; kill $!"], tmp_path)
    run.assert_ok()
    said = dict(re.findall(r"^host: (\S.*): (.*)$", run.output, re.MULTILINE))
    assert said["shown"] == "1" and said["never"] == said["ended"] == "0", run.output
    assert said["without a grant"] == "EPERM", run.output


@pytest.mark.xen
def test_grant_table_is_full(tmp_path):
    """ENOMEM and one line that says what to do; afterwards all is well."""
    run = run_lab("xen-full", [*XEN, *PTY, "--guest-memory", "640M"],
                  ["export LC_ALL=C; /share/bin/pd-grants fill"
                   " sh -c 'for n in 1 2; do dd if=/dev/zero-of-host of=/dev/null bs=1M count=1; done';"
                   " dmesg | grep 'be shared'; dd if=/dev/zero-of-host bs=1M count=1 | wc -c"], tmp_path)
    run.assert_ok()
    assert run.output.count("Cannot allocate memory") == 2, run.output
    assert run.output.count("max_grant_frames= in the domain's configuration") == 1, run.output
    assert "\n1048576\n" in run.output, run.output


def by_guests(script, attacks):
    """A command of as many guests as there are attacks, each of which gets one."""
    return ["--guests", str(len(attacks)), "--guest-memory", "384M", "--guest-may-end"], \
        [f"set -- {' '.join(attacks)}; shift $((PARADICE_GUEST - 1)); /share/bin/{script} $1"]


def said_by(run, number):
    """What a guest's script said of its attack."""
    return re.findall(rf"^(?:\[{number}\] )?\w+, left out: (\w+): (.*)$", run.output, re.MULTILINE)


@pytest.mark.xen
def test_hostile_front_end(tmp_path):
    run = run_lab("xen-front-end", [*XEN, *PTY], ["/share/bin/hostile-front-end"], tmp_path)
    run.assert_ok()
    assert run.output.count("refused: ") == 14 and "works: afterwards" in run.output, run.output
    log = run.log("daemon-1.log")
    for words in ("names no number of queues", "cannot be mapped", "describes no area", "names no area-ref",
                  "magic 0, 8 descriptors, 4 pages", "magic 0x41584450, 8 descriptors, 262144 pages",
                  "magic 0x41584450, 9 descriptors, 4 pages", "magic 0x41584450, 8 descriptors, 1 pages",
                  "magic 0x41584450, 1048576 descriptors, 268802 pages"):
        assert words in log, log
    assert "was killed by signal" not in log, log


@pytest.mark.xen
def test_hostile_front_end_without(tmp_path):
    """Else the test above would show nothing of the areas and their number; a guest for each attack.

    The last two come to nothing even so: the worker does not take such queues.
    """
    attacks = ("magic", "pages", "num", "queues", "odd", "few")
    args, command = by_guests("hostile-front-end", attacks)
    run = run_lab("xen-front-end-weak",
                  [*XEN, *PTY, *WEAK_ADAPTER, "--daemon-env", "PARADICE_WEAK=queues,area", *args], command, tmp_path)
    said = dict(re.findall(r"^\[(\d)\] the back-end's state is (\d), not 5: ", run.output, re.MULTILINE))
    # connected, or waiting: what waited for it is no more
    assert said == {"1": "4", "2": "2", "3": "2", "4": "2"}, run.output
    for number in range(1, len(attacks) + 1):
        log = run.log(f"daemon-{number}.log")
        assert ("paradice-xen was killed by signal 11" in log) == (1 < number < 5), log
        assert ("is not served any more" in log) == (1 < number < 5), log
        assert ("no worker serves the front-end" in log) == (number > 4), log
        assert (f"[{number}] refused: " in run.output) == (number > 4), run.output


@pytest.mark.xen
@pytest.mark.parametrize("lies, rounds", (
    ("seed=1 answers=30 events=5 tails=10 late=60", 6),
    ("seed=2 answers=200 lengths=40 twice=400 ring=800", 6),
), ids=("answers", "rings"))
def test_lying_back_end(tmp_path, lies, rounds):
    """The guest's kernel stands it, as on any VMM."""
    run = run_lab("xen-lies", [*XEN, *DRIVERS, "--host-modules=testdev", *TEST_DEVICES, *HOSTILE, "--no-module",
                               "--daemon-env", f"PARADICE_HOSTILE={lies}"],
                  ["/share/bin/lying-host", str(rounds), "8"], tmp_path)
    run.assert_ok()
    assert int(re.search(r"(\d+) of \d+ rounds worked", run.output)[1]) >= 1, run.output


@pytest.mark.xen
def test_false_rings(tmp_path):
    """Refused, and the next connection works; without the defence the guest's kernel ends, or one waits for ever."""
    attacks = ("id", "long", "twice")
    args, command = by_guests("told-lies", [f"ring={attack}" for attack in attacks])
    run = run_lab("xen-false-rings", [*XEN, "--host-modules=testdev", *TEST_DEVICES, *HOSTILE, *weak_module(), *args],
                  command, tmp_path, check_logs=False)
    run.assert_ok()
    assert said_by(run, 1) == said_by(run, 2) == [("none", "refused")], run.output
    assert said_by(run, 3) == [("none", "refused"), ("ring", "believed")], run.output
    for number, harm in ((1, "BUG: unable to handle page fault|general protection fault"),
                         (2, "BUG: kernel NULL pointer dereference, address: 0000000000000000")):
        lost, died = run.log(f"guest-{number}-kernel.log").split("the host is lost: it broke a virtqueue")
        assert "Oops" not in lost and re.search(harm, died) and "pd_xen_take+" in died, died
    assert "Oops" not in run.log("guest-3-kernel.log")


@pytest.mark.xen
@pytest.mark.parametrize("attacks, harms, more", (
    # with a back-end that then serves as many as there are, none
    (("queues=few",), (("divide error", "pd_req_make+"),), [*WEAK_ADAPTER, "--daemon-env", "PARADICE_WEAK=queues"]),
    (("queues=many", "states=early"), (("BUG: unable to handle page fault", "pd_host_stop+"),
                                       ("BUG: kernel NULL pointer dereference", "pd_xen_start+")), []),
), ids=("few", "others"))
def test_lying_store(tmp_path, attacks, harms, more):
    """Of a back-end: it works all the same, but without the defence the guest's kernel ends."""
    args, command = by_guests("lying-store", attacks)
    run = run_lab(f"xen-lying-store-{len(attacks)}",
                  [*XEN, *PTY, *weak_module(), "--no-module", *more, *args, "--host-script",
                   TOOLS + "/share/bin/store-lies"], command, tmp_path, check_logs=False)
    run.assert_ok()
    for number, (harm, where) in enumerate(harms, 1):
        assert said_by(run, number) == [("none", "works")], run.output
        log = run.log(f"guest-{number}-kernel.log")
        assert harm in log and where in log and "Kernel panic" in log, log


def used(output, number):
    """(pages granted by a guest, event channels) that count-grants saw at that time."""
    lines = [line.split(" ", 2)[2] for line in output.splitlines() if line.startswith(f"host: {number} ")]
    grants = [line for line in lines if re.match(r"\(XEN\) \[0x[0-9a-f]+\]", line)]
    channels = [line for line in lines if re.match(r"\(XEN\)\s+\d+ \[", line)]
    assert grants and channels, output
    return len(grants), len(channels)


@pytest.mark.xen
def test_grants_and_channels_are_given_back(tmp_path):
    """As Xen counts them."""
    # the disks' back-end keeps grants for a minute
    run = run_lab("xen-count", [*XEN, "--host-modules=testdev", *TEST_DEVICES, "--host-run",
                                "echo 1 >/sys/module/xen_blkback/parameters/persistent_grant_unused_seconds",
                                "--host-script",
                                TOOLS + "/share/bin/count-grants"], ["/share/bin/twice"], tmp_path)
    run.assert_ok()
    assert used(run.output, 1) == used(run.output, 2), run.output


# what a program that waits for a device sees; the daemon's side knows it by its mirror's name
WAITER = """
cat /dev/pty-of-host >/tmp/cat.out 2>&1 &
reader=$!
for _ in $(seq 1800); do
	kill -0 $reader 2>/dev/null || break
	sleep 0.1
done
kill -0 $reader 2>/dev/null && { echo "the reader hangs"; exit 1; }
wait $reader; echo "the reader ended: $?"
cat /tmp/cat.out
for _ in $(seq 150); do
	n=$(timeout 20 head -c 4096 /dev/zero-of-host 2>/dev/null | wc -c)
	[ "$n" = 4096 ] && break
	sleep 0.2
done
echo "read again: $n"
"""
PTY = ["--device=/dev/ptmx,as=/dev/pty-of-host", "--device=/dev/zero,as=/dev/zero-of-host"]
BLOCKED = TOOLS + "until ps -eo comm | grep -q ^pd:cat; do sleep 0.2; done; sleep 1; "
LEFT = "sleep 3; echo left:; ps -eo comm | grep -c -e ^pd: -e ^paradiced-vm"


def assert_eio_then_served(run):
    """Of WAITER's: the read under way gave EIO, and a new open was served."""
    run.assert_ok()
    assert "the reader ended: 1" in run.output and "Input/output error" in run.output, run.output
    assert "read again: 4096" in run.output, run.output


@pytest.mark.xen
def test_guest_destroyed(tmp_path):
    """In the middle of an operation: nothing is left of it but the daemon."""
    run = run_lab("xen-destroyed", [*XEN, *PTY, "--guest-may-end", "--host-script",
                                    BLOCKED + "xl destroy $PARADICE_GUEST_PIDS",
                                    "--host-after", TOOLS + LEFT + "; xl list; xl debug-keys g; xl dmesg | tail -n 20"],
                  [WAITER], tmp_path)
    run.assert_ok()
    assert re.search(r"host: left:\nhost: 0\n", run.output), run.output
    assert "domain 1 has gone" in run.log("daemon-1.log")
    # Xen keeps a domain for as long as anyone has a page of it mapped
    listed = re.findall(r"^host: (\S+)\s+\d+\s+\d+\s+\d+\s", run.output, re.MULTILINE)
    assert listed == ["Domain-0"], run.output


@pytest.mark.xen
def test_worker_killed(tmp_path):
    """Open files give EIO, new opens are served, as on any VMM."""
    run = run_lab("xen-worker", [*XEN, *PTY, "--host-script", BLOCKED +
                                 "for d in $PARADICE_DAEMON_PIDS; do"
                                 " kill -9 $(ps -o pid=,comm= --ppid $d | sed -n 's/ paradiced-vm.*//p'); done"],
                  [WAITER], tmp_path)
    assert_eio_then_served(run)


@pytest.mark.xen
def test_backend_killed_and_restarted(tmp_path):
    """The front-end connects again: open files give EIO, new opens are served."""
    run = run_lab("xen-backend", [*XEN, *PTY, "--host-script", BLOCKED +
                                  "for d in $PARADICE_DAEMON_PIDS; do"
                                  " tr '\\0' '\\n' </proc/$d/cmdline >/tmp/words; kill -9 $d; done;"
                                  " sleep 2; xargs -d '\\n' -a /tmp/words setsid >$PARADICE_LOG_DIR/again.log 2>&1 </dev/null &"],
                  [WAITER], tmp_path)
    assert_eio_then_served(run)


@pytest.mark.xen
def test_saving_is_refused(tmp_path):
    """While a file is open; the guest goes on, and its kernel's log says why."""
    run = run_lab("xen-save", [*XEN, *PTY, "--host-script", BLOCKED +
                               "timeout 60 xl save guest-1 /tmp/saved; echo saved: $?; xl list;"
                               " xl shutdown -w guest-1 2>/dev/null; true"],
                  ["cat /dev/pty-of-host & for _ in $(seq 900); do dmesg | grep 'cannot suspend' && break;"
                   " sleep 0.1; done; sleep 5; head -c 4096 /dev/zero-of-host | wc -c; kill %1"], tmp_path,
                  check_logs=False)
    assert "cannot suspend while programs use the host's devices" in run.output, run.output
    assert "4096" in run.output, run.output


@pytest.mark.xen
def test_hostile_program(tmp_path):
    run = in_domu("xen-hostile", tmp_path, ["hostile-nomap", "counters", "unload"], *DRIVERS,
                  "--host-modules=testdev", *TEST_DEVICES)
    run.assert_ok()
    status, text = run.step("hostile-nomap")
    assert status == 0, text
    assert_nothing_left(run)
