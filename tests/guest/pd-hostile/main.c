// SPDX-License-Identifier: Apache-2.0
/*
 *	pd-hostile [--no-maps] SECONDS [ATTACK…]
 *
 * Each attack, or those named, for so many seconds; the victim maps no device memory with --no-maps. Exit: 0, 1 when something was harmed that may not be,
 * 2 for a wrong command line.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"

static const struct {
	const char *name;
	void (*run)(void);
} attacks[] = {
	{ "pointers", attack_pointers }, { "depths", attack_depths },
	{ "results", attack_results },	 { "cover", attack_cover },
	{ "race", attack_race },	 { "processes", attack_processes },
	{ "files", attack_files },	 { "windows", attack_windows },
	{ "touches", attack_touches },	 { "pages", attack_pages },
	{ "pins", attack_pins },	 { "reuse", attack_reuse },
};

#define ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

int attack_seconds;
bool without_maps;
static unsigned int nwrong;

void wrong(const char *format, ...)
{
	va_list args;

	if (nwrong++ >= 10)
		return;
	printf("WRONG: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

unsigned int wrongs(void)
{
	return nwrong;
}

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int open_device(void)
{
	int fd = open("/dev/testdev", O_RDWR);

	if (fd < 0) {
		perror("pd-hostile: /dev/testdev");
		exit(1);
	}
	return fd;
}

int touch(int fd, uint64_t addr, unsigned long len, unsigned int op)
{
	struct td_touch t = { .addr = (void *)addr, .len = len, .op = op, .seed = 1 };

	return ioctl(fd, TD_TOUCH, &t) ? errno : 0;
}

void *memory(unsigned long size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("pd-hostile: mmap");
		exit(1);
	}
	return p;
}

/* What a child made of it: its own findings, and how it ended. */
static void judge(const char *name, pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	if (status)
		wrong("%s ended with status %#x", name, status);
}

static pid_t begin(void (*run)(void))
{
	pid_t pid = fork();

	if (!pid) {
		nwrong = 0;
		run();
		exit(nwrong != 0);
	}
	return pid;
}

static void attack(unsigned int i)
{
	bool *stop = mmap(NULL, sizeof(*stop), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	pid_t bystander;

	printf("%s\n", attacks[i].name);
	bystander = fork();
	if (!bystander) {
		nwrong = 0;
		exit(victim(stop));
	}
	judge(attacks[i].name, begin(attacks[i].run));
	__atomic_store_n(stop, true, __ATOMIC_RELEASE);
	judge("the victim", bystander);
	munmap(stop, sizeof(*stop));
}

static bool named(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	without_maps = argc > 1 && !strcmp(argv[1], "--no-maps");
	argc -= without_maps;
	argv += without_maps;
	if (argc < 2 || (attack_seconds = atoi(argv[1])) < 1) {
		fprintf(stderr, "usage: pd-hostile [--no-maps] SECONDS [ATTACK…]\n");
		return 2;
	}
	for (unsigned int i = 0; i < ATTACKS; i++)
		if (named(attacks[i].name, argv + 2))
			attack(i);
	printf("%u wrong\n", nwrong);
	return nwrong != 0;
}
