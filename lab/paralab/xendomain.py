# SPDX-License-Identifier: Apache-2.0
"""Domains that xl creates in Xen's dom0, each with the lab's agent in it."""

from pathlib import Path

from . import initramfs, qemu
from .host import VmHost, boot

STATE = "/run/lab/xen"  # in dom0: programs, scripts of disks, domains' numbers
DRIVERS = initramfs.Drivers(("xen_blkfront", "xen_gntalloc", "xen_evtchn", "erofs", "overlay"), ())
# The agent's bytes go through pages that the domain shares with dom0, carried at both ends by Xen's own
# program. It does not see a domain's end, but xl does, and dom0's end of it is ended then.
RUN = """\
exec 3<&0 4>&1 </dev/null >&2
PATH={state}/bin:$PATH
xl create -F {config} 2>&1 3<&- 4>&- | {{
	while [ -z "$id" ] && read -r line; do
		echo "$line"
		case $line in
		"Waiting for domain "*) id=${{line#*domid }} id=${{id%%)*}} ;;
		esac
	done
	[ "$id" ] || exit 1
	echo $id >{state}/{name}.id
	vchan-socket-proxy --mode=client $id /local/domain/$id/data/agent - <&3 >&4 &
	exec 3<&- 4>&-
	while read -r line; do echo "$line"; done
	kill $!
}}"""


def disk_script(disk):
    """Lines of a script that makes one in dom0 by which xl attaches that disk of dom0's.

    What /etc/xen/scripts/block finds out in seconds is known of a disk that is there for sure.
    """
    name = f"{STATE}/{Path(disk).name}"
    return [f"cat >{name} <<END", "#!/bin/sh", '[ "\\$1" = add ] || exit 0',
            f'exec xenstore-write "\\$XENBUS_PATH/physical-device" $(stat -c %t:%T {disk}) '
            '"\\$XENBUS_PATH/hotplug-status" connected', "END", f"chmod 755 {name}"]


def _config(settings, disks, append):
    settings = {
        "on_poweroff": "destroy", "on_reboot": "destroy", "on_crash": "destroy",
        "extra": f"{qemu.XEN_KERNEL_ARGUMENTS} {append}".strip(),
        "disk": [f"format=raw,vdev=xvd{'abc'[n]},access=r,backendtype=phy,"
                 f"script={STATE}/{Path(disk).name},target={disk}" for n, disk in enumerate(disks)],
        **settings,
    }
    return "".join(f"{name} = {value!r}\n" for name, value in settings.items())


async def create(dom0, run, agent, settings, disks, append=""):
    """Creates a domain of these settings of xl's and waits for its agent; the domain's number.

    Its disks are disks of dom0's; `append`: further kernel arguments.
    """
    name = settings["name"]
    (run.tmp / f"{name}.cfg").write_text(_config(settings, disks, append))
    script = RUN.format(state=STATE, name=name, config=f"{VmHost.logs}/tmp/{name}.cfg")
    # xenconsoled appends what the domain's console says to a log of this name.
    await dom0.output(f"ln -sf {VmHost.logs}/{name}-kernel.log {STATE}/console/guest-{name}.log",
                      "making a place for a console's log")
    await boot(dom0, ["/bin/sh", "-c", script], agent, run.appender(f"{name}-xl.log"))
    return int(await dom0.output(f"cat {STATE}/{name}.id", "asking for the domain's number"))
