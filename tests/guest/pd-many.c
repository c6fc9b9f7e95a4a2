// SPDX-License-Identifier: Apache-2.0
/*
 * pd-many: many processes that have a device open, and have used it.
 *
 *	pd-many PATH COUNT READY-FILE
 *
 * READY-FILE is made when all are there; they end when it does. Exit: 1 when one of them cannot open or use it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "testdev.h"

static void child(const char *path, int ready)
{
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open(path, O_RDWR);
	if (fd < 0 || ioctl(fd, TD_NOP, 0)) {
		fprintf(stderr, "pd-many: %s: %s\n", path, strerror(errno));
		if (write(ready, "x", 1) != 1)
			_exit(2);
		_exit(1);
	}
	if (write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int count = argc == 4 ? atoi(argv[2]) : 0;
	int ready[2];
	char byte;

	if (count < 1 || pipe(ready)) {
		fprintf(stderr, "pd-many PATH COUNT READY-FILE\n");
		return 2;
	}
	for (int i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0) {
			perror("pd-many: fork");
			return 1;
		}
		if (!pid) {
			close(ready[0]);
			child(argv[1], ready[1]);
		}
	}
	close(ready[1]);
	for (int i = 0; i < count; i++)
		if (read(ready[0], &byte, 1) != 1 || byte)
			return 1; /* the others end with us */
	close(open(argv[3], O_CREAT | O_WRONLY, 0600));
	for (;;)
		pause();
}
