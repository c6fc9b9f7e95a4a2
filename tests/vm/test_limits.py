# SPDX-License-Identifier: Apache-2.0
"""What cannot be as on the host (docs/limits.md) fails with its reason, and the VM lives."""

import pytest

from test_battery import TESTDEV

pytestmark = pytest.mark.rest


def test_device_memory_without_pages_before_6_13(lab):
    run = lab(["--host-modules", "testdev", *[f"--device=/dev/{name}" for name in TESTDEV]],
              ["/share/bin/pdtest run --slow 4 mappfn mmap.readonly-file >/share/out/maps.out 2>&1;"
               " /share/bin/pdtest run --slow 4 rw mmap.both-ways"])
    run.assert_ok()
    assert "mmap.readonly-file: mmap: ENODEV" in run.text("maps")
    assert "6.13" in run.log("daemon-1.log"), run.log("daemon-1.log")
