// SPDX-License-Identifier: Apache-2.0
/*
 * pd-input: an input device that comes and goes, and somebody who reads it.
 *
 *	pd-input make PATH	makes mice until one has the file PATH, /dev/input/event9 for example, and
 *				moves it until killed
 *	pd-input hold PATH	the same, without moving it
 *	pd-input watch PATH	reads PATH until the device goes, and says what it is told then
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <linux/uinput.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* 1: the device's file is called @want; 0: it is not; -1: it has none. */
static int is_file(int fd, const char *want)
{
	char name[64], path[128];
	struct dirent *entry;
	DIR *dir;

	if (ioctl(fd, UI_GET_SYSNAME(sizeof(name)), name) < 0) {
		perror("UI_GET_SYSNAME");
		return -1;
	}
	snprintf(path, sizeof(path), "/sys/devices/virtual/input/%s", name);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, "event", 5)) {
			int is;

			snprintf(path, sizeof(path), "/dev/input/%.64s", entry->d_name);
			is = !strcmp(path, want);
			closedir(dir);
			return is;
		}
	fprintf(stderr, "%s has no event file: is evdev loaded?\n", path);
	return -1;
}

static int make(const char *path, bool move_it)
{
	static const struct uinput_setup setup = {
		.id = { .bustype = BUS_USB, .vendor = 0x1209, .product = 0x7064, .version = 2 },
		.name = "Paradice test mouse",
	};
	const struct input_event move[] = {
		{ .type = EV_REL, .code = REL_X, .value = 1 },
		{ .type = EV_SYN, .code = SYN_REPORT },
	};
	int is = 0;
	int fd = -1;

	/* those before the right one stay open until the end */
	for (int tries = 0; !is && tries < 32; tries++) {
		fd = open("/dev/uinput", O_RDWR | O_CLOEXEC);
		if (fd < 0 || ioctl(fd, UI_SET_EVBIT, EV_KEY) ||
		    ioctl(fd, UI_SET_KEYBIT, BTN_LEFT) || ioctl(fd, UI_SET_KEYBIT, BTN_RIGHT) ||
		    ioctl(fd, UI_SET_EVBIT, EV_REL) || ioctl(fd, UI_SET_RELBIT, REL_X) ||
		    ioctl(fd, UI_SET_RELBIT, REL_Y) || ioctl(fd, UI_DEV_SETUP, &setup) ||
		    ioctl(fd, UI_DEV_CREATE)) {
			perror("/dev/uinput");
			return 1;
		}
		is = is_file(fd, path);
	}
	if (is != 1)
		return 1;
	while (!move_it)
		pause();
	while (write(fd, move, sizeof(move)) == sizeof(move))
		usleep(100000);
	perror("/dev/uinput");
	return 1;
}

static int watch(const char *path)
{
	struct input_event ev;
	struct pollfd p = { .events = POLLIN };
	unsigned int events = 0;
	int version;

	p.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (p.fd < 0) {
		perror(path);
		return 1;
	}
	while (poll(&p, 1, 20000) > 0 && !(p.revents & (POLLHUP | POLLERR)))
		while (read(p.fd, &ev, sizeof(ev)) == sizeof(ev))
			if (ev.type == EV_REL && !events++) {
				printf("it moves\n");
				fflush(stdout);
			}
	printf("poll: %s%s\n", p.revents & POLLHUP ? "HUP" : "", p.revents & POLLERR ? " ERR" : "");
	printf("read: %s\n", read(p.fd, &ev, sizeof(ev)) < 0 ? strerrorname_np(errno) : "0");
	printf("ioctl: %s\n",
	       ioctl(p.fd, EVIOCGVERSION, &version) < 0 ? strerrorname_np(errno) : "0");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && (!strcmp(argv[1], "make") || !strcmp(argv[1], "hold")))
		return make(argv[2], !strcmp(argv[1], "make"));
	if (argc == 3 && !strcmp(argv[1], "watch"))
		return watch(argv[2]);
	fprintf(stderr, "usage: pd-input make|hold|watch PATH\n");
	return 2;
}
