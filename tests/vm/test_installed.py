# SPDX-License-Identifier: Apache-2.0
"""What `meson install` leaves, started by systemd from its unit, serves a VM."""

import json
import subprocess

from conftest import BUILD, TOP, fill_share

# in the guest
USE = r"""
exec 3</dev/zero-of-host
head -c 4096 <&3 | wc -c
touch /share/out/opened
for _ in $(seq 900); do [ -e /share/out/killed ] && break; sleep 0.1; done
timeout 20 head -c 1 /dev/zero-of-host 2>&1
touch /share/out/done
"""


def test_unit_of_systemd(lab, tmp_path):
    """The guest uses it, paradicectl sees that, a manager that was killed is started anew, and all ends."""
    share = tmp_path / "share"
    fill_share(share)
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", share / "installed"],
                   check=True, stdout=subprocess.DEVNULL)
    run = lab(["--install", "systemd,python3", "--device", "/dev/zero,as=/dev/zero-of-host",
               "--daemon", str(TOP / "tests/vm/unit-daemon"), "--host-script", "/share/bin/beside-unit"], [USE])
    run.assert_ok()
    assert "4096\n" in run.output, run.output
    status, said = run.step("verify")
    assert status == 0 and not said, said
    vm, = json.loads(run.text("before"))["vms"]
    assert vm["name"] == "guest-1" and vm["worker"] and vm["stats"]["live_files"] == 1, vm
    assert vm["memory"] > 0, "systemd has delegated the control group that --memory-max needs"
    assert "ActiveState=active\n" in run.text("restarted") and "NRestarts=1\n" in run.text("restarted")
    # unlike a manager without systemd it has taken the worker with it
    vm, = json.loads(run.text("after"))["vms"]
    assert not vm["worker"], vm
    assert "Input/output error" in run.output, run.output
    assert run.text("stopped") == "ActiveState=inactive\nResult=success\n", run.text("stopped")
