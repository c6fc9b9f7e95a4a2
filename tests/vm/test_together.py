# SPDX-License-Identifier: Apache-2.0
"""Several guests, little memory, newer hosts."""

from conftest import run_lab
from test_battery import TEST_DEVICES, assert_same


def test_two_guests_on_one_device(lab):
    run = lab(["--host-modules", "testdev", *TEST_DEVICES, "--guests", "2"],
              ["OUT=/share/out/$PARADICE_GUEST /share/bin/battery shared"])
    run.assert_ok()
    for guest in ("1", "2"):
        status = (run.share / "out" / guest / "shared.status").read_text().strip()
        text = (run.share / "out" / guest / "shared.out").read_text()
        assert status == "0", text
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
    def run(name, *args):
        done = run_lab(name, ["--host-modules", "testdev", *args], ["/share/bin/battery", "maps"],
                       tmp_path_factory.mktemp(name), host_kernel="7")
        done.assert_ok()
        return done

    assert_same(run("host-7", "--on", "host"), run("guest-on-7", *TEST_DEVICES), "maps")
