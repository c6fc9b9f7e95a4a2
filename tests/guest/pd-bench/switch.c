// SPDX-License-Identifier: Apache-2.0
/*
 * pd-bench: another process on the same processor, which has it before each operation: what an operation takes
 * when nothing of it is in the processor's TLB, as after each hop of one that came from a guest.
 */
#include <sched.h>
#include <unistd.h>

#include "bench.h"

static int to_child;
static int from_child;

void switch_begin(void)
{
	int there[2];
	int back[2];
	cpu_set_t here;
	char byte;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	if (sched_setaffinity(0, sizeof(here), &here))
		fail("staying on", "one processor");
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
