# SPDX-License-Identifier: Apache-2.0
"""A hostile program in a guest, and a hostile host: neither harms what is not its own."""

import re
import subprocess

import pytest

from conftest import BUILD, TOP
from test_battery import TEST_DEVICES

TESTDEV = ["--host-modules=testdev", *TEST_DEVICES]
# one on this machine, which is enough where the guest's module is all that matters
ZERO_DEVICE = ["--topology", "local", "--device", "/dev/zero,as=/dev/host-zero"]
# of enum pd_op
PD_OP_MM_DESTROY, PD_OP_WINDOW_UNMAP = 4, 31
# enum lie
TOLD = re.findall(r"^\tLIE_(\w+),", (TOP / "tests/attacks/lies.h").read_text(), re.MULTILINE)
ZERO = ("pins", "pins_stale", "pins_leaked", "bounce", "windows", "maps", "orphans", "files", "mms")
KERNELS = [pytest.param(["--guest-memory", "640M"], marks=pytest.mark.attacks, id="6.1"),
           pytest.param(["--guest-memory", "1G", "--guest-kernel", "debug"], marks=pytest.mark.debug,
                        id="debug")]
HOSTILE = ["--daemon", str(BUILD / "tests/attacks/paradiced-hostile")]
# in a guest, before the module $m is loaded by hand
MODULE = "m=/run/lab/modules/paradice.ko; modprobe -a $(modinfo -F depends $m | tr , ' ');"
# the module's defences (kernel/weak.h), and what pd-lied attacks of each
LIES = (("tags", "tag"), ("lengths", "length"), ("results", "status"), ("results", "result"), ("moved", "moved"),
        ("pages", "page"), ("positions", "position"), ("handles", "handle"), ("flags", "flags"), ("sizes", "size"),
        ("names", "name"), ("modes", "mode"), ("properties", "property"), ("records", "record"),
        ("amounts", "amount"), ("totals", "total"), ("entries", "entry"), ("own", "own"),
        ("paths", "path"), ("strings", "string"), ("values", "value"), ("attributes", "attributes"),
        ("objects", "objects"), ("outer", "outer"), ("watch", "silence"))


def weak_module(kernel="6.1"):
    """How the lab takes the module that can leave out its defences."""
    done = subprocess.run([TOP / "lab/build-module", kernel, "kernel", "PARADICE_WEAKNESSES=y"], text=True,
                          stdout=subprocess.PIPE, check=True)
    return ["--guest-kernel", kernel, "--module", done.stdout.strip()]


@pytest.fixture(scope="session", name="weak")
def weak_module_once():
    """Of the kernel that most tests take."""
    return weak_module()


@pytest.mark.parametrize("kernel", KERNELS)
def test_hostile_program(lab, kernel):
    """Each attack beside a victim in the same guest; afterwards everything is as before."""
    run = lab([*TESTDEV, *kernel, "--module-params", "max_windows=40"],
              ["/share/bin/battery", "hostile", "counters", "unload"])
    run.assert_ok()
    status, text = run.step("hostile")
    assert status == 0, text
    assert text.count("the victim: ") == 12, text
    # each victim worked all the time
    assert all(int(calls) > 10 for calls in re.findall(r"the victim: (\d+) calls", text)), text
    _status, counters = run.step("counters")
    for name in ZERO:
        assert f"/{name} <==\n0\n" in counters, counters
    assert run.step("unload")[0] == 0, run.step("unload")
    # the host has let go of each mapping whose process was killed, and of its file
    assert "refused: the mapping has windows" not in run.log("daemon-1.log")


@pytest.mark.parametrize("kernel", KERNELS)
# A daemon whose workers die all the time lets go of the VMM: so fewer rounds.
@pytest.mark.parametrize("lies, rounds", (
    ("seed=1 answers=30 events=5 tails=10 late=60", 10),
    ("seed=2 answers=200 lengths=40 twice=400 ring=800", 10),
    ("seed=3 die=13", 4),
), ids=("answers", "rings", "deaths"))
def test_lying_host(lab, kernel, lies, rounds):
    """The guest's kernel stands it, processes can be killed, and the module goes when it is told to."""
    run = lab([*TESTDEV, *kernel, *HOSTILE, "--no-module", "--daemon-env", f"PARADICE_HOSTILE={lies}"],
              ["/share/bin/lying-host", str(rounds), "8"])
    run.assert_ok()
    worked = int(re.search(r"(\d+) of \d+ rounds worked", run.output)[1])
    # a worker may die while the module greets it
    assert worked >= (1 if "die" in lies else 3), run.output
    if "die" in lies:
        assert "a new one goes on" in run.log("daemon-1.log")
    elif "answers=30" in lies:
        assert "taken as an I/O error" in run.log("guest-1-dmesg.log")
    else:
        assert "it broke a virtqueue" in run.log("guest-1-dmesg.log")


