// SPDX-License-Identifier: Apache-2.0
/* Ends of all kinds: what is left afterwards, and who notices. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "fixture.h"

static unsigned int count_fds(pid_t pid)
{
	unsigned int n = 0;
	char path[32];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/*
 * What the manager has open when it has done all there was to do: it closes what it had for a worker after the
 * worker has gone, and answers on its control socket after that.
 */
static unsigned int manager_fds(const struct fixture *x)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[4096];
	ssize_t n;

	assert_true(fd >= 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", x->d.control);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	/* up to the end: what it had for us is closed as well */
	while ((n = read(fd, answer, sizeof(answer))) > 0)
		;
	assert_int_equal(n, 0);
	close(fd);
	return count_fds(x->d.pid);
}

static pid_t mirror_of(struct fixture *x)
{
	pid_t worker = fe_worker(&x->d);
	pid_t mirror = 0;

	assert_true(worker > 0);
	assert_true(fe_descendants(worker, &mirror, 1) >= 1);
	return mirror;
}

static int pty(struct fixture *x, int64_t *master)
{
	int *arg = fe_mm_at(&x->f, &x->mm, PROG);
	char path[32];
	int fd;

	*master = fe_dev_open(&x->f, DEV_PTMX, O_RDWR);
	assert_true(*master > 0);
	*arg = 0;
	assert_int_equal(fe_ioctl(&x->f, &x->mm, *master, TIOCSPTLCK, PROG), 0);
	assert_int_equal(fe_ioctl(&x->f, &x->mm, *master, TIOCGPTN, PROG), 0);
	snprintf(path, sizeof(path), "/dev/pts/%d", *arg);
	fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void blocked_read(struct fixture *x, struct fe_call *c, int64_t file)
{
	struct pd_req req = { .op = PD_OP_READ,
			      .file = (uint64_t)file,
			      .mm = x->mm.id,
			      .nvecs = 1,
			      .oflags = O_RDWR };
	struct pd_range vec = { PROG + PD_PAGE_SIZE, 100 };

	*c = (struct fe_call){ .mm = &x->mm };
	fe_submit(&x->f, c, x->mm.queue, &req, NULL, NULL, &vec);
	assert_int_equal(fe_wait(&x->f, c, 50), -ETIME);
}

static void test_vm_ends_in_the_middle(void **state)
{
	struct fixture *x = *state;
	unsigned int fds;
	int64_t master;
	struct fe_call c;
	int slave;

	fixture_vm_gone(x);
	fds = manager_fds(x);
	for (int i = 0; i < 5; i++) {
		fe_connect(&x->f, &x->d, NULL);
		x->connected = true;
		assert_int_equal(fe_mm_create(&x->f, &x->mm), 0);
		fe_mm_add(&x->f, &x->mm, PROG, PROG_PAGES, true);
		slave = pty(x, &master);
		for (int k = 0; k < 20; k++) {
			struct pd_req req = { .op = PD_OP_READ,
					      .file = (uint64_t)master,
					      .mm = x->mm.id,
					      .nvecs = 1,
					      .oflags = O_RDWR };
			struct pd_range vec = { 0x70000000 + (uint64_t)k * PD_PAGE_SIZE, 100 };

			c = (struct fe_call){ .mm = &x->mm };
			fe_submit(&x->f, &c, x->mm.queue, &req, NULL, NULL, &vec);
		}
		fixture_vm_gone(x);
		/* the driver has let go of it */
		assert_int_equal(write(slave, "x", 1), -1);
		assert_int_equal(errno, EIO);
		close(slave);
	}
	assert_int_equal(manager_fds(x), fds);
}

static void test_worker_keeps_no_descriptor(void **state)
{
	struct fixture *x = *state;
	pid_t worker = fe_worker(&x->d);
	unsigned int fds = count_fds(worker);
	struct fe_mm mms[20];

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 20; i++) {
			int64_t file = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);

			assert_int_equal(fe_mm_create(&x->f, &mms[i]), 0);
			fe_mm_add(&x->f, &mms[i], PROG, 1, true);
			assert_int_equal(fe_read(&x->f, &mms[i], file, PROG, 10), 10);
			assert_int_equal(fe_release(&x->f, file), 0);
		}
		for (int i = 0; i < 20; i++)
			assert_int_equal(fe_mm_destroy(&x->f, &mms[i]), 0);
	}
	assert_int_equal(count_fds(worker), fds);
}

