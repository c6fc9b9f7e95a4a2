/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pd-hostile: a guest's program that attacks its mirror and its VM's share of the host.
 *
 * Each attack runs in a process of its own, which may come to harm, beside a victim, which may not.
 */
#ifndef PD_HOSTILE_H
#define PD_HOSTILE_H

#include <stdbool.h>
#include <stdint.h>

#include "testdev.h"

/* Where the guest's module looks for a place for the mirror, and its steps (kernel/mm.c). */
#define HOLE_FIRST 0x300000000000ull
#define HOLE_STEP 0x10000000000ull
#define HOLES 64

/* How long each attack lasts, in seconds. */
extern int attack_seconds;
/* --no-maps: device memory cannot be mapped here. */
extern bool without_maps;

/* One more thing is wrong; says what, the first times. */
void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* How many there were, in this process. */
unsigned int wrongs(void);

double now(void);

/* /dev/testdev; ends the process when it cannot be opened. */
int open_device(void);

/* Lets the driver touch @len bytes at @addr: 0 or errno. @op: enum td_touch_op */
int touch(int fd, uint64_t addr, unsigned long len, unsigned int op);

/* Writable memory at zero. */
void *memory(unsigned long size);

/* A tree for TD_NEST, in memory() of its own. */
#define MIDS 4
#define LEAVES 4
#define TEXT 64

struct tree {
	struct td_top top;
	struct td_mid mids[MIDS];
	struct td_leaf leaves[MIDS][LEAVES];
	char text[MIDS][LEAVES][TEXT];
	char out[TEXT];
};

void tree_make(struct tree *t, unsigned int seed);

/* What is not as TD_NEST leaves it, NULL if nothing. */
const char *tree_check(const struct tree *t, unsigned int seed);

/* Works with memory and a file of its own until @stop; its status: what was wrong. */
int victim(const bool *stop);

void attack_pointers(void);
void attack_depths(void);
void attack_results(void);
void attack_cover(void);
void attack_race(void);
void attack_processes(void);
void attack_files(void);
void attack_windows(void);
void attack_touches(void);
void attack_pages(void);
void attack_pins(void);
void attack_reuse(void);

#endif
