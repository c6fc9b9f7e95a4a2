// SPDX-License-Identifier: Apache-2.0
/* What paradicectl shows of a daemon, with a VM and without one, and what it says when there is none to ask. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../daemon/xen_adapter.h"
#include "fixture.h"

static char said[16384];

/* Runs a line of the shell's; its status, and all that it says in said. */
static int run(const char *line)
{
	int status;
	FILE *f = popen(line, "re");

	assert_non_null(f);
	said[fread(said, 1, sizeof(said) - 1, f)] = '\0';
	status = pclose(f);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* paradicectl with @args for the daemon at @control */
static int ask(const char *control, const char *args)
{
	char line[1024];

	snprintf(line, sizeof(line), "%s --control %s %s 2>&1", getenv("PARADICECTL"), control,
		 args);
	return run(line);
}

/* said's first line that holds @text must end with @end, looked for from @text on. */
static void line_ends(const char *text, const char *end)
{
	const char *at = strstr(said, text);
	size_t len = at ? strcspn(at, "\n") : 0;

	if (!at || len < strlen(end) || strncmp(at + len - strlen(end), end, strlen(end)) != 0)
		fail_msg("no line '%s ... %s' in\n%s", text, end, said);
}

static void test_with_a_vm(void **state)
{
	struct fixture *x = *state;
	int64_t file = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);

	assert_int_equal(fe_read(&x->f, &x->mm, file, PROG, 5000), 5000);
	assert_int_equal(ask(x->d.control, ""), 0);
	line_ends("test  connected (", ")  /dev/zero     /dev/zero");
	line_ends("/dev/zero     /dev/zero-ro", "read-only");

	assert_int_equal(ask(x->d.control, "stats"), 0);
	line_ends("  open ", " 1");
	line_ends("  bytes read ", " 5000");
	line_ends("  live files ", " 1");
	line_ends("  refused ioctls ", " 0");

	assert_int_equal(ask(x->d.control, "mirrors"), 0);
	line_ends("VM ", "  MIRRORS  FILES  WINDOWS  UNDER WAY");
	line_ends("test  ", "  1        1      0        0");

	assert_int_equal(
		ask(x->d.control,
		    "--json | python3 -c '"
		    "import json, sys; vm, = json.load(sys.stdin)[\"vms\"];"
		    "print(vm[\"name\"], vm[\"stats\"][\"bytes_read\"], len(vm[\"devices\"]))'"),
		0);
	assert_string_equal(said, "test 5000 6\n");
}

/* A worker whose VMM owes it an answer still has one for the administrator. */
static void test_while_the_vmm_owes_an_answer(void **state)
{
	struct fixture *x = *state;
	struct pd_req window = { .op = PD_OP_WINDOW_MAP, .u.window = { .len = PD_PAGE_SIZE } };
	struct fe_call c;
	struct fe_call w = { 0 };
	int status;

	assert_int_equal(fe_mmap(&x->f, &x->mm, (uint64_t)fe_dev_open(&x->f, DEV_ZERO, O_RDWR),
				 0x60000000, PD_PAGE_SIZE, PROT_READ, &c),
			 0);
	window.u.window.map = c.resp.u.map.map;
	x->f.hold_maps = true;
	fe_submit(&x->f, &w, PD_QUEUE_REQUEST, &window, NULL, NULL, NULL);
	for (int i = 0; i < 2000 && !x->f.held_maps; i++)
		usleep(1000);
	status = ask(x->d.control, "mirrors");
	/* so that a worker that waits can end */
	x->f.hold_maps = false;
	assert_int_equal(x->f.held_maps, 1);
	assert_int_equal(status, 0);
	line_ends("test  ", "  1        1      0        1");
	assert_int_equal(fe_wait(&x->f, &w, 5000), 0);
	assert_int_equal(ask(x->d.control, "mirrors"), 0);
	line_ends("test  ", "  1        1      1        0");
}

static void test_without_a_vm(void **state)
{
	struct fixture *x = *state;

	fixture_vm_gone(x);
	assert_int_equal(ask(x->d.control, "list"), 0);
	line_ends("test  waiting  ", "/dev/zero     /dev/zero");
	assert_int_equal(ask(x->d.control, "stats"), 0);
	assert_string_equal(said, "test:\n  not connected\n");
	assert_int_equal(ask(x->d.control, "mirrors"), 0);
	line_ends("test  ", "  -        -      -        -");
}

/* What paradiced runs beside itself for a guest of Xen's; here no more than somebody who stays. */
static int stand_in(void)
{
	char c;

	while (read(XEN_ADAPTER_FD, &c, 1) > 0)
		;
	return 0;
}