/* A process dies while the guest looks for a page of its: nothing waits for that page for ever. */
static void test_process_ends_at_a_fault(void **state)
{
	struct fixture *x = *state;

	for (int late = 0; late < 2; late++) {
		int64_t file = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
		struct pd_req req = {
			.op = PD_OP_READ, .file = (uint64_t)file, .nvecs = 1, .oflags = O_RDWR
		};
		struct pd_range vec = { PROG, 100 };
		struct fe_mm mm;
		struct fe_call c = { .mm = &mm };

		assert_int_equal(fe_mm_create(&x->f, &mm), 0);
		req.mm = mm.id;
		fe_submit(&x->f, &c, mm.queue, &req, NULL, NULL, &vec);
		fe_wait_raw(&x->f, &c, 5000);
		assert_int_equal(c.resp.status, PD_ST_FAULT);
		assert_int_equal(fe_mm_destroy(&x->f, &mm), 0);
		if (late) {
			fe_continue(&x->f, &c, -EFAULT, NULL, 0, NULL);
			assert_int_equal(fe_wait_raw(&x->f, &c, 5000), -EIO);
		}
		assert_int_equal(fe_release(&x->f, (uint64_t)file), 0);
	}
}

static void test_mirror_killed(void **state)
{
	struct fixture *x = *state;
	struct fe_mm other;
	struct fe_call c;
	int64_t master;
	int slave = pty(x, &master);

	blocked_read(x, &c, master);
	assert_int_equal(kill(mirror_of(x), SIGKILL), 0);
	assert_int_equal(fe_wait(&x->f, &c, 5000), -EIO);
	assert_int_equal(fe_read(&x->f, &x->mm, master, PROG, 10), -EIO);
	/* other programs, and this one's file in another, live on */
	assert_int_equal(fe_mm_create(&x->f, &other), 0);
	fe_mm_add(&x->f, &other, PROG, 1, true);
	assert_int_equal(write(slave, "x", 1), 1);
	assert_int_equal(fe_read(&x->f, &other, master, PROG, 10), 1);
	assert_int_equal(fe_mm_destroy(&x->f, &x->mm), 0);
	assert_int_equal(fe_release(&x->f, master), 0);
	close(slave);
}

/*
 * The guest takes its pages back when it has its answers: there are none about a mirror that has died before the
 * driver has come out of the last call. Here the call is held by a tracer, without whom its thread cannot end.
 */
static void test_mirror_takes_its_time(void **state)
{
	const struct pd_range gone = { PROG, PD_PAGE_SIZE };
	struct fixture *x = *state;
	struct pd_req drop = { .op = PD_OP_DROP, .mm = x->mm.id, .ndrops = 1 };
	struct pd_req destroy = { .op = PD_OP_MM_DESTROY, .mm = x->mm.id };
	struct fe_call read, drops[2] = { 0 }, end = { 0 };
	pid_t tid, mapper;
	int64_t master;
	int slave = pty(x, &master);

	blocked_read(x, &read, master);
	tid = fe_hold_call(fe_worker(&x->d), SYS_read, &mapper);
	assert_true(tid > 0);
	/* the other process of the mirror: that this one ended is told when its last thread has */
	assert_int_equal(kill(mapper, SIGKILL), 0);
	assert_true(fe_daemon_logged(&x->d, "has ended unexpectedly", 5000));
	fe_submit(&x->f, &drops[0], x->mm.queue, &drop, &gone, NULL, NULL);
	assert_int_equal(fe_wait(&x->f, &drops[0], 200), -ETIME);
	fe_submit(&x->f, &end, PD_QUEUE_CONTROL, &destroy, NULL, NULL, NULL);
	assert_int_equal(fe_wait(&x->f, &end, 200), -ETIME);
	fe_submit(&x->f, &drops[1], x->mm.queue, &drop, &gone, NULL, NULL);
	assert_int_equal(fe_wait(&x->f, &drops[1], 200), -ETIME);
	assert_int_equal(fe_wait(&x->f, &read, 0), -ETIME);

	fe_let_go(tid);
	assert_int_equal(fe_wait(&x->f, &read, 5000), -EIO);
	assert_int_equal(fe_wait(&x->f, &drops[0], 5000), -EIO);
	assert_int_equal(fe_wait(&x->f, &drops[1], 5000), -EIO);
	assert_int_equal(fe_wait(&x->f, &end, 5000), 0);
	assert_int_equal(fe_release(&x->f, (uint64_t)master), 0);
	close(slave);
}

