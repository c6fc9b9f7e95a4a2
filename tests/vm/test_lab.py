# SPDX-License-Identifier: Apache-2.0
"""--check-logs of lab/run: what nobody could look at is not taken for clean."""

import pytest

FOUND = 126


@pytest.mark.parametrize("args, command, status, said", (
    ([], "echo 'BUG: made for the test' >/dev/kmsg", FOUND, "guest-1-dmesg.log: "),
    ([], "mount --bind /bin/false $(command -v dmesg)", FOUND, "1 kernel log(s) could not be read"),
    (["--guest-may-end"], "echo o >/proc/sysrq-trigger; sleep 60", 0, "as --guest-may-end allows"),
), ids=("bug", "unread", "may-end"))
def test_check_logs(lab, args, command, status, said):
    """In a guest without devices."""
    run = lab(["--topology", "local", *args], [command])
    assert run.status == status and said in run.output, run.output
