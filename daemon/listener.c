// SPDX-License-Identifier: Apache-2.0
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define WHY 256

/* Is somebody listening there? */
static int alive(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		err = errno;
	close(fd);
	/* EAGAIN: its backlog is full, so somebody holds it */
	return !err || err == EAGAIN ? 1 : err == ECONNREFUSED ? 0 : -err;
}

int listener_open(const char *path, mode_t mode, gid_t group, char *why)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t old;
	int err;
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		snprintf(why, WHY, "'%.100s...' is too long for a socket's path", path);
		return -ENAMETOOLONG;
	}
	strcpy(addr.sun_path, path);
	if (!lstat(path, &st)) {
		int rc;

		if (!S_ISSOCK(st.st_mode)) {
			snprintf(why, WHY,
				 "%s exists and is not a socket: remove it or choose another path",
				 path);
			return -EEXIST;
		}
		rc = alive(&addr);
		if (rc > 0) {
			snprintf(
				why, WHY,
				"%s is in use: another process listens there; end it or choose another path",
				path);
			return -EADDRINUSE;
		}
		if (rc < 0) {
			snprintf(why, WHY, "%s: %s", path, strerror(-rc));
			return rc;
		}
		unlink(path);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		err = errno;
		snprintf(why, WHY, "cannot make a socket: %s", strerror(err));
		return -err;
	}
	old = umask(0777 & ~mode);
	err = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ? errno : 0;
	umask(old);
	if (!err && group != (gid_t)-1 &&
	    fchownat(AT_FDCWD, path, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW)) {
		err = errno;
		snprintf(why, WHY, "%s cannot be given to the group %u: %s", path, group,
			 strerror(err));
		unlink(path);
		close(fd);
		return -err;
	}
	if (!err && listen(fd, 8))
		err = errno;
	if (err) {
		snprintf(why, WHY, "cannot listen on %s: %s%s", path, strerror(err),
			 err == ENOENT ? " (the directory must exist)" : "");
		close(fd);
		return -err;
	}
	return fd;
}
