# SPDX-License-Identifier: Apache-2.0
"""What programs do in a guest, beside what the same programs do on the host."""

import difflib
import re
import subprocess

import pytest

from conftest import BUILD, once, run_lab

TESTDEV = ("testdev", "testdev-open", "testdev-hot", "testdev-ctl")
# which of its ioctls pass descriptors
RULES = subprocess.run([BUILD / "tests/guest/pdtest", "rules"], capture_output=True, text=True,
                       check=True).stdout.strip()
TEST_DEVICES = [f"--device=/dev/{name}" for name in TESTDEV]
TEST_DEVICES[0] += f",{RULES}"
DEVICES = [*TEST_DEVICES, "--device=/dev/video0", "--device=/dev/net/tun,caps=net_admin"]
MODULES = "--host-modules=vivid:n_devs=1 testdev tun"
STEPS = ["testdev", "testdev32", "opener", "frames", "stream-mmap", "stream-user", "tun", "three-deep",
         "few-windows", "counters", "unload"]
# after the guest's end: processes, and what the daemon holds open
LEFT = """{ ps -eo comm; for p in $PARADICE_DAEMON_PIDS; do ls -l /proc/$p/fd; done; } \
    >/share/out/left.out"""
# one guest's tests belong together: the guest is booted once
GUEST_KERNELS = [pytest.param(name, marks=pytest.mark.xdist_group(f"guest-{name}"))
                 for name in ("6.1", "6.12", "7")]
GUEST_KERNELS.append(pytest.param("debug", marks=[pytest.mark.debug, pytest.mark.xdist_group("debug")]))


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """The test device's programs, natively."""
    run = once(tmp_path_factory, "host", lambda tmp: run_lab(
        "host", [MODULES, "--on", "host"], ["/share/bin/battery", "testdev", "testdev32", "opener"], tmp))
    run.assert_ok()
    return run


@pytest.fixture(scope="session", params=GUEST_KERNELS)
def guest(request, tmp_path_factory):
    """All steps in a guest with that kernel."""
    patience = 3 if request.param == "debug" else 1
    run = run_lab(f"guest-{request.param}",
                   [MODULES, *devices(request.param), "--guest-kernel", request.param, "--guest-memory",
                    "1G" if request.param == "debug" else "640M",
                    # so that a hundred mappings do not fit
                    "--module-params", "max_windows=40",
                    "--host-script", "/share/bin/host-side",
                    "--host-after", LEFT],
                   ["/usr/bin/env", f"PATIENCE={patience}", "/share/bin/battery", *STEPS],
                   tmp_path_factory.mktemp("guest"), timeout=1500 * patience)
    run.kernel = request.param
    return run


def devices(kernel):
    """The devices that are forwarded to a guest with that kernel, opened by one and the other."""
    return [d + ",open=mirror" if kernel == "7" and "testdev" in d else d for d in DEVICES]


def assert_same(host, guest, step):
    """Fails with what is different."""
    status, expected = host.step(step)
    assert status == 0, expected[-3000:]
    diff = "\n".join(difflib.unified_diff(
        host.text(step).splitlines(), guest.text(step).splitlines(), "on the host", "in the guest",
        lineterm="", n=1))
    assert not diff, diff[:6000]
    status, got = guest.step(step)
    assert status == 0, got[-3000:]


def test_testdev_as_on_the_host(host, guest):
    assert_same(host, guest, "testdev")


def test_32_bit_program_as_on_the_host(host, guest):
    assert_same(host, guest, "testdev32")


def test_driver_sees_who_opens(host, guest):
    """With open=mirror the program's mirror, else the daemon."""
    assert "the same process 1, the same credentials 1" in host.text("opener")
    same = guest.text("opener") == host.text("opener")
    assert same == (guest.kernel == "7"), guest.text("opener")


def test_every_frame_is_right(guest):
    status, text = guest.step("frames")
    assert status == 0, text
    for method in ("mmap", "userptr", "read"):
        assert f"{method}: 300 frames" in text


@pytest.mark.parametrize("step", ("stream-mmap", "stream-user"))
def test_v4l2_ctl_streams(guest, step):
    status, text = guest.step(step)
    assert status == 0, text
    assert text.count("<") == 300, text


def test_ping_through_an_interface_made_in_the_guest(guest):
    status, text = guest.step("tun")
    assert status == 0, text
    status, text = guest.step("ping")
    assert status == 0 and re.findall(r"icmp_seq=(\d+) ttl", text)[:5] == list("12345"), text


def test_pointers_three_deep_take_no_fault(guest):
    status, text = guest.step("three-deep")
    assert status == 0, text
    for case in ("nest", "coldnest"):
        # name, round, calls, ns, requests, faults
        calls, _, requests, faults = re.search(rf"^{case} 0 (\d+) (\d+) (\d+) (\d+)", text, re.M).groups()
        # what unmapped pages leave to be said may be a request of its own
        assert int(requests) >= int(calls) > 0 and faults == "0", text


def test_threads_share_few_windows(guest):
    status, text = guest.step("few-windows")
    assert status == 0, text
    assert "mapmany.threads: 80 right" in text, text


def test_nothing_stays_pinned(guest):
    status, text = guest.step("counters")
    assert status == 0
    values = [line for line in text.split() if line.isdigit()]
    assert values, text
    for name in ("pins", "pins_stale", "pins_kept", "pins_leaked", "bounce", "windows", "maps",
                 "orphans", "files", "mms"):
        assert f"/{name} <==\n0\n" in text, text


def test_module_unloads(guest):
    status, text = guest.step("unload")
    assert status == 0, text
    assert "Module paradice is in use" in text, "refused while a file is open"


def test_nothing_is_left_on_the_host(guest):
    processes, held = guest.text("left").split("\ntotal ", 1)
    assert "pd:" not in processes and "paradice-mirror" not in processes, processes
    assert "paradiced" in processes, "the daemon waits for the next VM"
    assert "socket:" in held, "the list of its descriptors"
    assert "memfd:" not in held and "/memory" not in held and "/dev/testdev" not in held, held


def test_the_run_was_clean(guest):
    """No warning in any kernel's log, nothing that the lab did not expect."""
    guest.assert_ok()
