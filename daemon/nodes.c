// SPDX-License-Identifier: Apache-2.0
#include "nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

/* The file system's root; mounted nowhere, so /dev's nodev and the like are no concern. */
static int root = -1;

void nodes_setup(void)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (fs >= 0 && !fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700", 0) &&
	    !fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		root = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (root < 0)
		log_debug("mirrors open no devices themselves: %s", strerror(errno));
	if (fs >= 0)
		close(fs);
}

bool nodes_possible(void)
{
	return root >= 0;
}

int nodes_make(const char *name, dev_t device, bool readonly, gid_t group)
{
	int fd = -1;
	int err = 0;

	if (mknodat(root, name, S_IFCHR, device))
		return -errno;
	if (fchownat(root, name, 0, group, 0) || fchmodat(root, name, readonly ? 0040 : 0060, 0))
		err = -errno;
	if (!err) {
		fd = openat(root, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		err = fd < 0 ? -errno : 0;
	}
	unlinkat(root, name, 0);
	return err ? err : fd;
}
