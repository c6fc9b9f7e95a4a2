// SPDX-License-Identifier: Apache-2.0
/* Operations on files: what drivers of this machine answer must come back unchanged. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

static int64_t open_dev(struct fixture *x, uint32_t device, uint32_t oflags)
{
	int64_t file = fe_dev_open(&x->f, device, oflags);

	if (file <= 0)
		fail_msg("open of device %u: %lld", device, (long long)file);
	return file;
}

static void test_devices_are_described(void **state)
{
	struct fixture *x = *state;
	struct pd_req req = { .op = PD_OP_DEVICE };
	struct fe_call c = { 0 };

	assert_int_equal(fe_control(&x->f, &req, &c), 0);
	assert_string_equal((char *)c.device.name, "zero");
	assert_string_equal((char *)c.device.subsystem, "mem");
	assert_int_equal(c.device.id, DEV_ZERO);
	assert_int_equal(c.device.mode, 0666);
	assert_int_equal(c.device.major, 1);
	assert_int_equal(c.device.minor, 5);
	assert_int_equal(c.device.flags, 0);
	req = (struct pd_req){ .op = PD_OP_DEVICE, .u.device.index = 3 };
	assert_int_equal(fe_control(&x->f, &req, &c), 0);
	assert_string_equal((char *)c.device.name, "zero-ro");
	assert_int_equal(c.device.flags, PD_DEVICE_RO);
	req = (struct pd_req){ .op = PD_OP_DEVICE, .u.device.index = 6 };
	assert_int_equal(fe_control(&x->f, &req, &c), -ERANGE);
}

static void test_read_fills_the_programs_pages(void **state)
{
	struct fixture *x = *state;
	int64_t file = open_dev(x, DEV_ZERO, O_RDWR);
	uint8_t *p = fe_mm_at(&x->f, &x->mm, PROG + 0x10);
	uint8_t *last = fe_mm_at(&x->f, &x->mm, PROG + 0x10 + 7999);
	unsigned int faults;

	p[-1] = p[0] = last[0] = last[1] = 0x55;
	assert_int_equal(fe_read(&x->f, &x->mm, file, PROG + 0x10, 8000), 8000);
	assert_int_equal(p[-1], 0x55);
	assert_int_equal(p[0], 0);
	assert_int_equal(last[0], 0);
	assert_int_equal(last[1], 0x55);
	/* the kernel may ask twice for a page */
	faults = x->mm.faults;
	assert_in_range(faults, 2, 4);
	/* and a second time without a fault */
	p[0] = 0x55;
	assert_int_equal(fe_read(&x->f, &x->mm, file, PROG + 0x10, 8000), 8000);
	assert_int_equal(p[0], 0);
	assert_int_equal(x->mm.faults, faults);
	assert_int_equal(fe_release(&x->f, file), 0);
}

static void test_foreseen_pages_do_not_fault(void **state)
{
	struct fixture *x = *state;
	int64_t file = open_dev(x, DEV_ZERO, O_RDWR);
	uint64_t frame = fe_frames(&x->f, 2);
	struct pd_pages pages = { 0x20000000, frame, 2, PD_PAGES_WRITE };
	struct pd_range vec = { 0x20000000, 2 * PD_PAGE_SIZE };
	struct pd_req req = { .op = PD_OP_READ,
			      .file = (uint64_t)file,
			      .mm = x->mm.id,
			      .npages = 1,
			      .nvecs = 1,
			      .oflags = O_RDWR };
	struct fe_call c = { .mm = &x->mm };

	memset(fe_frame(&x->f, frame), 0x55, 2 * PD_PAGE_SIZE);
	fe_submit(&x->f, &c, x->mm.queue, &req, NULL, &pages, &vec);
	assert_int_equal(fe_wait_raw(&x->f, &c, 5000), 2 * PD_PAGE_SIZE);
	assert_int_equal(c.resp.status, PD_ST_DONE);
	assert_int_equal(*(uint8_t *)fe_frame(&x->f, frame + 1), 0);
}

