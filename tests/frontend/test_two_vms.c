// SPDX-License-Identifier: Apache-2.0
/* Two VMs of one daemon. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

/* the daemon numbers devices through */
enum { FULL_ALONE = DEV_TUN + 1, OTHER_FULL, OTHER_ZERO };

struct two {
	struct fixture *x;
	struct fe_daemon other;
	struct fe f;
};

static int setup(void **state)
{
	static struct two t;
	static char socket[96];
	const char *const args[] = { "--device", "/dev/full,as=/dev/alone,exclusive",
				     "--vm",	 "other",
				     "--socket", socket,
				     "--device", "/dev/full",
				     "--device", "/dev/zero",
				     NULL };

	snprintf(socket, sizeof(socket), "/tmp/paradice-test-other-%d", getpid());
	t.x = fixture_begin(NULL, args);
	t.other = t.x->d;
	snprintf(t.other.socket, sizeof(t.other.socket), "%s", socket);
	fe_connect(&t.f, &t.other, NULL);
	*state = &t;
	return 0;
}

static int teardown(void **state)
{
	struct two *t = *state;

	fe_close(&t->f);
	fixture_end(t->x);
	return 0;
}

/* A VM is told of another's files as late as the daemon is. */
static int64_t open_soon(struct fe *f, uint32_t device)
{
	int64_t file = -EBUSY;

	for (int i = 0; i < 200 && file == -EBUSY; i++) {
		file = fe_dev_open(f, device, O_RDWR);
		if (file == -EBUSY)
			usleep(10000);
	}
	return file;
}

static void test_they_share(void **state)
{
	struct two *t = *state;

	assert_true(fe_dev_open(&t->x->f, DEV_ZERO, O_RDWR) > 0);
	assert_true(fe_dev_open(&t->f, OTHER_ZERO, O_RDWR) > 0);
	/* another's device is none of a VM's own */
	assert_int_equal(fe_dev_open(&t->f, DEV_ZERO, O_RDWR), -ENODEV);
}

static void test_one_has_it_alone(void **state)
{
	struct two *t = *state;
	int64_t a, b;

	a = fe_dev_open(&t->x->f, FULL_ALONE, O_RDWR);
	b = fe_dev_open(&t->x->f, FULL_ALONE, O_RDWR);
	assert_true(a > 0 && b > 0);
	assert_int_equal(fe_dev_open(&t->f, OTHER_FULL, O_RDWR), -EBUSY);
	assert_true(fe_daemon_logged(&t->x->d, "another VM has it, exclusively", 1000));
	assert_int_equal(fe_release(&t->x->f, (uint64_t)a), 0);
	usleep(50000);
	assert_int_equal(fe_dev_open(&t->f, OTHER_FULL, O_RDWR), -EBUSY);
	assert_int_equal(fe_release(&t->x->f, (uint64_t)b), 0);
	a = open_soon(&t->f, OTHER_FULL);
	assert_true(a > 0);
	/* nor can it be had alone while another has it */
	assert_int_equal(fe_dev_open(&t->x->f, FULL_ALONE, O_RDWR), -EBUSY);
	assert_int_equal(fe_release(&t->f, (uint64_t)a), 0);
	/* a driver's refusal leaves no claim behind */
	for (int i = 0; i < 3; i++)
		fe_dev_open(&t->f, OTHER_FULL, O_RDWR | O_DIRECT);
	assert_true(open_soon(&t->x->f, FULL_ALONE) > 0);
}

static void test_the_end_gives_it_back(void **state)
{
	struct two *t = *state;

	assert_true(fe_dev_open(&t->f, OTHER_FULL, O_RDWR) > 0);
	assert_int_equal(fe_dev_open(&t->x->f, FULL_ALONE, O_RDWR), -EBUSY);
	fe_close(&t->f);
	assert_true(open_soon(&t->x->f, FULL_ALONE) > 0);
	fe_connect(&t->f, &t->other, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_they_share),
		TEST(test_one_has_it_alone),
		TEST(test_the_end_gives_it_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