static void command(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void command(const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (system(line) != 0)
		fail_msg("%s", line);
}

static void test_with_a_guest_of_xen(void **state)
{
	char *paradiced = strdup(getenv("PARADICED"));
	char dir[] = "/tmp/paradice-test-XXXXXX";
	struct fe_daemon d;
	char path[512];

	(void)state;
	assert_non_null(mkdtemp(dir));
	command("cp %s %s/paradiced && cp /proc/%d/exe %s/paradice-xen", paradiced, dir, getpid(),
		dir);
	snprintf(path, sizeof(path), "%s/paradiced", dir);
	setenv("PARADICED", path, 1);
	snprintf(path, sizeof(path), "%.400s/../mirror/paradice-mirror",
		 dirname(strdupa(paradiced)));
	setenv("PARADICE_MIRROR", path, 1);
	fe_daemon_start(&d, (const char *const[]){ "--device", "/dev/zero", "--vm", "desk", "--xen",
						   "dom-7", "--allow-pv", "--device", "/dev/full",
						   NULL });
	setenv("PARADICED", paradiced, 1);
	unsetenv("PARADICE_MIRROR");

	assert_int_equal(ask(d.control, "list"), 0);
	line_ends("desk  waiting  ", "/dev/full  /dev/full");
	assert_int_equal(
		ask(d.control,
		    "--json | python3 -c '"
		    "import json, sys; print(*(vm.get(\"xen\") for vm in json.load(sys.stdin)[\"vms\"]))'"),
		0);
	assert_string_equal(said, "None dom-7\n");
	assert_int_equal(fe_daemon_stop(&d), 0);
	fe_daemon_clean(&d);
	command("rm -r %s", dir);
	free(paradiced);
}

/* paradicectl without --control, where /run/paradice has these links: "TARGET NAME && ln -s TARGET NAME ..." */
static int ask_found(const char *links)
{
	char line[1024];

	snprintf(line, sizeof(line),
		 "unshare -m sh -c 'mount -t tmpfs none /run && mkdir /run/paradice && "
		 "cd /run/paradice && ln -s %s && %s' 2>&1",
		 links, getenv("PARADICECTL"));
	return run(line);
}

static void test_several_daemons(void **state)
{
	struct fe_daemon a, b;
	char links[512];

	(void)state;
	fe_daemon_start(&a, (const char *const[]){ "--device", "/dev/zero", NULL });
	fe_daemon_start(&b, (const char *const[]){ "--device", "/dev/full", NULL });
	snprintf(links, sizeof(links), "list --control %s", b.control);
	assert_int_equal(ask(a.control, links), 0);
	line_ends("/dev/zero", "/dev/zero");
	line_ends("/dev/full", "/dev/full");
	snprintf(links, sizeof(links),
		 "--json --control %s | python3 -c '"
		 "import json, sys; print(len(json.load(sys.stdin)[\"vms\"]))'",
		 b.control);
	assert_int_equal(ask(a.control, links), 0);
	assert_string_equal(said, "2\n");

	/* of units, and beside one that was started by hand */
	snprintf(links, sizeof(links), "%s a.control && ln -s %s b.control", a.control, b.control);
	assert_int_equal(ask_found(links), 0);
	line_ends("/dev/zero", "/dev/zero");
	line_ends("/dev/full", "/dev/full");
	snprintf(links, sizeof(links), "%s control && ln -s %s b.control", a.control, b.control);
	assert_int_equal(ask_found(links), 0);
	line_ends("/dev/zero", "/dev/zero");
	line_ends("/dev/full", "/dev/full");

	/* one that has gone hides no other */
	snprintf(links, sizeof(links), "/nonexistent a.control && ln -s %s b.control", b.control);
	assert_int_equal(ask_found(links), 1);
	line_ends("paradicectl: /run/paradice/a.control is not there",
		  "--control /run/paradice/a.control?");
	line_ends("/dev/full", "/dev/full");

	assert_int_equal(ask_found("/nonexistent other"), 1);
	line_ends("paradicectl: /run/paradice/control is not there",
		  "--control /run/paradice/control?");
	assert_int_equal(fe_daemon_stop(&a), 0);
	assert_int_equal(fe_daemon_stop(&b), 0);
	fe_daemon_clean(&a);
	fe_daemon_clean(&b);
}

static void test_without_a_daemon(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/paradice-test-XXXXXX";
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int c;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control", dir);
	assert_int_equal(ask(addr.sun_path, ""), 1);
	line_ends("/control is not there: is paradiced running", "/control?");

	/* its socket is left of one that was killed */
	assert_int_equal(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(ask(addr.sun_path, ""), 1);
	line_ends("paradicectl: nobody listens on ", "paradiced has ended");

	/* somebody else's */
	assert_int_equal(listen(s, 1), 0);
	if (fork() == 0) {
		c = accept(s, NULL, NULL);
		_exit(write(c, "{\"vms\":", 7) != 7);
	}
	assert_int_equal(ask(addr.sun_path, "stats"), 1);
	line_ends("paradicectl: ", "does not speak like paradiced");
	assert_true(wait(NULL) > 0);

	assert_int_equal(ask(addr.sun_path, "bogus"), 2);
	assert_non_null(strstr(said, "invalid choice: 'bogus'"));
	close(s);
	unlink(addr.sun_path);
	rmdir(dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_with_a_vm, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_while_the_vmm_owes_an_answer, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_without_a_vm, fixture_setup, fixture_teardown),
		cmocka_unit_test(test_with_a_guest_of_xen),
		cmocka_unit_test(test_several_daemons),
		cmocka_unit_test(test_without_a_daemon),
	};

	if (argc && !strcmp(argv[0], "paradice-xen"))
		return stand_in();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
