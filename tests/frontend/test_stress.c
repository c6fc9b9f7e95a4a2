// SPDX-License-Identifier: Apache-2.0
/* Many threads of one program at once: order, completeness, and that nothing stands still. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

#define THREADS 8
#define ROUNDS 400
#define ROUND_MS 15000

struct use {
	struct fixture *x;
	int64_t file;
	uint64_t at;
	unsigned int seed;
	int bad;
};

/* Reads into two pages that come and go under it. */
static void *use_file(void *arg)
{
	struct use *u = arg;
	struct fe *f = &u->x->f;
	uint64_t frame = fe_frames(f, 2);

	for (unsigned int i = 0; i < ROUNDS && !u->bad; i++) {
		struct pd_req req = { .op = PD_OP_READ,
				      .file = (uint64_t)u->file,
				      .nvecs = 1,
				      .mm = u->x->mm.id,
				      .oflags = O_RDWR };
		struct pd_range vec = { u->at + i % 100, 5000 };
		struct pd_range drop = { u->at, 2 * PD_PAGE_SIZE };
		struct pd_pages run = { u->at, frame, 2, PD_PAGES_WRITE };
		struct fe_call c = { .mm = &u->x->mm };

		memset(fe_frame(f, frame), 0x55, 2 * PD_PAGE_SIZE);
		/* in turns: dropped and foreseen, known, dropped and left to a fault */
		req.ndrops = i % 3 != 1;
		req.npages = i % 3 == 0;
		fe_submit(f, &c, u->x->mm.queue, &req, &drop, &run, &vec);
		for (;;) {
			int64_t ret = fe_wait_raw(f, &c, ROUND_MS);
			uint64_t page;

			if (ret == -ETIME) {
				u->bad = 1;
				return NULL;
			}
			if (c.resp.status == PD_ST_FAULT) {
				page = (c.resp.u.fault.addr - u->at) / PD_PAGE_SIZE;
				run = (struct pd_pages){ c.resp.u.fault.addr, frame + page, 1,
							 PD_PAGES_WRITE };
				fe_continue(f, &c, 0, &run, 1, NULL);
				continue;
			}
			if (ret != 5000 || *((uint8_t *)fe_frame(f, frame) + i % 100) ||
			    *((uint8_t *)fe_frame(f, frame) + i % 100 + 4999) ||
			    *((uint8_t *)fe_frame(f, frame) + i % 100 + 5000) != 0x55)
				u->bad = 2;
			break;
		}
	}
	return NULL;
}

static void run(struct fixture *x, bool one_file)
{
	int64_t file = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
	struct use uses[THREADS];
	pthread_t threads[THREADS];

	for (unsigned int i = 0; i < THREADS; i++) {
		uses[i] = (struct use){ .x = x, .at = 0x80000000 + i * 0x100000, .seed = i };
		uses[i].file = one_file ? file : fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
		assert_int_equal(pthread_create(&threads[i], NULL, use_file, &uses[i]), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		if (uses[i].bad)
			fail_msg("thread %u: %s", i,
				 uses[i].bad == 1 ? "no answer" : "a wrong answer");
	}
}

static void test_threads_on_one_file(void **state)
{
	run(*state, true);
}

static void test_threads_on_files_of_their_own(void **state)
{
	run(*state, false);
}

static void test_many_programs(void **state)
{
	struct fixture *x = *state;
	int64_t file = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
	struct fe_mm mms[40];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 40; i++) {
			assert_int_equal(fe_mm_create(&x->f, &mms[i]), 0);
			fe_mm_add(&x->f, &mms[i], PROG, 2, true);
		}
		for (int i = 0; i < 40; i++)
			assert_int_equal(fe_read(&x->f, &mms[i], file, PROG + 100, 5000), 5000);
		for (int i = 0; i < 40; i++)
			assert_int_equal(fe_mm_destroy(&x->f, &mms[i]), 0);
	}
}

/* Opens and closes, by several threads. */
static void *open_close(void *arg)
{
	struct use *u = arg;

	for (unsigned int i = 0; i < ROUNDS && !u->bad; i++) {
		int64_t file = fe_dev_open(&u->x->f, i % 2 ? DEV_ZERO : DEV_NULL, O_RDWR);

		if (file <= 0 || fe_release(&u->x->f, (uint64_t)file))
			u->bad = 1;
	}
	return NULL;
}

static void test_opens_and_closes(void **state)
{
	struct use uses[THREADS];
	pthread_t threads[THREADS];

	for (unsigned int i = 0; i < THREADS; i++) {
		uses[i] = (struct use){ .x = *state };
		assert_int_equal(pthread_create(&threads[i], NULL, open_close, &uses[i]), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(uses[i].bad, 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_threads_on_one_file),
		TEST(test_threads_on_files_of_their_own),
		TEST(test_many_programs),
		TEST(test_opens_and_closes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
