// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct fixture *fixture_begin(const struct fe_options *o, const char *const *args)
{
	const char *all[64] = {
		"--device", "/dev/zero", "--device", "/dev/null",
		"--device", "/dev/ptmx", "--device", "/dev/zero,as=/dev/zero-ro,ro",
		"--device", "/dev/full", "--device", "/dev/net/tun,caps=net_admin",
	};
	struct fixture *x = calloc(1, sizeof(*x));
	unsigned int n = 12;

	assert_non_null(x);
	while (args && *args)
		all[n++] = *args++;
	fe_daemon_start(&x->d, all);
	fe_connect(&x->f, &x->d, o);
	x->connected = true;
	if (o && o->no_hello)
		return x;
	assert_int_equal(fe_mm_create(&x->f, &x->mm), 0);
	fe_mm_add(&x->f, &x->mm, PROG, PROG_PAGES, true);
	return x;
}

void fixture_vm_gone(struct fixture *x)
{
	pid_t left[8];
	unsigned int n;

	fe_close(&x->f);
	x->connected = false;
	for (int i = 0; (n = fe_descendants(x->d.pid, left, 8)) && i < 500; i++)
		usleep(10000);
	if (n)
		fail_msg("%u processes are left of the VM, one is %d", n, left[0]);
	assert_true(fe_daemon_logged(&x->d, "VM 'test': gone", 1000));
}

void fixture_end(struct fixture *x)
{
	struct stat st;

	if (x->connected)
		fixture_vm_gone(x);
	assert_int_equal(fe_daemon_stop(&x->d), 0);
	assert_int_not_equal(stat(x->d.socket, &st), 0);
	assert_int_not_equal(stat(x->d.control, &st), 0);
	fe_daemon_clean(&x->d);
	free(x);
}

int fixture_setup(void **state)
{
	*state = fixture_begin(NULL, NULL);
	return 0;
}

int fixture_teardown(void **state)
{
	fixture_end(*state);
	return 0;
}
