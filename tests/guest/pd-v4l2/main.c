// SPDX-License-Identifier: Apache-2.0
/*
 * pd-v4l2: capture frames from vivid and verify the content of each.
 *
 *	pd-v4l2 [--device PATH] [--method mmap|userptr|read|all] [--frames N]
 *		[--buffers N] [--fps N]
 *
 * Exit: 0 when every frame was right, 1 with what was wrong, 2 for wrong arguments.
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "v4l2.h"

static const char *device = "/dev/video0";
static unsigned int frames = 300, buffers = 4, fps = 30;

void die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "pd-v4l2: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(1);
}

static void run(const char *method)
{
	struct capture c = { .method = method, .want = frames };
	int missing;

	capture_open(&c, device, fps);
	if (!strcmp(method, "mmap"))
		capture_mmap(&c, buffers);
	else if (!strcmp(method, "userptr"))
		capture_userptr(&c, buffers);
	else
		capture_read(&c);
	missing = strcmp(method, "read") ? digits_learn(c.samples, c.frames) : -1;
	if (missing >= 0)
		die("no frame's number has a %d; capture more frames", missing);
	digits_check(&c);
	printf("%s: %u frames, each with its bars and its own number\n", method, c.frames);
	fflush(stdout);
	fprintf(stderr, "pd-v4l2: %s: of the driver's numbers %u left out, %u given twice\n", method,
		c.dropped, c.doubled);
	free(c.samples);
}

/*
 * read() tells no numbers: learn how they look from a method that does, and needs no device memory. A slow machine
 * that leaves numbers out may have to go on for some time to have seen each digit.
 */
static void learn(void)
{
	int missing = 0;

	for (unsigned int want = 30; missing >= 0 && want < 1000; want *= 2) {
		struct capture c = { .method = "userptr", .want = want };

		capture_open(&c, device, fps);
		capture_userptr(&c, buffers);
		missing = digits_learn(c.samples, c.frames);
		if (missing < 0)
			digits_check(&c);
		free(c.samples);
	}
	if (missing >= 0)
		die("no frame's number has a %d", missing);
}

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr, "usage: pd-v4l2 [--device PATH] [--method mmap|userptr|read|all] "
			"[--frames N, at least 30] [--buffers N, 2 to 16] [--fps N]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "method", required_argument, NULL, 'm' },
		{ "frames", required_argument, NULL, 'f' },
		{ "buffers", required_argument, NULL, 'b' },
		{ "fps", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	static const char *const methods[] = { "mmap", "userptr", "read" };
	const char *method = "all";
	bool ran = false;
	size_t i;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'd')
			device = optarg;
		else if (c == 'm')
			method = optarg;
		else if (c == 'f')
			frames = atoi(optarg);
		else if (c == 'b')
			buffers = atoi(optarg);
		else if (c == 's')
			fps = atoi(optarg);
		else
			usage();
	}
	if (optind != argc || frames < 30 || buffers < 2 || buffers > MAX_BUFFERS)
		usage();
	if (!strcmp(method, "read"))
		learn();
	for (i = 0; i < 3; i++) {
		if (strcmp(method, "all") && strcmp(method, methods[i]))
			continue;
		run(methods[i]);
		ran = true;
	}
	if (!ran)
		usage();
	return 0;
}
