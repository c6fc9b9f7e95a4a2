// SPDX-License-Identifier: Apache-2.0
/*
 * pd-bench: readiness, operations that block, and threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bench.h"
#include "testdev.h"

/* ops of each thread in a turn */
#define THREAD_OPS 32

/*
 * event:PATH, the loop of a program that waits for a device's events: woken by poll(), it reads all there is.
 * The driver's timer makes the event; asking for that is one more ioctl.
 */
static void event_set_up(struct bench *b)
{
	bench_open(b, O_RDWR | O_NONBLOCK);
}

static void event_once(struct bench *b)
{
	struct td_poll later = { .mask = POLLPRI, .delay_ms = 3 };
	struct pollfd p = { .fd = b->fd, .events = POLLIN | POLLPRI };
	struct td_poll none = { 0 };
	char byte;

	if (ioctl(b->fd, TD_POLL_SET, &later))
		fail("TD_POLL_SET of", b->args[0]);
	if (poll(&p, 1, 60000) != 1)
		fail("poll of", b->args[0]);
	if (read(b->fd, &byte, 1) >= 0 || errno != EAGAIN)
		fail("read of", b->args[0]);
	if (ioctl(b->fd, TD_POLL_SET, &none))
		fail("TD_POLL_SET of", b->args[0]);
}

/* idlepoll:PATH, poll() of a file on which nothing happens */
static void idlepoll_once(struct bench *b)
{
	struct pollfd p = { .fd = b->fd, .events = POLLIN };

	if (poll(&p, 1, 0))
		fail("poll of", b->args[0]);
}

/* blocked:PATH:N, an ioctl while N others block */
static void *block(void *arg)
{
	struct td_block how = { .how = TD_BLOCK_INTR };
	const struct bench *b = arg;

	ioctl(b->fd, TD_BLOCK, &how);
	return NULL;
}

static void blocked_set_up(struct bench *b)
{
	unsigned int n = (unsigned int)atoi(b->args[1]);
	struct td_stat stat = { 0 };
	pthread_t thread;

	bench_open(b, O_RDWR);
	for (unsigned int i = 0; i < n; i++)
		if (pthread_create(&thread, NULL, block, b))
			fail("threads for", b->name);
	do {
		usleep(10000);
		if (ioctl(b->fd, TD_STAT, &stat))
			fail("TD_STAT of", b->args[0]);
	} while (stat.count[TD_BLOCKED] < n);
}

static void nop_once(struct bench *b)
{
	if (ioctl(b->fd, TD_NOP, 0))
		fail("TD_NOP of", b->args[0]);
}

/* threads:PATH:N, each of N threads makes so many calls */
static void *calls(void *arg)
{
	for (int i = 0; i < THREAD_OPS; i++)
		nop_once(arg);
	return NULL;
}

static void threads_set_up(struct bench *b)
{
	bench_open(b, O_RDWR);
	b->number = strtoul(b->args[1], NULL, 0);
	b->per = b->number * THREAD_OPS;
}

static void threads_once(struct bench *b)
{
	pthread_t threads[64];

	for (unsigned long i = 0; i < b->number && i < 64; i++)
		if (pthread_create(&threads[i], NULL, calls, b))
			fail("threads for", b->name);
	for (unsigned long i = 0; i < b->number && i < 64; i++)
		pthread_join(threads[i], NULL);
}

const struct kind wait_kinds[] = {
	{ "event", 1, event_set_up, event_once },
	{ "idlepoll", 1, event_set_up, idlepoll_once },
	{ "blocked", 2, blocked_set_up, nop_once },
	{ "threads", 2, threads_set_up, threads_once },
	{ NULL, 0, NULL, NULL },
};
