// SPDX-License-Identifier: Apache-2.0
/*
 * pd-memhog: keep a machine short of memory while something else runs.
 *
 *	pd-memhog [--leave MIB] [--seconds N] [-- CMD...]
 *
 * Takes memory until only MIB (64) are available, touching every page, gives a
 * part of it back and takes it again all the time, so that the kernel keeps
 * reclaiming. With CMD it lasts as long as that runs and gives its exit status,
 * 128 + signal for a signal; otherwise N seconds. Every page holds a known
 * content, which is checked as it is given back: 3 when one was harmed.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (1UL << 20)
#define MAX_BLOCKS 65536

static char *blocks[MAX_BLOCKS];
static size_t count;
static unsigned long rounds, harmed;

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "pd-memhog: %s: %s\n", what, strerror(errno));
	exit(125);
}

static unsigned long available_mib(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long kib = 0;
	char line[128];

	if (!file)
		die("/proc/meminfo");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %lu kB", &kib) == 1)
			break;
	fclose(file);
	return kib / 1024;
}

static uint64_t mark(size_t block, size_t page)
{
	return (block * 2654435761u + page) * 0x9e3779b97f4a7c15ULL;
}

static void take(void)
{
	uint64_t value;
	size_t page;
	char *p;

	p = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return;
	for (page = 0; page < BLOCK; page += 4096) {
		value = mark(count, page);
		memcpy(p + page, &value, sizeof(value));
		memcpy(p + page + 4088, &value, sizeof(value));
	}
	blocks[count++] = p;
}

static void give(void)
{
	char *p = blocks[--count];
	uint64_t value;
	size_t page;

	for (page = 0; page < BLOCK; page += 4096) {
		value = mark(count, page);
		if (memcmp(p + page, &value, 8) || memcmp(p + page + 4088, &value, 8))
			harmed++;
	}
	munmap(p, BLOCK);
}

/* Up to the mark, then some of it back. */
static void squeeze(unsigned long leave)
{
	size_t i;

	while (count < MAX_BLOCKS && available_mib() > leave) {
		size_t before = count;

		take();
		if (count == before)
			break;
	}
	for (i = count / 8; i && count; i--)
		give();
	rounds++;
}

static pid_t start(char **command)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid) {
		execvp(command[0], command);
		fprintf(stderr, "pd-memhog: %s: %s\n", command[0], strerror(errno));
		_exit(127);
	}
	return pid;
}

/* The hog is what the kernel is to end when memory runs out, not the command. */
static void prefer_us(void)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "w");

	if (file) {
		fputs("900", file);
		fclose(file);
	}
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "leave", required_argument, NULL, 'l' },
		{ "seconds", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned long leave = 64;
	int c, seconds = 10, status = 0;
	pid_t pid = 0;
	time_t end;

	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		if (c == 'l') {
			leave = strtoul(optarg, NULL, 0);
		} else if (c == 's') {
			seconds = atoi(optarg);
		} else {
			fprintf(stderr,
				"usage: pd-memhog [--leave MIB] [--seconds N] [-- CMD...]\n");
			return 2;
		}
	}
	if (optind < argc)
		pid = start(argv + optind);
	prefer_us();
	end = time(NULL) + seconds;
	for (;;) {
		squeeze(leave);
		if (pid ? waitpid(pid, &status, WNOHANG) == pid : time(NULL) >= end)
			break;
	}
	fprintf(stderr, "pd-memhog: held up to %zu MiB, %lu rounds, %lu pages harmed\n",
		count + count / 7, rounds, harmed);
	while (count)
		give();
	if (harmed)
		return 3;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
