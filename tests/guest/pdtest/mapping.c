// SPDX-License-Identifier: Apache-2.0
/* pdtest: what the groups about mmap share. */
#include "pdtest.h"

#include <setjmp.h>

char *map_dev(int fd, enum td_map_kind kind, size_t first, size_t n, int prot, int flags)
{
	return mmap(NULL, n * PAGE, prot, flags, fd, (off_t)kind * TD_MAP_SPAN + first * PAGE);
}

char *map_rw(int fd, enum td_map_kind kind, size_t first, size_t n)
{
	char *p = map_dev(fd, kind, first, n, PROT_READ | PROT_WRITE, MAP_SHARED);

	MUST(p != MAP_FAILED);
	return p;
}

void dev_fill(int fd, enum td_map_kind kind, unsigned int seed, size_t off, size_t len)
{
	struct td_map_io io = { .kind = kind, .seed = seed, .offset = off, .len = len };

	MUST(ioctl(fd, TD_MAP_FILL, &io) == 0);
}

uint64_t dev_sum(int fd, enum td_map_kind kind, size_t off, size_t len)
{
	struct td_map_io io = { .kind = kind, .offset = off, .len = len };

	MUST(ioctl(fd, TD_MAP_SUM, &io) == 0);
	return io.sum;
}

static sigjmp_buf probe_jump;

static void probe_caught(int sig)
{
	siglongjmp(probe_jump, sig);
}

static int probe(volatile char *p, bool write)
{
	int sig;

	on_signal(SIGSEGV, probe_caught, 0);
	on_signal(SIGBUS, probe_caught, 0);
	sig = sigsetjmp(probe_jump, 1);
	if (!sig) {
		if (write)
			*p = *p;
		else
			(void)*p;
	}
	on_signal(SIGSEGV, SIG_DFL, 0);
	on_signal(SIGBUS, SIG_DFL, 0);
	return sig;
}

int probe_read(const char *p)
{
	return probe((volatile char *)p, false);
}

int probe_write(char *p)
{
	return probe(p, true);
}
