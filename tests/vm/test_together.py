# SPDX-License-Identifier: Apache-2.0
"""Several guests, little memory, newer hosts."""

import pytest

from test_battery import DEVICES, TESTDEV, assert_same
from conftest import run_lab

pytestmark = pytest.mark.rest

TEST_DEVICES = [f"--device=/dev/{name}" for name in TESTDEV]


def test_two_guests_on_one_device(lab):
    run = lab(["--host-modules", "testdev", *TEST_DEVICES, "--guests", "2"],
              ["OUT=/share/out/$PARADICE_GUEST /share/bin/battery shared"])
    run.assert_ok()
    for guest in ("1", "2"):
        status = (run.share / "out" / guest / "shared.status").read_text().strip()
        text = (run.share / "out" / guest / "shared.out").read_text()
        assert status == "0", text[-3000:]
        assert ", 0 failed" in text


def test_memory_pressure_in_the_guest(lab):
    run = lab(["--host-modules", "testdev", *TEST_DEVICES, "--guest-memory", "320M"],
              ["/share/bin/battery", "pressure"])
    run.assert_ok()
    status, text = run.step("pressure")
    assert status == 0, text[-3000:]
    assert ", 0 failed" in text


def test_device_memory_on_a_newer_host(tmp_path_factory):
    """Kernels from 6.13 on show every kind of mapping."""
    tmp = tmp_path_factory.mktemp("host7")
    groups = ["/share/bin/pdtest run --slow 4 mmap mapchange mappfn mapprivate mapfault mapmany "
              ">/share/out/maps.out 2>&1; echo $? >/share/out/maps.status"]
    host = run_lab("host-7", ["--host-modules", "testdev", "--on", "host"], groups, tmp,
                   host_kernel="7")
    host.assert_ok()
    tmp = tmp_path_factory.mktemp("guest7")
    guest = run_lab("guest-on-7", ["--host-modules", "testdev", *TEST_DEVICES], groups, tmp,
                    host_kernel="7")
    guest.assert_ok()
    assert_same(host, guest, "maps")
