// SPDX-License-Identifier: Apache-2.0
/*
 * neighbour ROUNDS MS: how long a VM's read takes alone, and while another VM of the same daemon attacks it.
 *
 * The VM, its worker and its mirrors have one processor, the daemon and the attacker another, so that it does not
 * show that two share one. What a processor at work takes from its neighbour anyway, whatever it does, is shown by a
 * process there that only computes. In each round each case has its turn of some milliseconds, a line as pd-bench's
 *
 *	NAME ROUND OPERATIONS NANOSECONDS ATTACKS 0 0 0
 *
 * Exit: 0; 99 when there is no daemon, 1 when something cannot be measured, 2 for wrong arguments.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../frontend/frontend.h"

#define PROG 0x10000000ull
#define ZERO 1 /* the VM's device */
#define PATIENCE_MS 10000

static void fail(const char *what)
{
	fprintf(stderr, "neighbour: %s\n", what);
	exit(1);
}

/* ---- the attacker, a process of its own ---- */

/* No attack, and no VM. */
static void computes(struct fe *f, const struct fe_daemon *d)
{
	static volatile uint64_t number = 1;

	(void)f;
	(void)d;
	for (int i = 0; i < 10000; i++)
		number = number * 6364136223846793005u + 1442695040888963407u;
}

/* Requests that make no sense. */
static void nonsense(struct fe *f, const struct fe_daemon *d)
{
	static const struct pd_req requests[] = {
		{ .op = 63 },
		{ .op = PD_OP_READ, .mm = 4711, .file = 4711, .nvecs = 1 },
		{ .op = PD_OP_CONTINUE, .u.cont.tag = 4711 },
		{ .op = PD_OP_DROP, .mm = 4711, .ndrops = 1 },
		{ .op = PD_OP_WINDOW_MAP },
	};
	static const struct pd_range list = { ~0ull, 7 };

	(void)d;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct pd_req req = requests[i];
		struct fe_call c = { 0 };
		int64_t ret;

		fe_submit(f, &c, PD_QUEUE_REQUEST, &req, &list, NULL, &list);
		ret = fe_wait_raw(f, &c, PATIENCE_MS);
		if (ret >= 0 || ret == -ETIME)
			fail("nonsense is not refused");
	}
}

/* Programs that come and go: mirrors are made and ended. */
static void programs(struct fe *f, const struct fe_daemon *d)
{
	struct fe_mm mm;

	(void)d;
	if (fe_mm_create(f, &mm) || fe_mm_destroy(f, &mm))
		fail("the other VM can have no program");
}

/* The VM itself comes and goes: the daemon makes and ends a worker. */
static void connections(struct fe *f, const struct fe_daemon *d)
{
	fe_close(f);
	memset(f, 0, sizeof(*f));
	fe_connect(f, d, NULL);
}

static const struct attack {
	const char *name;
	void (*once)(struct fe *f, const struct fe_daemon *d);
} attacks[] = {
	{ "alone", NULL },
	{ "computes", computes },
	{ "nonsense", nonsense },
	{ "programs", programs },
	{ "connections", connections },
};

/**
 * struct orders - what both processes see
 * @which: attack now; 0: none
 * @done: so many times in all
 * @busy: the attacker is at it
 */
struct orders {
	atomic_uint which;
	atomic_ulong done;
	atomic_bool busy;
};

static void attack(struct orders *o, const struct fe_daemon *d)
{
	static struct fe f;
	unsigned int which;
	bool vm;

	for (;;) {
		while (!(which = o->which))
			usleep(500);
		memset(&f, 0, sizeof(f));
		vm = attacks[which].once != computes;
		if (vm)
			fe_connect(&f, d, NULL);
		o->busy = true;
		while (o->which == which) {
			attacks[which].once(&f, d);
			o->done++;
		}
		if (vm)
			fe_close(&f);
		o->busy = false;
	}
}

