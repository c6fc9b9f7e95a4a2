// SPDX-License-Identifier: Apache-2.0
#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/major.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "nodes.h"
#include "subsystems.h"
#include "weak.h"

#define WHY 256

_Static_assert(PD_O_NONBLOCK == O_NONBLOCK && PD_O_APPEND == O_APPEND && PD_O_TRUNC == O_TRUNC &&
		       PD_O_EXCL == O_EXCL && PD_O_DIRECT == O_DIRECT && PD_O_SYNC == O_SYNC,
	       "the protocol's open flags are this architecture's");

static void subsystem(const struct stat *st, uint8_t *out, size_t size)
{
	char link[64];
	char target[512];
	const char *base;
	ssize_t n;

	memset(out, 0, size);
	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u/subsystem", major(st->st_rdev),
		 minor(st->st_rdev));
	n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	base = strrchr(target, '/');
	base = base ? base + 1 : target;
	memcpy(out, base, strnlen(base, size - 1));
}

int policy_describe(const struct device_option *d, struct device_info *info, char *why)
{
	int mode = d->readonly ? R_OK : R_OK | W_OK;
	const struct subsystem *known;
	struct stat st;

	if (stat(d->path, &st)) {
		int err = errno;

		snprintf(why, WHY, "%s: %s%s", d->path, strerror(err),
			 err == ENOENT ? " (is the device there, and its driver loaded?)" : "");
		return -err;
	}
	if (!S_ISCHR(st.st_mode)) {
		snprintf(
			why, WHY,
			"%s is not a character device but a %s; only character devices can be shared",
			d->path,
			S_ISBLK(st.st_mode)  ? "block device" :
			S_ISDIR(st.st_mode)  ? "directory" :
			S_ISREG(st.st_mode)  ? "regular file" :
			S_ISFIFO(st.st_mode) ? "FIFO" :
					       "socket");
		return -EINVAL;
	}
	if (faccessat(AT_FDCWD, d->path, mode, AT_EACCESS) &&
	    (d->readonly || faccessat(AT_FDCWD, d->path, R_OK, AT_EACCESS))) {
		int err = errno;

		snprintf(why, WHY, "%s: %s: run paradiced as root or as a user who may open it",
			 d->path, strerror(err));
		return -err;
	}
	memset(info, 0, sizeof(*info));
	info->wire.mode = st.st_mode & 0777;
	info->wire.uid = st.st_uid;
	info->wire.gid = st.st_gid;
	info->wire.major = major(st.st_rdev);
	info->wire.minor = minor(st.st_rdev);
	info->wire.flags = d->readonly ? PD_DEVICE_RO : 0;
	snprintf((char *)info->wire.name, sizeof(info->wire.name), "%s", d->name);
	subsystem(&st, info->wire.subsystem, sizeof(info->wire.subsystem));
	info->ioctls = d->ioctls;
	/* /sys does not have these terminals */
	known = subsystem_find(info->wire.major - UNIX98_PTY_SLAVE_MAJOR < UNIX98_PTY_MAJOR_COUNT ?
				       "tty" :
				       (char *)info->wire.subsystem);
	info->caching = d->caching >= 0 ? (uint32_t)d->caching : known->caching;
	info->keeps_nothing = known->keeps_nothing;
	if (nodes_possible() && d->opener != OPENER_MANAGER &&
	    (d->opener == OPENER_MIRROR || known->open_in_mirror))
		info->wire.flags |= PD_DEVICE_OPEN_MM;
	return 0;
}

/* The device's node, not opened yet: what has taken its place must not be. O_PATH, or an errno */
static int find(const struct device_option *d, uint32_t oflags, struct stat *st)
{
	int handle;

	if (d->readonly && !WEAK(READONLY) &&
	    ((oflags & PD_O_ACCMODE) != O_RDONLY || (oflags & PD_O_TRUNC)))
		return -EACCES;
	handle = open(d->path, O_PATH | O_CLOEXEC);
	if (handle < 0)
		return errno == ENOENT ? -ENODEV : -errno;
	if (fstat(handle, st) || !S_ISCHR(st->st_mode)) {
		close(handle);
		return -ENODEV;
	}
	return handle;
}

int policy_open(const struct device_option *d, uint32_t oflags)
{
	struct stat st;
	char path[32];
	int handle = find(d, oflags, &st);
	int fd;

	if (handle < 0)
		return handle;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", handle);
	fd = open(path, (int)POLICY_OPEN(oflags));
	if (fd < 0)
		fd = -errno;
	close(handle);
	return fd;
}

int policy_grant(const struct device_option *d, uint32_t oflags, gid_t group)
{
	struct stat st;
	int handle = find(d, oflags, &st);

	if (handle < 0)
		return handle;
	close(handle);
	return nodes_make(basename(d->path), st.st_rdev, d->readonly && !WEAK(NODES), group);
}
