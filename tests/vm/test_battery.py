# SPDX-License-Identifier: Apache-2.0
"""What programs do in a guest, beside what the same programs do on the host."""

import difflib

import pytest

from conftest import ALL, GUEST_KERNELS, run_lab

TESTDEV = ("testdev", "testdev-open", "testdev-hot", "testdev-ctl")
DEVICES = [f"--device=/dev/{name}" for name in (*TESTDEV, "video0", "net/tun,caps=net_admin")]
MODULES = "--host-modules=vivid:n_devs=1 testdev tun"
STEPS = ["testdev", "frames", "counters"]
REST = ["testdev32", "stream-mmap", "stream-user", "tun", "testdev-rest", "unload"]


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """The test device's programs, natively."""
    run = run_lab("host", [MODULES, "--on", "host"],
                  ["/share/bin/battery", "testdev", "testdev32", "testdev-rest"],
                  tmp_path_factory.mktemp("host"))
    run.assert_ok()
    return run


@pytest.fixture(scope="session", params=GUEST_KERNELS)
def guest(request, tmp_path_factory):
    """All steps in a guest with that kernel."""
    return run_lab(f"guest-{request.param}",
                   [MODULES, *DEVICES, "--guest-kernel", request.param, "--guest-memory", "640M",
                    *(["--host-script", "/share/bin/host-side"] if ALL else []),
                    "--host-after", "ps -eo comm > /share/out/left.out"],
                   ["/share/bin/battery", *STEPS, *(REST if ALL else [])],
                   tmp_path_factory.mktemp("guest"))


def assert_same(host, guest, step):
    status, expected = host.step(step)
    assert status == 0, expected[-3000:]
    status, got = guest.step(step)
    diff = "\n".join(difflib.unified_diff(expected.splitlines(), got.splitlines(), "on the host",
                                          "in the guest", lineterm="", n=1))
    assert not diff, diff[:6000]
    assert status == 0


def test_testdev_as_on_the_host(host, guest):
    assert_same(host, guest, "testdev")


@pytest.mark.rest
def test_32_bit_program_as_on_the_host(host, guest):
    assert_same(host, guest, "testdev32")


@pytest.mark.rest
def test_the_rest_of_testdev_as_on_the_host(host, guest):
    assert_same(host, guest, "testdev-rest")


def test_every_frame_is_right(guest):
    status, text = guest.step("frames")
    assert status == 0, text
    for method in ("mmap", "userptr", "read"):
        assert f"{method}: 300 frames" in text


@pytest.mark.rest
@pytest.mark.parametrize("step", ("stream-mmap", "stream-user"))
def test_v4l2_ctl_streams(guest, step):
    status, text = guest.step(step)
    assert status == 0, text
    assert text.count("<") == 300, text


@pytest.mark.rest
def test_ping_through_an_interface_made_in_the_guest(guest):
    status, text = guest.step("tun")
    assert status == 0, text
    status, text = guest.step("ping")
    assert status == 0 and " 0% packet loss" in text, text


def test_nothing_stays_pinned(guest):
    status, text = guest.step("counters")
    assert status == 0
    values = [line for line in text.split() if line.isdigit()]
    assert values, text
    for name in ("pins", "pins_stale", "pins_kept", "pins_leaked", "bounce", "windows", "maps",
                 "orphans", "files", "mms"):
        assert f"/{name} <==\n0\n" in text, text


@pytest.mark.rest
def test_module_unloads(guest):
    status, text = guest.step("unload")
    assert status == 0, text


def test_nothing_is_left_on_the_host(guest):
    left = guest.text("left")
    assert "pd:" not in left and "paradice-mirror" not in left, left
    assert "paradiced" in left, "the daemon waits for the next VM"


def test_the_run_was_clean(guest):
    """No warning in any kernel's log, nothing that the lab did not expect."""
    guest.assert_ok()
