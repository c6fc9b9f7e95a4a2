# SPDX-License-Identifier: Apache-2.0
"""What cannot be as on the host (docs/limits.md) fails with its reason, and the VM lives."""

from test_battery import TEST_DEVICES


def test_mappings_that_kvm_or_the_vmm_cannot_show(lab):
    """Device memory without pages needs a host kernel from 6.13 on; nothing is shown read-only."""
    run = lab(["--host-modules", "testdev", *TEST_DEVICES],
              ["/share/bin/pdtest run --slow 4 mappfn mmap.readonly mmap.readonly-file"
               " >/share/out/maps.out 2>&1;"
               " /share/bin/pdtest run --slow 4 rw mmap.both-ways"])
    run.assert_ok()
    text, log = run.text("maps"), run.log("daemon-1.log")
    assert "mmap.readonly-file: mmap: ENODEV" in text
    assert "mmap.readonly: to read: ENODEV" in text
    assert "6.13" in log, log
    assert "for reading only, and the VMM maps device memory for writing" in log, log


def test_vmm_without_shared_memory_regions(lab):
    """mmap gives ENODEV with one clear line, the rest works."""
    run = lab(["--host-modules", "testdev", *TEST_DEVICES, "--daemon-args", "--window 0"],
              ["/share/bin/pdtest run --slow 4 mmap.outlives >/share/out/maps.out 2>&1;"
               " dmesg | grep paradice: >/share/out/dmesg.out;"
               " /share/bin/pdtest run --slow 4 rw ioctl poll"], check_logs=False)
    run.assert_ok()
    assert "No such device" in run.text("maps")
    assert "mmap fails with ENODEV" in run.text("dmesg"), run.text("dmesg")
