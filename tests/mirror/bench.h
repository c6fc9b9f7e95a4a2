/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mirror without a guest: "guest RAM" is a memory file, the guest's answers come from the test; the mirror and
 * the drivers are real.
 */
#ifndef PARADICE_TEST_BENCH_H
#define PARADICE_TEST_BENCH_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../daemon/mirror.h"

#define HOLE 0x300000000000ull
#define FRAMES 1024u
#define ADDR 0x7f1234560000ull

/**
 * struct bench - what a test has
 * @m: the mirror
 * @ram: FRAMES pages, what the frames hold
 * @lock, @cond: for the guest's answers
 * @faulted: the operation that was last asked about, with @fault_addr and @fault_write
 * @ask: the guest can be asked; else a touch of what is not there fails
 * @died: mirrors that ended by themselves
 */
struct bench {
	struct mirror_pool *pool;
	struct mirror *m;
	int ram_fd;
	uint8_t *ram;
	int uffd_dev;
	int program;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct mirror_op *faulted;
	uint64_t fault_addr;
	bool fault_write;
	bool ask;
	atomic_uint died;
};

/* cmocka's setup and teardown */
int bench_setup(void **state);
int bench_teardown(void **state);

/* The mirror gets @count pages at @addr, from @frame on. */
void show(struct bench *b, uint64_t addr, uint64_t frame, uint32_t count, bool write);
struct mirror_file zero_file(void);
/* A pseudo-terminal: ioctls with memory, blocking reads. */
struct mirror_file pty_file(void);

#endif
