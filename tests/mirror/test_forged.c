// SPDX-License-Identifier: Apache-2.0
/*
 * A program has its driver write into the result slots of its own mirror, which the mirror's threads must be able to
 * write: it may spoil its own operations' results, but nobody may be told of an end that was none, take one
 * descriptor for another, or wait for ever.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "../../daemon/weak.h"
#include "../../mirror/abi.h"
#include "bench.h"

#define SLOT(n) (HOLE + MIRROR_HOLE_RES + (uint64_t)(n)*MIRROR_RES_SIZE)

/* Somebody who has a driver write over and over: what @next puts into @data, to where it says. */
struct writer {
	struct bench *b;
	struct mirror_file file;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint hint; /* for @next */
	unsigned int times;
	uint64_t data[8];
	struct pd_range (*next)(struct writer *w);
};

static void *writer_main(void *arg)
{
	struct writer *w = arg;

	while (!atomic_load(&w->stop)) {
		struct mirror_op op = { .m = w->b->m };
		struct pd_range vec = w->next(w);

		assert_int_equal(pwrite(w->file.fd, w->data, vec.len, 0), vec.len);
		if (mirror_read(&op, &w->file, O_RDWR, &vec, 1, 0, 0) == -EIO)
			break;
		w->times++;
	}
	return NULL;
}

static struct mirror_file memory_file(uint64_t id)
{
	return (struct mirror_file){ .id = id,
				     .fd = memfd_create("file", MFD_CLOEXEC),
				     .oflags = O_RDWR };
}

/* @w's file gets its descriptor before anything is forged. */
static void writer_prepare(struct writer *w, struct bench *b,
			   struct pd_range (*next)(struct writer *), uint64_t id)
{
	struct mirror_op op = { .m = b->m };
	struct pd_range vec = { ADDR, 8 };

	*w = (struct writer){ .b = b, .file = memory_file(id), .next = next };
	assert_int_equal(pwrite(w->file.fd, "12345678", 8, 0), 8);
	assert_int_equal(mirror_read(&op, &w->file, O_RDWR, &vec, 1, 0, 0), 8);
}

static void writer_begin(struct writer *w, struct bench *b,
			 struct pd_range (*next)(struct writer *))
{
	writer_prepare(w, b, next, 1000);
	pthread_create(&w->thread, NULL, writer_main, w);
}

/* how often it has written */
static unsigned int writer_end(struct writer *w)
{
	atomic_store(&w->stop, true);
	pthread_join(w->thread, NULL);
	close(w->file.fd);
	return w->times;
}

struct reader {
	struct bench *b;
	struct mirror_file *file;
	pthread_t thread;
	atomic_bool done;
};

static void *reader_main(void *arg)
{
	struct reader *r = arg;
	struct mirror_op op = { .m = r->b->m };
	struct pd_range vec = { ADDR + 0x1000, 8 };

	mirror_read(&op, r->file, O_RDWR, &vec, 1, 0, 0);
	atomic_store(&r->done, true);
	return NULL;
}

/* all that a slot begins with is the number of a list that may be the one at hand */
static struct pd_range numbers_of_lists(struct writer *w)
{
	const uint64_t number = atomic_load(&w->hint) + w->times / 8 % 4;

	for (unsigned int i = 0; i < 8; i++)
		w->data[i] = number << 32 | number;
	return (struct pd_range){ SLOT(MIRROR_SLOT_FIRST + w->times % 8), sizeof(w->data) };
}

/* Is somebody told that a read has ended for which there was nothing to read? */
static bool is_told_of_an_end(struct bench *b)
{
	struct mirror_file f = { .id = 2, .oflags = O_RDWR, .stream = true };
	bool told = false;
	struct writer w;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	f.fd = sv[0];
	show(b, ADDR, 0, 2, true);
	writer_begin(&w, b, numbers_of_lists);
	for (unsigned int i = 0; i < 100 && !told; i++) {
		struct reader r = { .b = b, .file = &f };

		atomic_store(&w.hint, i);
		pthread_create(&r.thread, NULL, reader_main, &r);
		usleep(5000);
		told = atomic_load(&r.done);
		assert_int_equal(write(sv[1], "12345678", 8), 8);
		pthread_join(r.thread, NULL);
	}
	assert_true(writer_end(&w) > 0);
	close(sv[0]);
	close(sv[1]);
	return told;
}

static void test_end(void **state)
{
	assert_false(is_told_of_an_end(*state));
}

static void test_end_without_the_defence(void **state)
{
	bool told;

	weak_set(1ull << WEAK_DONE);
	told = is_told_of_an_end(*state);
	weak_set(0);
	assert_true(told);
}

