// SPDX-License-Identifier: Apache-2.0
/* pd-hostile: pages that a driver keeps are given back, and what others make of them is written by the driver. */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hostile.h"

#define KEPT (32ul << 10)
/* what is taken then: far more, so that the pages would be among it */
#define TAKEN (32ul << 20)

/* what the pages can become: memory that has its page tables already, and no pages */
static uint64_t *others;

static void take(void)
{
	for (unsigned long i = 0; i < TAKEN / 4096; i++)
		((volatile uint64_t *)others)[i * 4096 / sizeof(*others)] = 0;
}

/* how many words of it are no longer zero */
static unsigned long changed(void)
{
	unsigned long n = 0;

	for (unsigned long i = 0; i < TAKEN / sizeof(*others); i++)
		n += others[i] != 0;
	return n;
}

static void try_one(int fd)
{
	char *p = memory(KEPT);
	struct td_pin pin = { .addr = (uint64_t)p, .len = KEPT, .flags = TD_PIN_WRITABLE };
	struct td_pin_io io = { .len = KEPT, .seed = 1 };
	unsigned long n;

	/* else they were made for who pins them, and the kernel's own to have next */
	memset(p, 1, KEPT);
	if (ioctl(fd, TD_PIN, &pin) < 0) {
		wrong("TD_PIN");
		return;
	}
	munmap(p, KEPT);
	/* by this the host hears of it */
	ioctl(fd, TD_NOP);
	take();
	io.id = pin.id;
	if (ioctl(fd, TD_PIN_WRITE, &io) < 0)
		wrong("TD_PIN_WRITE");
	n = changed();
	if (n)
		wrong("the driver has written %lu words that it was not given", n);
	madvise(others, TAKEN, MADV_DONTNEED);
	ioctl(fd, TD_PIN_FREE, pin.id);
}

void attack_reuse(void)
{
	unsigned int n = 0;
	int fd = open_device();
	double until = now() + attack_seconds;

	others = memory(TAKEN);
	/* the pages are given back one by one */
	madvise(others, TAKEN, MADV_NOHUGEPAGE);
	take();
	madvise(others, TAKEN, MADV_DONTNEED);
	for (; now() < until && !wrongs(); n++)
		try_one(fd);
	printf("	%u times 32 KiB\n", n);
	close(fd);
}
