// SPDX-License-Identifier: Apache-2.0
/* Looking for the next request instead of waiting for its kick (--spin-us). */
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "fixture.h"

#define READS 2000

/* Reads one after the other; how many of them needed a kick. */
static unsigned int kicks_of(const char *spin_us, unsigned int pause_us)
{
	const char *const args[] = { "--spin-us", spin_us, NULL };
	struct fixture *x = fixture_begin(NULL, args);
	int64_t file = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
	unsigned int n = pause_us ? 20 : READS;
	unsigned int before;
	unsigned int kicks;

	/* the first one meets a fault */
	assert_int_equal(fe_read(&x->f, &x->mm, file, PROG, 10), 10);
	before = x->f.q[x->mm.queue].kicks;
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(fe_read(&x->f, &x->mm, file, PROG, 10), 10);
		if (pause_us)
			usleep(pause_us);
	}
	kicks = x->f.q[x->mm.queue].kicks - before;
	fixture_end(x);
	return kicks;
}

static void test_requests_that_follow_closely_need_no_kicks(void **state)
{
	cpu_set_t set;

	(void)state;
	if (sched_getaffinity(0, sizeof(set), &set) || CPU_COUNT(&set) < 2)
		skip();
	assert_true(kicks_of("100000", 0) < READS);
}

static void test_never(void **state)
{
	(void)state;
	assert_int_equal(kicks_of("0", 0), READS);
}

/* Whoever comes later than anybody looks has to kick, and is served all the same. */
static void test_later(void **state)
{
	(void)state;
	assert_int_equal(kicks_of("20", 20000), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_that_follow_closely_need_no_kicks),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