/* A driver that writes into what the mirror will be told to do */
static int64_t writes_requests(struct bench *b)
{
	struct mirror_file f = pty_file();
	struct mirror *m;
	struct mirror_op op = { 0 };
	int64_t ret;

	assert_int_equal(mirror_create(b->pool, HOLE, PD_HOLE_SIZE, "writes", &m), 0);
	op.m = m;
	ret = mirror_ioctl(&op, &f, O_RDWR, TIOCGWINSZ,
			   HOLE + MIRROR_HOLE_REQ + MIRROR_SLOT_FIRST * (uint64_t)MIRROR_REQ_SIZE +
				   MIRROR_REQ_DATA,
			   false);
	mirror_destroy(m);
	close(f.fd);
	return ret;
}

static void test_requests(void **state)
{
	assert_int_equal(writes_requests(*state), -EFAULT);
}

static void test_requests_without_the_defence(void **state)
{
	int64_t ret;

	weak_set(1ull << WEAK_REQUESTS);
	ret = writes_requests(*state);
	weak_set(0);
	assert_int_equal(ret, 0);
}

/* results of the thread that deals with descriptors */
static struct pd_range descriptors(struct writer *w)
{
	for (unsigned int i = 0; i < 8; i++)
		w->data[i] = MIRROR_FD_FILES + w->times % 32;
	return (struct pd_range){ SLOT(MIRROR_SLOT_SEED) + MIRROR_RES_VALUES, sizeof(w->data) };
}

