/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pd-bench: what operations cost. Each measurement is a line of its own on standard output, for
 * tests/bench to read; see main.c.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct bench - a case of the command line, NAME=KIND[:ARGUMENT...]
 * @name: what it is called in the output
 * @args: its arguments, NULL behind the last
 * @kind: what it does
 * @fd: a file, for the kind's use
 * @buf: memory, likewise
 * @number: a number, likewise
 * @per: how many operations @kind->once is, 0: one
 * @lost: what should have come and did not
 * @late: how long ago the last of it came, by the driver's clock, which may be another; nanoseconds
 */
struct bench {
	const char *name;
	char *args[8];
	const struct kind *kind;
	int fd;
	void *buf;
	unsigned long number;
	unsigned long per;
	unsigned long lost;
	int64_t late;
};

/**
 * struct kind - something that can be done again and again
 * @name: in the command line
 * @args: how many arguments it wants
 * @set_up: opens and allocates; ends the program when it cannot
 * @once: does it; ends the program when it fails
 */
struct kind {
	const char *name;
	int args;
	void (*set_up)(struct bench *b);
	void (*once)(struct bench *b);
};

/* each ends with one without a name */
extern const struct kind call_kinds[]; /* calls.c */
extern const struct kind map_kinds[]; /* maps.c */
extern const struct kind stream_kinds[]; /* streams.c */
extern const struct kind wait_kinds[]; /* waits.c */
extern const struct kind switch_kinds[]; /* switch.c */

/* Opens the first argument as b->fd. */
void bench_open(struct bench *b, int flags);
/* Memory whose pages are there. */
void *bench_pages(unsigned long size);

/* Says what did not work and why (errno), and ends with status 1. */
__attribute__((noreturn)) void fail(const char *what, const char *which);

uint64_t now_ns(void);

/* Starts another process on this processor; it ends with this program. */
void switch_begin(void);
/* Gives it the processor, and has it back. */
void switch_over(void);

#endif
