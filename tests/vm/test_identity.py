# SPDX-License-Identifier: Apache-2.0
"""Devices are found in a guest as on the host: /sys, udev, and their coming and going."""

import difflib

import pytest

from conftest import run_lab

MOUSE = "/dev/input/event9"
NODES = ["/dev/video0", "/dev/media0", "/dev/snd/controlC0", "/dev/snd/pcmC0D0p", "/dev/testdev", MOUSE]
GUEST_KERNELS = [pytest.param(name, marks=pytest.mark.xdist_group(f"identity-{name}"))
                 for name in ("6.1", "7")]


@pytest.fixture(scope="module", params=GUEST_KERNELS)
def found(request, tmp_path_factory):
    """What the script tests/vm/identity leaves."""
    run = run_lab(f"identity-{request.param}",
                  ["--host-modules", "vivid:n_devs=1 snd-aloop uinput evdev testdev",
                   "--install", "udev,libinput-tools", "--guest-kernel", request.param,
                   "--host-run", f"/share/bin/identity before {' '.join(NODES)}",
                   *[f"--device={node}" for node in NODES],
                   "--host-script", "/share/bin/identity host"],
                  ["/share/bin/identity", "guest", *NODES], tmp_path_factory.mktemp("identity"))
    run.assert_ok()
    return run


@pytest.mark.parametrize("what", ("sys", "udev"))
def test_as_on_the_host(found, what):
    diff = "\n".join(difflib.unified_diff(
        found.text(f"host-{what}").splitlines(), found.text(f"guest-{what}").splitlines(),
        "on the host", "in the guest", lineterm="", n=2))
    assert not diff, diff[:6000]
    assert "vivid" in found.text("host-sys") and "Loopback" in found.text("host-sys")


def test_programs_that_ask_udev_find_them(found):
    assert "Paradice test mouse" in found.text("libinput"), found.text("libinput")
    enumerated = found.text("enumerate")
    for name in ("video0", "media0", "controlC0", "event9", "card0", "testdev"):
        assert f"/{name}\n" in enumerated, enumerated


def test_unplugged_while_open(found):
    watched = found.text("watch")
    assert "it moves" in watched
    assert "poll: HUP" in watched
    assert "read: ENODEV" in watched and "ioctl: ENODEV" in watched
    assert found.text("gone") == "", "what was the mouse's in /sys"


def test_plugged_again(found):
    assert "Paradice test mouse" in found.text("again")
    events = found.text("monitor")
    for action in ("remove", "add"):
        assert any(action in line and "event9" in line for line in events.splitlines()), events


def test_nothing_stays(found):
    assert found.text("unload").split() and "paradice" not in found.text("unload")
    assert (found.share / "out" / "unload.status").read_text().strip() == "0"
