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

static void wait_for(const char *path)
{
	struct stat st;

	for (int tries = 0; stat(path, &st); tries++) {
		if (tries == 500)
			fail("%s does not appear", path);
		usleep(10000);
	}
}

static void make_root(void)
{
	char modules[300];
	struct utsname uts;

	make("/lower");
	make("/layer");
	wait_for("/dev/vdb");
	mount_at("/dev/vda", "/lower", "erofs", MS_RDONLY, NULL);
	mount_at("layer", "/layer", "tmpfs", 0, "mode=755");
	make("/layer/upper");
	make("/layer/work");
	make(ROOT);
	mount_at("root", ROOT, "overlay", 0,
		 "lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work");
	uname(&uts);
	make(ROOT "/usr/lib/modules");
	snprintf(modules, sizeof(modules), ROOT "/usr/lib/modules/%s", uts.release);
	make(modules);
	mount_at("/dev/vdb", modules, "erofs", MS_RDONLY, NULL);
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

/* Mounts the folders that "lab.9p=TAG,TAG" on the kernel's command line names, each at /TAG. */
static void mount_shares(void)
{
	char line[4096] = "", path[300], *at, *tags, *rest = NULL;
	FILE *f = fopen("/proc/cmdline", "r");

	if (!f || !fgets(line, sizeof(line), f))
		fail("no command line");
	fclose(f);
	at = strstr(line, "lab.9p=");
	if (!at)
		return;
	load("/modules/order-9p");
	tags = at + strlen("lab.9p=");
	tags[strcspn(tags, " \n")] = 0;
	for (char *tag = strtok_r(tags, ",", &rest); tag; tag = strtok_r(NULL, ",", &rest)) {
		snprintf(path, sizeof(path), ROOT "/%s", tag);
		make(path);
		mount_at(tag, path, "9p", 0, OPTIONS_9P);
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

/* The port named "agent"; its number depends on the order of virtio devices. */
static void find_port(char *path, size_t size)
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
			return;
		}
		fclose(f);
	}
	fail("no port named agent");
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
	find_port(port, sizeof(port));
	execl("/run/lab/agent", "agent", port, NULL);
	fail("cannot start the agent: %s", strerror(errno));
}
