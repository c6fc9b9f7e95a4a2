// SPDX-License-Identifier: Apache-2.0
/* The four devices of uinput. */
#include "devices.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/uinput.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "inputs.h"

#define SLOTS 10
#define EFFECTS 4

struct axis {
	int code, min, max, resolution;
};

struct shape {
	const char *name;
	uint16_t product;
	int keys[16];
	int keys_from, keys_to;
	int rels[4];
	struct axis axes[10];
	int props[4];
	bool forces;
};

/* Lists end with 0, but REL_X and ABS_X are 0: those lists are one more than the value. */
static const struct shape shapes[] = {
	{ .name = "Paradice lab keyboard",
	  .product = 1,
	  .keys_from = KEY_ESC,
	  .keys_to = KEY_COMPOSE },
	{
		.name = "Paradice lab mouse",
		.product = 2,
		.keys = { BTN_LEFT, BTN_RIGHT, BTN_MIDDLE },
		.rels = { REL_X + 1, REL_Y + 1, REL_WHEEL + 1 },
	},
	{
		.name = "Paradice lab touchpad",
		.product = 3,
		.keys = { BTN_LEFT, BTN_TOUCH, BTN_TOOL_FINGER, BTN_TOOL_DOUBLETAP },
		.axes = { { ABS_X + 1, 0, 4000, 40 },
			  { ABS_Y + 1, 0, 3000, 40 },
			  { ABS_PRESSURE + 1, 0, 255, 0 },
			  { ABS_MT_SLOT + 1, 0, SLOTS - 1, 0 },
			  { ABS_MT_POSITION_X + 1, 0, 4000, 40 },
			  { ABS_MT_POSITION_Y + 1, 0, 3000, 40 },
			  { ABS_MT_TRACKING_ID + 1, 0, 65535, 0 },
			  { ABS_MT_PRESSURE + 1, 0, 255, 0 },
			  { ABS_MT_TOUCH_MAJOR + 1, 0, 255, 0 } },
		.props = { INPUT_PROP_POINTER + 1, INPUT_PROP_BUTTONPAD + 1 },
	},
	{
		.name = "Paradice lab gamepad",
		.product = 4,
		.keys = { BTN_SOUTH, BTN_EAST, BTN_NORTH, BTN_WEST, BTN_START, BTN_SELECT },
		.axes = { { ABS_X + 1, -128, 127, 0 }, { ABS_Y + 1, -128, 127, 0 } },
		.forces = true,
	},
};

