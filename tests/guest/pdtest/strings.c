// SPDX-License-Identifier: Apache-2.0
/* pdtest: strings whose end only the driver finds. */
#include "pdtest.h"

static void say_string(int fd, const char *what, const char *in, char *out, size_t out_len)
{
	struct td_string string = { .in = in, .out = out, .out_len = out_len };
	long ret = ioctl(fd, TD_STRING, &string);

	say("%s: %s%s%.40s", what, result(ret), ret >= 0 ? " " : "", ret >= 0 ? out : "");
}

static void run_capitals(void)
{
	int fd = open_dev(O_RDWR);
	char *edge = map_edge(2), *out = map_edge(2), *p;

	say_string(fd, "constant", "a constant string", out, 100);
	say_string(fd, "empty", "", out, 100);
	p = edge + 2 * PAGE - 6;
	strcpy(p, "ended");
	say_string(fd, "up to the edge", p, out, 100);
	p[5] = '!';
	say_string(fd, "over the edge", p, out, 100);
	p = edge + PAGE - 4;
	strcpy(p, "across two pages");
	say_string(fd, "across pages", p, out, 100);
	say_string(fd, "out across pages", p, out + PAGE - 8, 100);
	say_string(fd, "out to the edge", p, out + 2 * PAGE - 17, 17);
	say_string(fd, "out over the edge", p, out + 2 * PAGE - 16, 17);
	say_string(fd, "out too small", p, out, 10);
	say_string(fd, "in and out the same", p, p, 100);
	say_string(fd, "nowhere", NULL, out, 100);
	say_string(fd, "to nowhere", "x", NULL, 100);
}

static void run_long(void)
{
	int fd = open_dev(O_RDWR);
	char *in = map_pages(2), *out = map_pages(2);

	memset(in, 'x', TD_STRING_MAX - 1);
	say_string(fd, "the longest", in, out, 2 * PAGE);
	CHECK(out[0] == 'X' && out[TD_STRING_MAX - 2] == 'X' && !out[TD_STRING_MAX - 1]);
	in[TD_STRING_MAX - 1] = 'x';
	say_string(fd, "longer", in, out, 2 * PAGE);
	in[TD_STRING_MAX] = 0;
	say_touch(fd, "whole", TD_TOUCH_STRLEN, in, 2 * PAGE);
	say_touch(fd, "bounded", TD_TOUCH_STRLEN, in, 100);
}

static const struct pd_case cases[] = {
	{ "capitals", run_capitals, 0 },
	{ "long", run_long, 0 },
};

PD_GROUP(strings, "strings", "strings whose end only the driver finds", 0);