@pytest.mark.attacks
@pytest.mark.parametrize("op", (PD_OP_MM_DESTROY, PD_OP_WINDOW_UNMAP), ids=("mm-destroy", "window-unmap"))
def test_withheld_answers(lab, op):
    """A host that gives signs of life, but never the answer to one operation, holds neither process nor module."""
    run = lab([*TESTDEV, *HOSTILE, "--no-module", "--daemon-env", f"PARADICE_HOSTILE=withhold={op}"],
              ["/share/bin/lying-host", "1", "40", "mapmany", "max_windows=4 host_timeout=4"])
    run.assert_ok()
    assert "1 of 1 rounds worked" in run.output, run.output
    if op == PD_OP_MM_DESTROY:
        assert "the host is lost: it does not let go of what it has" in run.log("guest-1-dmesg.log")


@pytest.mark.attacks
@pytest.mark.parametrize("op, defence, harm", ((PD_OP_MM_DESTROY, "limit", "the module does not go"),
                                               (PD_OP_WINDOW_UNMAP, "exit", "processes that do not die")),
                         ids=("limit", "exit"))
def test_withheld_answers_without(lab, weak, op, defence, harm):
    """Else the test above would show nothing."""
    run = lab([*TESTDEV, *HOSTILE, *weak, "--no-module", "--daemon-env", f"PARADICE_HOSTILE=withhold={op}"],
              ["/share/bin/lying-host", "1", "40", "mapmany", f"max_windows=4 host_timeout=4 weak={defence}"],
              check_logs=False)
    assert run.status == 1 and harm in run.output, run.output


def flood(lab, *more, parameters="", **options):
    """What becomes of a guest to which the same event comes again and again."""
    return lab([*ZERO_DEVICE, *HOSTILE, *more, "--no-module", "--daemon-env", "PARADICE_HOSTILE=flood=20000"],
               [f"{MODULE} timeout -s KILL 30 /run/lab/busybox insmod $m {parameters};"
                " for i in $(seq 100); do [ -c /dev/host-zero ] && break; sleep 0.1; done;"
                " head -c 65536 /dev/host-zero | cmp -n 65536 - /dev/zero && timeout -s KILL 10 rmmod paradice"],
               **options)


@pytest.mark.attacks
def test_flood_of_events(lab):
    """The guest goes on, and what the events ask for is done once, not as often as they come."""
    flood(lab).assert_ok()


@pytest.mark.attacks
def test_flood_of_events_without(lab, weak):
    """Else the test above would show nothing: the guest has its processor for nothing else."""
    run = flood(lab, *weak, parameters="weak=flood", check_logs=False, timeout=90)
    assert "not done within the time limit" in run.output, run.output


@pytest.mark.attacks
def test_prying_host(lab):
    """Reads, seeks and the like give a host no page but those of their own buffers."""
    run = lab([*TESTDEV, *HOSTILE, "--daemon-env", "PARADICE_HOSTILE=pry=2"],
              # which fail now and then
              ["/share/bin/pdtest run rw vectored seek poll kernelio >/share/out/pry.out; true"])
    run.assert_ok()
    assert "the guest gave no such page" in run.log("daemon-1.log"), run.output
    assert "the guest gave a page" not in run.log("daemon-1.log")
    assert "taken as an I/O error" not in run.log("guest-1-dmesg.log"), "the answers were well-formed"


@pytest.mark.attacks
def test_slow_host(lab):
    """A host that answers one by one is not lost when many ask at once, a ping the last of them."""
    run = lab([*TESTDEV, *HOSTILE, "--module-params", "host_timeout=3", "--daemon-env", "PARADICE_HOSTILE=slow=250"],
              ["/share/bin/pdtest", "run", "--slow", "10", "many.processes"])
    run.assert_ok()
    assert "1 cases, 0 failed" in run.output, run.output
    assert "the host is lost" not in run.log("guest-1-dmesg.log")


@pytest.mark.attacks
def test_told_lies(lab, weak):
    """Each is refused, and believed by a module that leaves out the defence: else that would show nothing."""
    run = lab([*TESTDEV, *HOSTILE, *weak, "--module-params", "host_timeout=3"],
              ["/share/bin/told-lies", *(f"{defence}={attack}" for defence, attack in LIES)], check_logs=False)
    run.assert_ok()
    assert [line for line in run.output.splitlines() if ", left out: " in line] == [
        f"{attack}, left out: {left_out}: {said}" for defence, attack in LIES
        for left_out, said in (("none", "refused"), (defence, "believed"))], run.output


@pytest.mark.attacks
@pytest.mark.parametrize("defence, attack, bug", (("faults", "fault", "BUG: kernel NULL pointer dereference"),
                                                  ("queued", "queued", "kernel BUG at fs/read_write.c"),
                                                  ("events", "events", "BUG: unable to handle page fault")),
                         ids=("fault", "queued", "events"))
