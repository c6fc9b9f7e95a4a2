// SPDX-License-Identifier: Apache-2.0
/*
 * pd-evdev: uses the lab's input devices (pd-inputs) as no packaged tool does.
 *
 *	pd-evdev play NODE SCRIPT      tell the device to play a script
 *	pd-evdev rate NODE PACKETS     a packet a millisecond: all there, in order
 *	pd-evdev grab NODE             EVIOCGRAB between two open files
 *	pd-evdev sigio NODE            SIGIO for each script that plays
 *	pd-evdev led NODE              EV_LED reaches the device
 *	pd-evdev force NODE            force feedback: upload, change, play, erase, too many
 *	pd-evdev hidraw NODE           reports and features of the HID device
 *
 * Prints what it saw. Exit: 0 when all was right, 1 when not, 2 for wrong arguments.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/hidraw.h>
#include <linux/input.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pd-inputs/inputs.h"

#define PATIENCE 20000 /* ms: an emulated machine may be slow */

static bool failed;

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static void expect(bool right, const char *what)
{
	printf("%s: %s\n", what, right ? "right" : "WRONG");
	failed |= !right;
}

static int open_node(const char *path, int flags)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | flags);

	if (fd < 0)
		die(path);
	return fd;
}

static void put(int fd, int type, int code, int value)
{
	struct input_event ev = { .type = type, .code = code, .value = value };

	if (write(fd, &ev, sizeof(ev)) != sizeof(ev))
		die("writing an event");
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) > 0 && (p.revents & POLLIN);
}

/* The next event of this type and code; false when none comes in time. */
static bool next(int fd, int type, int code, struct input_event *ev)
{
	while (readable(fd, PATIENCE)) {
		if (read(fd, ev, sizeof(*ev)) != sizeof(*ev))
			die("reading an event");
		if (ev->type == type && ev->code == code)
			return true;
	}
	return false;
}

static void drain(int fd)
{
	struct input_event ev[16];

	while (readable(fd, 300))
		if (read(fd, ev, sizeof(ev)) < 0)
			die("reading events");
}

static int rate(const char *path, int packets)
{
	int fd = open_node(path, 0);
	int wanted = 1, dropped = 0, wrong = 0;

	put(fd, EV_MSC, MSC_PULSELED, packets);
	while (wanted <= packets && readable(fd, PATIENCE)) {
		struct input_event ev[64];
		ssize_t n = read(fd, ev, sizeof(ev));

		if (n < 0)
			die("reading events");
		for (size_t i = 0; i < n / sizeof(ev[0]); i++) {
			dropped += ev[i].type == EV_SYN && ev[i].code == SYN_DROPPED;
			if (ev[i].type != EV_MSC || ev[i].code != MSC_SCAN)
				continue;
			wrong += ev[i].value != wanted;
			wanted = ev[i].value + 1;
		}
	}
	printf("%d packets asked for, %d seen, %d out of place, %d times dropped\n", packets,
	       wanted - 1, wrong, dropped);
	return wanted - 1 != packets || wrong || dropped;
}

static int grab(const char *path)
{
	int a = open_node(path, O_NONBLOCK), b = open_node(path, O_NONBLOCK);
	struct input_event ev;

	drain(a);
	drain(b);
	expect(!ioctl(a, EVIOCGRAB, 1), "grab");
	expect(ioctl(b, EVIOCGRAB, 1) && errno == EBUSY, "a second grab gives EBUSY");
	put(a, EV_MSC, MSC_PULSELED, PLAY_KEYS);
	expect(next(a, EV_KEY, KEY_ENTER, &ev), "the one that has it sees the keys");
	expect(!readable(b, 500), "the other sees nothing");
	expect(!ioctl(a, EVIOCGRAB, 0), "release");
	drain(a);
	put(a, EV_MSC, MSC_PULSELED, PLAY_KEYS);
	expect(next(b, EV_KEY, KEY_ENTER, &ev), "the other sees the keys");
	close(a);
	expect(!ioctl(b, EVIOCGRAB, 1), "the other grabs");
	return failed;
}

static volatile sig_atomic_t signals;

static void on_sigio(int number)
{
	(void)number;
	signals++;
}

static int sigio(const char *path)
{
	int fd = open_node(path, O_NONBLOCK);
	int before;

	signal(SIGIO, on_sigio);
	drain(fd);
	if (fcntl(fd, F_SETOWN, getpid()) || fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK | O_ASYNC))
		die("fcntl");
	for (int round = 1; round <= 3; round++) {
		before = signals;
		put(fd, EV_MSC, MSC_PULSELED, PLAY_KEYS);
		for (int ms = 0; signals == before && ms < PATIENCE; ms += 10)
			usleep(10000);
		expect(signals > before, "a signal came");
		expect(readable(fd, 0), "there is something to read");
		drain(fd);
	}
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK))
		die("fcntl");
	usleep(100000);
	before = signals;
	put(fd, EV_MSC, MSC_PULSELED, PLAY_KEYS);
	expect(readable(fd, PATIENCE), "without O_ASYNC there is something to read");
	usleep(300000);
	expect(signals == before, "but no signal");
	return failed;
}

static int led(const char *path)
{
	int fd = open_node(path, 0);
	unsigned long leds = 0;
	struct input_event ev;

	for (int on = 1; on >= 0; on--) {
		put(fd, EV_LED, LED_CAPSL, on);
		expect(next(fd, EV_MSC, MSC_SCAN, &ev) && ev.value == 100 * LED_CAPSL + on,
		       "the device was told");
		expect(ioctl(fd, EVIOCGLED(sizeof(leds)), &leds) > 0 &&
			       (leds >> LED_CAPSL & 1) == (unsigned int)on,
		       "EVIOCGLED says so");
	}
	return failed;
}

