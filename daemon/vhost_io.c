// SPDX-License-Identifier: Apache-2.0
#include "vhost_io.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int read_full(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = recv(fd, (char *)buf + done, len - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		done += (size_t)n;
	}
	return 0;
}

int vhost_read(int fd, struct vhost_message *msg, int *fds, unsigned int *nfds)
{
	ssize_t n = pass_recv(fd, &msg->head, sizeof(msg->head), 0, fds, nfds);
	int err = 0;

	if (n <= 0)
		return (int)n;
	if ((size_t)n < sizeof(msg->head))
		err = read_full(fd, (char *)&msg->head + n, sizeof(msg->head) - (size_t)n);
	if (!err && (msg->head.flags & 3) != VHOST_VERSION)
		err = -EPROTO;
	if (!err && msg->head.size > sizeof(msg->u))
		err = -EMSGSIZE;
	if (!err) {
		memset(&msg->u, 0, sizeof(msg->u));
		err = read_full(fd, &msg->u, msg->head.size);
	}
	if (err) {
		for (unsigned int i = 0; i < *nfds; i++)
			close(fds[i]);
		*nfds = 0;
		return err;
	}
	return 1;
}

int vhost_write(int fd, const struct vhost_message *msg, const int *fds, unsigned int nfds)
{
	struct iovec iov[2] = {
		{ .iov_base = (void *)&msg->head, .iov_len = sizeof(msg->head) },
		{ .iov_base = (void *)&msg->u, .iov_len = msg->head.size },
	};
	union pass_control control;
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	size_t left = sizeof(msg->head) + msg->head.size;

	pass_put(&mh, &control, fds, nfds);
	while (left) {
		ssize_t n = sendmsg(fd, &mh, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		left -= (size_t)n;
		mh.msg_control = NULL;
		mh.msg_controllen = 0;
		for (unsigned int i = 0; i < 2; i++) {
			size_t k = (size_t)n < iov[i].iov_len ? (size_t)n : iov[i].iov_len;

			iov[i].iov_base = (char *)iov[i].iov_base + k;
			iov[i].iov_len -= k;
			n -= (ssize_t)k;
		}
	}
	return 0;
}