def test_told_end(lab, weak, defence, attack, bug):
    """The same of lies that end the guest's kernel if they are believed."""
    run = lab([*TESTDEV, *HOSTILE, *weak, "--guest-may-end", "--module-params", "host_timeout=3"],
              ["/share/bin/told-lies", f"{defence}={attack}"], check_logs=False)
    assert f"{attack}, left out: none: refused\n" in run.output and f"left out: {defence}" not in run.output, run.output
    assert bug in run.log("guest-1-kernel.log")


@pytest.mark.attacks
def test_told_queues(lab, weak):
    """The same of a host that has no queue for requests."""
    for left_out in ("none", "queues"):
        run = lab([*ZERO_DEVICE, *HOSTILE, *weak, "--no-module", "--guest-may-end",
                   "--daemon-env", f"PARADICE_HOSTILE=tell={TOLD.index('QUEUES')}"],
                  [f"{MODULE} /run/lab/busybox insmod $m weak={left_out}; head -c 4096 /dev/host-zero | wc -c"],
                  check_logs=False)
        assert ("\n4096\n" in run.output) == (left_out == "none"), run.output
        assert bool(re.search(r"divide error(?s:.)*pd_req_make\+", run.log("guest-1-kernel.log"))) == (left_out != "none")


@pytest.mark.attacks
@pytest.mark.parametrize("defence, lie, asked", (("devices", "DEVICES", "device"), ("many", "MANY", "rule")),
                         ids=("devices", "rules"))
def test_told_without_end(lab, weak, defence, lie, asked):
    """The same of a host that always has one more: it is asked for as many as there may be, and for no more."""
    for left_out in ("none", defence):
        run = lab([*ZERO_DEVICE, *HOSTILE, *weak, "--no-module",
                   "--daemon-env", f"PARADICE_HOSTILE=tell={TOLD.index(lie)}"],
                  [f"{MODULE} timeout -s KILL 120 /run/lab/busybox insmod $m weak={left_out} && rmmod paradice"],
                  check_logs=False)
        run.assert_ok()
        assert (f"a guest has asked for {asked} " in run.log("daemon-1.log")) == (left_out == defence), left_out


@pytest.mark.debug
@pytest.mark.parametrize("defence, lie, refused", (("totals", "TOTALS", "gives no identity of its device"),
                                                   ("conds", "CONDS", "is left out"),
                                                   ("rules", "RULES", "the host does not answer as it should")),
                         ids=("totals", "conds", "rules"))
def test_told_beyond(lab, defence, lie, refused):
    """The same of lies that have the module touch what is not its own, which nobody sees but a kernel that looks."""
    run = lab([*TESTDEV, *HOSTILE, *weak_module("debug"), "--guest-memory", "1G", "--no-module", "--guest-may-end",
               "--daemon-env", f"PARADICE_HOSTILE=tell={TOLD.index(lie)}"],
              [f"{MODULE} for w in none {defence}; do echo '<4>left out: '$w >/dev/kmsg;"
               " /run/lab/busybox insmod $m weak=$w; rmmod paradice || exit 1; done"], check_logs=False)
    _, refused_log, believed_log = run.log("guest-1-kernel.log").split("left out: ")
    assert refused in refused_log and "BUG: KASAN" not in refused_log, refused_log
    # the guest may end by what was written then
    assert "BUG: KASAN" in believed_log, believed_log


@pytest.mark.attacks
def test_kept_pages_without_the_bound(lab, weak):
    """What drivers may still use is bounded, but by a module that leaves that out."""
    run = lab([*TESTDEV, *weak, "--guest-memory", "640M", "--module-params", "kept_pages=2000"],
              ["for w in none kept; do echo $w >/sys/module/paradice/parameters/weak;"
               " echo left out: $w; /share/bin/pd-hostile 10 pins; done"])
    run.assert_ok()
    kept, more = (int(times) * 16 for times in re.findall(r"(\d+) times 64 KiB", run.output))
    assert kept <= 2000 < more, run.output
    assert "left out: none\npins\n\t" in run.output and "Cannot allocate memory" in run.output, run.output


@pytest.mark.attacks
def test_pages_that_are_not_kept(lab, weak):
    """What drivers may still use is nobody else's, but with a module that leaves that out."""
    run = lab([*TESTDEV, *weak, "--guest-memory", "640M"],
              ["for w in none keep; do echo $w >/sys/module/paradice/parameters/weak;"
               " echo left out: $w; /share/bin/pd-hostile 5 reuse; done; true"], check_logs=False)
    run.assert_ok()
    kept, not_kept = run.output.split("left out: ")[1:]
    assert "0 wrong" in kept and "WRONG: the driver has written" in not_kept, run.output