static void test_dropped_pages_are_not_touched(void **state)
{
	struct fixture *x = *state;
	int64_t file = open_dev(x, DEV_ZERO, O_RDWR);
	struct pd_req req = { .op = PD_OP_DROP, .mm = x->mm.id, .ndrops = 1 };
	struct pd_range drop = { PROG, PD_PAGE_SIZE };
	struct fe_call c = { .mm = &x->mm };
	uint8_t *old = fe_mm_at(&x->f, &x->mm, PROG);
	struct fe_page *page = x->mm.pages;

	assert_int_equal(fe_read(&x->f, &x->mm, file, PROG, 100), 100);
	fe_submit(&x->f, &c, x->mm.queue, &req, &drop, NULL, NULL);
	assert_int_equal(fe_wait(&x->f, &c, 5000), 0);
	/* the program has another page there now */
	while (page->addr != PROG)
		page = page->next;
	page->frame = fe_frames(&x->f, 1);
	memset(old, 0x55, PD_PAGE_SIZE);
	memset(fe_mm_at(&x->f, &x->mm, PROG), 0x66, PD_PAGE_SIZE);
	assert_int_equal(fe_read(&x->f, &x->mm, file, PROG, 100), 100);
	assert_int_equal(old[0], 0x55);
	assert_int_equal(*(uint8_t *)fe_mm_at(&x->f, &x->mm, PROG), 0);
}

static void test_errors_are_the_drivers(void **state)
{
	struct fixture *x = *state;
	int64_t zero = open_dev(x, DEV_ZERO, O_RDWR);
	int64_t full = open_dev(x, DEV_FULL, O_RDWR);
	int64_t wronly = open_dev(x, DEV_ZERO, O_WRONLY);

	assert_int_equal(fe_write(&x->f, &x->mm, full, PROG, 10), -ENOSPC);
	assert_int_equal(fe_read(&x->f, &x->mm, zero, 0x66660000, 10), -EFAULT);
	assert_int_equal(fe_read(&x->f, &x->mm, wronly, PROG, 10), -EBADF);
	assert_int_equal(fe_ioctl(&x->f, &x->mm, zero, TCGETS, PROG), -ENOTTY);
	assert_int_equal(fe_dev_open(&x->f, DEV_ZERO_RO, O_RDWR), -EACCES);
	assert_int_equal(fe_dev_open(&x->f, DEV_ZERO_RO, O_RDONLY | O_TRUNC), -EACCES);
	assert_int_equal(fe_dev_open(&x->f, 4711, O_RDONLY), -ENODEV);
	assert_int_equal(fe_release(&x->f, open_dev(x, DEV_ZERO_RO, O_RDONLY)), 0);
}

/* a call takes 0.3 s to return from */
#define SLOW "delay_exit=300000"

static unsigned int has_open(pid_t pid, const char *want)
{
	char path[64], is[64];
	unsigned int n = 0;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), e->d_name, is, sizeof(is) - 1);

		is[len > 0 ? len : 0] = '\0';
		n += !strcmp(is, want);
	}
	closedir(dir);
	return n;
}

/* or the program's close would not be the driver's release */
static void test_only_the_worker_has_it_open(void **state)
{
	struct fixture *x = *state;
	pid_t tracer = fe_inject(x->d.pid, "sendmsg:" SLOW, NULL);
	int64_t zero = open_dev(x, DEV_ZERO, O_RDWR);

	assert_int_equal(has_open(x->d.pid, "/dev/zero"), 0);
	assert_int_equal(has_open(fe_worker(&x->d), "/dev/zero"), 1);
	fe_inject_end(tracer);
	assert_int_equal(fe_release(&x->f, zero), 0);
	assert_int_equal(has_open(fe_worker(&x->d), "/dev/zero"), 0);
}

static void submit_read_of(struct fixture *x, struct fe_call *c, int64_t file,
			   const struct pd_range *vec)
{
	struct pd_req req = { .op = PD_OP_READ,
			      .file = (uint64_t)file,
			      .mm = x->mm.id,
			      .nvecs = 1,
			      .oflags = O_RDWR };

	*c = (struct fe_call){ .mm = &x->mm };
	fe_submit(&x->f, c, x->mm.queue, &req, NULL, NULL, vec);
}

/* Reads, and another message shows @run after the first touch, before that is looked at. */
static void read_slowly(struct fixture *x, struct fe_call *c, int64_t file,
			const struct pd_range *vec, const struct pd_pages *run)
{
	struct pd_req show = { .op = PD_OP_DROP, .mm = x->mm.id, .npages = 1 };
	struct fe_call other = { .mm = &x->mm };

	submit_read_of(x, c, file, vec);
	usleep(100000);
	fe_submit(&x->f, &other, x->mm.queue, &show, NULL, run, NULL);
	assert_int_equal(fe_wait_raw(&x->f, &other, 5000), 0);
}

