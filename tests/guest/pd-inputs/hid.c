// SPDX-License-Identifier: Apache-2.0
/* A HID device that returns each report which it gets, for hidraw. */
#include <errno.h>
#include <fcntl.h>
#include <linux/uhid.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "devices.h"
#include "inputs.h"

/* A vendor's own collection: an input, an output and a feature report of HID_REPORT bytes. */
static const uint8_t descriptor[] = {
	0x06, 0x00,	  0xff, /* usage page: vendor */
	0x09, 0x01, /* usage 1 */
	0xa1, 0x01, /* collection: application */
	0x15, 0x00, /*   logical minimum 0 */
	0x26, 0xff,	  0x00, /*   logical maximum 255 */
	0x75, 0x08, /*   report size 8 */
	0x95, HID_REPORT, /*   report count */
	0x09, 0x01,	  0x81, 0x02, /*   input */
	0x09, 0x01,	  0x91, 0x02, /*   output */
	0x09, 0x01,	  0xb1, 0x02, /*   feature */
	0xc0,
};
static uint8_t feature[HID_REPORT];

static void answer(int fd, const struct uhid_event *ev)
{
	if (write(fd, ev, sizeof(*ev)) != sizeof(*ev))
		die("writing to uhid");
}

int hid_make(const char *path)
{
	struct uhid_event ev = { .type = UHID_CREATE2 };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(path);
	strcpy((char *)ev.u.create2.name, "Paradice lab HID device");
	memcpy(ev.u.create2.rd_data, descriptor, sizeof(descriptor));
	ev.u.create2.rd_size = sizeof(descriptor);
	ev.u.create2.bus = 0x03;
	ev.u.create2.vendor = 0x5044;
	ev.u.create2.product = 5;
	answer(fd, &ev);
	return fd;
}

void hid_serve(int fd)
{
	struct uhid_event ev, reply;

	if (read(fd, &ev, sizeof(ev)) < (ssize_t)sizeof(ev.type))
		die("reading from uhid");
	memset(&reply, 0, sizeof(reply));
	switch (ev.type) {
	case UHID_OUTPUT:
		if (ev.u.output.rtype == UHID_FEATURE_REPORT)
			return;
		reply.type = UHID_INPUT2;
		/* the first byte of what a program writes is the report's number, 0 here */
		reply.u.input2.size = HID_REPORT;
		memcpy(reply.u.input2.data, ev.u.output.data + 1, HID_REPORT);
		answer(fd, &reply);
		break;
	case UHID_SET_REPORT:
		memcpy(feature, ev.u.set_report.data + 1, HID_REPORT);
		reply.type = UHID_SET_REPORT_REPLY;
		reply.u.set_report_reply.id = ev.u.set_report.id;
		answer(fd, &reply);
		break;
	case UHID_GET_REPORT:
		reply.type = UHID_GET_REPORT_REPLY;
		reply.u.get_report_reply.id = ev.u.get_report.id;
		reply.u.get_report_reply.size = HID_REPORT + 1;
		memcpy(reply.u.get_report_reply.data + 1, feature, HID_REPORT);
		answer(fd, &reply);
		break;
	}
}
