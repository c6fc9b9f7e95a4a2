/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pdtest: one program that says the same beside the driver and in a guest.
 *
 * Each case runs in a process of its own, bounded in time. What it says must not
 * depend on addresses, times or process ids.
 */
#ifndef PDTEST_H
#define PDTEST_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "testdev.h"

#define PAGE 4096UL
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct pd_case {
	const char *name;
	void (*run)(void);
	unsigned int seconds; /* its bound; 0: the usual one */
};

enum {
	PD_ALONE = 1 /* uses state that all users of the device share */
};

struct pd_group {
	const char *name;
	const char *about;
	unsigned int flags;
	const struct pd_case *cases;
	size_t count;
};

#define PD_GROUP(id, title, text, bits)      \
	const struct pd_group group_##id = { \
		.name = title,               \
		.about = text,               \
		.flags = bits,               \
		.cases = cases,              \
		.count = ARRAY_SIZE(cases),  \
	}

/* ---- saying and checking (say.c) ---- */

extern char pd_label[128]; /* "group.case" */

/* Print "group.case: TEXT". */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "ok" for 0, the number above it, else errno's name. Valid until the 8th next call. */
const char *result(long ret);

/* A failed assertion: the case goes on, and counts as failed. */
void fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool failed(void);

#define CHECK(cond) check(cond, __FILE__, __LINE__, #cond)

static inline bool check(bool good, const char *file, int line, const char *text)
{
	if (!good)
		fail(file, line, "not true: %s", text);
	return good;
}

/* The case cannot go on. */
#define MUST(cond)                                                                   \
	do {                                                                         \
		if (!(cond)) {                                                       \
			fail(__FILE__, __LINE__, "%s (%s)", #cond, strerror(errno)); \
			_exit(1);                                                    \
		}                                                                    \
	} while (0)

/* ---- the device (device.c) ---- */

extern const char *pd_device; /* /dev/testdev; the others add their suffix */
extern uint64_t pd_id; /* the case's group in the driver */

/* Open a node ("", "-open", "-hot", "-ctl") without joining; -1 and errno. */
int open_node(const char *suffix, int flags);
/* Open the main node and join the case's group. Ends the case on failure. */
int open_dev(int flags);
/* A file of the group that does not count in it. */
int open_watcher(void);
void join_group(int fd, bool watcher);

unsigned int count_of(int fd, enum td_count which);
struct td_stat stat_of(int fd);
/* Wait until a count has the value, ten seconds at most; else the case ends. */
/* the driver's live mappings, when none is expected */
unsigned int maps_left(int fd);
void await_count(int fd, enum td_count which, unsigned int value);
void await_count_min(int fd, enum td_count which, unsigned int value);

void set_mode(int fd, enum td_mode_kind mode);
void set_mode_seed(int fd, enum td_mode_kind mode, unsigned int seed);
void wake(int fd, unsigned int count, unsigned int value);
void set_poll(int fd, unsigned int mask, unsigned int delay_ms);
long touch(int fd, enum td_touch_op op, const void *addr, size_t len, struct td_touch *out);
/* Read from or write to user memory by the driver; say "NAME: RESULT done=N". */
void say_touch(int fd, const char *name, enum td_touch_op op, const void *addr, size_t len);

/* ---- mappings of the device (mapping.c) ---- */

/* Map n pages of a kind from page @first on; MAP_FAILED and errno. */
char *map_dev(int fd, enum td_map_kind kind, size_t first, size_t n, int prot, int flags);
/* The same, shared, to read and write; ends the case on failure. */
char *map_rw(int fd, enum td_map_kind kind, size_t first, size_t n);
/* The driver writes the pattern into a buffer, or sums what is there. */
void dev_fill(int fd, enum td_map_kind kind, unsigned int seed, size_t off, size_t len);
uint64_t dev_sum(int fd, enum td_map_kind kind, size_t off, size_t len);
/* Touch a byte: 0, or the signal that this raised. */
int probe_read(const char *p);
int probe_write(char *p);

/* ---- memory (memory.c) ---- */

/* Anonymous pages; n usable ones before one that is not mapped. */
char *map_pages(size_t n);
char *map_edge(size_t n);
/* Memory that a forked child shares, zeroed. */
void *map_shared(size_t size);
/* A file without a name in the current folder or /tmp, of @size pattern bytes. */
int temp_file(unsigned int seed, size_t size);
/* A tmpfs file (memfd). */
int memory_file(unsigned int seed, size_t size);

void fill(void *data, unsigned int seed, uint64_t pos, size_t len);
/* An address of nothing, unknown to the compiler. */
extern void *volatile nowhere;
/* Bytes from the start that are the pattern's. */
size_t matching(const void *data, unsigned int seed, uint64_t pos, size_t len);
#define filled(data, seed, len) (matching(data, seed, 0, len) == (size_t)(len))

/* ---- processes and time (process.c) ---- */

/* fork(); output flushed first; 0 in the child. Ends the case on failure. */
pid_t pd_fork(void);
/* --slow: multiplies the time bounds */
extern unsigned int patience;
/* --no-maps: device memory cannot be mapped here */
extern bool without_maps;

/* Wait ten seconds (times patience) at most: the exit status, 128 + signal, or the case ends. */
int reap(pid_t pid);
/* kill -9, and the case fails if the child is not gone in ten seconds. */
void kill_and_reap(pid_t pid);
void nap(unsigned int ms);
uint64_t now_ms(void);
void on_signal(int sig, void (*handler)(int), int flags);

/* fds.c */
int print_rules(void);

#endif
