// SPDX-License-Identifier: Apache-2.0
/* Two VMs, of one daemon and of two. */
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

static void test_one_of_two_daemons_has_it_alone(void **state)
{
	const char *const args[] = { "--device", "/dev/full,as=/dev/alone,exclusive", NULL };
	struct fixture *x = fixture_begin(NULL, args);
	struct fixture *y = fixture_begin(NULL, NULL);
	int64_t a, b, c;

	(void)state;
	a = fe_dev_open(&x->f, FULL_ALONE, O_RDWR);
	b = fe_dev_open(&x->f, DEV_FULL, O_RDWR);
	assert_true(a > 0 && b > 0);
	assert_int_equal(fe_dev_open(&y->f, DEV_FULL, O_RDWR), -EBUSY);
	assert_true(fe_daemon_logged(&y->d, "another VM has it, exclusively", 1000));
	/* all else they share */
	c = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
	assert_true(c > 0);
	assert_true(fe_dev_open(&y->f, DEV_ZERO, O_RDWR) > 0);
	assert_int_equal(fe_release(&x->f, (uint64_t)a), 0);
	usleep(50000);
	assert_int_equal(fe_dev_open(&y->f, DEV_FULL, O_RDWR), -EBUSY);
	assert_int_equal(fe_release(&x->f, (uint64_t)b), 0);
	b = open_soon(&y->f, DEV_FULL);
	assert_true(b > 0);
	assert_int_equal(fe_dev_open(&x->f, FULL_ALONE, O_RDWR), -EBUSY);
	assert_int_equal(fe_release(&y->f, (uint64_t)b), 0);
	a = open_soon(&x->f, FULL_ALONE);
	assert_true(a > 0);
	assert_int_equal(fe_release(&x->f, (uint64_t)a), 0);
	assert_true(open_soon(&y->f, DEV_FULL) > 0);
	/* a VM that ends gives it back, and so does a daemon that has no time to */
	fixture_vm_gone(y);
	a = open_soon(&x->f, FULL_ALONE);
	assert_true(a > 0);
	fe_connect(&y->f, &y->d, NULL);
	assert_int_equal(fe_dev_open(&y->f, DEV_FULL, O_RDWR), -EBUSY);
	kill(x->d.pid, SIGKILL);
	assert_int_equal(fe_daemon_wait(&x->d), 128 + SIGKILL);
	assert_true(open_soon(&y->f, DEV_FULL) > 0);
	fe_close(&x->f);
	fe_daemon_clean(&x->d);
	free(x);
	y->connected = true;
	fixture_end(y);
}

/* The user of a VM's worker. */
static unsigned int user_of(const struct fe_daemon *d, const char *vm)
{
	char path[64], line[256], text[96];
	unsigned int uid = 0;
	int worker = 0;
	FILE *f;

	snprintf(text, sizeof(text), "paradiced: VM '%s': connected (worker %%d)", vm);
	f = fopen(d->log, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) && sscanf(line, text, &worker) != 1)
		;
	fclose(f);
	assert_true(worker > 0);
	snprintf(path, sizeof(path), "/proc/%d/status", worker);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) && sscanf(line, "Uid: %u", &uid) != 1)
		;
	fclose(f);
	return uid;
}

/* These two names point to the same user id. */
#define ONE "vm3898"
#define SAME "vm6884"
#define USER 1893631982u

static void test_no_two_are_one_user(void **state)
{
	static char one[96], same[96];
	const char *const args[] = { "--vm",	 SAME,	     "--socket", same,	     "--device",
				     "/dev/zero", "--vm",    ONE,	 "--socket", one,
				     "--device", "/dev/zero", NULL };
	struct fe_daemon d;
	struct fixture *x, *y;
	struct fe f, g;
	unsigned int test;

	(void)state;
	if (geteuid() != 0)
		skip();
	snprintf(one, sizeof(one), "/tmp/paradice-test-one-%d", getpid());
	snprintf(same, sizeof(same), "/tmp/paradice-test-same-%d", getpid());
	x = fixture_begin(NULL, args);
	d = x->d;
	snprintf(d.socket, sizeof(d.socket), "%s", one);
	fe_connect(&f, &d, NULL);
	snprintf(d.socket, sizeof(d.socket), "%s", same);
	fe_connect(&g, &d, NULL);
	assert_int_equal(user_of(&d, SAME), USER);
	assert_int_equal(user_of(&d, ONE), USER + 1);
	/* nor has a VM of the same name of another daemon's */
	test = user_of(&d, "test");
	y = fixture_begin(NULL, NULL);
	assert_int_equal(user_of(&y->d, "test"), test + 1);
	fixture_end(y);
	/* whose user is nobody's afterwards */
	y = fixture_begin(NULL, NULL);
	assert_int_equal(user_of(&y->d, "test"), test + 1);
	fixture_end(y);
	fe_close(&f);
	fe_close(&g);
	fixture_end(x);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_they_share),
		TEST(test_one_has_it_alone),
		TEST(test_the_end_gives_it_back),
		cmocka_unit_test(test_one_of_two_daemons_has_it_alone),
		cmocka_unit_test(test_no_two_are_one_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
