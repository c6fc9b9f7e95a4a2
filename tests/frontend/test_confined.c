// SPDX-License-Identifier: Apache-2.0
/* What a worker and its mirrors cannot reach, from the beginning on. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "fixture.h"

static void test_worker_is_confined(void **state)
{
	struct fixture *x = fixture_begin(NULL, NULL);
	pid_t worker = fe_worker(&x->d);
	char path[64], line[256];
	unsigned long caps = 1;
	unsigned int uid = 0, nnp = 0, inside = 0;
	struct dirent *e;
	FILE *f;
	DIR *d;

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/status", worker);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "Uid: %u", &uid);
		sscanf(line, "CapPrm: %lx", &caps);
		sscanf(line, "NoNewPrivs: %u", &nnp);
		sscanf(line, "NSpid: %*u %u", &inside);
		if (!strncmp(line, "Groups:", 7))
			assert_int_equal(strspn(line + 7, " \t\n"), strlen(line + 7));
	}
	fclose(f);
	assert_int_not_equal(uid, 0);
	assert_int_equal(caps, 1ul << 12); /* CAP_NET_ADMIN, by caps= of tun */
	assert_int_equal(nnp, 1);
	/* what it starts ends with it */
	assert_int_equal(inside, 1);
	/* and no file system is in its reach */
	snprintf(path, sizeof(path), "/proc/%d/root", worker);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		assert_true(e->d_name[0] == '.' || !strcmp(e->d_name, "proc"));
	closedir(d);
	fixture_end(x);
}

/* The daemon's own namespaces among those of a VM's processes: "net", "ipc" and so on. */
static bool shares(const struct fixture *x, const char *name)
{
	struct stat own, theirs;
	bool shared = false;
	char path[64];
	pid_t all[8];
	unsigned int n = fe_descendants(x->d.pid, all, 8);

	/* the worker, a mirror and its mapper */
	if (n < 3)
		fail_msg("the daemon has %u processes", n);
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", x->d.pid, name);
	assert_int_equal(stat(path, &own), 0);
	for (unsigned int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", all[i], name);
		assert_int_equal(stat(path, &theirs), 0);
		shared |= theirs.st_ino == own.st_ino;
	}
	return shared;
}

/* A fixture's daemon without a device that needs a capability. */
static struct fixture *begin_without_caps(void)
{
	static const char *const args[] = { "--device", "/dev/zero", NULL };
	struct fixture *x = calloc(1, sizeof(*x));

	assert_non_null(x);
	fe_daemon_start(&x->d, args);
	return x;
}

static void connect_fixture(struct fixture *x)
{
	fe_connect(&x->f, &x->d, NULL);
	x->connected = true;
	assert_int_equal(fe_mm_create(&x->f, &x->mm), 0);
	fe_mm_add(&x->f, &x->mm, PROG, PROG_PAGES, true);
}

static void test_namespaces_of_its_own(void **state)
{
	struct fixture *x = *state;
	static const char *const names[] = { "ipc", "mnt", "pid", "net" };

	for (int i = 0; i < 3; i++)
		assert_false(shares(x, names[i]));
	/* tun's caps= act in it */
	assert_true(shares(x, "net"));
	x = begin_without_caps();
	connect_fixture(x);
	for (int i = 0; i < 4; i++)
		assert_false(shares(x, names[i]));
	fixture_end(x);
}

/* A VM is not served by a worker that keeps what it should leave. */
static void test_no_worker_without_namespaces(void **state)
{
	static const struct {
		const char *call;
		const char *said;
	} cases[] = {
		{ "unshare:error=ENOSPC:when=1",
		  "cannot leave the daemon's ipc and net namespaces" },
		{ "clone:error=ENOSPC:when=1", "cannot start a worker: No space left" },
	};
	struct fixture *x = begin_without_caps();
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", x->d.socket);
	for (int i = 0; i < 2; i++) {
		pid_t tracer = fe_inject(x->d.pid, cases[i].call, NULL);
		struct timeval patience = { .tv_sec = 5 };
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		char byte;

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
		assert_true(fe_daemon_logged(&x->d, cases[i].said, 5000));
		/* let go */
		assert_int_equal(read(fd, &byte, 1), 0);
		close(fd);
		fe_inject_end(tracer);
	}
	/* it was for once */
	connect_fixture(x);
	fixture_end(x);
}

/* 0, or what went wrong; in a process of its own, which gives up a capability for good */
static int serve_without_admin(void)
{
	struct fixture *x;
	int64_t zero;

	if (prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN))
		return 2;
	x = begin_without_caps();
	if (!fe_daemon_logged(&x->d, "started without CAP_SYS_ADMIN", 0))
		return 3;
	connect_fixture(x);
	zero = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
	if (zero <= 0 || fe_read(&x->f, &x->mm, (uint64_t)zero, PROG, 10) != 10)
		return 4;
	fixture_end(x);
	return 0;
}

/* Root in a container may have no leave for namespaces: it is told what is lacking. */
static void test_says_what_it_cannot_leave(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(serve_without_admin());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* The file behind a process's descriptor. */
static const char *link_of(pid_t pid, const char *fd)
{
	static char to[64];
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, fd);
	n = readlink(path, to, sizeof(to) - 1);
	assert_true(n > 0);
	to[n] = '\0';
	return to;
}

/* A worker is not to read what the administrator types, nor to type itself; but what it says is heard. */
static void test_worker_has_no_terminal(void **state)
{
	const char *const args[] = { "--device", "/dev/zero", NULL };
	struct fe_daemon d;
	char path[64], line[512], fd[12];
	pid_t worker;
	int terminal = -1;
	struct fe f;
	FILE *stat;

	(void)state;
	fe_daemon_start_on_terminal(&d, args);
	fe_connect(&f, &d, NULL);
	assert_true(fe_daemon_logged(&d, "test: guest: Linux", 2000));
	worker = fe_worker(&d);
	assert_true(!strncmp(link_of(d.pid, "2"), "/dev/pts/", 9));
	for (int i = 0; i < 256; i++) {
		snprintf(fd, sizeof(fd), "%d", i);
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", worker, i);
		if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			assert_null(strstr(link_of(worker, fd), "/dev/pts/"));
	}
	assert_string_equal(link_of(worker, "0"), "/dev/null");
	assert_string_equal(link_of(worker, "1"), "/dev/null");
	assert_int_equal(getsid(worker), worker);
	snprintf(path, sizeof(path), "/proc/%d/stat", worker);
	stat = fopen(path, "re");
	assert_non_null(stat);
	assert_non_null(fgets(line, sizeof(line), stat));
	fclose(stat);
	assert_int_equal(sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %d", &terminal), 1);
	assert_int_equal(terminal, 0);
	/* the last that it says before it ends */
	assert_int_equal(write(f.sock, "GET / HTTP/1.1\r\n", 16), 16);
	assert_true(fe_daemon_logged(&d, "is this a vhost-user device", 2000));
	fe_close(&f);
	assert_true(fe_daemon_logged(&d, "VM 'test': gone", 2000));
	assert_int_equal(fe_daemon_stop(&d), 0);
	fe_daemon_clean(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worker_is_confined),
		cmocka_unit_test_setup_teardown(test_namespaces_of_its_own, fixture_setup,
						fixture_teardown),
		cmocka_unit_test(test_no_worker_without_namespaces),
		cmocka_unit_test(test_says_what_it_cannot_leave),
		cmocka_unit_test(test_worker_has_no_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