/* A page that another message brings goes to who has just asked for it, and who may ask for the next. */
static void test_page_comes_before_it_is_asked_for(void **state)
{
	struct fixture *x = *state;
	int64_t zero = open_dev(x, DEV_ZERO, O_RDWR);
	pid_t tracer = fe_inject(fe_worker(&x->d), "read:" SLOW, "anon_inode:[userfaultfd]");
	uint64_t frame = fe_frames(&x->f, 2);
	struct pd_pages run = { 0x52000000, frame, 1, PD_PAGES_WRITE };
	struct pd_range vec = { 0x52000000, 2 * PD_PAGE_SIZE };
	struct fe_call c;
	int64_t ret;

	read_slowly(x, &c, zero, &vec, &run);
	for (;;) {
		ret = fe_wait_raw(&x->f, &c, 5000);
		if (c.resp.status != PD_ST_FAULT)
			break;
		/* what is asked for meanwhile waits */
		usleep(600000);
		run.addr = c.resp.u.fault.addr;
		run.frame = frame + (run.addr - vec.addr) / PD_PAGE_SIZE;
		fe_continue(&x->f, &c, 0, &run, 1, NULL);
	}
	assert_int_equal(ret, 2 * PD_PAGE_SIZE);
	fe_inject_end(tracer);
}

#define TRIES 10

/* The same, and the operation is over before it is looked who has asked. */
static void test_page_comes_and_nobody_waits(void **state)
{
	struct fixture *x = *state;
	int64_t zero = open_dev(x, DEV_ZERO, O_RDWR);
	pid_t tracer = fe_inject(fe_worker(&x->d), "read:" SLOW, "anon_inode:[userfaultfd]");
	struct pd_pages run = { 0x53000000, fe_frames(&x->f, TRIES), 1, PD_PAGES_WRITE };
	struct pd_range vec = { 0x53000000, PD_PAGE_SIZE };
	struct fe_call c;
	int64_t ret;

	for (int try = 0;; try++) {
		read_slowly(x, &c, zero, &vec, &run);
		ret = fe_wait_raw(&x->f, &c, 5000);
		if (c.resp.status != PD_ST_FAULT)
			break;
		/* on a busy machine it may have been looked at first: once more, with the next page */
		assert_true(try < TRIES - 1);
		fe_continue(&x->f, &c, 0, &run, 1, NULL);
		assert_int_equal(fe_wait_raw(&x->f, &c, 5000), PD_PAGE_SIZE);
		vec.addr = run.addr += PD_PAGE_SIZE;
		run.frame++;
	}
	assert_int_equal(ret, PD_PAGE_SIZE);
	usleep(600000);
	submit_read_of(x, &c, zero, &vec);
	assert_int_equal(fe_wait_raw(&x->f, &c, 5000), PD_PAGE_SIZE);
	fe_inject_end(tracer);
}

static void test_ro_page_is_not_written(void **state)
{
	struct fixture *x = *state;
	int64_t zero = open_dev(x, DEV_ZERO, O_RDWR);
	int64_t null = open_dev(x, DEV_NULL, O_RDWR);

	fe_mm_add(&x->f, &x->mm, 0x40000000, 1, false);
	assert_int_equal(fe_write(&x->f, &x->mm, null, 0x40000000, 10), 10);
	assert_int_equal(fe_read(&x->f, &x->mm, zero, 0x40000000, 10), -EFAULT);
}

