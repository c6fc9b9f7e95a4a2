# SPDX-License-Identifier: Apache-2.0
"""What cannot be as on the host (docs/limits.md) fails with its reason, and the VM lives."""

import pytest

from conftest import run_lab
from test_battery import TEST_DEVICES

TAKEN = "/dev/tty0"  # a guest has its own
PRIVATE = (0, 1, 3)  # kinds of memory in mapprivate.c
PAGES = 64  # of the test device's mappings, the second half of which it may refuse
PDTEST = "/share/bin/pdtest run --slow 4"
together = pytest.mark.xdist_group("limits")  # the guest is booted once


@pytest.fixture(scope="module")
def limits(tmp_path_factory):
    """What a guest sees of mappings that cannot be shown, and of a device whose name and number it has."""
    run = run_lab("limits", ["--host-modules", "testdev", *TEST_DEVICES, f"--device={TAKEN}"],
                  ["grep paradice /proc/devices >/share/out/numbers.out;"
                   f" stat -c '%Hr:%Lr %n' /dev/testdev* /dev/paradice/* {TAKEN} >>/share/out/numbers.out 2>&1;"
                   f" {PDTEST} mappfn mapprivate mmap.readonly mmap.readonly-file >/share/out/maps.out 2>&1;"
                   f" {PDTEST} mapfault.sigbus mapfault.waits mapfault.killed >/share/out/faults.out 2>&1;"
                   f" {PDTEST} fds.foreign >/share/out/foreign.out 2>&1;"
                   f" {PDTEST} rw mmap.both-ways && rmmod paradice || exit;"
                   # all the names that this device could have
                   " cd /dev && mkdir -p paradice && touch paradice/tty0 $(seq -f paradice/tty0-%g 2 99);"
                   " /run/lab/busybox insmod /run/lab/modules/paradice.ko;"
                   " for i in $(seq 20); do dmesg | grep 'no node' >/share/out/names.out && break; sleep 1; done;"
                   " ls /dev/testdev /sys/class/tty >>/share/out/names.out"], tmp_path_factory.mktemp("limits"))
    run.assert_ok()
    return run


@together
def test_mappings_that_kvm_or_the_vmm_cannot_show(limits):
    """Device memory without pages needs a host kernel from 6.13 on; nothing is shown read-only."""
    text, log = limits.text("maps"), limits.log("daemon-1.log")
    assert "mmap.readonly-file: mmap: ENODEV" in text
    assert "mmap.readonly: to read: ENODEV" in text
    assert "6.13" in log, log
    assert "for reading only, and the VMM maps device memory for writing" in log, log
    for kind in PRIVATE:
        assert f"mapprivate.copies: kind {kind}: ENODEV" in text, text
    assert "mapprivate.read-only: to read: ok" in text, text


@together
def test_mappings_whose_pages_the_driver_refuses(limits):
    """A touch would end the VM or go on for ever; the half that the driver has is shown."""
    text, log = limits.text("faults"), limits.log("daemon-1.log")
    for said in ("mmap: ENODEV", "only bad pages: ENODEV", f"only good pages: {PAGES // 2 * 4096}"):
        assert f"mapfault.sigbus: {said}\n" in text, text
    for pages in (PAGES, 4):
        assert f"mmap refused (ENODEV): the driver gives SIGBUS for part of the {pages * 4096} bytes" in log, log


@together
def test_mmap_waits_where_a_touch_would_sleep(limits):
    text = limits.text("faults")
    assert "mapfault.waits: asleep in mmap; meanwhile: ok\n" in text, text
    assert "mapfault.waits: awake: 0, alive 0\n" in text, text
    assert "mapfault.killed: gone, asleep 0, alive 0\n" in text, text
    assert "total: 3 cases, 0 failed" in text, text


@together
def test_files_of_the_guests_own_are_closed_for_the_driver(limits):
    text = limits.text("foreign")
    for what in ("a file", "a pipe's end", "a pipe's other end", "a socket", "read by the driver"):
        assert f"fds.foreign: {what}: EBADF\n" in text, text


