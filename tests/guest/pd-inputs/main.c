// SPDX-License-Identifier: Apache-2.0
/*
 * pd-inputs: input devices of the lab's host, made through /dev/uinput and /dev/uhid.
 *
 *	pd-inputs [--uinput PATH] [--uhid PATH]
 *
 * A keyboard, a mouse, a touchpad, a gamepad with force feedback and a HID device without a
 * driver, in this order. They play scripts when they are told to (inputs.h), what is uploaded to
 * the gamepad is answered as a real one's driver does, and the HID device returns each report.
 * Says "ready" when all are there, and serves until it is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices.h"

#define DEVICES 4

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "uinput", required_argument, NULL, 'i' },
		{ "uhid", required_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *uinput = "/dev/uinput", *uhid = "/dev/uhid";
	struct pollfd fds[DEVICES + 1];
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		if (c == 'i')
			uinput = optarg;
		else if (c == 'h')
			uhid = optarg;
		else
			return 2;
	}
	for (int i = 0; i < DEVICES; i++) {
		fds[i].fd = device_make(uinput, i);
		fds[i].events = POLLIN;
	}
	fds[DEVICES].fd = hid_make(uhid);
	fds[DEVICES].events = POLLIN;
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		if (poll(fds, DEVICES + 1, -1) < 0 && errno != EINTR)
			die("poll");
		for (int i = 0; i < DEVICES; i++)
			if (fds[i].revents)
				device_serve(fds[i].fd);
		if (fds[DEVICES].revents)
			hid_serve(fds[DEVICES].fd);
	}
}
