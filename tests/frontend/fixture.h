/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon with one VM, one front end and one guest program, for cmocka tests. */
#ifndef PARADICE_FIXTURE_H
#define PARADICE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "frontend.h"

struct fixture {
	struct fe_daemon d;
	struct fe f;
	struct fe_mm mm;
	bool connected;
};

/* The devices that every fixture shares, by the ids that the daemon gives them. */
enum { DEV_ZERO = 1, DEV_NULL, DEV_PTMX, DEV_ZERO_RO, DEV_FULL, DEV_TUN };

/* Where the program has its memory: 64 pages. */
#define PROG 0x10000000ull
#define PROG_PAGES 64

/* Begins with further arguments for the daemon (NULL ends them). */
struct fixture *fixture_begin(const struct fe_options *o, const char *const *args);
/* As the VM ends: the daemon lives on, and nothing of the VM is left. */
void fixture_vm_gone(struct fixture *x);
/* Ends all; checks that the daemon ends well and leaves nothing. */
void fixture_end(struct fixture *x);

/* cmocka's setup and teardown with the defaults */
int fixture_setup(void **state);
int fixture_teardown(void **state);

#endif