@together
def test_name_and_number_that_the_guest_has(limits):
    """Such a device is beside the guest's own, with a number that no other device has."""
    said = limits.text("numbers")
    ours, *nodes = said.splitlines()
    number = {name: number for number, name in map(str.split, nodes)}
    assert number[TAKEN] == "4:0", said
    assert number["/dev/paradice/tty0"].split(":")[0] == ours.split()[0], said
    # the hard case: the host's own number of another device is one of those that are ours to give
    assert number["/dev/testdev"] == f"{ours.split()[0]}:0", said
    assert len(set(number.values())) == len(TEST_DEVICES) + 2, said


@together
def test_names_that_are_all_taken(limits):
    """The device is left out with its reason; the others are there."""
    said = limits.text("names")
    assert "no node for the host's device tty0: -17" in said, said
    assert "/dev/testdev\n" in said, said
    assert "!tty0" not in said, said


def test_pages_kept_for_one_file(lab):
    """A file whose users keep too much gets ENOMEM; other files go on."""
    run = lab(["--host-modules", "testdev", *TEST_DEVICES, "--module-params", "kept_pages=40"],
              ["/share/bin/pdtest run --slow 4 pins.ended >/share/out/ended.out;"
               " dmesg | grep -c 'fails with ENOMEM' >/share/out/dmesg.out"])
    run.assert_ok()
    failed = int(run.text("ended").split("ioctl failed: ")[1].split()[0])
    # what it keeps counts twice, and a process has a page or two
    assert 30 <= failed <= 55, run.text("ended")
    assert "another file: ok" in run.text("ended")
    assert int(run.text("dmesg")) > 0


def test_terminal_keeps_nothing(lab):
    """However many programs use a terminal that stays open; nor does a driver that touches no memory."""
    run = lab(["--topology", "local", "--device", "/dev/ptmx,as=/dev/pty-of-host",
               "--device", "/dev/zero,as=/dev/zero-of-host", "--module-params", "kept_pages=50"],
              ["exec 3<>/dev/pty-of-host 4</dev/zero-of-host;"
               " for _ in $(seq 300); do stty speed <&3 >/dev/null || exit; done;"
               " for _ in $(seq 20); do setsid -c true <&4 2>&1 | grep -q 'Inappropriate ioctl' || exit; done;"
               " for _ in $(seq 100); do grep -qx 0 /sys/kernel/debug/paradice/mms && break; sleep 0.1; done;"
               " cd /sys/kernel/debug/paradice && head -v -n 1 pins_kept mms >/share/out/kept.out"])
    run.assert_ok()
    assert run.text("kept") == "==> pins_kept <==\n0\n\n==> mms <==\n0\n", run.text("kept")


def test_sleep(lab):
    """Refused with its reason while a file is open; else, whatever was done before, devices come back."""
    run = lab(["--host-modules", "testdev", *TEST_DEVICES],
              # Linux's 9p does not sleep
              ["cp /share/bin/pdtest /tmp && /tmp/pdtest run kernelio && umount /share && cd /sys/power &&"
               " echo devices >pm_test && exec 3</dev/testdev && ! echo freeze >state && exec 3<&- &&"
               " dmesg | grep 'cannot suspend while programs use' && echo freeze >state && echo slept &&"
               " /tmp/pdtest run rw.loop kernelio"])
    run.assert_ok()
    assert "slept" in run.output and "cannot suspend while programs" in run.output, run.output


def test_vmm_without_shared_memory_regions(lab):
    """mmap gives ENODEV with one clear line, the rest works."""
    run = lab(["--host-modules", "testdev", *TEST_DEVICES, "--daemon-args", "--window 0"],
              ["/share/bin/pdtest run --slow 4 mmap.outlives >/share/out/maps.out 2>&1;"
               " dmesg | grep paradice: >/share/out/dmesg.out;"
               " /share/bin/pdtest run --slow 4 rw ioctl poll"], check_logs=False)
    run.assert_ok()
    assert "No such device" in run.text("maps")
    assert "mmap fails with ENODEV" in run.text("dmesg"), run.text("dmesg")
