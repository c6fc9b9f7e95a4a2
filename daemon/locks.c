// SPDX-License-Identifier: Apache-2.0
#include "locks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "log.h"

#define PARENT "/run/paradice"

static int dir = -1;

void locks_setup(void)
{
	if (geteuid() != 0)
		return;
	mkdir(PARENT, 0755);
	mkdir(PARENT "/locks", 0700);
	dir = open(PARENT "/locks", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		log_warning("%s: %m: what other daemons have is not known", PARENT "/locks");
}

bool locks_possible(void)
{
	return dir >= 0;
}

static int take(const char *name, bool alone)
{
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int err;

	if (fd < 0)
		return -errno;
	if (!flock(fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB))
		return fd;
	err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	close(fd);
	return err;
}

int locks_device(dev_t rdev, bool alone)
{
	char name[48];

	snprintf(name, sizeof(name), "device-%u:%u", major(rdev), minor(rdev));
	return take(name, alone);
}

int locks_user(uid_t uid)
{
	char name[32];

	snprintf(name, sizeof(name), "user-%u", uid);
	return take(name, true);
}

void locks_release(int fd)
{
	if (fd < 0)
		return;
	/* a child that is about to become another program has it, too */
	flock(fd, LOCK_UN);
	close(fd);
}