void die(const char *what)
{
	fprintf(stderr, "pd-inputs: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void set(int fd, unsigned long request, int value)
{
	if (ioctl(fd, request, value))
		die("describing a device");
}

int device_make(const char *path, int which)
{
	const struct shape *s = &shapes[which];
	struct uinput_setup setup = {
		.id = { .bustype = BUS_VIRTUAL, .vendor = 0x5044, .version = 1 }
	};
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(path);
	set(fd, UI_SET_EVBIT, EV_KEY);
	set(fd, UI_SET_EVBIT, EV_MSC);
	set(fd, UI_SET_MSCBIT, MSC_SCAN);
	set(fd, UI_SET_MSCBIT, MSC_PULSELED);
	for (int i = 0; s->keys[i]; i++)
		set(fd, UI_SET_KEYBIT, s->keys[i]);
	for (int key = s->keys_from; key && key <= s->keys_to; key++)
		set(fd, UI_SET_KEYBIT, key);
	for (int i = 0; s->rels[i]; i++) {
		set(fd, UI_SET_EVBIT, EV_REL);
		set(fd, UI_SET_RELBIT, s->rels[i] - 1);
	}
	for (int i = 0; s->props[i]; i++)
		set(fd, UI_SET_PROPBIT, s->props[i] - 1);
	for (int i = 0; s->axes[i].code; i++) {
		struct uinput_abs_setup abs = {
			.code = s->axes[i].code - 1,
			.absinfo = { .minimum = s->axes[i].min,
				     .maximum = s->axes[i].max,
				     .resolution = s->axes[i].resolution },
		};

		set(fd, UI_SET_EVBIT, EV_ABS);
		if (ioctl(fd, UI_ABS_SETUP, &abs))
			die("describing an axis");
	}
	if (s->keys_from) {
		set(fd, UI_SET_EVBIT, EV_LED);
		set(fd, UI_SET_LEDBIT, LED_CAPSL);
		set(fd, UI_SET_LEDBIT, LED_NUML);
		set(fd, UI_SET_EVBIT, EV_REP);
	}
	if (s->forces) {
		set(fd, UI_SET_EVBIT, EV_FF);
		set(fd, UI_SET_FFBIT, FF_RUMBLE);
		set(fd, UI_SET_FFBIT, FF_PERIODIC);
		set(fd, UI_SET_FFBIT, FF_SINE);
		set(fd, UI_SET_FFBIT, FF_CUSTOM);
		setup.ff_effects_max = EFFECTS;
	}
	setup.id.product = s->product;
	snprintf(setup.name, sizeof(setup.name), "%s", s->name);
	if (ioctl(fd, UI_DEV_SETUP, &setup) || ioctl(fd, UI_DEV_CREATE))
		die("creating a device");
	return fd;
}

static void emit(int fd, int type, int code, int value)
{
	struct input_event ev = { .type = type, .code = code, .value = value };

	if (write(fd, &ev, sizeof(ev)) != sizeof(ev))
		die("writing an event");
}

static void packet(int fd)
{
	emit(fd, EV_SYN, SYN_REPORT, 0);
}

static void press(int fd, int key)
{
	emit(fd, EV_KEY, key, 1);
	packet(fd);
	emit(fd, EV_KEY, key, 0);
	packet(fd);
}

static void play_touch(int fd)
{
	emit(fd, EV_ABS, ABS_MT_SLOT, 0);
	emit(fd, EV_ABS, ABS_MT_TRACKING_ID, 7);
	emit(fd, EV_KEY, BTN_TOUCH, 1);
	emit(fd, EV_KEY, BTN_TOOL_FINGER, 1);
	for (int i = 0; i < 20; i++) {
		emit(fd, EV_ABS, ABS_MT_POSITION_X, 1000 + i * 50);
		emit(fd, EV_ABS, ABS_MT_POSITION_Y, 1000 + i * 20);
		emit(fd, EV_ABS, ABS_X, 1000 + i * 50);
		emit(fd, EV_ABS, ABS_Y, 1000 + i * 20);
		packet(fd);
		usleep(10000);
	}
	emit(fd, EV_ABS, ABS_MT_TRACKING_ID, -1);
	emit(fd, EV_KEY, BTN_TOUCH, 0);
	emit(fd, EV_KEY, BTN_TOOL_FINGER, 0);
	packet(fd);
}

static void play_sequence(int fd, int count)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	for (int i = 1; i <= count; i++) {
		emit(fd, EV_MSC, MSC_SCAN, i);
		packet(fd);
		at.tv_nsec += 1000000;
		if (at.tv_nsec >= 1000000000) {
			at.tv_sec++;
			at.tv_nsec -= 1000000000;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
	}
}

static void play(int fd, int script)
{
	static const int word[] = { KEY_P, KEY_A, KEY_R, KEY_A,	   KEY_D,
				    KEY_I, KEY_C, KEY_E, KEY_ENTER };
	static const int buttons[] = { BTN_SOUTH, BTN_EAST, BTN_NORTH, BTN_WEST };

	if (script >= PLAY_SEQUENCE) {
		play_sequence(fd, script);
		return;
	}
	switch (script) {
	case PLAY_KEYS:
		for (size_t i = 0; i < sizeof(word) / sizeof(word[0]); i++)
			press(fd, word[i]);
		break;
	case PLAY_MOTION:
		for (int i = 1; i <= 10; i++) {
			emit(fd, EV_REL, REL_X, i);
			emit(fd, EV_REL, REL_Y, -i);
			packet(fd);
		}
		press(fd, BTN_LEFT);
		break;
	case PLAY_TOUCH:
		play_touch(fd);
		break;
	case PLAY_BUTTONS:
		for (size_t i = 0; i < sizeof(buttons) / sizeof(buttons[0]); i++)
			press(fd, buttons[i]);
		break;
	}
}

/* Tells the magnitude of an effect to whoever reads the device. */
static void tell(int fd, int value)
{
	emit(fd, EV_MSC, MSC_SCAN, value);
	packet(fd);
}

static void upload(int fd, int request)
{
	struct uinput_ff_upload up = { .request_id = request };

	if (ioctl(fd, UI_BEGIN_FF_UPLOAD, &up))
		die("beginning an upload");
	/* a magnitude that the device cannot do */
	up.retval = up.effect.type == FF_RUMBLE && up.effect.u.rumble.strong_magnitude == 0xbad ?
			    -EINVAL :
			    0;
	tell(fd, up.effect.type == FF_RUMBLE ? up.effect.u.rumble.strong_magnitude :
					       up.effect.u.periodic.magnitude);
	if (ioctl(fd, UI_END_FF_UPLOAD, &up))
		die("ending an upload");
}

static void erase(int fd, int request)
{
	struct uinput_ff_erase erased = { .request_id = request };

	if (ioctl(fd, UI_BEGIN_FF_ERASE, &erased))
		die("beginning to erase");
	tell(fd, -1 - (int)erased.effect_id);
	if (ioctl(fd, UI_END_FF_ERASE, &erased))
		die("ending to erase");
}

void device_serve(int fd)
{
	struct input_event ev;

	if (read(fd, &ev, sizeof(ev)) != sizeof(ev))
		die("reading from uinput");
	if (ev.type == EV_MSC && ev.code == MSC_PULSELED)
		play(fd, ev.value);
	else if (ev.type == EV_UINPUT && ev.code == UI_FF_UPLOAD)
		upload(fd, ev.value);
	else if (ev.type == EV_UINPUT && ev.code == UI_FF_ERASE)
		erase(fd, ev.value);
	else if (ev.type == EV_FF && ev.code < EFFECTS)
		tell(fd, 1000 * (ev.code + 1) + ev.value);
	else if (ev.type == EV_LED)
		tell(fd, 100 * ev.code + ev.value);
}