/* Makes a pseudo terminal through the VM; returns our end of it. */
static int pty_slave(struct fixture *x, int64_t master)
{
	int *arg = fe_mm_at(&x->f, &x->mm, PROG + PD_PAGE_SIZE);
	char path[32];
	int fd;

	*arg = 0;
	assert_int_equal(fe_ioctl(&x->f, &x->mm, master, TIOCSPTLCK, PROG + PD_PAGE_SIZE), 0);
	assert_int_equal(fe_ioctl(&x->f, &x->mm, master, TIOCGPTN, PROG + PD_PAGE_SIZE), 0);
	snprintf(path, sizeof(path), "/dev/pts/%d", *arg);
	fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void submit_read(struct fixture *x, struct fe_call *c, int64_t file)
{
	struct pd_range vec = { PROG + 8 * PD_PAGE_SIZE, 100 };

	submit_read_of(x, c, file, &vec);
}

static void test_blocked_read_is_woken_and_does_not_hold_up(void **state)
{
	struct fixture *x = *state;
	int64_t master = open_dev(x, DEV_PTMX, O_RDWR);
	int64_t zero = open_dev(x, DEV_ZERO, O_RDWR);
	int slave = pty_slave(x, master);
	struct fe_call c;

	submit_read(x, &c, master);
	assert_int_equal(fe_wait(&x->f, &c, 50), -ETIME);
	for (int i = 0; i < 50; i++)
		assert_int_equal(fe_read(&x->f, &x->mm, zero, PROG, 10), 10);
	assert_int_equal(write(slave, "hello", 5), 5);
	assert_int_equal(fe_wait(&x->f, &c, 5000), 5);
	assert_memory_equal(fe_mm_at(&x->f, &x->mm, PROG + 8 * PD_PAGE_SIZE), "hello", 5);
	close(slave);
}

static void test_cancel_interrupts_as_a_signal(void **state)
{
	struct fixture *x = *state;
	int64_t master = open_dev(x, DEV_PTMX, O_RDWR);
	int slave = pty_slave(x, master);
	struct fe_call c;
	int64_t ret;

	for (int i = 0; i < 20; i++) {
		submit_read(x, &c, master);
		if (i % 2)
			assert_int_equal(fe_wait(&x->f, &c, 20), -ETIME);
		while ((ret = fe_cancel(&x->f, c.tag, 0)) == -ENOENT)
			usleep(1000);
		assert_int_equal(ret, 0);
		ret = fe_wait(&x->f, &c, 5000);
		/* the driver's ERESTARTSYS */
		assert_int_equal(ret, -512);
	}
	assert_int_equal(fe_cancel(&x->f, c.tag, 0), -ENOENT);
	/* the file is good as before */
	assert_int_equal(write(slave, "x", 1), 1);
	assert_int_equal(fe_read(&x->f, &x->mm, master, PROG, 10), 1);
	close(slave);
}

/* 0, or -ENOENT when the worker does not know it, yet or any more */
static int64_t abandon(struct fixture *x, const struct fe_call *c)
{
	int64_t ret = fe_cancel(&x->f, c->tag, PD_CANCEL_ABANDON);

	assert_true(ret == 0 || ret == -ENOENT);
	return ret;
}

static void test_abandoned_operations_end(void **state)
{
	struct fixture *x = *state;
	int64_t master = open_dev(x, DEV_PTMX, O_RDWR);
	int slave = pty_slave(x, master);
	struct fe_call c[30];
	int64_t asked[30];
	int64_t ret;

	for (int i = 0; i < 30; i++) {
		submit_read(x, &c[i], master);
		asked[i] = abandon(x, &c[i]);
	}
	for (int i = 0; i < 30; i++) {
		int tries = 0;

		/* one that was not known yet has to be asked for again */
		while ((ret = fe_wait(&x->f, &c[i], asked[i] ? 20 : 5000)) == -ETIME && asked[i] && tries++ < 250)
			asked[i] = abandon(x, &c[i]);
		assert_true(ret == -512 || ret == -EINTR || ret == -EFAULT);
	}
	close(slave);
}

static void test_cancel_while_the_guest_looks_for_a_page(void **state)
{
	struct fixture *x = *state;
	int64_t zero = open_dev(x, DEV_ZERO, O_RDWR);
	struct pd_range vec = { 0x50000000, 100 };
	struct fe_call c;
	struct pd_pages run = { 0x50000000, fe_frames(&x->f, 1), 1, PD_PAGES_WRITE };

	submit_read_of(x, &c, zero, &vec);
	fe_wait_raw(&x->f, &c, 5000);
	assert_int_equal(c.resp.status, PD_ST_FAULT);
	assert_int_equal(c.resp.u.fault.addr, 0x50000000);
	/* abandoned: it ends by itself, and its CONTINUE finds nothing */
	assert_int_equal(fe_cancel(&x->f, c.first_tag, PD_CANCEL_ABANDON), 0);
	for (int i = 0; i < 100 && fe_cancel(&x->f, c.first_tag, 0) != -ENOENT; i++)
		usleep(10000);
	fe_continue(&x->f, &c, 0, &run, 1, NULL);
	assert_int_equal(fe_wait_raw(&x->f, &c, 5000), -ENOENT);
	/* refused by the guest: the driver meets EFAULT */
	vec.addr = 0x51000000;
	submit_read_of(x, &c, zero, &vec);
	fe_wait_raw(&x->f, &c, 5000);
	assert_int_equal(c.resp.status, PD_ST_FAULT);
	fe_continue(&x->f, &c, -EFAULT, NULL, 0, NULL);
	assert_int_equal(fe_wait_raw(&x->f, &c, 5000), -EFAULT);
	assert_int_equal(c.resp.status, PD_ST_DONE);
}

static void test_poll_says_and_tells(void **state)
{
	struct fixture *x = *state;
	int64_t master = open_dev(x, DEV_PTMX, O_RDWR);
	int slave = pty_slave(x, master);
	struct pd_req req = { .op = PD_OP_POLL, .file = (uint64_t)master, .u.poll.events = POLLIN };
	struct fe_call c = { 0 };
	struct pd_event ev;

	fe_post_events(&x->f, 16);
	fe_submit(&x->f, &c, PD_QUEUE_REQUEST, &req, NULL, NULL, NULL);
	assert_int_equal(fe_wait(&x->f, &c, 5000), 0);
	assert_int_equal(c.resp.u.poll.mask & POLLIN, 0);
	assert_int_equal(c.resp.u.poll.armed, 1);
	assert_int_equal(fe_event(&x->f, &ev, 50), -ETIME);
	assert_int_equal(write(slave, "y", 1), 1);
	assert_int_equal(fe_event(&x->f, &ev, 5000), 0);
	assert_int_equal(ev.type, PD_EV_POLL);
	assert_int_equal(ev.file, master);
	assert_true(ev.arg & POLLIN);
	/* one event per arming */
	assert_int_equal(write(slave, "y", 1), 1);
	assert_int_equal(fe_event(&x->f, &ev, 50), -ETIME);
	req.tag = 0;
	fe_submit(&x->f, &c, PD_QUEUE_REQUEST, &req, NULL, NULL, NULL);
	assert_int_equal(fe_wait(&x->f, &c, 5000), 0);
	assert_true(c.resp.u.poll.mask & POLLIN);
	assert_int_equal(c.resp.u.poll.armed, 0);
	close(slave);
}

static void test_sigio(void **state)
{
	struct fixture *x = *state;
	int64_t master = open_dev(x, DEV_PTMX, O_RDWR);
	int slave = pty_slave(x, master);
	struct pd_req req = { .op = PD_OP_FASYNC, .file = (uint64_t)master, .u.fasync.on = 1 };
	struct pd_event ev;

	fe_post_events(&x->f, 16);
	assert_int_equal(fe_call(&x->f, NULL, &req, NULL), 0);
	assert_int_equal(write(slave, "z", 1), 1);
	assert_int_equal(fe_event(&x->f, &ev, 5000), 0);
	assert_int_equal(ev.type, PD_EV_SIGIO);
	assert_int_equal(ev.file, master);
	/* an operation that changes the file's flags must not turn it off */
	assert_int_equal(fe_read(&x->f, &x->mm, master, PROG, 1), 1);
	assert_int_equal(write(slave, "z", 1), 1);
	assert_int_equal(fe_event(&x->f, &ev, 5000), 0);
	req = (struct pd_req){ .op = PD_OP_FASYNC, .file = (uint64_t)master };
	assert_int_equal(fe_call(&x->f, NULL, &req, NULL), 0);
	while (!fe_event(&x->f, &ev, 50))
		;
	assert_int_equal(write(slave, "z", 1), 1);
	assert_int_equal(fe_event(&x->f, &ev, 50), -ETIME);
	close(slave);
}

#define PTYS 300

static void test_events_wait_for_buffers(void **state)
{
	struct fixture *x = *state;
	static int slaves[PTYS];
	struct pd_event ev;
	uint32_t lost = 0;
	uint32_t got = 0;

	for (int i = 0; i < PTYS; i++) {
		int64_t master = open_dev(x, DEV_PTMX, O_RDWR);
		struct pd_req req = { .op = PD_OP_POLL,
				      .file = (uint64_t)master,
				      .u.poll.events = POLLIN };

		slaves[i] = pty_slave(x, master);
		assert_int_equal(fe_call(&x->f, NULL, &req, NULL), 0);
	}
	for (int i = 0; i < PTYS; i++)
		assert_int_equal(write(slaves[i], "z", 1), 1);
	usleep(100000);
	fe_post_events(&x->f, 32);
	while (!fe_event(&x->f, &ev, 200)) {
		got++;
		lost += ev.lost;
		fe_post_events(&x->f, 1);
	}
	/* none disappears without being counted */
	assert_true(lost > 0);
	assert_int_equal(got + lost, PTYS);
	for (int i = 0; i < PTYS; i++)
		close(slaves[i]);
}

/* an ioctl of a 32-bit program's */
static int64_t ioctl_32(struct fixture *x, int64_t file, uint32_t cmd)
{
	struct pd_req req = { .op = PD_OP_IOCTL,
			      .file = (uint64_t)file,
			      .oflags = O_RDWR,
			      .u.ioctl = { .arg = PROG, .cmd = cmd, .flags = PD_IOCTL_COMPAT } };

	return fe_call(&x->f, &x->mm, &req, NULL);
}

/* The administrator's lists; what a 32-bit program asks for under another size included. */
static void test_ioctls_by_list(void **state)
{
	const char *const args[] = { "--device",
				     "/dev/ptmx,as=/dev/few,allow-ioctl=TIOCGPTN+0x5413",
				     "--device", "/dev/ptmx,as=/dev/most,deny-ioctl=TIOCGPTN",
				     NULL };
	struct fixture *x = fixture_begin(NULL, args);
	int64_t few = fe_dev_open(&x->f, DEV_TUN + 1, O_RDWR | O_NOCTTY);
	int64_t most = fe_dev_open(&x->f, DEV_TUN + 2, O_RDWR | O_NOCTTY);
	const uint32_t other_size = TIOCGPTN ^ (4u ^ 8u) << 16;

	(void)state;
	assert_true(few > 0 && most > 0);
	assert_int_equal(fe_ioctl(&x->f, &x->mm, few, TIOCGPTN, PROG), 0);
	assert_int_equal(fe_ioctl(&x->f, &x->mm, few, TIOCGWINSZ, PROG), 0);
	assert_int_equal(fe_ioctl(&x->f, &x->mm, few, TCGETS, PROG), -EPERM);
	assert_int_equal(fe_ioctl(&x->f, &x->mm, few, other_size, PROG), -EPERM);
	assert_int_equal(fe_ioctl(&x->f, &x->mm, most, TCGETS, PROG), 0);
	assert_int_equal(fe_ioctl(&x->f, &x->mm, most, TIOCGPTN, PROG), -EPERM);
	assert_int_equal(fe_ioctl(&x->f, &x->mm, most, other_size, PROG), -EPERM);
	assert_int_equal(ioctl_32(x, few, TIOCGPTN), 0);
	assert_int_equal(ioctl_32(x, few, TIOCGWINSZ), 0);
	/* of a 32-bit program's that may be the same command: the driver is asked, which knows none */
	assert_int_equal(ioctl_32(x, few, other_size), -ENOTTY);
	assert_int_equal(ioctl_32(x, few, TCGETS), -EPERM);
	assert_int_equal(ioctl_32(x, most, TCGETS), 0);
	assert_int_equal(ioctl_32(x, most, TIOCGPTN), -EPERM);
	assert_int_equal(ioctl_32(x, most, other_size), -EPERM);
	assert_true(fe_daemon_logged(&x->d, "refused (EPERM) by the device's allow-ioctl=", 1000));
	fixture_end(x);
}

static int64_t ioctl_of_32_bits(struct fixture *x, int64_t file, uint32_t cmd)
{
	struct pd_req req = { .op = PD_OP_IOCTL,
			      .file = (uint64_t)file,
			      .mm = x->mm.id,
			      .oflags = O_RDWR,
			      .u.ioctl = { .cmd = cmd, .flags = PD_IOCTL_COMPAT, .arg = PROG } };

	return fe_call(&x->f, &x->mm, &req, NULL);
}

/* A 32-bit program's command may have another size than the one that is allowed, and no other direction. */
static void test_ioctls_by_list_of_32_bit_programs(void **state)
{
	const char *const args[] = { "--device", "/dev/ptmx,as=/dev/few,allow-ioctl=TIOCGPTN", NULL };
	struct fixture *x = fixture_begin(NULL, args);
	int64_t few = fe_dev_open(&x->f, DEV_TUN + 1, O_RDWR | O_NOCTTY);

	(void)state;
	assert_true(few > 0);
	/* what becomes of those is the driver's to say */
	assert_int_not_equal(ioctl_of_32_bits(x, few, _IOR('T', 0x30, uint32_t)), -EPERM);
	assert_int_not_equal(ioctl_of_32_bits(x, few, _IOR('T', 0x30, uint64_t)), -EPERM);
	assert_int_equal(ioctl_of_32_bits(x, few, _IOW('T', 0x30, uint32_t)), -EPERM);
	assert_int_equal(ioctl_of_32_bits(x, few, _IOWR('T', 0x30, uint32_t)), -EPERM);
	assert_int_equal(ioctl_of_32_bits(x, few, _IO('T', 0x30)), -EPERM);
	fixture_end(x);
}

static int64_t open_by(struct fixture *x, struct fe_mm *mm, uint32_t device, uint32_t oflags)
{
	struct pd_req req = {
		.op = PD_OP_OPEN, .mm = mm ? mm->id : 0, .oflags = oflags, .u.open.device = device
	};
	struct fe_call c = { .mm = mm };
	int64_t ret;

	fe_submit(&x->f, &c, mm ? mm->queue : PD_QUEUE_REQUEST, &req, NULL, NULL, NULL);
	ret = fe_wait(&x->f, &c, 5000);
	return ret < 0 ? ret : (int64_t)c.resp.u.open.file;
}

/* processes of the daemon's that have a file of this name */
static unsigned int holders(struct fixture *x, const char *name)
{
	pid_t all[32];
	unsigned int n = fe_descendants(x->d.pid, all, 32);
	unsigned int found = 0;

	for (unsigned int i = 0; i < n; i++) {
		char path[64];
		struct dirent *e;
		bool has = false;
		DIR *dir;

		snprintf(path, sizeof(path), "/proc/%d/fd", all[i]);
		dir = opendir(path);
		while (dir && (e = readdir(dir))) {
			char to[64] = "";

			has |= readlinkat(dirfd(dir), e->d_name, to, sizeof(to) - 1) > 0 &&
			       !strcmp(to, name);
		}
		if (dir)
			closedir(dir);
		found += has;
	}
	return found;
}

static void test_mirror_opens(void **state)
{
	const char *const args[] = { "--device", "/dev/zero,as=/dev/own,open=mirror",
				     "--device", "/dev/zero,as=/dev/own-ro,ro,open=mirror",
				     "--device", "/dev/zero,as=/dev/own-1,exclusive,open=mirror",
				     NULL };
	struct fixture *x = fixture_begin(NULL, args);
	struct pd_req req = { .op = PD_OP_DEVICE, .u.device.index = DEV_TUN };
	struct fe_call c = { 0 };
	int64_t file;

	(void)state;
	assert_int_equal(fe_control(&x->f, &req, &c), 0);
	assert_int_equal(c.device.flags, PD_DEVICE_OPEN_MM);
	file = open_by(x, &x->mm, DEV_TUN + 1, O_RDWR);
	assert_true(file > 0);
	/* not by the path that the manager opens */
	assert_int_equal(holders(x, "/zero (deleted)"), 2);
	assert_int_equal(fe_read(&x->f, &x->mm, file, PROG, 8000), 8000);
	assert_int_equal(fe_release(&x->f, file), 0);
	assert_int_equal(holders(x, "/zero (deleted)"), 0);
	/* nobody's memory: the manager opens it */
	file = open_by(x, NULL, DEV_TUN + 1, O_RDWR);
	assert_true(file > 0);
	assert_int_equal(holders(x, "/zero (deleted)"), 0);
	assert_int_equal(fe_release(&x->f, file), 0);
	assert_int_equal(open_by(x, &x->mm, DEV_TUN + 2, O_RDWR), -EACCES);
	file = open_by(x, &x->mm, DEV_TUN + 2, O_RDONLY);
	assert_true(file > 0);
	assert_int_equal(fe_read(&x->f, &x->mm, file, PROG, 10), 10);
	for (int i = 0; i < 100; i++) {
		file = open_by(x, &x->mm, DEV_TUN + 3, O_RDWR);
		assert_true(file > 0);
		assert_int_equal(fe_release(&x->f, file), 0);
	}
	fixture_end(x);
}

static void test_stream_or_position(void **state)
{
	struct fixture *x = *state;
	struct pd_req req = { .op = PD_OP_OPEN, .oflags = O_RDWR, .u.open.device = DEV_PTMX };
	struct fe_call c = { 0 };

	fe_submit(&x->f, &c, PD_QUEUE_REQUEST, &req, NULL, NULL, NULL);
	assert_int_equal(fe_wait(&x->f, &c, 5000), 0);
	assert_int_equal(c.resp.u.open.flags, PD_FILE_STREAM | PD_FILE_KEEPS_NOTHING);
	req = (struct pd_req){ .op = PD_OP_OPEN, .oflags = O_RDWR, .u.open.device = DEV_ZERO };
	fe_submit(&x->f, &c, PD_QUEUE_REQUEST, &req, NULL, NULL, NULL);
	assert_int_equal(fe_wait(&x->f, &c, 5000), 0);
	assert_int_equal(c.resp.u.open.flags, 0);
	req = (struct pd_req){ .op = PD_OP_LLSEEK,
			       .file = c.resp.u.open.file,
			       .u.seek = { .offset = 10, .whence = SEEK_SET } };
	assert_int_equal(fe_call(&x->f, &x->mm, &req, NULL), 0);
	req.tag = 0;
	req.u.seek.whence = SEEK_CUR;
	assert_int_equal(fe_call(&x->f, &x->mm, &req, NULL), -EINVAL);
}

static void test_tun_makes_an_interface_of_the_hosts(void **state)
{
	struct fixture *x = *state;
	int64_t tun = open_dev(x, DEV_TUN, O_RDWR);
	struct ifreq *ifr = fe_mm_at(&x->f, &x->mm, PROG);
	char path[64];

	memset(ifr, 0, sizeof(*ifr));
	ifr->ifr_flags = IFF_TUN | IFF_NO_PI;
	strcpy(ifr->ifr_name, "pdtest%d");
	assert_int_equal(fe_ioctl(&x->f, &x->mm, tun, TUNSETIFF, PROG), 0);
	snprintf(path, sizeof(path), "/sys/class/net/%s", ifr->ifr_name);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(fe_release(&x->f, tun), 0);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void test_nonblock_follows_the_guests_flags(void **state)
{
	struct fixture *x = *state;
	int64_t master = open_dev(x, DEV_PTMX, O_RDWR);
	int slave = pty_slave(x, master);
	struct pd_req req = { .op = PD_OP_READ,
			      .file = (uint64_t)master,
			      .nvecs = 1,
			      .oflags = O_RDWR | O_NONBLOCK };
	struct pd_range vec = { PROG, 100 };

	assert_int_equal(fe_call(&x->f, &x->mm, &req, &vec), -EAGAIN);
	close(slave);
}

static void test_many_vecs(void **state)
{
	struct fixture *x = *state;
	int64_t zero = open_dev(x, DEV_ZERO, O_RDWR);
	struct pd_range vecs[PD_MAX_VECS];
	struct pd_req req = {
		.op = PD_OP_READ, .file = (uint64_t)zero, .nvecs = PD_MAX_VECS, .oflags = O_RDWR
	};

	for (unsigned int i = 0; i < PD_MAX_VECS; i++)
		vecs[i] = (struct pd_range){ PROG + i * 32, 8 };
	memset(fe_mm_at(&x->f, &x->mm, PROG), 0x55, PD_PAGE_SIZE);
	assert_int_equal(fe_call(&x->f, &x->mm, &req, vecs), PD_MAX_VECS * 8);
	assert_int_equal(*(uint8_t *)fe_mm_at(&x->f, &x->mm, PROG + 7), 0);
	assert_int_equal(*(uint8_t *)fe_mm_at(&x->f, &x->mm, PROG + 8), 0x55);
}

static void test_release_waits_for_no_other_operation(void **state)
{
	struct fixture *x = *state;
	int64_t master = open_dev(x, DEV_PTMX, O_RDWR);
	int slave = pty_slave(x, master);
	struct pd_req req = { .op = PD_OP_RELEASE, .file = (uint64_t)master };
	struct fe_call release = { 0 };
	struct fe_call c;

	/* a guest that does not keep its own promise harms itself only */
	submit_read(x, &c, master);
	assert_int_equal(fe_wait(&x->f, &c, 50), -ETIME);
	fe_submit(&x->f, &release, PD_QUEUE_REQUEST, &req, NULL, NULL, NULL);
	assert_int_equal(fe_wait(&x->f, &release, 50), -ETIME);
	assert_int_equal(write(slave, "q", 1), 1);
	assert_int_equal(fe_wait(&x->f, &c, 5000), 1);
	assert_int_equal(fe_wait(&x->f, &release, 5000), 0);
	assert_int_equal(fe_release(&x->f, master), -EBADF);
	close(slave);
}

static void test_a_thousand_files(void **state)
{
	struct fixture *x = *state;
	static int64_t files[1000];

	for (int i = 0; i < 1000; i++)
		files[i] = open_dev(x, DEV_ZERO, O_RDWR);
	for (int i = 0; i < 1000; i += 100)
		assert_int_equal(fe_read(&x->f, &x->mm, files[i], PROG, 10), 10);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(fe_release(&x->f, files[i]), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_devices_are_described),
		TEST(test_read_fills_the_programs_pages),
		TEST(test_foreseen_pages_do_not_fault),
		TEST(test_dropped_pages_are_not_touched),
		TEST(test_errors_are_the_drivers),
		TEST(test_only_the_worker_has_it_open),
		TEST(test_page_comes_before_it_is_asked_for),
		TEST(test_page_comes_and_nobody_waits),
		TEST(test_ro_page_is_not_written),
		TEST(test_blocked_read_is_woken_and_does_not_hold_up),
		TEST(test_cancel_interrupts_as_a_signal),
		TEST(test_abandoned_operations_end),
		TEST(test_cancel_while_the_guest_looks_for_a_page),
		TEST(test_poll_says_and_tells),
		TEST(test_sigio),
		TEST(test_events_wait_for_buffers),
		cmocka_unit_test(test_ioctls_by_list),
		cmocka_unit_test(test_ioctls_by_list_of_32_bit_programs),
		cmocka_unit_test(test_mirror_opens),
		TEST(test_stream_or_position),
		TEST(test_tun_makes_an_interface_of_the_hosts),
		TEST(test_nonblock_follows_the_guests_flags),
		TEST(test_many_vecs),
		TEST(test_release_waits_for_no_other_operation),
		TEST(test_a_thousand_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