static void test_worker_killed(void **state)
{
	struct fixture *x = *state;
	struct fe_call calls[20];
	struct fe_call c;
	struct pd_event ev;
	int64_t master;
	int slave = pty(x, &master);
	pid_t worker = fe_worker(&x->d);

	/* a window, so that there is one to be ended later */
	assert_int_equal(fe_mmap(&x->f, &x->mm, (uint64_t)fe_dev_open(&x->f, DEV_ZERO, O_RDWR),
				 0x60000000, PD_PAGE_SIZE, PROT_READ, &c),
			 0);
	assert_int_equal(
		fe_window(&x->f, PD_OP_WINDOW_MAP, c.resp.u.map.map, 0, PD_PAGE_SIZE, 0), 0);
	fe_post_events(&x->f, 4);
	for (int i = 0; i < 20; i++) {
		struct pd_req req = { .op = PD_OP_READ,
				      .file = (uint64_t)master,
				      .mm = x->mm.id,
				      .nvecs = 1,
				      .oflags = O_RDWR };
		struct pd_range vec = { PROG + PD_PAGE_SIZE, 100 };

		calls[i] = (struct fe_call){ .mm = &x->mm };
		fe_submit(&x->f, &calls[i], x->mm.queue, &req, NULL, NULL, &vec);
	}
	assert_int_equal(fe_wait(&x->f, &calls[19], 50), -ETIME);
	for (int death = 0; death < 3; death++) {
		int64_t file;

		assert_int_equal(kill(worker, SIGKILL), 0);
		/* what was under way fails, nothing hangs */
		for (int i = 0; i < 20 && !death; i++)
			assert_int_equal(fe_wait(&x->f, &calls[i], 5000), -EIO);
		assert_int_equal(fe_event(&x->f, &ev, 5000), 0);
		assert_true(ev.lost > 0);
		/* what was open has gone */
		assert_int_equal(fe_read(&x->f, &x->mm, master, PROG, 10), -EIO);
		assert_int_equal(fe_release(&x->f, master), -EIO);
		assert_int_equal(write(slave, "x", 1), -1);
		/* the VMM is served as before, and so are new programs */
		assert_int_equal(fe_message(&x->f, VHOST_GET_QUEUE_NUM, NULL, 0, NULL, 0, NULL),
				 66);
		fe_mm_destroy(&x->f, &x->mm);
		assert_int_equal(fe_mm_create(&x->f, &x->mm), 0);
		fe_mm_add(&x->f, &x->mm, PROG, 1, true);
		file = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
		assert_true(file > 0 && file != master);
		assert_int_equal(fe_read(&x->f, &x->mm, file, PROG, 10), 10);
		master = file;
		worker = fe_worker(&x->d);
	}
	assert_int_equal(x->f.nmaps, 1);
	assert_int_equal(
		fe_window(&x->f, PD_OP_WINDOW_UNMAP, c.resp.u.map.map, 0, PD_PAGE_SIZE, 0), 0);
	assert_int_equal(x->f.nmaps, 0);
	close(slave);
}

static void test_workers_that_die_all_the_time(void **state)
{
	struct fixture *x = *state;
	char byte;

	for (int i = 0; i < 6; i++) {
		pid_t worker = fe_worker(&x->d);

		kill(worker, SIGKILL);
		/* there is none after the last one */
		if (i == 5)
			break;
		/* one that has much memory takes a while to die */
		for (int k = 0; k < 2000 && fe_worker(&x->d) == worker; k++)
			usleep(5000);
		assert_int_not_equal(fe_worker(&x->d), worker);
	}
	assert_true(fe_daemon_logged(&x->d, "die one after the other", 10000));
	assert_int_equal(recv(x->f.sock, &byte, 1, 0), 0);
	/* the daemon serves the next VMM */
	fe_close(&x->f);
	fe_connect(&x->f, &x->d, NULL);
	assert_int_equal(fe_mm_create(&x->f, &x->mm), 0);
}

