// SPDX-License-Identifier: Apache-2.0
/* pdtest: calls of 32-bit programs. The groups about ioctls do the rest when built so. */
#include "pdtest.h"

static void run_width(void)
{
	int fd = open_dev(O_RDWR);
	struct td_info info;

	MUST(ioctl(fd, TD_INFO, &info) == 0);
	say("the driver sees a %d-bit call", info.compat ? 32 : 64);
	CHECK(info.compat == (sizeof(long) == 4));
	say("sizes: %zu %zu %zu", sizeof(struct td_top), sizeof(struct td_touch),
	    sizeof(struct td_align));
}

/* A program of either width makes a 32-bit system call by interrupt 0x80. */
static long call32(int fd, unsigned int cmd, void *arg)
{
	long ret;

	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "a"(54), "b"(fd), "c"(cmd), "d"(arg)
			 : "memory"
#ifdef __LP64__
			   ,
			   "r8", "r9", "r10", "r11"
#endif
	);
	if ((int)ret < 0 && (int)ret > -4096) {
		errno = -(int)ret;
		return -1;
	}
	return (int)ret;
}

struct array32 {
	uint32_t items;
	uint32_t count;
	int32_t sum;
};

static void run_interrupt(void)
{
	int fd = open_dev(O_RDWR), i;
	char *low = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	struct td_info *info = (struct td_info *)low;
	struct array32 *array = (struct array32 *)(low + 200);
	uint64_t *items = (uint64_t *)(low + PAGE - 40);

	MUST(low != MAP_FAILED);
	say("32-bit call: %s", result(call32(fd, TD_INFO, info)));
	say("the driver sees a %d-bit call", info->compat ? 32 : 64);
	*array = (struct array32){ .items = (uint32_t)(uintptr_t)items, .count = 10 };
	for (i = 0; i < 10; i++)
		items[i] = i + 1;
	say("array: %s", result(call32(fd, _IOWR(TD_MAGIC, 0x11, *array), array)));
	say("odd %u, sum %d", array->count, array->sum);
	CHECK(items[0] == 1 && items[9] == 100);
	say("native number: %s", result(call32(fd, TD_NOP, NULL)));
	say("negative value: %s", result(call32(fd, TD_RETURN, (void *)-7L)));
}

static const struct pd_case cases[] = {
	{ "width", run_width, 0 },
	{ "interrupt", run_interrupt, 0 },
};

PD_GROUP(compat, "compat", "32-bit calls", 0);
