// SPDX-License-Identifier: Apache-2.0
/* What mirrors do. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "bench.h"

static void test_read_foreseen(void **state)
{
	struct bench *b = *state;
	struct mirror_file f = zero_file();
	struct pd_range vec = { ADDR + 100, 8000 };
	struct mirror_op op = { .m = b->m, .allowed = &vec, .nallowed = 1 };
	struct mirror_stats s;

	memset(b->ram, 0xaa, 3 * PD_PAGE_SIZE);
	show(b, ADDR, 0, 2, true);
	assert_int_equal(mirror_read(&op, &f, O_RDWR, &vec, 1, 0, 0), 8000);
	assert_int_equal(b->ram[99], 0xaa);
	assert_int_equal(b->ram[100], 0);
	assert_int_equal(b->ram[8099], 0);
	assert_int_equal(b->ram[8100], 0xaa);
	mirror_pool_stats(b->pool, &s);
	assert_int_equal(s.faults, 0);
	assert_int_equal(s.pages_mapped, 2);
	mirror_forget_file(b->pool, f.id);
	close(f.fd);
}

static void test_vectored(void **state)
{
	struct bench *b = *state;
	struct mirror_file f = zero_file();
	struct pd_range vec[] = { { ADDR + 10, 20 }, { ADDR + 5000, 30 } };
	struct mirror_op op = { .m = b->m, .allowed = vec, .nallowed = 2 };

	memset(b->ram, 0xaa, 3 * PD_PAGE_SIZE);
	show(b, ADDR, 0, 2, true);
	assert_int_equal(mirror_read(&op, &f, O_RDWR, vec, 2, 0, 0), 50);
	assert_int_equal(b->ram[29], 0);
	assert_int_equal(b->ram[30], 0xaa);
	assert_int_equal(b->ram[5029], 0);
	close(f.fd);
}

struct ioctl_call {
	struct mirror_op op;
	struct mirror_file *file;
	uint32_t cmd;
	uint64_t arg;
	bool compat;
	int64_t result;
};

static void *ioctl_main(void *arg)
{
	struct ioctl_call *c = arg;

	c->result = mirror_ioctl(&c->op, c->file, O_RDWR, c->cmd, c->arg, c->compat);
	return NULL;
}

static void await_fault(struct bench *b)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 10;
	pthread_mutex_lock(&b->lock);
	while (!b->faulted)
		assert_int_equal(pthread_cond_timedwait(&b->cond, &b->lock, &end), 0);
	pthread_mutex_unlock(&b->lock);
}

static void test_ioctl_fault(void **state)
{
	struct bench *b = *state;
	struct mirror_file f = pty_file();
	struct ioctl_call c = { .op.m = b->m, .file = &f, .cmd = TIOCGWINSZ, .arg = ADDR + 16 };
	struct winsize *ws = (struct winsize *)(b->ram + 5 * PD_PAGE_SIZE + 16);
	struct mirror_stats s;
	pthread_t t;

	b->ask = true;
	pthread_create(&t, NULL, ioctl_main, &c);
	await_fault(b);
	assert_ptr_equal(b->faulted, &c.op);
	assert_int_equal(b->fault_addr, ADDR);
	assert_true(b->fault_write);
	show(b, ADDR, 5, 1, true);
	mirror_fault_done(&c.op, 0);
	pthread_join(t, NULL);
	assert_int_equal(c.result, 0);
	assert_int_equal(ws->ws_col, 34);
	/* warm: no fault any more */
	ws->ws_col = 0;
	ioctl_main(&c);
	assert_int_equal(c.result, 0);
	assert_int_equal(ws->ws_col, 34);
	mirror_pool_stats(b->pool, &s);
	assert_int_equal(s.faults, 1);
	close(f.fd);
}