static int force(const char *path)
{
	int fd = open_node(path, 0);
	int16_t wave[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	struct ff_effect rumble = { .type = FF_RUMBLE,
				    .id = -1,
				    .u.rumble.strong_magnitude = 0x1234 };
	struct ff_effect sine = {
		.type = FF_PERIODIC,
		.id = -1,
		.u.periodic = { .waveform = FF_SINE, .period = 100, .magnitude = 0x4321 },
	};
	struct ff_effect bad = rumble;
	struct input_event ev;
	int most = 0;

	expect(!ioctl(fd, EVIOCGEFFECTS, &most), "EVIOCGEFFECTS");
	printf("%d effects at once\n", most);
	expect(!ioctl(fd, EVIOCSFF, &rumble) && rumble.id == 0, "upload a rumble: id 0");
	expect(next(fd, EV_MSC, MSC_SCAN, &ev) && ev.value == 0x1234, "the device has it");
	expect(!ioctl(fd, EVIOCSFF, &sine) && sine.id == 1, "upload a sine: id 1");
	expect(next(fd, EV_MSC, MSC_SCAN, &ev) && ev.value == 0x4321, "the device has it");
	rumble.u.rumble.strong_magnitude = 0x2345;
	expect(!ioctl(fd, EVIOCSFF, &rumble) && rumble.id == 0, "change the rumble");
	expect(next(fd, EV_MSC, MSC_SCAN, &ev) && ev.value == 0x2345, "the device has it");
	put(fd, EV_FF, 0, 3);
	expect(next(fd, EV_MSC, MSC_SCAN, &ev) && ev.value == 1003, "play it three times");
	put(fd, EV_FF, 1, 0);
	expect(next(fd, EV_MSC, MSC_SCAN, &ev) && ev.value == 2000, "stop the other");
	bad.u.rumble.strong_magnitude = 0xbad;
	expect(ioctl(fd, EVIOCSFF, &bad) && errno == EINVAL,
	       "what the device refuses gives EINVAL");
	/* uinput can not take samples over; the error is the driver's */
	sine.id = -1;
	sine.u.periodic.waveform = FF_CUSTOM;
	sine.u.periodic.custom_len = 8;
	sine.u.periodic.custom_data = wave;
	printf("samples of one's own: %s\n",
	       ioctl(fd, EVIOCSFF, &sine) ? strerror(errno) : "taken");
	for (int i = 0; i < most; i++) {
		bad = rumble;
		bad.id = -1;
		if (ioctl(fd, EVIOCSFF, &bad)) {
			printf("then %d more, and: %s\n", i, strerror(errno));
			break;
		}
	}
	expect(!ioctl(fd, EVIOCRMFF, 0), "erase the rumble");
	expect(ioctl(fd, EVIOCRMFF, 0) != 0, "but not twice");
	return failed;
}

static int hidraw(const char *path)
{
	int fd = open_node(path, 0);
	uint8_t report[HID_REPORT + 1] = { 0 }, back[64];
	struct hidraw_report_descriptor desc;
	struct hidraw_devinfo info;
	char name[128] = "";
	int size = 0, n;

	expect(!ioctl(fd, HIDIOCGRDESCSIZE, &size), "HIDIOCGRDESCSIZE");
	desc.size = size;
	expect(!ioctl(fd, HIDIOCGRDESC, &desc), "HIDIOCGRDESC");
	printf("descriptor:");
	for (int i = 0; i < size; i++)
		printf(" %02x", desc.value[i]);
	expect(!ioctl(fd, HIDIOCGRAWINFO, &info), "\nHIDIOCGRAWINFO");
	printf("bus %u, %04hx:%04hx\n", info.bustype, info.vendor, info.product);
	expect(ioctl(fd, HIDIOCGRAWNAME(sizeof(name)), name) > 0, "HIDIOCGRAWNAME");
	printf("name: %s\n", name);
	for (int round = 0; round < 100; round++) {
		for (int i = 1; i <= HID_REPORT; i++)
			report[i] = round * 16 + i;
		if (write(fd, report, sizeof(report)) != sizeof(report))
			die("writing a report");
		if (!readable(fd, PATIENCE) || (n = read(fd, back, sizeof(back))) != HID_REPORT ||
		    memcmp(back, report + 1, HID_REPORT)) {
			expect(false, "a report comes back");
			return 1;
		}
	}
	printf("100 reports came back\n");
	expect(ioctl(fd, HIDIOCSFEATURE(sizeof(report)), report) > 0, "HIDIOCSFEATURE");
	memset(back, 0, sizeof(back));
	n = ioctl(fd, HIDIOCGFEATURE(sizeof(report)), back);
	expect(n == sizeof(report) && !memcmp(back, report, sizeof(report)), "HIDIOCGFEATURE");
	return failed;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4 && !strcmp(what, "play")) {
		put(open_node(argv[2], 0), EV_MSC, MSC_PULSELED, atoi(argv[3]));
		return 0;
	}
	if (argc == 4 && !strcmp(what, "rate"))
		return rate(argv[2], atoi(argv[3]));
	if (!strcmp(what, "grab"))
		return grab(argv[2]);
	if (!strcmp(what, "sigio"))
		return sigio(argv[2]);
	if (!strcmp(what, "led"))
		return led(argv[2]);
	if (!strcmp(what, "force"))
		return force(argv[2]);
	if (!strcmp(what, "hidraw"))
		return hidraw(argv[2]);
	fprintf(stderr, "pd-evdev: see the head of its source\n");
	return 2;
}
