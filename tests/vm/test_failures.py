# SPDX-License-Identifier: Apache-2.0
"""What goes wrong gives one clear error, and the VM lives."""

BLOCKED = r"""
cat /dev/pty-of-host >/share/out/cat.out 2>&1 &
reader=$!
sleep 1
exec 3</dev/pty-of-host
touch /share/blocked
for _ in $(seq 300); do
	kill -0 $reader 2>/dev/null || break
	sleep 0.1
done
if kill -0 $reader 2>/dev/null; then echo "the reader hangs"; exit 1; fi
wait $reader; echo "the reader ended: $?"
timeout 20 head -c 1 <&3 >/dev/null && echo "old file works" || echo "old file fails"
timeout 20 head -c 4096 /dev/zero-of-host | wc -c
timeout 20 true </dev/zero-of-host && echo "the VM lives"
"""

LOCAL = ["--topology", "local", "--device", "/dev/ptmx,as=/dev/pty-of-host",
         "--device", "/dev/zero,as=/dev/zero-of-host"]

WHEN_BLOCKED = "for _ in $(seq 600); do [ -e {share}/blocked ] && break; sleep 0.1; done; "


def when_blocked(tmp_path, command):
    """Runs on this machine once the guest's reader waits."""
    return ["--host-script", WHEN_BLOCKED.format(share=tmp_path / "share") + command]


def test_killed_mirror(lab, tmp_path):
    run = lab([*LOCAL, *when_blocked(tmp_path, r"""
        for p in $(ps -eo pid=,comm= | sed -n "s/^ *\([0-9]*\) pd:cat.*/\1/p"); do
            kill -9 $p 2>/dev/null || true
        done""")], [BLOCKED])
    run.assert_ok()
    assert "the reader ended: 1" in run.output, run.output
    assert "Input/output error" in run.text("cat")
    assert "4096\nthe VM lives" in run.output
    assert "has ended unexpectedly; its files give EIO" in run.log("daemon-1.log")


def test_killed_worker(lab, tmp_path):
    run = lab([*LOCAL, *when_blocked(tmp_path, r"""
        for d in $PARADICE_DAEMON_PIDS; do
            for p in $(ps -o pid= --ppid $d); do kill -9 $p; done
        done""")], [BLOCKED])
    run.assert_ok()
    assert "the reader ended: 1" in run.output, run.output
    assert "Input/output error" in run.text("cat")
    assert "old file fails" in run.output
    assert "the VM lives" in run.output, "a new open works with the new worker"


# in each guest
WITHOUT_MANAGER = r"""
exec 3</dev/zero-of-host
head -c 4096 <&3 | wc -c
touch /share/open-$PARADICE_GUEST
for _ in $(seq 600); do [ -e /share/killed ] && break; sleep 0.1; done
for what in before after; do
	echo "$what: $(timeout 20 head -c 4096 <&3 | wc -c) of the old file"
	[ $what = after ] || timeout 20 head -c 1 /dev/zero-of-host 2>&1
done
"""


def test_killed_manager_of_two_guests(lab, tmp_path):
    """Of both VMs open files go on and nothing new can be opened; the workers end with their VMs."""
    share = tmp_path / "share"
    run = lab([*LOCAL, "--guests", "2", "--one-daemon", "--host-script", f"""
        for n in 1 2; do for _ in $(seq 600); do [ -e {share}/open-$n ] && break; sleep 0.1; done; done
        ps -o pid= --ppid $PARADICE_DAEMON_PIDS >{share}/out/workers.out
        kill -9 $PARADICE_DAEMON_PIDS
        touch {share}/killed""",
               "--host-after", f"""sleep 2
        for p in $(cat {share}/out/workers.out); do
            grep -qs '^State:.[^Z]' /proc/$p/status && echo $p
        done >{share}/out/left.out; true"""],
              [WITHOUT_MANAGER])
    run.assert_ok()
    assert len(run.text("workers").split()) == 2, "one daemon has both workers"
    assert run.text("left") == "", "workers of VMs that are gone"
    for guest in (1, 2):
        for said in ("before: 4096 of the old file", "after: 4096 of the old file",
                     "head: cannot open '/dev/zero-of-host' for reading: Input/output error"):
            assert f"[{guest}] {said}\n" in run.output, run.output
    words = "the manager has gone: open files go on, nothing new can be opened"
    assert run.log("daemon-1.log").count(words) == 2


def test_killed_guest_leaves_nothing(lab, tmp_path):
    out = tmp_path / "share" / "out"
    family = r"""family() {
        for child in $(ps -o pid= --ppid "$1"); do
            echo "$child $(cat /proc/$child/comm)"
            family "$child"
        done
    }
    """
    run = lab([*LOCAL, "--guest-may-end",
               *when_blocked(tmp_path, family + f"""
        for p in $PARADICE_DAEMON_PIDS; do family $p; done >{out}/before.out
        kill -9 $PARADICE_GUEST_PIDS"""),
               "--host-after",
               family + f"""sleep 2
        for p in $PARADICE_DAEMON_PIDS; do cat /proc/$p/comm; family $p; done >{out}/after.out
        while read pid name; do
            [ -e /proc/$pid ] && [ "$(cat /proc/$pid/comm)" = "$name" ] && echo $pid $name
        done <{out}/before.out >{out}/left.out; true"""],
              [BLOCKED], check_logs=False)
    assert "pd:cat" in run.text("before")
    assert run.text("left") == "", "processes of a VM that is gone"
    assert run.text("after").split() == ["paradiced"], "the daemon waits for the next VM"


def test_vmm_without_shared_memory(lab):
    run = lab([*LOCAL, "--guest-memory-share", "off"], ["ls /dev/zero-of-host"], check_logs=False)
    assert run.status != 0
    said = run.log("daemon-1.log") + run.log("guest-1-qemu.log", may_be_missing=True) + run.output
    assert "share=on" in said, said
