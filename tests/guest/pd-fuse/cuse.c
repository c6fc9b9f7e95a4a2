// SPDX-License-Identifier: Apache-2.0
/* A character device that keeps what is written to it. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/poll.h>
#include <sys/types.h>
#include <unistd.h>

#include "fuse.h"

#define KEPT 65536
/* The device's ioctls: how much is kept; keep that much and fill it with a byte; nothing else. */
#define PDC_SIZE _IOR('P', 1, uint32_t)
#define PDC_FILL _IOWR('P', 2, uint32_t[2])

static const char *device_name;
static char kept[KEPT];
static uint32_t kept_size;

static void init(int fd, const struct fuse_in_header *in, const struct cuse_init_in *arg)
{
	struct {
		struct cuse_init_out out;
		char info[128];
	} reply = {
		.out = { .major = arg->major,
			 .minor = arg->minor,
			 .max_read = MAX_WRITE,
			 .max_write = MAX_WRITE },
	};
	int n = snprintf(reply.info, sizeof(reply.info), "DEVNAME=%s", device_name);

	answer(fd, in, 0, &reply, sizeof(reply.out) + n + 1);
}

static void ioctl_asked(int fd, const struct fuse_in_header *in, const struct fuse_ioctl_in *arg)
{
	struct {
		struct fuse_ioctl_out out;
		uint32_t data[2];
	} reply = { 0 };
	const uint32_t *given = (const void *)(arg + 1);

	switch (arg->cmd) {
	case PDC_SIZE:
		reply.data[0] = kept_size;
		answer(fd, in, 0, &reply, sizeof(reply.out) + sizeof(uint32_t));
		break;
	case PDC_FILL:
		if (given[0] > KEPT) {
			answer(fd, in, -ENOSPC, NULL, 0);
			break;
		}
		reply.data[0] = kept_size;
		reply.data[1] = given[1];
		kept_size = given[0];
		memset(kept, given[1], kept_size);
		answer(fd, in, 0, &reply, sizeof(reply));
		break;
	default:
		answer(fd, in, -ENOTTY, NULL, 0);
	}
}

static void handle(int fd, struct fuse_in_header *in, void *arg)
{
	const struct fuse_read_in *rd = arg;
	const struct fuse_write_in *wr = arg;
	struct fuse_write_out written = { 0 };
	struct fuse_open_out opened = { 0 };
	struct fuse_poll_out polled = { .revents = POLLIN | POLLOUT };

	switch (in->opcode) {
	case CUSE_INIT:
		init(fd, in, arg);
		printf("ready\n");
		break;
	case FUSE_OPEN:
		answer(fd, in, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ: {
		size_t at = rd->offset < kept_size ? rd->offset : kept_size;
		size_t n = rd->size < kept_size - at ? rd->size : kept_size - at;

		answer(fd, in, 0, kept + at, n);
		break;
	}
	case FUSE_WRITE:
		if (wr->offset >= KEPT) {
			answer(fd, in, -ENOSPC, NULL, 0);
			break;
		}
		written.size = wr->size < KEPT - wr->offset ? wr->size : KEPT - wr->offset;
		memcpy(kept + wr->offset, wr + 1, written.size);
		kept_size = wr->offset + written.size;
		answer(fd, in, 0, &written, sizeof(written));
		break;
	case FUSE_IOCTL:
		ioctl_asked(fd, in, arg);
		break;
	case FUSE_POLL:
		answer(fd, in, 0, &polled, sizeof(polled));
		break;
	case FUSE_RELEASE:
	case FUSE_FLUSH:
	case FUSE_FSYNC:
		answer(fd, in, 0, NULL, 0);
		break;
	default:
		answer(fd, in, -ENOSYS, NULL, 0);
	}
}

int cuse_serve(const char *path, const char *name)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(path);
	device_name = name;
	serve(fd, handle);
	return 0;
}