static void test_drop_faults_again(void **state)
{
	struct bench *b = *state;
	struct mirror_file f = pty_file();
	struct ioctl_call c = { .op.m = b->m, .file = &f, .cmd = TIOCGWINSZ, .arg = ADDR };
	struct pd_range drop = { ADDR, PD_PAGE_SIZE };
	struct winsize *old = (struct winsize *)(b->ram + 1 * PD_PAGE_SIZE);
	struct winsize *now = (struct winsize *)(b->ram + 2 * PD_PAGE_SIZE);
	pthread_t t;

	b->ask = true;
	show(b, ADDR - PD_PAGE_SIZE, 0, 3, true);
	assert_int_equal(mirror_update(b->m, &drop, 1, NULL, 0), 0);
	pthread_create(&t, NULL, ioctl_main, &c);
	await_fault(b);
	show(b, ADDR, 2, 1, true);
	mirror_fault_done(&c.op, 0);
	pthread_join(t, NULL);
	assert_int_equal(c.result, 0);
	assert_int_equal(old->ws_col, 0);
	assert_int_equal(now->ws_col, 34);
	close(f.fd);
}

static void test_refused_fault(void **state)
{
	struct bench *b = *state;
	struct mirror_file f = pty_file();
	struct ioctl_call c = { .op.m = b->m, .file = &f, .cmd = TIOCGWINSZ, .arg = ADDR };
	pthread_t t;

	ioctl_main(&c);
	assert_int_equal(c.result, -EFAULT);
	b->ask = true;
	pthread_create(&t, NULL, ioctl_main, &c);
	await_fault(b);
	mirror_fault_done(&c.op, -EFAULT);
	pthread_join(t, NULL);
	assert_int_equal(c.result, -EFAULT);
	/* the refusal held for that operation only */
	b->faulted = NULL;
	pthread_create(&t, NULL, ioctl_main, &c);
	await_fault(b);
	show(b, ADDR, 1, 1, true);
	mirror_fault_done(&c.op, 0);
	pthread_join(t, NULL);
	assert_int_equal(c.result, 0);
	close(f.fd);
}

static void test_readonly_page(void **state)
{
	struct bench *b = *state;
	struct mirror_file f = pty_file();
	struct ioctl_call c = { .op.m = b->m, .file = &f, .cmd = TIOCGWINSZ, .arg = ADDR };

	memset(b->ram, 0x55, PD_PAGE_SIZE);
	show(b, ADDR, 0, 1, false);
	ioctl_main(&c);
	assert_int_equal(c.result, -EFAULT);
	assert_int_equal(b->ram[0], 0x55);
	c.cmd = TIOCSWINSZ;
	ioctl_main(&c);
	assert_int_equal(c.result, 0);
	close(f.fd);
}

static void test_compat_ioctl(void **state)
{
	struct bench *b = *state;
	struct mirror_file f = pty_file();
	struct ioctl_call c = {
		.op.m = b->m, .file = &f, .cmd = TIOCGWINSZ, .arg = 0x8048000, .compat = true
	};

	show(b, 0x8048000, 3, 1, true);
	ioctl_main(&c);
	assert_int_equal(c.result, 0);
	assert_int_equal(((struct winsize *)(b->ram + 3 * PD_PAGE_SIZE))->ws_col, 34);
	close(f.fd);
}

/* The mirror's own memory is no buffer: its code and requests cannot be written. */
static void test_own_memory(void **state)
{
	struct bench *b = *state;
	struct mirror_file f = pty_file();
	struct ioctl_call c = { .op.m = b->m, .file = &f, .cmd = TIOCGWINSZ };
	struct pd_pages p = { HOLE, 0, 1, PD_PAGES_WRITE };
	static const uint64_t args[] = { HOLE, HOLE + 0x100000, HOLE + 0x108000, HOLE + 0x1000 };

	b->ask = true;
	for (size_t i = 0; i < 4; i++) {
		c.arg = args[i];
		ioctl_main(&c);
		assert_int_equal(c.result, -EFAULT);
	}
	assert_int_equal(mirror_update(b->m, NULL, 0, &p, 1), -EINVAL);
	p = (struct pd_pages){ ADDR, FRAMES, 1, 0 };
	assert_int_equal(mirror_update(b->m, NULL, 0, &p, 1), -EFAULT);
	close(f.fd);
}

struct read_call {
	struct mirror_op op;
	struct mirror_file *file;
	struct pd_range vec;
	int64_t result;
};

static void *read_main(void *arg)
{
	struct read_call *c = arg;

	c->result = mirror_read(&c->op, c->file, O_RDWR, &c->vec, 1, 0, 0);
	return NULL;
}

