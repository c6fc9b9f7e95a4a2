// SPDX-License-Identifier: Apache-2.0
/* pdtest: ioctls whose number does not say what they touch. */
#include "pdtest.h"

static void run_setname(void)
{
	struct td_setname *set = (struct td_setname *)(map_edge(1) + PAGE - sizeof(*set));
	int fd = open_dev(O_RDWR), i, right = 0;

	strcpy(set->name, "tap%d");
	set->flags = 0x1002;
	say("like TUNSETIFF: %s", result(ioctl(fd, TD_SETNAME, set)));
	say("name %s, flags %#x", set->name, set->flags);
	for (i = 0; i < (int)sizeof(set->rest); i++)
		right += set->rest[i] == td_byte(set->flags, i);
	say("%d bytes beyond right", right);
}

static void say_pair(int fd, const char *what, unsigned long cmd)
{
	struct td_pair *pair = (struct td_pair *)(map_edge(1) + PAGE - sizeof(*pair));

	pair->in = 14;
	say("%s: %s", what, result(ioctl(fd, cmd, pair)));
	say("%s: out %llu", what, (unsigned long long)pair->out);
	say("%s at nowhere: %s", what, result(ioctl(fd, cmd, NULL)));
}

static void run_pointers(void)
{
	int fd = open_dev(O_RDWR);

	say_pair(fd, "_IO with a pointer", TD_NONE_PTR);
	say_pair(fd, "an old number", TD_LEGACY);
	say_pair(fd, "an odd number", TD_ODD);
	say_pair(fd, "size larger than memory", TD_LONG);
}

static void run_plain(void)
{
	static const long values[] = { 0, 1, -2, 4096, 0x10000, 0x7fffff00, 0x12345678 };
	int fd = open_dev(O_RDWR);
	static int variable;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(values); i++)
		say("%#lx by value: %s", values[i] & 0xffffffff,
		    result(ioctl(fd, TD_VALUE, values[i])));
	/* The value happens to be the address of something: it stays as it is. */
	variable = 1234;
	CHECK(ioctl(fd, TD_VALUE, &variable) == (int)(intptr_t)&variable + 1);
	say("variable: %d", variable);
}

static void run_short(void)
{
	char *data = map_pages(3);
	int fd = open_dev(O_RDWR);

	say("a size of 4, 8192 written: %s", result(ioctl(fd, TD_SHORT, data + 100)));
	say("right: %zu, beyond: %d", matching(data + 100, 9, 0, TD_SHORT_LEN),
	    data[100 + TD_SHORT_LEN]);
	data = map_edge(1);
	say("over the edge: %s", result(ioctl(fd, TD_SHORT, data)));
	say("right: %zu", matching(data, 9, 0, PAGE));
}

static void run_direction(void)
{
	static const struct td_pair constant = { .in = 10 };
	struct td_pair pair = { .in = 20 };
	int fd = open_dev(O_RDWR);

	say("_IOR that reads: %s", result(ioctl(fd, TD_READS_IOR, &pair)));
	say("_IOR that reads a constant: %s", result(ioctl(fd, TD_READS_IOR, &constant)));
	say("_IOW that writes: %s", result(ioctl(fd, TD_WRITES_IOW, &pair)));
	say("out %llu", (unsigned long long)pair.out);
	say("_IOW that writes a constant: %s", result(ioctl(fd, TD_WRITES_IOW, &constant)));
}

static const struct pd_case cases[] = {
	{ "setname", run_setname, 0 }, { "pointers", run_pointers, 0 },	  { "plain", run_plain, 0 },
	{ "short", run_short, 0 },     { "direction", run_direction, 0 },
};

PD_GROUP(numbers, "numbers", "ioctl numbers that lie about size and direction", 0);
