// SPDX-License-Identifier: Apache-2.0
/*
 * First program of a lab VM: loads what its disks need, puts a writable layer
 * of memory over the root image, and hands over to the agent.
 *
 * In C rather than shell because every program that a script starts costs a
 * nested guest a tenth of a second.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define ROOT "/layer/root"
#define OPTIONS_9P "trans=virtio,version=9p2000.L,msize=262144,access=any"

static void __attribute__((format(printf, 1, 2), noreturn)) fail(const char *format, ...)
{
	char line[512] = "lab: init: ";
	va_list args;
	int fd = open("/dev/kmsg", O_WRONLY);
	int saved = errno;

	va_start(args, format);
	errno = saved;
	vsnprintf(line + strlen(line), sizeof(line) - strlen(line), format, args);
	va_end(args);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		perror(line);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void make(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		fail("cannot make %s: %s", path, strerror(errno));
}

static void mount_at(const char *source, const char *target, const char *type, unsigned long flags,
		     const char *data)
{
	if (mount(source, target, type, flags, data))
		fail("cannot mount %s on %s: %s", source, target, strerror(errno));
}

/* Loads the modules that a list names, one in a line. */
static void load(const char *list)
{
	char name[256], path[300];
	FILE *f = fopen(list, "r");

	if (!f)
		fail("no %s", list);
	while (fgets(name, sizeof(name), f)) {
		int fd;

		name[strcspn(name, "\n")] = 0;
		snprintf(path, sizeof(path), "/modules/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			fail("cannot load %s: %s", path, strerror(errno));
		close(fd);
	}
	fclose(f);
}

/* What disks are called, without their letter: virtio's or Xen's. Waits until there are that many. */
static const char *disks(int count)
{
	static const char *const kinds[] = { "/dev/vd", "/dev/xvd" };
	char last[32];
	struct stat st;

	for (int tries = 0; tries < 1000; tries++) {
		for (int i = 0; i < 2; i++) {
			snprintf(last, sizeof(last), "%s%c", kinds[i], 'a' + count - 1);
			if (!stat(last, &st))
				return kinds[i];
		}
		usleep(10000);
	}
	fail("disk %d does not appear", count);
}

static void mount_disk(int number, const char *target)
{
	char disk[32];

	snprintf(disk, sizeof(disk), "%s%c", disks(number), 'a' + number - 1);
	mount_at(disk, target, "erofs", MS_RDONLY, NULL);
}

/* Makes what is at lower writable at target, with all that is written held in memory. */
static void mount_writable(const char *lower, const char *layer, const char *target)
{
	char options[300], upper[100], work[100];

	snprintf(upper, sizeof(upper), "/layer/upper%s", layer);
	snprintf(work, sizeof(work), "/layer/work%s", layer);
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", lower, upper,
		 work);
	make(upper);
	make(work);
	make(target);
	mount_at("overlay", target, "overlay", 0, options);
}

static void make_root(void)
{
	char modules[300];
	struct utsname uts;

	make("/lower");
	make("/layer");
	mount_disk(1, "/lower");
	mount_at("layer", "/layer", "tmpfs", 0, "mode=755");
	mount_writable("/lower", "", ROOT);
	uname(&uts);
	make(ROOT "/usr/lib/modules");
	snprintf(modules, sizeof(modules), ROOT "/usr/lib/modules/%s", uts.release);
	make(modules);
	mount_disk(2, modules);
	mount_at("run", ROOT "/run", "tmpfs", 0, "mode=755");
	make(ROOT "/run/lab");
	make(ROOT "/run/lock");
	/* What this run brought stays in the initial root, which lives on below. */
	mount_at("/payload", ROOT "/run/lab", NULL, MS_BIND, NULL);
	mount_at("tmp", ROOT "/tmp", "tmpfs", 0, "mode=1777");
}