static void test_cancel(void **state)
{
	struct bench *b = *state;
	struct mirror_file f = pty_file();
	int sv[2], slave;
	char name[64], c = 0;
	struct read_call r = { .op.m = b->m, .file = &f, .vec = { ADDR, 10 } };
	pthread_t t;

	/* with its other side open, a read blocks */
	assert_int_equal(ptsname_r(f.fd, name, sizeof(name)), 0);
	assert_int_equal(unlockpt(f.fd), 0);
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	show(b, ADDR, 0, 1, true);
	for (int i = 0; i < 20; i++) {
		pthread_create(&t, NULL, read_main, &r);
		usleep(i * 100);
		while (mirror_cancel(&r.op, false) == -ENOENT)
			usleep(10);
		pthread_join(t, NULL);
		assert_int_equal(r.result, -512);
	}
	/* and it still works */
	assert_int_equal(write(slave, "x\n", 2), 2);
	read_main(&r);
	assert_true(r.result > 0);
	assert_int_equal(b->ram[0], 'x');
	close(slave);
	close(f.fd);
	(void)sv;
	(void)c;
}

/* What a test wants to happen just before a thread is seized. */
static struct {
	atomic_bool armed;
	atomic_bool next_runs;
	int slave;
} seizing;

long __real_ptrace(enum __ptrace_request request, ...);
long __wrap_ptrace(enum __ptrace_request request, pid_t pid, void *addr, void *data);

long __wrap_ptrace(enum __ptrace_request request, pid_t pid, void *addr, void *data)
{
	if (request == PTRACE_SEIZE && atomic_exchange(&seizing.armed, false)) {
		/* the operation ends, and if it can, another one begins on its thread */
		if (write(seizing.slave, "x\n", 2) != 2)
			abort();
		for (int i = 0; i < 300 && !seizing.next_runs; i++)
			usleep(1000);
	}
	return __real_ptrace(request, pid, addr, data);
}

/* An operation ends while it is being cancelled: the next one on its thread is none of the cancel's business. */
static void test_cancel_comes_late(void **state)
{
	struct bench *b = *state;
	struct mirror_file f = pty_file();
	struct read_call first = { .op.m = b->m, .file = &f, .vec = { ADDR, 10 } };
	struct read_call next = { .op.m = b->m, .file = &f, .vec = { ADDR, 10 } };
	char name[64];
	pthread_t t;

	assert_int_equal(ptsname_r(f.fd, name, sizeof(name)), 0);
	assert_int_equal(unlockpt(f.fd), 0);
	seizing.slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(seizing.slave >= 0);
	show(b, ADDR, 0, 1, true);
	pthread_create(&t, NULL, read_main, &first);
	usleep(50000);
	seizing.next_runs = false;
	seizing.armed = true;
	assert_int_equal(mirror_cancel(&first.op, false), 0);
	pthread_join(t, NULL);
	assert_true(first.result > 0);
	assert_false(seizing.armed);
	pthread_create(&t, NULL, read_main, &next);
	usleep(50000);
	seizing.next_runs = true;
	usleep(200000);
	assert_int_equal(write(seizing.slave, "y\n", 2), 2);
	pthread_join(t, NULL);
	assert_true(next.result > 0);
	assert_int_equal(b->ram[0], 'y');
	close(seizing.slave);
	close(f.fd);
}

static void test_many_blocked(void **state)
{
	enum { N = 128 };
	struct bench *b = *state;
	struct mirror_file f = pty_file(), z = zero_file();
	static struct read_call r[N];
	static pthread_t t[N];
	struct pd_range vec = { ADDR + PD_PAGE_SIZE, 10 };
	struct mirror_op op = { .m = b->m, .allowed = &vec, .nallowed = 1 };
	char name[64];
	int slave;

	ptsname_r(f.fd, name, sizeof(name));
	unlockpt(f.fd);
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	show(b, ADDR, 0, 2, true);
	for (int i = 0; i < N; i++) {
		r[i] = (struct read_call){ .op.m = b->m, .file = &f, .vec = { ADDR, 10 } };
		pthread_create(&t[i], NULL, read_main, &r[i]);
	}
	usleep(50000);
	assert_int_equal(mirror_read(&op, &z, O_RDWR, &vec, 1, 0, 0), 10);
	for (int i = 0; i < N; i++)
		while (mirror_cancel(&r[i].op, false) == -ENOENT)
			usleep(100);
	for (int i = 0; i < N; i++) {
		pthread_join(t[i], NULL);
		assert_int_equal(r[i].result, -512);
	}
	close(slave);
	close(f.fd);
	close(z.fd);
}

