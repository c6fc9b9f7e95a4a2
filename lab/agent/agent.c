// SPDX-License-Identifier: Apache-2.0
/*
 * The lab's agent: the first process of a lab VM. It runs commands that the
 * lab sends over a virtio-serial port, or whatever else carries bytes, and
 * streams their output back.
 *
 * Frame: u32 length of the payload, u8 type, u32 id (little endian), payload.
 * The ids are the lab's; one id is one command. See frames.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frames.h"

#define MAX_COMMANDS 64

struct command {
	uint32_t id;
	pid_t pid; /* 0: the slot is free, -1: has ended, output still open */
	int in; /* we write its stdin here; -1: closed */
	int out[2]; /* we read its stdout and stderr here; -1: closed */
};

static struct command commands[MAX_COMMANDS];
static int port;

static void die(const char *what)
{
	fprintf(stderr, "lab agent: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void write_all(int fd, const void *data, size_t length)
{
	const char *at = data;

	while (length) {
		ssize_t n = write(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (fd == port)
				die("writing to the port");
			return;
		}
		at += n;
		length -= n;
	}
}

static void send_frame(uint8_t type, uint32_t id, const void *data, uint32_t length)
{
	char frame[FRAME_HEADER + READ_CHUNK];

	memcpy(frame, &length, 4);
	frame[4] = type;
	memcpy(frame + 5, &id, 4);
	memcpy(frame + FRAME_HEADER, data, length);
	write_all(port, frame, FRAME_HEADER + length);
}

static void read_all(int fd, void *data, size_t length)
{
	char *at = data;

	while (length) {
		ssize_t n = read(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0) {
			/* The other end of the port is not open: wait for it. */
			usleep(10000);
			continue;
		}
		if (n < 0)
			die("reading from the port");
		at += n;
		length -= n;
	}
}

static struct command *find(uint32_t id)
{
	for (int i = 0; i < MAX_COMMANDS; i++)
		if (commands[i].pid && commands[i].id == id)
			return &commands[i];
	return NULL;
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Sends what one of the command's outputs holds. False when there is no more for now. */
static int forward(struct command *c, int which)
{
	char data[READ_CHUNK];
	ssize_t n;

	if (c->out[which] < 0)
		return 0;
	n = read(c->out[which], data, sizeof(data));
	if (n > 0) {
		send_frame(which ? FRAME_STDERR : FRAME_STDOUT, c->id, data, n);
		return 1;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	close_end(&c->out[which]);
	return 0;
}

static void release_if_done(struct command *c)
{
	if (c->pid == -1 && c->out[0] < 0 && c->out[1] < 0)
		c->pid = 0;
}

static void report_exit(struct command *c, int status)
{
	int32_t code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);

	/* What it wrote before it ended is in the pipes by now: that goes first. */
	for (int which = 0; which < 2; which++)
		while (forward(c, which))
			;
	send_frame(FRAME_EXIT, c->id, &code, sizeof(code));
	close_end(&c->in);
	c->pid = -1;
	release_if_done(c);
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < MAX_COMMANDS; i++)
			if (commands[i].pid == pid)
				report_exit(&commands[i], status);
}

/* The child's side: never returns. fds: its stdin, stdout, stderr. */
static void become(const int *fds, char *const *argv)
{
	sigset_t none;

	for (int i = 0; i < 3; i++)
		dup2(fds[i], i);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	execvp(argv[0], argv);
	fprintf(stderr, "lab: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* payload: u16 number of environment strings, u16 number of arguments, the strings */
static void start(uint32_t id, char *payload, uint32_t length)
{
	int in[2], out[2], err[2];
	char *strings[MAX_STRINGS + 1];
	struct command *c = NULL;
	uint16_t envs, args;
	char *at = payload + 4;
	int32_t pid;

	memcpy(&envs, payload, 2);
	memcpy(&args, payload + 2, 2);
	if (envs + args > MAX_STRINGS || !args) {
		errno = E2BIG;
		die("command line");
	}
	for (int i = 0; i < envs + args && at < payload + length; i++, at += strlen(at) + 1)
		strings[i] = at;
	strings[envs + args] = NULL;

	for (int i = 0; i < MAX_COMMANDS && !c; i++)
		if (!commands[i].pid)
			c = &commands[i];
	if (!c || pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		die("starting a command");

	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		for (int i = 0; i < envs; i++)
			putenv(strings[i]);
		become((int[]){ in[0], out[1], err[1] }, strings + envs);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(err[0], F_SETFL, O_NONBLOCK);
	*c = (struct command){ .id = id, .pid = pid, .in = in[1], .out = { out[0], err[0] } };
	send_frame(FRAME_STARTED, id, &pid, sizeof(pid));
}

static void serve_frame(void)
{
	static char payload[MAX_PAYLOAD + 1];
	char header[FRAME_HEADER];
	uint32_t length, id;
	struct command *c;

	read_all(port, header, sizeof(header));
	memcpy(&length, header, 4);
	memcpy(&id, header + 5, 4);
	if (length > MAX_PAYLOAD) {
		errno = EMSGSIZE;
		die("frame");
	}
	read_all(port, payload, length);
	payload[length] = 0;
	c = find(id);
	switch (header[4]) {
	case FRAME_RUN:
		start(id, payload, length);
		break;
	case FRAME_STDIN:
		if (c && c->in >= 0)
			write_all(c->in, payload, length);
		break;
	case FRAME_CLOSE_STDIN:
		if (c)
			close_end(&c->in);
		break;
	case FRAME_KILL:
		if (c && c->pid > 0)
			kill(-c->pid, payload[0]);
		break;
	case FRAME_POWEROFF:
		sync();
		reboot(RB_POWER_OFF);
		break;
	}
}

/* port: a device's path, or the number of an open descriptor */
static int open_port(const char *path)
{
	int fd;

	if (*path != '/') {
		fd = atoi(path);
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		return fd;
	}
	for (int tries = 0; tries < 1000; tries++) {
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		usleep(10000);
	}
	die(path);
	return -1;
}

int main(int argc, char **argv)
{
	struct pollfd fds[2 + 2 * MAX_COMMANDS];
	sigset_t mask;
	int children;

	if (argc != 2) {
		fprintf(stderr, "usage: agent PORT\n");
		return 2;
	}
	port = open_port(argv[1]);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	children = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	send_frame(FRAME_HELLO, 0, "", 0);

	for (;;) {
		struct signalfd_siginfo info;

		fds[0] = (struct pollfd){ .fd = port, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = children, .events = POLLIN };
		for (int i = 0; i < 2 * MAX_COMMANDS; i++) {
			struct command *c = &commands[i / 2];

			fds[2 + i] = (struct pollfd){ .fd = c->pid ? c->out[i % 2] : -1,
						      .events = POLLIN };
		}
		if (poll(fds, 2 + 2 * MAX_COMMANDS, -1) < 0 && errno != EINTR)
			die("poll");
		if (fds[0].revents & POLLIN)
			serve_frame();
		else if (fds[0].revents & POLLHUP)
			usleep(10000);
		for (int i = 0; i < 2 * MAX_COMMANDS; i++)
			if (fds[2 + i].revents) {
				forward(&commands[i / 2], i % 2);
				release_if_done(&commands[i / 2]);
			}
		if (fds[1].revents & POLLIN) {
			while (read(children, &info, sizeof(info)) > 0)
				;
			reap();
		}
	}
}
