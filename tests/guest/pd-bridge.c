// SPDX-License-Identifier: Apache-2.0
/*
 * pd-bridge: a cable between two network interfaces, so that a program's TCP goes through a tap
 * which it opened.
 *
 *	pd-bridge [--far NODE] [--near NODE] [--name NAME] [--address ADDR/BITS] -- COMMAND...
 *
 * Opens --far (the tun driver whose kernel shall have the interface NAME), then in a network
 * namespace of its own --near, whose interface gets the address, passes frames between them, and
 * runs COMMAND in that namespace. Exit: the command's status; 125 when they cannot be set up, or
 * when one of them goes: the command is ended then.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* few large frames: what is to be shown is not how fast small ones are */
#define MTU 60000
#define FRAME (MTU + 64)

static void die(const char *what)
{
	fprintf(stderr, "pd-bridge: %s: %s\n", what, strerror(errno));
	exit(125);
}

static int tap(const char *node, const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		die(node);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr))
		die("TUNSETIFF");
	return fd;
}

/* Passes what there is; frames that find no room are lost, as on a cable. */
static void pass(int from, int to)
{
	static char frame[FRAME];

	for (int i = 0; i < 64; i++) {
		ssize_t n = read(from, frame, sizeof(frame));

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			die("reading a frame");
		/* EIO: the interface is not up yet */
		if (write(to, frame, n) < 0 && errno != EAGAIN && errno != EIO && errno != ENOBUFS)
			die("writing a frame");
	}
}

static void __attribute__((noreturn)) forward(int far, int near)
{
	struct pollfd p[] = { { .fd = far, .events = POLLIN }, { .fd = near, .events = POLLIN } };

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			die("poll");
		if (p[0].revents)
			pass(far, near);
		if (p[1].revents)
			pass(near, far);
	}
}

static void run(const char *what)
{
	int status = system(what);

	if (status) {
		fprintf(stderr, "pd-bridge: %s: status %d\n", what, status);
		exit(125);
	}
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "far", required_argument, NULL, 'f' },
		{ "near", required_argument, NULL, 'n' },
		{ "name", required_argument, NULL, 'i' },
		{ "address", required_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	const char *far_node = "/dev/net/tun", *near_node = "/dev/net/tun";
	const char *name = "pdfar0", *address = "10.78.0.2/24";
	char setup[256];
	int far, near, c, status;
	pid_t bridge, child, ended;

	while ((c = getopt_long(argc, argv, "+", longs, NULL)) >= 0) {
		if (c == 'f')
			far_node = optarg;
		else if (c == 'n')
			near_node = optarg;
		else if (c == 'i')
			name = optarg;
		else if (c == 'a')
			address = optarg;
		else
			return 125;
	}
	if (optind == argc) {
		fprintf(stderr, "pd-bridge: no command\n");
		return 125;
	}
	far = tap(far_node, name);
	if (unshare(CLONE_NEWNET))
		die("unshare");
	near = tap(near_node, "pdnear0");
	snprintf(setup, sizeof(setup),
		 "ip link set lo up; ip addr add %s dev pdnear0 && ip link set pdnear0 mtu %d up",
		 address, MTU);
	run(setup);
	bridge = fork();
	if (bridge < 0)
		die("fork");
	if (!bridge)
		forward(far, near);
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		setpgid(0, 0);
		execvp(argv[optind], &argv[optind]);
		die(argv[optind]);
	}
	ended = wait(&status);
	if (ended < 0)
		die("wait");
	/* without the cable what runs over it would wait for ever */
	if (ended == bridge) {
		kill(-child, SIGKILL);
		kill(child, SIGKILL);
		return 125;
	}
	kill(bridge, SIGKILL);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