static void test_abandon_faulting(void **state)
{
	struct bench *b = *state;
	struct mirror_file f = pty_file();
	struct ioctl_call c = { .op.m = b->m, .file = &f, .cmd = TIOCGWINSZ, .arg = ADDR };
	pthread_t t;

	b->ask = true;
	pthread_create(&t, NULL, ioctl_main, &c);
	await_fault(b);
	assert_int_equal(mirror_cancel(&c.op, true), 0);
	pthread_join(t, NULL);
	assert_int_equal(c.result, -EFAULT);
	close(f.fd);
}

static void test_killed(void **state)
{
	struct bench *b = *state;
	struct mirror_file f = pty_file();
	struct read_call r = { .op.m = b->m, .file = &f, .vec = { ADDR, 10 } };
	char name[64];
	pthread_t t;
	int slave;

	ptsname_r(f.fd, name, sizeof(name));
	unlockpt(f.fd);
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	show(b, ADDR, 0, 1, true);
	pthread_create(&t, NULL, read_main, &r);
	usleep(20000);
	kill(mirror_pid(b->m), SIGKILL);
	pthread_join(t, NULL);
	assert_int_equal(r.result, -EIO);
	read_main(&r);
	assert_int_equal(r.result, -EIO);
	for (int i = 0; i < 100 && !b->died; i++)
		usleep(10000);
	assert_int_equal(b->died, 1);
	close(slave);
	close(f.fd);
}

static void test_poll_flush_seek(void **state)
{
	struct bench *b = *state;
	struct mirror_file z = zero_file();
	struct mirror_op op = { .m = b->m };

	assert_int_equal(mirror_flush(&op, &z), 0);
	assert_int_equal(mirror_poll(&op, &z, POLLIN | POLLOUT), POLLIN | POLLOUT);
	assert_int_equal(mirror_flush(&op, &z), 0);
	assert_int_equal(mirror_lseek(&op, &z, 5, SEEK_SET), 0);
	assert_int_equal(mirror_fsync(&op, &z, true), -EINVAL);
	close(z.fd);
}

static void test_map(void **state)
{
	struct bench *b = *state;
	struct mirror_file z = zero_file(), f = pty_file();
	struct mirror_op op = { .m = b->m };
	struct ioctl_call c = { .op.m = b->m, .file = &f, .cmd = TIOCGWINSZ, .arg = ADDR };
	pthread_t t;

	assert_int_equal(
		mirror_map(&op, &z, ADDR, 4 * PD_PAGE_SIZE, PROT_READ | PROT_WRITE, false, 0), 0);
	assert_int_equal(mirror_map_kind(&op, ADDR, 4 * PD_PAGE_SIZE), 0);
	/* the driver reaches the mapping as the program's memory */
	ioctl_main(&c);
	assert_int_equal(c.result, 0);
	assert_int_equal(mirror_unmap(b->m, ADDR, 4 * PD_PAGE_SIZE), 0);
	b->ask = true;
	pthread_create(&t, NULL, ioctl_main, &c);
	await_fault(b);
	mirror_fault_done(&c.op, -EFAULT);
	pthread_join(t, NULL);
	assert_int_equal(c.result, -EFAULT);
	/* a driver without mmap: its errno, and the addresses are as before */
	b->faulted = NULL;
	assert_int_equal(mirror_map(&op, &f, ADDR, PD_PAGE_SIZE, PROT_READ, false, 0), -ENODEV);
	pthread_create(&t, NULL, ioctl_main, &c);
	await_fault(b);
	show(b, ADDR, 0, 1, true);
	mirror_fault_done(&c.op, 0);
	pthread_join(t, NULL);
	assert_int_equal(c.result, 0);
	close(z.fd);
	close(f.fd);
}

