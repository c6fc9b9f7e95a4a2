# SPDX-License-Identifier: Apache-2.0
"""Several guests, little memory, newer hosts."""

from conftest import run_lab
from test_battery import TEST_DEVICES, assert_same


def test_two_guests_on_one_device(lab):
    """Both by one daemon."""
    run = lab(["--host-modules", "testdev", *TEST_DEVICES, "--guests", "2", "--one-daemon"],
              ["OUT=/share/out/$PARADICE_GUEST /share/bin/battery shared"])
    run.assert_ok()
    for guest in ("1", "2"):
        status = (run.share / "out" / guest / "shared.status").read_text().strip()
        text = (run.share / "out" / guest / "shared.out").read_text()
        assert status == "0", text
        assert ", 0 failed" in text


OWN = """set -e
modprobe vivid n_devs=1 node_types=0x1
theirs=video1$((PARADICE_GUEST - 1))
for node in video0 $theirs; do
	v4l2-ctl -d /dev/$node --set-fmt-video=width=320,height=180,pixelformat=YUYV \
		--stream-mmap --stream-count=20 --stream-to=/tmp/$node >/tmp/said 2>&1 &
	pids="$pids $!"
done
for pid in $pids; do wait $pid; done
for node in video0 $theirs; do
	echo "$node: $(stat -c %s /tmp/$node) bytes"
done
v4l2-ctl --list-devices
"""


def test_two_guests_with_cameras_of_their_own(lab):
    """Each has its own camera and one of the host's, found by one program, at the same time."""
    frames = 20 * 320 * 180 * 2
    run = lab(["--host-modules", "vivid:n_devs=2:node_types=0x1,0x1", "--guests", "2",
               # or the host's cameras have the numbers that the guest's driver asks for
               "--module-params", "numbers=own",
               "--device", "/dev/video0,as=/dev/video10", "--device", "/dev/video1,as=/dev/video11"],
              ["/bin/sh", "-c", OWN])
    run.assert_ok()
    for guest, theirs in (("1", "video10"), ("2", "video11")):
        for node in ("video0", theirs):
            assert f"[{guest}] {node}: {frames} bytes" in run.output, run.output
        for node in ("video0", "video10", "video11"):
            assert f"[{guest}] \t/dev/{node}\n" in run.output, run.output


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
