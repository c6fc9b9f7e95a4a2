/* SPDX-License-Identifier: Apache-2.0 */
/* What each request needs before it may run, and who runs it. */
#ifndef PARADICE_DISPATCH_H
#define PARADICE_DISPATCH_H

#include "request.h"

/* struct op_info.needs */
#define NEED_MM 1u /* an address space */
#define NEED_FILE 2u /* a file */
#define TAKES_VECS 4u /* it may have vecs */
#define TAKES_LISTS 8u /* it may have drops and pages */
#define NEVER_BLOCKS 16u /* runs at once */
#define MUST_RUN 32u /* is never refused for want of threads: it gives something up */
#define NEED_SESSION 64u /* is nothing without HELLO */
#define NOT_LISTED 128u /* cannot be cancelled */
#define TAKES_FDS 256u /* it may have fds */

/**
 * struct op_info - an operation
 * @run: runs it and answers it
 */
struct op_info {
	const char *name;
	unsigned int needs;
	void (*run)(struct request *r);
};

/* The request operation @op, or NULL. */
const struct op_info *dispatch_op(unsigned int op);
/* The name of any operation, for people, or NULL. */
const char *dispatch_op_name(unsigned int op);

/**
 * dispatch_prepare() - checks a request of a request queue, finds what it names and applies its
 * lists; by the queue's order lock
 *
 * Return: true when it is to be run; else it has been answered.
 */
bool dispatch_prepare(struct request *r);

#endif
