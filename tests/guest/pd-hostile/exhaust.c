// SPDX-License-Identifier: Apache-2.0
/* pd-hostile: too much of everything that a VM has a share of. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

#define AT_ONCE 16
#define MAX_FILES 100000

static void child(unsigned int r)
{
	int fd = open("/dev/testdev", O_RDWR);
	char *p;

	if (fd < 0)
		_exit(0);
	p = mmap(NULL, TD_MAP_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ioctl(fd, TD_NOP);
	if (p != MAP_FAILED)
		*(volatile char *)p = 1;
	if (r & 1)
		_exit(0);
	for (;;)
		ioctl(fd, TD_NOP);
}

/* Born as fast as they can be, and killed anywhere. */
void attack_processes(void)
{
	unsigned int n = 0;
	double until = now() + attack_seconds;

	while (now() < until) {
		pid_t pids[AT_ONCE];

		for (unsigned int i = 0; i < AT_ONCE; i++) {
			pids[i] = fork();
			if (!pids[i])
				child(i);
		}
		usleep((n * 7919) % 200000);
		for (unsigned int i = 0; i < AT_ONCE; i++) {
			kill(pids[i], SIGKILL);
			waitpid(pids[i], NULL, 0);
			n++;
		}
	}
	printf("	%u, killed anywhere\n", n);
}

void attack_files(void)
{
	struct rlimit most = { MAX_FILES + 100, MAX_FILES + 100 };
	unsigned int n = 0;
	double until = now() + attack_seconds;

	setrlimit(RLIMIT_NOFILE, &most);
	while (n < MAX_FILES && now() < until && open("/dev/testdev", O_RDWR) >= 0)
		n++;
	printf("	%u, then %s\n", n,
	       n == MAX_FILES ? "enough" :
	       now() < until  ? strerror(errno) :
				"no time");
}

/* Each has its own in the driver, and is touched, so that it needs a window. */
void attack_windows(void)
{
	unsigned int n = 0, failed = 0;
	int fd = open_device();
	double until = now() + attack_seconds;

	while (now() < until) {
		char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (p == MAP_FAILED) {
			failed = errno;
			break;
		}
		*(volatile char *)p = 1;
		n++;
	}
	printf("	%u, then %s\n", n, failed ? strerror((int)failed) : "no time");
}

/* Killed while a window is on its way, or one that makes room for it; each would take some of the region with it. */
void attack_touches(void)
{
	unsigned int n = 0;
	double until = now() + attack_seconds;

	while (now() < until) {
		pid_t pid = fork();

		if (!pid) {
			int fd = open_device();

			for (;;) {
				char *p = mmap(NULL, TD_MAP_SIZE, PROT_READ | PROT_WRITE,
					       MAP_SHARED, fd, 0);

				if (p == MAP_FAILED)
					_exit(0);
				*(volatile char *)p = 1;
				munmap(p, TD_MAP_SIZE);
			}
		}
		usleep((n * 7919) % 100000);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		n++;
	}
	printf("	%u, killed while they touch\n", n);
}

/* Pages of which no two lie beside each other: each is a mapping of its own in the mirror. */
void attack_pages(void)
{
	unsigned long size = 1ul << 40, at = 0;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned int n = 0;
	int fd = open_device();
	double until = now() + attack_seconds;

	if (p == MAP_FAILED) {
		wrong("mmap: %s", strerror(errno));
		return;
	}
	/* or a quick machine ends the attack's memory before the mirror's mappings */
	madvise(p, size, MADV_NOHUGEPAGE);
	for (; now() < until && at + 4096 <= size; at += 8192 * 129) {
		if (touch(fd, (uint64_t)p + at, 8, TD_TOUCH_PUT))
			break;
		/* the page itself is the program's to give back */
		if (++n % 4096 == 0)
			madvise(p, at, MADV_DONTNEED);
	}
	printf("	%u, then %s\n", n, now() < until ? strerror(errno) : "no time");
	close(fd);
}

/* What a driver keeps is kept in the guest, too. */
void attack_pins(void)
{
	unsigned long size = 64 << 10;
	unsigned int n = 0;
	int fd = open_device();
	double until = now() + attack_seconds;

	while (now() < until && n < 65536) {
		char *p = memory(size);
		struct td_pin pin = { .addr = (uint64_t)p, .len = size, .flags = TD_PIN_WRITABLE };

		if (ioctl(fd, TD_PIN, &pin) < 0)
			break;
		munmap(p, size);
		n++;
	}
	printf("	%u times 64 KiB, then %s\n", n,
	       now() < until ? strerror(errno) : "no time");
	close(fd);
}
