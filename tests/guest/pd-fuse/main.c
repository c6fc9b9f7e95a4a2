// SPDX-License-Identifier: Apache-2.0
/*
 * pd-fuse: serves a file system through /dev/fuse, or a character device through /dev/cuse, with
 * the kernel's own protocol, so that nothing but reads and writes of that node is needed.
 *
 *	pd-fuse files [NODE]           a file system: "hello", "pattern" (1 MiB) and what is written
 *	pd-fuse cuse NAME [NODE]       /dev/NAME: keeps what is written, PD ioctls
 *	pd-fuse mount COMM PLACE       mount what the process named COMM serves: on the machine
 *	                               whose kernel has the node's other end
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuse.h"

void die(const char *what)
{
	fprintf(stderr, "pd-fuse: %s: %s\n", what, strerror(errno));
	exit(1);
}

void answer(int fd, const struct fuse_in_header *in, int error, const void *data, size_t size)
{
	static char room[ROOM];
	struct fuse_out_header out = { .error = error, .unique = in->unique };

	if (error)
		size = 0;
	out.len = sizeof(out) + size;
	memcpy(room, &out, sizeof(out));
	memcpy(room + sizeof(out), data, size);
	/* ENOENT: who asked does not wait any more */
	if (write(fd, room, out.len) < 0 && errno != ENOENT)
		die("answering");
}

void serve(int fd, void (*handle)(int fd, struct fuse_in_header *in, void *arg))
{
	static char room[ROOM] __attribute__((aligned(8)));
	struct fuse_in_header *in = (void *)room;

	for (;;) {
		ssize_t n = read(fd, room, sizeof(room) - 1);

		if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (n < 0 && errno == ENODEV)
			return;
		if (n <= 0)
			die("reading a request");
		room[n] = 0;
		if (in->opcode == FUSE_FORGET || in->opcode == FUSE_BATCH_FORGET ||
		    in->opcode == FUSE_INTERRUPT)
			continue;
		handle(fd, in, room + sizeof(*in));
	}
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc >= 2 && !strcmp(argv[1], "files"))
		return files_serve(argc > 2 ? argv[2] : "/dev/fuse");
	if (argc >= 3 && !strcmp(argv[1], "cuse"))
		return cuse_serve(argc > 3 ? argv[3] : "/dev/cuse", argv[2]);
	if (argc == 4 && !strcmp(argv[1], "mount"))
		return mount_for(argv[2], argv[3]);
	fprintf(stderr, "pd-fuse: see the head of its source\n");
	return 2;
}
