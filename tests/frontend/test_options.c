// SPDX-License-Identifier: Apache-2.0
/* Command lines that are wrong: what is said, and the exit status. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

static char dir[64];

/* Runs paradiced with @args; returns its status, what it said in @said. */
static int run(const char *const *args, char *said, size_t size, uid_t uid)
{
	const char *argv[24] = { getenv("PARADICED") };
	int status = -1;
	size_t n = 0;
	ssize_t got;
	int p[2];
	pid_t pid;

	for (int i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int self = open(argv[0], O_PATH | O_CLOEXEC);

		alarm(20);
		dup2(p[1], 1);
		dup2(p[1], 2);
		if (uid && (chdir("/") || setgid(uid) || setuid(uid)))
			_exit(126);
		/* by descriptor: another user may not reach a build tree */
		fexecve(self, (char *const *)argv, (char *const[]){ NULL });
		_exit(127);
	}
	close(p[1]);
	while ((got = read(p[0], said + n, size - 1 - n)) > 0)
		n += (size_t)got;
	said[n] = '\0';
	close(p[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void expect(const char *const *args, int status, const char *text)
{
	char said[8192];
	int got = run(args, said, sizeof(said), 0);

	if (got != status || !strstr(said, text))
		fail_msg("status %d instead of %d, or not '%s' in what it says:\n%s", got, status,
			 text, said);
}

#define EXPECT(status, text, ...) expect((const char *const[]){ __VA_ARGS__, NULL }, status, text)

static void test_usage(void **state)
{
	(void)state;
	expect((const char *const[]){ NULL }, 2, "no VM given");
	EXPECT(2, "unknown option '--bogus'", "--bogus");
	EXPECT(2, "--vm needs a value", "--vm");
	EXPECT(2, "'stray' is not an option", "--vm", "a", "stray");
	EXPECT(2, "VM 'a' has no --socket", "--vm", "a", "--device", "/dev/zero");
	EXPECT(2, "VM 'a' has no --device", "--vm", "a", "--socket", "/tmp/x");
	EXPECT(2, "belongs to a VM", "--device", "/dev/zero");
	EXPECT(2, "given twice", "--vm", "a", "--vm", "a");
	EXPECT(2, "character that a name cannot have", "--vm", "a b");
	EXPECT(2, "not a number from 1 to 64", "--queues", "0");
	EXPECT(2, "not a number from 1 to 64", "--queues", "65");
	EXPECT(2, "not a number from 1 to 64", "--queues", "4x");
	EXPECT(2, "not a power of two", "--window", "3M");
	EXPECT(2, "not a size like 256M", "--window", "256Q");
	EXPECT(2, "not a number from 1 to 65536", "--max-inflight", "-1");
	EXPECT(2, "there is no user", "--user", "no-such-user");
	EXPECT(2, "there is no group 'no-such-group'", "--socket-group", "no-such-group");
	EXPECT(2, "not a number from 0 to 4294967294", "--socket-group", "4294967295");
	EXPECT(2, "must not run as root", "--user", "root");
	EXPECT(2, "is not error, warning, info or debug", "--log-level", "loud");
	EXPECT(2, "unknown option 'rw'", "--vm", "a", "--device", "/dev/zero,rw");
	EXPECT(2, "is too little: 16M", "--memory-max", "1M", "--vm", "a");
	EXPECT(1, "it is no control group", "--cgroup", "/tmp", "--vm", "a", "--socket",
	       "/tmp/none", "--device", "/dev/zero");
	EXPECT(2, "there are as=, ro,", "--vm", "a", "--device", "/dev/zero,open=me");
	EXPECT(2, "no such capability", "--vm", "a", "--device", "/dev/zero,caps=fly");
	EXPECT(2, "begins with /dev/", "--vm", "a", "--device", "/dev/zero,as=/etc/passwd");
	EXPECT(2, "cannot be a name in the guest", "--vm", "a", "--device",
	       "/dev/zero,as=/dev/../x");
	EXPECT(2, "does not begin with a path", "--vm", "a", "--device", "zero");
	EXPECT(2, "has a /dev/zero already", "--vm", "a", "--device", "/dev/zero", "--device",
	       "/dev/zero");
	EXPECT(2, "have the same --socket", "--vm", "a", "--socket", "/tmp/x", "--device",
	       "/dev/zero", "--vm", "b", "--socket", "/tmp/x", "--device", "/dev/zero");
	EXPECT(0, "paradiced ", "--version");
	EXPECT(2, "'TIOCNOPE' is no ioctl that is known here", "--vm", "a", "--device",
	       "/dev/zero,deny-ioctl=TIOCSTI+TIOCNOPE");
	EXPECT(2, "need a command, for example", "--vm", "a", "--device", "/dev/zero,allow-ioctl=");
	EXPECT(0, "Usage: paradiced", "--help");
}

static void test_devices(void **state)
{
	char socket[96], control[96];

	(void)state;
	snprintf(socket, sizeof(socket), "%s/s", dir);
	snprintf(control, sizeof(control), "%s/c", dir);
#define DEVICE(text, device) \
	EXPECT(1, text, "--control", control, "--vm", "a", "--socket", socket, "--device", device)
	DEVICE("/dev/nope: No such file or directory (is the device there", "/dev/nope,as=/dev/x");
	DEVICE("is not a character device but a block device", "/dev/loop0");
	DEVICE("is not a character device but a directory", "/dev/net");
	DEVICE("is not a character device but a regular file", "/etc/passwd,as=/dev/x");
#undef DEVICE
	assert_int_equal(access(socket, F_OK), -1);
}

static void test_without_permission(void **state)
{
	char said[4096];
	char user[64] = "/tmp/paradice-test-user-XXXXXX";
	char device[96];
	char as[128];
	char expected[160];
	char socket[96];
	/* a "mirror" that another user may read, too; it never gets to run */
	const char *args[] = { "--control", "/tmp/paradice-test-none/c",
			       "--mirror",  "/bin/true",
			       "--vm",	    "a",
			       "--socket",  socket,
			       "--device",  as,
			       NULL,	    NULL,
			       NULL };

	(void)state;
	assert_non_null(mkdtemp(user));
	assert_int_equal(chown(user, 12345, 12345), 0);
	/* of our own: who may open those in /dev differs from machine to machine */
	snprintf(device, sizeof(device), "%s/null", user);
	assert_int_equal(mknod(device, S_IFCHR | 0600, makedev(1, 3)), 0);
	snprintf(as, sizeof(as), "%s,as=/dev/null-of-host", device);
	snprintf(expected, sizeof(expected), "%s: Permission denied: run paradiced as root",
		 device);
	snprintf(socket, sizeof(socket), "%s/s", user);
	assert_int_equal(run(args, said, sizeof(said), 12345), 1);
	assert_non_null(strstr(said, "--control: cannot listen on"));
	assert_non_null(strstr(said, "(the directory must exist)"));
	snprintf(said, sizeof(said), "%s/c", user);
	args[1] = strdup(said);
	assert_int_equal(run(args, said, sizeof(said), 12345), 1);
	if (!strstr(said, expected))
		fail_msg("it says: %s", said);
	/* it may open the device now, but not give a socket to another's group */
	assert_int_equal(chmod(device, 0666), 0);
	args[10] = "--socket-group";
	args[11] = "0";
	assert_int_equal(run(args, said, sizeof(said), 12345), 1);
	if (!strstr(said, "cannot be given to the group 0: Operation not permitted"))
		fail_msg("it says: %s", said);
	assert_int_equal(access(socket, F_OK), -1);
	snprintf(said, sizeof(said), "%s/c", user);
	unlink(said);
	free((char *)args[1]);
	unlink(device);
	rmdir(user);
}

static void test_sockets(void **state)
{
	struct fixture *x = fixture_begin(NULL, NULL);
	char control[96], file[96];
	int fd;

	(void)state;
	snprintf(control, sizeof(control), "%s/c", dir);
	EXPECT(1, "is in use: another process listens there", "--control", control, "--vm", "a",
	       "--socket", x->d.socket, "--device", "/dev/zero");
	EXPECT(1, "is in use: another process listens there", "--control", x->d.control, "--vm",
	       "a", "--socket", control, "--device", "/dev/zero");
	snprintf(file, sizeof(file), "%s/file", dir);
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	EXPECT(1, "exists and is not a socket", "--control", control, "--vm", "a", "--socket", file,
	       "--device", "/dev/zero");
	unlink(file);
	EXPECT(1, "(the directory must exist)", "--control", control, "--vm", "a", "--socket",
	       "/nonexistent/s", "--device", "/dev/zero");
	EXPECT(1, "--mirror: /nonexistent: No such file", "--mirror", "/nonexistent", "--control",
	       control, "--vm", "a", "--socket", file, "--device", "/dev/zero");
	/* the one in use was not harmed */
	assert_int_equal(fe_read(&x->f, &x->mm, fe_dev_open(&x->f, DEV_ZERO, O_RDWR), PROG, 1), 1);
	fixture_end(x);
}

static void test_socket_group(void **state)
{
	const struct group *named = getgrnam("daemon");
	const char *args[] = { "--device", "/dev/zero", "--socket-group", NULL, NULL };
	struct fe_daemon d;
	struct stat st;

	(void)state;
	assert_non_null(named);
	for (int i = 0; i < 3; i++) {
		gid_t expected = i == 0 ? getegid() : i == 1 ? named->gr_gid : 12345;

		args[2] = i ? "--socket-group" : NULL;
		args[3] = i == 1 ? "daemon" : "12345";
		fe_daemon_start(&d, args);
		assert_int_equal(stat(d.socket, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0660);
		assert_int_equal(st.st_uid, geteuid());
		assert_int_equal(st.st_gid, expected);
		assert_int_equal(stat(d.control, &st), 0);
		assert_int_equal(st.st_gid, getegid());
		assert_int_equal(fe_daemon_stop(&d), 0);
		fe_daemon_clean(&d);
	}
}

static void test_stale_socket_is_replaced(void **state)
{
	struct fe_daemon d;
	const char *const args[] = { "--device", "/dev/zero", NULL };
	char said[1024];
	char *argv[] = { "--control", d.control,  "--vm",      "b",	 "--socket",
			 d.socket,    "--device", "/dev/zero", "--once", NULL };
	struct fe f;
	int status;
	pid_t pid;

	(void)state;
	fe_daemon_start(&d, args);
	kill(d.pid, SIGKILL);
	fe_daemon_wait(&d);
	assert_int_equal(access(d.socket, F_OK), 0);
	pid = fork();
	if (pid == 0) {
		int rc;

		alarm(10);
		rc = run((const char *const *)argv, said, sizeof(said), 0);
		_exit(strstr(said, "ready: b: ") ? rc : 77);
	}
	/* a VMM comes and goes: --once ends it */
	usleep(400000);
	fe_open(&f, &d);
	fe_close(&f);
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	fe_daemon_clean(&d);
}

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/paradice-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_without_permission),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_socket_group),
		cmocka_unit_test(test_stale_socket_is_replaced),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
