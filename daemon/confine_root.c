// SPDX-License-Identifier: Apache-2.0
#include "confine_root.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "weak.h"

/* There on every system, and ours to cover: the mount namespace is our own. */
#define BASE "/proc"

int confine_root(void)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	/* processes have the numbers of our namespace all the same */
	if (WEAK(ROOT))
		return mount("proc", BASE, "proc", flags, NULL) ? -errno : 0;
	if (mount("none", BASE, "tmpfs", flags, "size=4k,mode=0555") || chdir(BASE) ||
	    mkdir("proc", 0555) || mount("proc", "proc", "proc", flags, NULL))
		return -errno;
	/* the new root over the old one, which goes as soon as nothing is in it */
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return -errno;
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL))
		return -errno;
	return 0;
}
