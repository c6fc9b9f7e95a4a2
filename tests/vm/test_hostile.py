# SPDX-License-Identifier: Apache-2.0
"""A hostile program in a guest, and a hostile host: neither harms what is not its own."""

import re

import pytest

from conftest import BUILD
from test_battery import TEST_DEVICES

TESTDEV = ["--host-modules=testdev", *TEST_DEVICES]
# of enum pd_op
PD_OP_MM_DESTROY, PD_OP_WINDOW_UNMAP = 4, 31
ZERO = ("pins", "pins_stale", "pins_leaked", "bounce", "windows", "maps", "orphans", "files", "mms")
KERNELS = [pytest.param(["--guest-memory", "640M"], marks=pytest.mark.attacks, id="6.1"),
           pytest.param(["--guest-memory", "1G", "--guest-kernel", "debug"], marks=pytest.mark.debug,
                        id="debug")]


@pytest.mark.parametrize("kernel", KERNELS)
def test_hostile_program(lab, kernel):
    """Each attack beside a victim in the same guest; afterwards everything is as before."""
    run = lab([*TESTDEV, *kernel, "--module-params", "max_windows=40"],
              ["/share/bin/battery", "hostile", "counters", "unload"])
    run.assert_ok()
    status, text = run.step("hostile")
    assert status == 0, text
    assert text.count("the victim: ") == 11, text
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
    run = lab([*TESTDEV, *kernel, "--no-module", "--daemon", str(BUILD / "tests/attacks/paradiced-hostile"),
               "--daemon-env", f"PARADICE_HOSTILE={lies}"],
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
    run = lab([*TESTDEV, "--no-module", "--daemon", str(BUILD / "tests/attacks/paradiced-hostile"),
               "--daemon-env", f"PARADICE_HOSTILE=withhold={op}"],
              ["/share/bin/lying-host", "1", "40", "mapmany", "max_windows=4 host_timeout=4"])
    run.assert_ok()
    assert "1 of 1 rounds worked" in run.output, run.output
    if op == PD_OP_MM_DESTROY:
        assert "the host is lost: it does not let go of what it has" in run.log("guest-1-dmesg.log")


@pytest.mark.attacks
def test_flood_of_events(lab):
    """The guest goes on, and what the events ask for is done once, not as often as they come."""
    run = lab(["--topology", "local", "--device", "/dev/zero,as=/dev/host-zero", "--no-module",
               "--daemon", str(BUILD / "tests/attacks/paradiced-hostile"),
               "--daemon-env", "PARADICE_HOSTILE=flood=50000"],
              ["m=/run/lab/modules/paradice.ko; modprobe -a $(modinfo -F depends $m | tr , ' ');"
               " timeout -s KILL 30 /run/lab/busybox insmod $m;"
               " for i in $(seq 100); do [ -c /dev/host-zero ] && break; sleep 0.1; done;"
               " head -c 65536 /dev/host-zero | cmp -n 65536 - /dev/zero && timeout -s KILL 10 rmmod paradice"])
    run.assert_ok()


@pytest.mark.attacks
def test_prying_host(lab):
    """Reads, seeks and the like give a host no page but those of their own buffers."""
    run = lab([*TESTDEV, "--daemon", str(BUILD / "tests/attacks/paradiced-hostile"),
               "--daemon-env", "PARADICE_HOSTILE=pry=2"],
              # which fail now and then
              ["/share/bin/pdtest run rw vectored seek poll kernelio >/share/out/pry.out; true"])
    run.assert_ok()
    assert "the guest gave no such page" in run.log("daemon-1.log"), run.output
    assert "the guest gave a page" not in run.log("daemon-1.log")
    assert "taken as an I/O error" not in run.log("guest-1-dmesg.log"), "the answers were well-formed"


@pytest.mark.attacks
def test_slow_host(lab):
    """A host that answers one by one is not lost when many ask at once, a ping the last of them."""
    run = lab([*TESTDEV, "--module-params", "host_timeout=3", "--daemon",
               str(BUILD / "tests/attacks/paradiced-hostile"), "--daemon-env", "PARADICE_HOSTILE=slow=250"],
              ["/share/bin/pdtest", "run", "--slow", "10", "many.processes"])
    run.assert_ok()
    assert "1 cases, 0 failed" in run.output, run.output
    assert "the host is lost" not in run.log("guest-1-dmesg.log")