static void test_manager_killed(void **state)
{
	struct fixture *x = fixture_begin(NULL, NULL);
	pid_t worker = fe_worker(&x->d);
	int64_t file = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);

	(void)state;
	kill(x->d.pid, SIGKILL);
	assert_int_equal(fe_daemon_wait(&x->d), 128 + SIGKILL);
	/* open files go on, nothing new can be opened */
	assert_int_equal(fe_read(&x->f, &x->mm, file, PROG, 10), 10);
	assert_int_equal(fe_dev_open(&x->f, DEV_ZERO, O_RDWR), -EIO);
	assert_int_equal(fe_read(&x->f, &x->mm, file, PROG, 10), 10);
	fe_close(&x->f);
	for (int i = 0; i < 500 && !kill(worker, 0); i++)
		usleep(10000);
	assert_int_equal(kill(worker, 0), -1);
	fe_daemon_clean(&x->d);
	free(x);
}

static void test_reset_of_the_device(void **state)
{
	struct fixture *x = *state;
	struct pd_req hello = { .op = PD_OP_HELLO, .u.hello = { .version = PD_VERSION } };
	struct fe_call c;
	int64_t master;
	int slave = pty(x, &master);
	pid_t left[4];

	blocked_read(x, &c, master);
	fe_stop_rings(&x->f);
	/* everything of the guest's ends by itself */
	for (int i = 0; i < 500 && fe_descendants(fe_worker(&x->d), left, 4); i++)
		usleep(10000);
	assert_int_equal(fe_descendants(fe_worker(&x->d), left, 4), 0);
	assert_int_equal(write(slave, "x", 1), -1);
	close(slave);
	fe_start_rings(&x->f, true);
	/* a new start: the old handles mean nothing */
	assert_int_equal(fe_dev_open(&x->f, DEV_ZERO, O_RDWR), -EIO);
	c = (struct fe_call){ 0 };
	assert_int_equal(fe_control(&x->f, &hello, &c), 0);
	assert_int_equal(fe_mm_create(&x->f, &x->mm), 0);
	fe_mm_add(&x->f, &x->mm, PROG, PROG_PAGES, true);
	assert_int_equal(fe_read(&x->f, &x->mm, master, PROG, 10), -EBADF);
	assert_int_equal(fe_read(&x->f, &x->mm, fe_dev_open(&x->f, DEV_ZERO, O_RDWR), PROG, 10),
			 10);
}

static void test_pause_of_the_vm(void **state)
{
	struct fixture *x = *state;
	struct fe_call c;
	int64_t master;
	int slave = pty(x, &master);

	/* to the back end the same as a reset; but the guest waits for its answers */
	blocked_read(x, &c, master);
	fe_stop_rings(&x->f);
	usleep(100000);
	fe_start_rings(&x->f, false);
	assert_int_equal(fe_wait(&x->f, &c, 5000), -EIO);
	assert_int_equal(fe_read(&x->f, &x->mm, master, PROG, 10), -EIO);
	close(slave);
}

static void test_too_many_operations(void **state)
{
	const char *const args[] = { "--max-inflight", "8", NULL };
	struct fixture *x = fixture_begin(NULL, args);
	struct fe_call calls[12];
	unsigned int busy = 0;
	int64_t master;
	int slave = pty(x, &master);
	int64_t zero = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
	struct pd_req req = { .op = PD_OP_READ,
			      .file = (uint64_t)master,
			      .mm = x->mm.id,
			      .nvecs = 1,
			      .oflags = O_RDWR };
	struct pd_range vec = { PROG, 1 };
	bool open[12];

	(void)state;
	assert_int_equal(x->f.config.max_inflight, 8);
	for (int i = 0; i < 12; i++) {
		int64_t ret;

		calls[i] = (struct fe_call){ .mm = &x->mm };
		req.tag = 0;
		fe_submit(&x->f, &calls[i], x->mm.queue, &req, NULL, NULL, &vec);
		ret = fe_wait(&x->f, &calls[i], 100);
		open[i] = ret == -ETIME;
		if (!open[i]) {
			assert_int_equal(ret, -EBUSY);
			busy++;
		}
	}
	assert_int_equal(busy, 4);
	assert_true(fe_daemon_logged(&x->d, "refused (EBUSY): ", 1000));
	/* closing and cancelling get through */
	assert_int_equal(fe_release(&x->f, zero), 0);
	for (int i = 0; i < 12; i++) {
		if (!open[i])
			continue;
		assert_int_equal(fe_cancel(&x->f, calls[i].tag, 0), 0);
		assert_int_equal(fe_wait(&x->f, &calls[i], 5000), -512);
	}
	assert_int_equal(fe_dev_open(&x->f, DEV_ZERO, O_RDWR) > 0, 1);
	close(slave);
	fixture_end(x);
}