static void test_scattered(void **state)
{
	struct bench *b = *state;
	struct mirror_file z = zero_file();
	struct pd_range vec = { ADDR, 512 * PD_PAGE_SIZE };
	struct mirror_op op = { .m = b->m, .allowed = &vec, .nallowed = 1 };
	static struct pd_pages p[512];
	struct pd_range drop = { ADDR, 512 * PD_PAGE_SIZE };

	for (int i = 0; i < 512; i++)
		p[i] = (struct pd_pages){ ADDR + i * PD_PAGE_SIZE, 511 - i, 1, PD_PAGES_WRITE };
	for (int i = 0; i < 3; i++) {
		memset(b->ram, 0xaa, FRAMES * PD_PAGE_SIZE);
		assert_int_equal(mirror_update(b->m, NULL, 0, p, 512), 0);
		assert_int_equal(mirror_read(&op, &z, O_RDWR, &vec, 1, 0, 0), 512 * PD_PAGE_SIZE);
		assert_int_equal(b->ram[0], 0);
		assert_int_equal(b->ram[512 * PD_PAGE_SIZE - 1], 0);
		assert_int_equal(b->ram[512 * PD_PAGE_SIZE], 0xaa);
		assert_int_equal(mirror_update(b->m, &drop, 1, NULL, 0), 0);
		assert_int_equal(mirror_read(&op, &z, O_RDWR, &vec, 1, 0, 0), -EFAULT);
	}
	close(z.fd);
}

/* What a page in motion shows: words that say which frame they are of. */
#define OF_FRAME 0x6672616d00000000ull
#define GIVEN_BACK 0x6261636b6261636bull
#define FROM_DRIVER 0x6472697665640000ull
#define WORDS (PD_PAGE_SIZE / 8)
#define MOVES 3000

static uint64_t *frame_at(struct bench *b, uint64_t frame)
{
	return (uint64_t *)(void *)(b->ram + frame * PD_PAGE_SIZE);
}

static void fill(uint64_t *at, uint64_t word)
{
	for (unsigned int i = 0; i < WORDS; i++)
		at[i] = word;
}

static void check_all(const uint64_t *at, uint64_t word)
{
	for (unsigned int i = 0; i < WORDS; i++)
		if (at[i] != word)
			fail_msg("%#llx instead of %#llx", (unsigned long long)at[i],
				 (unsigned long long)word);
}

/* A guest that answers every fault with the frame that the page has just then. */
struct answerer {
	struct bench *b;
	pthread_mutex_t lock; /* the page moves, or is shown */
	uint64_t frame;
	atomic_bool stop;
};

static void *answer_main(void *arg)
{
	struct answerer *a = arg;
	struct bench *b = a->b;

	while (!a->stop) {
		struct timespec end;
		struct mirror_op *op;

		clock_gettime(CLOCK_REALTIME, &end);
		end.tv_nsec += 20000000;
		if (end.tv_nsec >= 1000000000) {
			end.tv_sec++;
			end.tv_nsec -= 1000000000;
		}
		pthread_mutex_lock(&b->lock);
		if (!b->faulted)
			pthread_cond_timedwait(&b->cond, &b->lock, &end);
		op = b->faulted;
		b->faulted = NULL;
		pthread_mutex_unlock(&b->lock);
		if (op) {
			pthread_mutex_lock(&a->lock);
			show(b, ADDR, a->frame, 1, true);
			pthread_mutex_unlock(&a->lock);
			mirror_fault_done(op, 0);
		}
	}
	return NULL;
}

/**
 * struct user - operations with one page, one after the other
 * @op: each of them: whoever answers the last one's fault may still have it in hand
 * @file: a memory file of a page
 * @write: the driver reads the page
 * @stop: enough
 * @busy: one is under way
 * @done: so many have ended
 * @result: of the last
 * @wrong: the driver has read what no frame of the page's ever held: @word
 */
struct user {
	struct mirror_op op;
	struct mirror_file file;
	bool write;
	atomic_bool stop;
	atomic_bool busy;
	atomic_uint done;
	int64_t result;
	bool wrong;
	uint64_t word;
};

