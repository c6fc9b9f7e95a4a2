// SPDX-License-Identifier: Apache-2.0
/*
 * pd-bench: another process on the same processor. With --switch it has that before each operation: what an operation
 * takes when nothing of it is in the processor's TLB, as after each hop of one that came from a guest.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

static int to_child;
static int from_child;

static void stay_here(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	if (sched_setaffinity(0, sizeof(here), &here))
		fail("staying on", "one processor");
}

void switch_begin(void)
{
	int there[2];
	int back[2];
	char byte;

	stay_here();
	if (pipe(there) || pipe(back))
		fail("a pipe to", "another process");
	switch (fork()) {
	case -1:
		fail("starting", "another process");
	case 0:
		/* the write end is in the parent alone, so that its death is the end of file */
		close(there[1]);
		close(back[0]);
		while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
			;
		_exit(0);
	}
	close(there[0]);
	close(back[1]);
	to_child = there[1];
	from_child = back[0];
}

void switch_over(void)
{
	char byte = 0;

	if (write(to_child, &byte, 1) != 1 || read(from_child, &byte, 1) != 1)
		fail("switching to", "another process");
}

/* hop, there and back between two processes that wake each other by futex, as worker and mirror do */
struct hop {
	atomic_uint there;
	atomic_uint back;
};

static void hop_post(atomic_uint *word, unsigned int value)
{
	atomic_store(word, value);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* waits until @word is no longer @seen; the new value */
static unsigned int hop_wait(atomic_uint *word, unsigned int seen)
{
	unsigned int value;

	while ((value = atomic_load(word)) == seen)
		if (syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0) && errno != EAGAIN &&
		    errno != EINTR)
			fail("waiting for", "another process");
	return value;
}

static void hop_set_up(struct bench *b)
{
	struct hop *h =
		mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t parent = getpid();

	if (h == MAP_FAILED)
		fail("memory for", b->name);
	stay_here();
	switch (fork()) {
	case -1:
		fail("starting", "another process");
	case 0:
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (unsigned int seen = 0; getppid() == parent;) {
			seen = hop_wait(&h->there, seen);
			hop_post(&h->back, seen);
		}
		_exit(0);
	}
	b->buf = h;
}

static void hop_once(struct bench *b)
{
	struct hop *h = b->buf;
	unsigned int last = atomic_load(&h->back);

	hop_post(&h->there, last + 1);
	hop_wait(&h->back, last);
}

const struct kind switch_kinds[] = {
	{ "hop", 0, hop_set_up, hop_once },
	{ NULL, 0, NULL, NULL },
};
