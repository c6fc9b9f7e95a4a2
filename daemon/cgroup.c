// SPDX-License-Identifier: Apache-2.0
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "weak.h"

#define MOUNT "/sys/fs/cgroup"
/* A group is busy until its last process has been waited for. */
#define REMOVE_TRIES 200

static int base = -1;

/* Writes a file of the group @dir; 0 or a negative errno. */
static int put(int dir, const char *file, const char *text)
{
	int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int put_number(int dir, const char *file, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return put(dir, file, text);
}

/* The number in a file, or behind @key in one that has a line for each; 0 when it is not there. */
static uint64_t get(int dir, const char *file, const char *key)
{
	char text[512];
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *at = text;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (key) {
		at = strstr(text, key);
		at = at ? at + strlen(key) : "";
	}
	return strtoull(at, NULL, 10);
}

/* The daemon's own group, if systemd says that it may divide it; else NULL. */
static char *own(void)
{
	static char path[512];
	char line[512] = "";
	FILE *f = fopen("/proc/self/cgroup", "re");
	bool found = false;
	char yes = 0;

	while (f && !found && fgets(line, sizeof(line), f))
		found = !strncmp(line, "0::/", 4);
	if (f)
		fclose(f);
	if (!found)
		return NULL;
	line[strcspn(line, "\n")] = '\0';
	snprintf(path, sizeof(path), MOUNT "%.*s", 400, line + 3);
	if (getxattr(path, "trusted.delegate", &yes, 1) != 1 || yes != '1')
		return NULL;
	return path;
}

/* Processes and limits are never in one group: we go to a child of ours. */
static int step_down(int dir)
{
	int child;
	int err;

	if (mkdirat(dir, "manager", 0755) && errno != EEXIST)
		return -errno;
	child = openat(dir, "manager", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (child < 0)
		return -errno;
	err = put_number(child, "cgroup.procs", (uint64_t)getpid());
	close(child);
	return err;
}

static int use(const char *path, bool ours)
{
	struct statfs fs;
	int err = 0;

	base = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (base < 0)
		return -errno;
	if (fstatfs(base, &fs))
		err = -errno;
	else if (fs.f_type != CGROUP2_SUPER_MAGIC)
		err = -ENOTSUP;
	if (!err && ours)
		err = step_down(base);
	if (!err)
		err = put(base, "cgroup.subtree_control", "+memory +pids");
	if (err) {
		close(base);
		base = -1;
	}
	return err;
}

int cgroups_setup(const char *given)
{
	const char *path = given ? given : own();
	int err;

	if (!path)
		return 0;
	if (given && mkdir(given, 0755) && errno != EEXIST)
		err = -errno;
	else
		err = use(path, !given);
	if (!err)
		return 0;
	log_line(
		given ? LOG_ERROR : LOG_WARNING, "%s%s: %s%s", given ? "--cgroup: " : "", path,
		strerror(-err),
		err == -ENOTSUP ?
			" (it is no control group of version 2)" :
		err == -EBUSY ?
			" (processes are in it)" :
		err == -ENOENT ?
			" (its parent must offer two controllers: write '+memory +pids' to its cgroup.subtree_control)" :
			"");
	return given ? -1 : 0;
}

static int group(const char *vm, char *name, size_t size)
{
	snprintf(name, size, "vm-%s", vm);
	return openat(base, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
}

void cgroup_enter(const char *vm, uint64_t memory_max, uint64_t tasks_max, pid_t worker)
{
	char name[80];
	int err = 0;
	int dir;

	if (base < 0)
		return;
	snprintf(name, sizeof(name), "vm-%s", vm);
	if (mkdirat(base, name, 0755) && errno != EEXIST)
		err = -errno;
	dir = group(vm, name, sizeof(name));
	if (dir < 0) {
		err = err ? err : -errno;
	} else {
		bool bounded = memory_max && !WEAK(MEMORY);

		err = bounded ? put_number(dir, "memory.max", memory_max) :
				put(dir, "memory.max", "max");
		/* nor may it take the host's swap instead; without swap there is no such file */
		if (!err) {
			err = put(dir, "memory.swap.max", bounded ? "0" : "max");
			err = err == -ENOENT ? 0 : err;
		}
		if (!err)
			err = put_number(dir, "pids.max", tasks_max);
		/* a worker without its mirrors, or the other way round, is of no use */
		if (!err)
			err = put(dir, "memory.oom.group", "1");
		if (!err)
			err = put_number(dir, "cgroup.procs", (uint64_t)worker);
		close(dir);
	}
	if (err)
		log_warning("VM '%s': no control group of its own: %s", vm, strerror(-err));
}

bool cgroup_leave(const char *vm)
{
	struct timespec t = { .tv_nsec = 1000000 };
	char name[80];
	bool killed;
	int dir;

	if (base < 0)
		return false;
	dir = group(vm, name, sizeof(name));
	if (dir < 0)
		return false;
	killed = get(dir, "memory.events", "oom_kill ");
	close(dir);
	for (unsigned int i = 0; i < REMOVE_TRIES && unlinkat(base, name, AT_REMOVEDIR); i++) {
		if (errno != EBUSY)
			break;
		nanosleep(&t, NULL);
	}
	return killed;
}

bool cgroup_use(const char *vm, struct cgroup_use *u)
{
	char name[80];
	int dir = base < 0 ? -1 : group(vm, name, sizeof(name));

	if (dir < 0)
		return false;
	u->memory = get(dir, "memory.current", NULL);
	u->tasks = get(dir, "pids.current", NULL);
	close(dir);
	return true;
}
