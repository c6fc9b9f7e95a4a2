# SPDX-License-Identifier: Apache-2.0
"""What one VM may take of the host: beyond, that VM alone pays."""

import re

import pytest

from conftest import BUILD

# processes that each use a device, until one has an error
MANY = r"""
if [ $PARADICE_GUEST = 2 ]; then
	# the other VM goes on meanwhile, with the file that it had open from the start
	exec 3<>/dev/zero-of-host
	until [ -e /share/out/over ]; do
		timeout 60 head -c 4096 <&3 >/dev/null || exit 1
		sleep 0.5
	done
	timeout 60 head -c 4096 <&3 | wc -c
	exit 0
fi
# each has read, and waits for somebody who takes what it has
mkfifo /tmp/full
exec 4<>/tmp/full
for n in $(seq 400); do
	cat /dev/zero-of-host 2>>/tmp/said >&4 &
	[ -s /tmp/said ] && break
done
for _ in $(seq 100); do [ -s /tmp/said ] && break; sleep 0.3; done
touch /share/out/over
# what they have is looked at meanwhile
[ "$1" != seen ] || until [ -e /share/out/seen ]; do sleep 0.5; done
echo "ended after $n: $(head -n 1 /tmp/said)"
timeout 60 head -c 4096 /dev/zero-of-host | wc -c
"""

# while they are there, says how many bytes their group has
LOOK = r"""
until [ -e $PARADICE_SHARE/out/over ]; do sleep 0.5; done
cat /sys/fs/cgroup/pd/vm-*/memory.current
touch $PARADICE_SHARE/out/seen
"""

GROUPS = ["--host-run", "mount -t cgroup2 none /sys/fs/cgroup && "
          "echo +memory +pids >/sys/fs/cgroup/cgroup.subtree_control",
          "--daemon-args", "--cgroup /sys/fs/cgroup/pd --memory-max 40M"]


def test_host_memory_is_bounded(lab):
    """Of two VMs of one daemon."""
    run = lab([*GROUPS, "--device", "/dev/zero,as=/dev/zero-of-host", "--guests", "2", "--one-daemon",
               "--host-after", "cat /sys/fs/cgroup/pd/cgroup.procs; ls /sys/fs/cgroup/pd"],
              ["/bin/sh", "-c", MANY], check_logs=False)
    assert run.status == 0, run.output
    log = run.log("daemon-1.log")
    assert "VM 'guest-1': the worker was killed: it and its mirrors took more memory than --memory-max (40M)" in log
    assert "Input/output error" in run.output, "what it had open is lost, with a clear error"
    assert "[1] 4096" in run.output, "it goes on with a new worker"
    assert "[2] 4096" in run.output, "the other VM has noticed nothing"
    for number, ready in ((1, True), (2, True), (3, False)):
        assert (f"ready: guest-{number}: " in log) == ready, "one daemon serves both"
    assert not [line for line in log.splitlines() if "guest-2" in line and ("killed" in line or "goes on" in line)], log
    assert "vm-guest" not in run.output.split("ended after")[-1], "groups are left"


@pytest.mark.attacks
def test_host_memory_without_the_bound(lab):
    """Else the test above would show nothing: a daemon that leaves out this one defence lets them take it."""
    run = lab([*GROUPS, "--device", "/dev/zero,as=/dev/zero-of-host", "--host-script", LOOK,
               "--daemon", str(BUILD / "tests/attacks/paradiced-weak"), "--daemon-env", "PARADICE_WEAK=memory"],
              ["/bin/sh", "-c", MANY, "sh", "seen"])
    run.assert_ok()
    assert "defences that are left out: memory" in run.log("daemon-1.log")
    assert "ended after 400: \n" in run.output, run.output
    assert int(re.search(r"host: (\d+)\n", run.output)[1]) > 40 << 20, run.output
    # not that it was killed at the end because so many mirrors take their time
    assert "took more memory than --memory-max" not in run.log("daemon-1.log")