/* ---- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Two processors of those that we may use. */
static void choose(cpu_set_t *own, cpu_set_t *others)
{
	cpu_set_t all;
	int n = 0;

	CPU_ZERO(own);
	CPU_ZERO(others);
	if (sched_getaffinity(0, sizeof(all), &all))
		fail("cannot tell which processors it may use");
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, n++ ? others : own);
	if (n < 2)
		fail("takes two processors, one for each VM");
}

/* Moves all threads of a process. */
static void move(pid_t pid, const cpu_set_t *set)
{
	const struct dirent *e;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		fail("a process to move has ended");
	while ((e = readdir(dir)))
		if (atoi(e->d_name) && sched_setaffinity(atoi(e->d_name), sizeof(*set), set))
			fail("cannot choose the processor");
	closedir(dir);
}

struct victim {
	struct fe f;
	struct fe_mm mm;
	uint64_t file;
};

static void read_once(struct victim *v)
{
	if (fe_read(&v->f, &v->mm, v->file, PROG, 10) != 10)
		fail("a read went wrong");
}

static void begin(struct victim *v, const struct fe_daemon *d)
{
	int64_t file;

	fe_connect(&v->f, d, NULL);
	file = fe_dev_open(&v->f, ZERO, O_RDWR);
	if (file <= 0 || fe_mm_create(&v->f, &v->mm))
		fail("cannot open /dev/zero");
	v->file = (uint64_t)file;
	fe_mm_add(&v->f, &v->mm, PROG, 1, true);
	read_once(v);
}

static void wait_for(struct orders *o, bool under_way, pid_t attacker)
{
	unsigned long done = o->done;

	for (int i = 0; under_way ? o->done == done : o->busy; i++) {
		if (i == PATIENCE_MS || waitpid(attacker, NULL, WNOHANG))
			fail("the attacker does not go on");
		usleep(1000);
	}
}

static void turn(struct victim *v, struct orders *o, unsigned int which, int round, uint64_t ns,
		 pid_t attacker)
{
	unsigned long n = 0;
	unsigned long done;
	uint64_t start;
	uint64_t end;

	o->which = which;
	if (which)
		wait_for(o, true, attacker);
	done = o->done;
	start = now_ns();
	do {
		read_once(v);
		n++;
		end = now_ns();
	} while (end - start < ns);
	done = o->done - done;
	o->which = 0;
	wait_for(o, false, attacker);
	printf("%s %d %lu %llu %lu 0 0 0\n", attacks[which].name, round, n,
	       (unsigned long long)(end - start), done);
}

int main(int argc, char **argv)
{
	static struct fe_daemon d;
	static struct fe_daemon others;
	static struct victim v;
	const char *const args[] = { "--device",    "/dev/zero", "--vm",      "other", "--socket",
				     others.socket, "--device",	 "/dev/zero", NULL };
	cpu_set_t own;
	cpu_set_t other;
	struct orders *o;
	pid_t attacker;

	if (argc != 3 || atoi(argv[1]) < 1 || atoi(argv[2]) < 1) {
		fprintf(stderr, "neighbour ROUNDS MS\n");
		return 2;
	}
	choose(&own, &other);
	snprintf(others.socket, sizeof(others.socket), "/tmp/paradice-test-other-%d", getpid());
	move(getpid(), &own);
	fe_daemon_start(&d, args);
	begin(&v, &d);
	/* the worker that is there stays where it is */
	move(d.pid, &other);
	o = mmap(NULL, sizeof(*o), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (o == MAP_FAILED)
		fail("no memory");
	attacker = fork();
	if (attacker < 0)
		fail("no process for the attacker");
	if (!attacker) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		move(getpid(), &other);
		attack(o, &others);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int round = 0; round < atoi(argv[1]); round++)
		for (unsigned int i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++)
			turn(&v, o, i, round, (uint64_t)atoi(argv[2]) * 1000000, attacker);
	kill(attacker, SIGTERM);
	waitpid(attacker, NULL, 0);
	fe_close(&v.f);
	if (fe_daemon_stop(&d))
		fail("the daemon ended with an error");
	fe_daemon_clean(&d);
	return 0;
}