static void test_too_many_files_and_processes(void **state)
{
	const char *const args[] = { "--max-files", "5", "--max-processes", "3", NULL };
	struct fixture *x = fixture_begin(NULL, args);
	struct fe_mm mms[2], one_more;
	int64_t files[5];

	(void)state;
	for (int i = 0; i < 5; i++) {
		files[i] = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
		assert_true(files[i] > 0);
	}
	assert_int_equal(fe_dev_open(&x->f, DEV_ZERO, O_RDWR), -EMFILE);
	assert_true(fe_daemon_logged(&x->d, "(--max-files 5)", 1000));
	assert_int_equal(fe_release(&x->f, (uint64_t)files[0]), 0);
	assert_true(fe_dev_open(&x->f, DEV_ZERO, O_RDWR) > 0);
	/* the fixture has one already */
	assert_int_equal(fe_mm_create(&x->f, &mms[0]), 0);
	assert_int_equal(fe_mm_create(&x->f, &mms[1]), 0);
	assert_int_equal(fe_mm_create(&x->f, &one_more), -EBUSY);
	assert_true(fe_daemon_logged(&x->d, "(--max-processes 3)", 1000));
	assert_int_equal(fe_mm_destroy(&x->f, &mms[0]), 0);
	assert_int_equal(fe_mm_create(&x->f, &one_more), 0);
	fixture_end(x);
}

static void test_once_and_stats(void **state)
{
	const char *const args[] = { "--once", NULL };
	struct fixture *x = fixture_begin(NULL, args);
	int64_t file = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
	const uint64_t all = PROG_PAGES * PD_PAGE_SIZE;
	unsigned long long copied = 0;
	char text[4096] = "";
	const char *at;
	FILE *f;

	(void)state;
	assert_int_equal(fe_read(&x->f, &x->mm, file, PROG, 100), 100);
	assert_int_equal(fe_read(&x->f, &x->mm, file, PROG, all), all);
	fe_close(&x->f);
	assert_int_equal(fe_daemon_wait(&x->d), 0);
	f = fopen(x->d.stats, "re");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	assert_non_null(strstr(text, "\"operations\":{"));
	assert_non_null(strstr(text, "\"open\":1"));
	assert_non_null(strstr(text, "\"read\":2"));
	assert_non_null(strstr(text, "\"faults\":64,"));
	assert_non_null(strstr(text, "\"pages_mapped\":64,"));
	assert_non_null(strstr(text, "\"bytes_read\":262244,"));
	/* messages, one for each page that was new, and none of what was read */
	at = strstr(text, "\"bytes_copied\":");
	assert_non_null(at);
	assert_int_equal(sscanf(at, "\"bytes_copied\":%llu", &copied), 1);
	assert_in_range(copied, 100, all / 10);
	assert_non_null(strstr(text, "\"mirrors\":1"));
	fe_daemon_clean(&x->d);
	free(x);
}

static void test_second_vmm_waits(void **state)
{
	struct fixture *x = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", x->d.socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_true(fe_daemon_logged(&x->d, "a second VMM connects", 2000));
	assert_int_equal(fe_read(&x->f, &x->mm, fe_dev_open(&x->f, DEV_ZERO, O_RDWR), PROG, 1), 1);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_vm_ends_in_the_middle),
		TEST(test_worker_keeps_no_descriptor),
		TEST(test_process_ends_at_a_fault),
		TEST(test_mirror_killed),
		TEST(test_mirror_takes_its_time),
		TEST(test_worker_killed),
		TEST(test_workers_that_die_all_the_time),
		cmocka_unit_test(test_manager_killed),
		TEST(test_reset_of_the_device),
		TEST(test_pause_of_the_vm),
		cmocka_unit_test(test_too_many_operations),
		cmocka_unit_test(test_too_many_files_and_processes),
		cmocka_unit_test(test_once_and_stats),
		TEST(test_second_vmm_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
