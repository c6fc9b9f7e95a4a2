// SPDX-License-Identifier: Apache-2.0
/* Mounts a file system whose server has only opened the node: somebody else's descriptor. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuse.h"

/* The process whose name is @comm, or ":@comm[" within, as a mirror's; 0 when there is none. */
static int find_process(const char *comm)
{
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	int found = 0;

	if (!dir)
		die("/proc");
	while (!found && (entry = readdir(dir))) {
		char path[300], name[32] = "", *base;
		FILE *f;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f)) {
			name[strcspn(name, "\n")] = 0;
			base = strrchr(name, ':');
			base = base ? base + 1 : name;
			base[strcspn(base, "[")] = 0;
			if (!strcmp(base, comm) && atoi(entry->d_name) != getpid())
				found = atoi(entry->d_name);
		}
		fclose(f);
	}
	closedir(dir);
	return found;
}

/* That process's file of /dev/fuse, ours too from now on; -1 when it has none. */
static int take_file(int pid)
{
	char path[64], target[256];

	for (int number = 0; number < 4096; number++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, number);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = 0;
		if (!strcmp(target, "/dev/fuse")) {
			int pidfd = syscall(SYS_pidfd_open, pid, 0);

			return syscall(SYS_pidfd_getfd, pidfd, number, 0);
		}
	}
	return -1;
}

int mount_for(const char *comm, const char *place)
{
	char data[128];
	int fd = -1;

	for (int tries = 0; fd < 0 && tries < 600; tries++) {
		int pid = find_process(comm);

		if (pid)
			fd = take_file(pid);
		if (fd < 0)
			usleep(100000);
	}
	if (fd < 0)
		die("nobody of that name has /dev/fuse open");
	snprintf(data, sizeof(data), "fd=%d,rootmode=40755,user_id=0,group_id=0", fd);
	if (mount(comm, place, "fuse", MS_NOSUID | MS_NODEV, data))
		die(place);
	return 0;
}
