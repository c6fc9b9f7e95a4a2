// SPDX-License-Identifier: Apache-2.0
/*
 * pd-bench: what operations cost, in a guest or, unmodified, on a host.
 *
 *	pd-bench [--rounds N] [--ms N] [--wait FIFO] [--switch] CASE...
 *
 * A CASE is NAME=KIND[:ARGUMENT...] (calls.c, maps.c, streams.c, waits.c and switch.c have the kinds). In each of
 * N rounds (default 20) each case has its turn of some milliseconds (default 50), so that whatever else the machine
 * does meanwhile hits all of them alike. With --wait the first begins when somebody opens the FIFO for writing. With
 * --switch another process has the processor before each operation, and only the operation counts. Each turn is a line
 *
 *	NAME ROUND OPERATIONS NANOSECONDS REQUESTS FAULTS LOST LATE
 *
 * REQUESTS and FAULTS being what paradice.ko counted meanwhile, 0 without it; LATE is struct bench's.
 *
 * Exit: 0; 1 when something cannot be measured, 2 for wrong arguments.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define MAX_CASES 64
#define COUNTERS "/sys/kernel/debug/paradice/"

void fail(const char *what, const char *which)
{
	fprintf(stderr, "pd-bench: %s %s: %s\n", what, which, strerror(errno));
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static long counter(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY);

	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) < 0)
			text[0] = '\0';
		close(fd);
	}
	return atol(text);
}

static const struct kind *const all_kinds[] = { call_kinds, map_kinds, stream_kinds, wait_kinds,
						switch_kinds };
#define GROUPS (sizeof(all_kinds) / sizeof(all_kinds[0]))

static const struct kind *find(const char *name, size_t len)
{
	for (size_t i = 0; i < GROUPS; i++)
		for (const struct kind *k = all_kinds[i]; k->name; k++)
			if (strlen(k->name) == len && !strncmp(k->name, name, len))
				return k;
	return NULL;
}

static void parse(struct bench *b, char *text)
{
	char *kind = strchr(text, '=');
	char *next;
	int n = 0;

	if (!kind)
		goto wrong;
	*kind++ = '\0';
	b->name = text;
	next = strchr(kind, ':');
	b->kind = find(kind, strcspn(kind, ":"));
	if (!b->kind)
		goto wrong;
	while (next && n < (int)(sizeof(b->args) / sizeof(b->args[0])) - 1) {
		*next++ = '\0';
		b->args[n++] = next;
		next = strchr(next, ':');
	}
	if (n == b->kind->args)
		return;
	fprintf(stderr, "pd-bench: %s: %s takes %d arguments\n", b->name, b->kind->name,
		b->kind->args);
	exit(2);
wrong:
	fprintf(stderr, "pd-bench: '%s' is no case; NAME=KIND:ARGUMENT... with one of the kinds",
		text);
	for (size_t i = 0; i < GROUPS; i++)
		for (const struct kind *k = all_kinds[i]; k->name; k++)
			fprintf(stderr, " %s", k->name);
	fprintf(stderr, "\n");
	exit(2);
}

/* a turn of about @ns; how long its operations took */
static uint64_t operate(struct bench *b, uint64_t ns, bool switching, unsigned long *n)
{
	uint64_t begin = now_ns();
	uint64_t start = begin;
	uint64_t took = 0;
	uint64_t end;

	do {
		if (switching) {
			switch_over();
			start = now_ns();
		}
		b->kind->once(b);
		*n += b->per ? b->per : 1;
		end = now_ns();
		took += end - start;
		start = end;
	} while (end - begin < ns);
	return took;
}

static void turn(struct bench *b, int round, uint64_t ns, bool switching)
{
	long requests = counter(COUNTERS "requests");
	long faults = counter(COUNTERS "faults");
	unsigned long n = 0;
	unsigned long lost = b->lost;
	uint64_t took = operate(b, ns, switching, &n);

	printf("%s %d %lu %llu %ld %ld %lu %lld\n", b->name, round, n, (unsigned long long)took,
	       counter(COUNTERS "requests") - requests, counter(COUNTERS "faults") - faults,
	       b->lost - lost, (long long)b->late);
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ "ms", required_argument, NULL, 'm' },
		{ "wait", required_argument, NULL, 'w' },
		{ "switch", no_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	static struct bench cases[MAX_CASES];
	const char *wait = NULL;
	bool switching = false;
	int rounds = 20;
	int ms = 50;
	int n = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (c == 'r')
			rounds = atoi(optarg);
		else if (c == 'm')
			ms = atoi(optarg);
		else if (c == 'w')
			wait = optarg;
		else if (c == 's')
			switching = true;
		else
			return 2;
	}
	for (; optind < argc && n < MAX_CASES; optind++)
		parse(&cases[n++], argv[optind]);
	if (!n || rounds < 1 || ms < 1) {
		fprintf(stderr,
			"pd-bench [--rounds N] [--ms N] [--wait FIFO] [--switch] NAME=KIND:ARGUMENT...\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* the first turn of each warms what can be warm */
	for (int i = 0; i < n; i++) {
		cases[i].kind->set_up(&cases[i]);
		cases[i].kind->once(&cases[i]);
	}
	if (switching)
		switch_begin();
	if (wait && open(wait, O_RDONLY) < 0)
		fail("waiting for", wait);
	for (int round = 0; round < rounds; round++)
		for (int i = 0; i < n; i++)
			turn(&cases[i], round, (uint64_t)ms * 1000000, switching);
	return 0;
}