static bool use(struct user *u)
{
	struct pd_range vec = { ADDR, PD_PAGE_SIZE };
	uint64_t got[WORDS];

	u->result = u->write ? mirror_write(&u->op, &u->file, O_RDWR, &vec, 1, 0, 0) :
			       mirror_read(&u->op, &u->file, O_RDWR, &vec, 1, 0, 0);
	if (u->result != PD_PAGE_SIZE)
		return false;
	if (!u->write)
		return true;
	if (pread(u->file.fd, got, sizeof(got), 0) != sizeof(got))
		return false;
	for (unsigned int i = 0; i < WORDS; i++)
		if (got[i] - OF_FRAME >= FRAMES) {
			u->wrong = true;
			u->word = got[i];
			return false;
		}
	return true;
}

static void *use_main(void *arg)
{
	struct user *u = arg;
	bool good = true;

	while (good && !atomic_load(&u->stop)) {
		atomic_store(&u->busy, true);
		good = use(u);
		atomic_store(&u->busy, false);
		atomic_fetch_add(&u->done, 1);
	}
	return NULL;
}

/*
 * A page that gets another frame while an operation uses it, as when the guest's kernel moves it: the operation
 * waits for it and never fails; a driver that reads sees the page and nothing else, and one that writes leaves the
 * frames alone that were given back.
 */