static unsigned int count_descriptors(pid_t pid)
{
	unsigned int n = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

#define FILES 16

/*
 * Does the mirror take one file for another, or keep one that it was told to
 * forget? Tried for so many seconds: how often a value is written just before
 * it is read depends on the processors, 7 to 320 rounds were seen.
 */
static bool takes_files_for_others(struct bench *b, unsigned int seconds)
{
	const time_t until = now() + seconds;
	struct mirror_file files[FILES];
	struct pd_range vec = { ADDR + 0x1000, 8 };
	bool wrong = false;
	unsigned int before;
	struct writer w;

	show(b, ADDR, 0, 2, true);
	writer_begin(&w, b, descriptors);
	before = count_descriptors(mirror_pid(b->m));
	for (unsigned int round = 0; now() < until && !wrong; round++) {
		for (unsigned int i = 0; i < FILES; i++) {
			const uint64_t mine = round * FILES + i;
			struct mirror_op op = { .m = b->m };

			files[i] = memory_file(1 + i);
			assert_int_equal(pwrite(files[i].fd, &mine, 8, 0), 8);
			wrong |= mirror_read(&op, &files[i], O_RDWR, &vec, 1, 0, 0) != 8;
			wrong |= *(uint64_t *)(void *)(b->ram + PD_PAGE_SIZE) != mine;
			/* a second descriptor, which is closed again */
			op = (struct mirror_op){ .m = b->m };
			wrong |= mirror_flush(&op, &files[i]) != 0;
		}
		for (unsigned int i = 0; i < FILES; i++) {
			mirror_forget_file(b->pool, files[i].id);
			close(files[i].fd);
		}
		wrong |= count_descriptors(mirror_pid(b->m)) != before;
	}
	assert_true(writer_end(&w) > 0);
	return wrong;
}

static void test_descriptors(void **state)
{
	assert_false(takes_files_for_others(*state, 5));
}

static void test_descriptors_without_the_defence(void **state)
{
	bool harmed;

	weak_set(1ull << WEAK_RESULTS);
	harmed = takes_files_for_others(*state, 40);
	weak_set(0);
	assert_true(harmed);
}

#define DROPPED 512

/* each slot says all the time that calls failed, or succeeded */
static struct pd_range results(struct writer *w)
{
	for (unsigned int i = 0; i < 8; i++)
		w->data[i] = w->times & 1 ? (uint64_t)-EFAULT : ADDR;
	return (struct pd_range){ SLOT(w->times % 4) + MIRROR_RES_VALUES, sizeof(w->data) };
}

/* Whether pages are gone is not learnt there, and another program's mirror has results of its own. */
static void test_pages(void **state)
{
	struct bench *b = *state;
	struct mirror_file f = pty_file();
	static struct pd_range drops[DROPPED];
	struct mirror *other;
	struct writer w;

	assert_int_equal(mirror_create(b->pool, HOLE, PD_HOLE_SIZE, "other", &other), 0);
	for (unsigned int i = 0; i < DROPPED; i++)
		drops[i] = (struct pd_range){ ADDR + (i + 2) * PD_PAGE_SIZE, PD_PAGE_SIZE };
	show(b, ADDR, 0, 1, true);
	writer_begin(&w, b, results);
	for (int round = 0; round < 20; round++) {
		struct pd_pages p = { ADDR, DROPPED + 2, 1, PD_PAGES_WRITE };
		struct mirror_op op = { .m = other };
		struct winsize *ws = (void *)(b->ram + (DROPPED + 2) * PD_PAGE_SIZE);

		memset(b->ram + 2 * PD_PAGE_SIZE, 0xaa, DROPPED * PD_PAGE_SIZE);
		show(b, ADDR + 2 * PD_PAGE_SIZE, 2, DROPPED, true);
		assert_int_equal(mirror_update(b->m, drops, DROPPED, NULL, 0), 0);
		for (unsigned int i = 0; i < DROPPED; i += 73) {
			struct mirror_op mine = { .m = b->m };

			/* what it returns is the program's own loss */
			mirror_ioctl(&mine, &f, O_RDWR, TIOCGWINSZ, drops[i].addr, false);
			assert_int_equal(b->ram[(i + 2) * PD_PAGE_SIZE], 0xaa);
		}
		*ws = (struct winsize){ 0 };
		assert_int_equal(mirror_update(other, NULL, 0, &p, 1), 0);
		assert_int_equal(mirror_ioctl(&op, &f, O_RDWR, TIOCGWINSZ, ADDR, false), 0);
		assert_int_equal(ws->ws_col, 34);
	}
	assert_true(writer_end(&w) > 0);
	mirror_destroy(other);
	close(f.fd);
}

/* where the mapper is told to put the one byte that comes with a descriptor: behind its struct msghdr */
static struct pd_range place_of_the_byte(struct writer *w)
{
	w->data[0] = 0x7e0000000000 + w->times % 1000 * PD_PAGE_SIZE;
	return (struct pd_range){
		SLOT(MIRROR_SLOT_MAPPER) + MIRROR_RES_DATA + sizeof(struct msghdr), 8
	};
}

/* It touches what is not there: its mirror ends, and others are served. */
static void test_mapper_led_away(void **state)
{
	struct bench *b = *state;
	struct pd_range vec = { ADDR + 0x1000, 8 }, nowhere = { ADDR + 0x100000, 8 };
	struct mirror_file f = memory_file(2000);
	const time_t until = now() + 40;
	struct writer w[3];
	struct mirror *other;
	struct mirror_op op;
	int64_t ret = 0;

	assert_int_equal(pwrite(f.fd, "12345678", 8, 0), 8);
	assert_int_equal(mirror_create(b->pool, HOLE, PD_HOLE_SIZE, "other", &other), 0);
	show(b, ADDR, 0, 2, true);
	for (unsigned int i = 0; i < 3; i++)
		writer_prepare(&w[i], b, place_of_the_byte, 1000 + i);
	for (unsigned int i = 0; i < 3; i++)
		pthread_create(&w[i].thread, NULL, writer_main, &w[i]);
	/* the mirror gets the file anew each time */
	while (ret != -EIO && now() < until) {
		op = (struct mirror_op){ .m = b->m };
		ret = mirror_read(&op, &f, O_RDWR, &vec, 1, 0, 0);
		mirror_forget_file(b->pool, f.id);
	}
	for (unsigned int i = 0; i < 3; i++)
		writer_end(&w[i]);
	assert_int_equal(ret, -EIO);
	op = (struct mirror_op){ .m = other };
	assert_int_equal(mirror_read(&op, &f, O_RDWR, &nowhere, 1, 0, 0), -EFAULT);
	mirror_destroy(other);
	close(f.fd);
}

/* When a file is forgotten, no mirror has it any more, not even one that is just being killed. */
static void test_file_of_a_killed_mirror(void **state)
{
	struct bench *b = *state;
	struct mirror_op op = { .m = b->m };
	struct mirror_file f = { .id = 5, .oflags = O_RDWR, .stream = true };
	struct pd_range vec = { ADDR, 8 };
	struct pollfd p = { .events = POLLIN };
	int sv[2];

	/* its end is heard of when nobody has it */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	f.fd = sv[0];
	p.fd = sv[1];
	show(b, ADDR, 0, 1, true);
	assert_int_equal(write(sv[1], "12345678", 8), 8);
	assert_int_equal(mirror_read(&op, &f, O_RDWR, &vec, 1, 0, 0), 8);
	close(sv[0]);
	assert_int_equal(poll(&p, 1, 0), 0);
	kill(mirror_pid(b->m), SIGKILL);
	mirror_forget_file(b->pool, f.id);
	assert_int_equal(poll(&p, 1, 0), 1);
	close(sv[1]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_end),
		TEST(test_end_without_the_defence),
		TEST(test_requests),
		TEST(test_requests_without_the_defence),
		TEST(test_descriptors),
		TEST(test_descriptors_without_the_defence),
		TEST(test_pages),
		TEST(test_mapper_led_away),
		TEST(test_file_of_a_killed_mirror),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