static void make_dev(void)
{
	make("/dev/pts");
	make("/dev/shm");
	mount_at("devpts", "/dev/pts", "devpts", 0, "ptmxmode=0666,mode=620,gid=5");
	mount_at("shm", "/dev/shm", "tmpfs", 0, "mode=1777");
	mount_at("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	mount_at("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	if (symlink("/proc/self/fd", "/dev/fd") || symlink("/proc/self/fd/0", "/dev/stdin") ||
	    symlink("/proc/self/fd/1", "/dev/stdout") || symlink("/proc/self/fd/2", "/dev/stderr"))
		fail("cannot make links in /dev: %s", strerror(errno));
}

/* The value of a word "name=value" of the kernel's command line; empty without it. */
static void argument(const char *name, char *value, size_t size)
{
	char line[4096] = "", *word, *rest = NULL;
	FILE *f = fopen("/proc/cmdline", "r");
	size_t length = strlen(name);

	if (!f || !fgets(line, sizeof(line), f))
		fail("no command line");
	fclose(f);
	*value = 0;
	for (word = strtok_r(line, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
		if (!strncmp(word, name, length) && word[length] == '=')
			snprintf(value, size, "%s", word + length + 1);
}

/*
 * Mounts the folders that "lab.9p=TAG,TAG" names, each at /TAG; with "lab.copy=TAG" disk 3 holds a
 * copy of such a folder.
 */
static void mount_shares(void)
{
	char tags[1024], path[1100], *rest = NULL;

	argument("lab.9p", tags, sizeof(tags));
	if (*tags)
		load("/modules/order-9p");
	for (char *tag = strtok_r(tags, ",", &rest); tag; tag = strtok_r(NULL, ",", &rest)) {
		snprintf(path, sizeof(path), ROOT "/%s", tag);
		make(path);
		mount_at(tag, path, "9p", 0, OPTIONS_9P);
	}
	argument("lab.copy", tags, sizeof(tags));
	if (*tags) {
		snprintf(path, sizeof(path), ROOT "/%s", tags);
		make("/copy");
		mount_disk(3, "/copy");
		mount_writable("/copy", "-copy", path);
	}
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		fail("cannot bring lo up: %s", strerror(errno));
	close(fd);
}

/* The virtio port named "agent"; its number depends on the order of devices. False without one. */
static int find_port(char *path, size_t size)
{
	const char *folder = "/sys/class/virtio-ports";
	struct dirent *entry;
	DIR *dir = opendir(folder);

	while (dir && (entry = readdir(dir))) {
		char file[600], name[32] = "";
		FILE *f;

		snprintf(file, sizeof(file), "%s/%s/name", folder, entry->d_name);
		f = fopen(file, "r");
		if (!f)
			continue;
		if (fgets(name, sizeof(name), f) && !strcmp(name, "agent\n")) {
			snprintf(path, size, "/dev/%s", entry->d_name);
			fclose(f);
			closedir(dir);
			return 1;
		}
		fclose(f);
	}
	if (dir)
		closedir(dir);
	return 0;
}

/*
 * A guest of Xen has no such port: Xen's own program carries the bytes to dom0. port: our end of it,
 * a descriptor's number.
 */
static void start_channel(char *port, size_t size)
{
	char its_end[16];
	int ends[2];
	glob_t found;

	if (glob("/usr/lib/xen-[0-9]*/bin/vchan-socket-proxy", 0, NULL, &found))
		fail("no port named agent, and no Xen in the root image");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		fail("no channel: %s", strerror(errno));
	snprintf(its_end, sizeof(its_end), "%d", ends[1]);
	snprintf(port, size, "%d", ends[0]);
	switch (fork()) {
	case -1:
		fail("fork: %s", strerror(errno));
	case 0:
		close(ends[0]);
		execl(found.gl_pathv[0], "vchan-socket-proxy", "--mode=server", "0", "data/agent",
		      its_end, NULL);
		fail("cannot start %s: %s", found.gl_pathv[0], strerror(errno));
	}
	close(ends[1]);
}

int main(void)
{
	char port[300];

	make("/proc");
	make("/sys");
	make("/dev");
	mount_at("proc", "/proc", "proc", 0, NULL);
	mount_at("sysfs", "/sys", "sysfs", 0, NULL);
	mount_at("dev", "/dev", "devtmpfs", 0, NULL);
	load("/modules/order");
	make_root();
	make_dev();
	mount_shares();
	mount_at("/proc", ROOT "/proc", NULL, MS_MOVE, NULL);
	mount_at("/sys", ROOT "/sys", NULL, MS_MOVE, NULL);
	mount_at("/dev", ROOT "/dev", NULL, MS_MOVE, NULL);
	loopback_up();
	sethostname("lab", 3);
	if (chdir(ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		fail("cannot enter the new root: %s", strerror(errno));
	if (!find_port(port, sizeof(port)))
		start_channel(port, sizeof(port));
	execl("/run/lab/agent", "agent", port, NULL);
	fail("cannot start the agent: %s", strerror(errno));
}