static void move_in_use(struct bench *b, bool write)
{
	struct user u = { .op.m = b->m, .write = write };
	struct answerer a = { .b = b, .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pd_range drop = { ADDR, PD_PAGE_SIZE };
	uint64_t data[WORDS];
	unsigned int in_use = 0;
	unsigned int moves = 0;
	struct mirror_stats s;
	pthread_t user, answerer;

	u.file = (struct mirror_file){ .id = 5,
				       .fd = memfd_create("file", MFD_CLOEXEC),
				       .oflags = O_RDWR };
	fill(data, FROM_DRIVER);
	assert_int_equal(pwrite(u.file.fd, data, sizeof(data), 0), sizeof(data));
	/* each has been given back, and is not the page's */
	for (unsigned int i = 0; i < FRAMES; i++)
		fill(frame_at(b, i), GIVEN_BACK);
	fill(frame_at(b, 0), OF_FRAME);
	b->ask = true;
	show(b, ADDR, 0, 1, true);
	pthread_create(&answerer, NULL, answer_main, &a);
	pthread_create(&user, NULL, use_main, &u);
	while (in_use < MOVES && pthread_tryjoin_np(user, NULL)) {
		uint64_t old = a.frame, next = (old + 1) % FRAMES;
		unsigned int done = atomic_load(&u.done);
		bool busy = atomic_load(&u.busy);

		/* moved before anybody can have touched it, again and again, it would never be used */
		if (moves > 3 * done) {
			sched_yield();
			continue;
		}
		moves++;
		check_all(frame_at(b, next), GIVEN_BACK);
		fill(frame_at(b, next), OF_FRAME + next);
		pthread_mutex_lock(&a.lock);
		a.frame = next;
		assert_int_equal(mirror_update(b->m, &drop, 1, NULL, 0), 0);
		pthread_mutex_unlock(&a.lock);
		fill(frame_at(b, old), GIVEN_BACK);
		in_use += busy && atomic_load(&u.busy) && atomic_load(&u.done) == done;
	}
	u.stop = true;
	if (in_use == MOVES)
		pthread_join(user, NULL);
	/* once more, in peace */
	if (u.result == PD_PAGE_SIZE && !u.wrong)
		use(&u);
	a.stop = true;
	pthread_join(answerer, NULL);
	if (u.wrong)
		fail_msg("the driver read %#llx", (unsigned long long)u.word);
	assert_int_equal(u.result, PD_PAGE_SIZE);
	assert_int_equal(in_use, MOVES);
	mirror_pool_stats(b->pool, &s);
	assert_true(s.pages_dropped >= MOVES);
	for (unsigned int i = 0; i < FRAMES; i++)
		if (i != a.frame)
			check_all(frame_at(b, i), GIVEN_BACK);
	assert_int_equal(pread(u.file.fd, data, sizeof(data), 0), sizeof(data));
	check_all(data, write ? OF_FRAME + a.frame : FROM_DRIVER);
	check_all(frame_at(b, a.frame), data[0]);
	close(u.file.fd);
}

static void test_page_moves_in_use(void **state)
{
	move_in_use(*state, true);
}

static void test_page_moves_while_written(void **state)
{
	move_in_use(*state, false);
}

#define PAGES 512

struct reader {
	struct bench *b;
	atomic_bool stop;
	atomic_uint done;
	atomic_uint short_ones;
	atomic_bool wrong;
};

/* A driver that reads the program's pages, as many as there are; what it got is theirs. */
static void *many_main(void *arg)
{
	struct reader *r = arg;
	struct mirror_file f = { .id = 7,
				 .fd = memfd_create("file", MFD_CLOEXEC),
				 .oflags = O_RDWR };
	struct pd_range vec = { ADDR, PAGES * PD_PAGE_SIZE };
	struct mirror_op op = { .m = r->b->m };
	static uint64_t got[PAGES * WORDS];

	while (!atomic_load(&r->stop) && !r->wrong) {
		int64_t n = mirror_write(&op, &f, O_RDWR, &vec, 1, 0, 0);

		r->wrong = n < 0 ? n != -EFAULT : pread(f.fd, got, (size_t)n, 0) != n;
		for (int64_t i = 0; i < n / 8 && !r->wrong; i++)
			r->wrong = got[i] != OF_FRAME + (uint64_t)i / WORDS;
		r->short_ones += n != PAGES * PD_PAGE_SIZE;
		r->done++;
	}
	close(f.fd);
	return NULL;
}

/*
 * More pages are taken back in use than can be emptied, so they are reserved anew under the driver: that may fail,
 * and never read anything else.
 */
static void test_many_pages_go_in_use(void **state)
{
	struct bench *b = *state;
	static struct pd_range drops[PAGES];
	static struct reader r;
	pthread_t t;

	r = (struct reader){ .b = b };
	for (unsigned int i = 0; i < PAGES; i++) {
		drops[i] = (struct pd_range){ ADDR + i * PD_PAGE_SIZE, PD_PAGE_SIZE };
		fill(frame_at(b, i), OF_FRAME + i);
	}
	pthread_create(&t, NULL, many_main, &r);
	while (!r.wrong && (r.short_ones < 300 || r.done - r.short_ones < 10)) {
		unsigned int done = r.done;

		show(b, ADDR, 0, PAGES, true);
		while (r.done == done && !r.wrong)
			sched_yield();
		assert_int_equal(mirror_update(b->m, drops, PAGES, NULL, 0), 0);
	}
	r.stop = true;
	pthread_join(t, NULL);
	assert_false(r.wrong);
}

struct forgetter {
	struct mirror_pool *pool;
	atomic_bool stop;
};

static void *forget_main(void *arg)
{
	struct forgetter *f = arg;

	while (!atomic_load(&f->stop))
		mirror_forget_file(f->pool, 1);
	return NULL;
}

/* Files close while processes end: who looks through the mirrors meets those that are about to go. */
static void test_ends_while_looked_at(void **state)
{
	struct bench *b = *state;
	struct forgetter f = { .pool = b->pool };
	struct mirror *m;
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, forget_main, &f);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(mirror_create(b->pool, HOLE, PD_HOLE_SIZE, "short", &m), 0);
		mirror_destroy(m);
	}
	atomic_store(&f.stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_read_foreseen),
		TEST(test_vectored),
		TEST(test_ioctl_fault),
		TEST(test_drop_faults_again),
		TEST(test_refused_fault),
		TEST(test_readonly_page),
		TEST(test_compat_ioctl),
		TEST(test_own_memory),
		TEST(test_cancel),
		TEST(test_cancel_comes_late),
		TEST(test_many_blocked),
		TEST(test_abandon_faulting),
		TEST(test_killed),
		TEST(test_poll_flush_seek),
		TEST(test_map),
		TEST(test_scattered),
		TEST(test_page_moves_in_use),
		TEST(test_page_moves_while_written),
		TEST(test_many_pages_go_in_use),
		TEST(test_ends_while_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
