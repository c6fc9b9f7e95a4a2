// SPDX-License-Identifier: Apache-2.0
#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int channel_send(int fd, const struct channel_msg *msg, size_t len, const int *fds,
		 unsigned int nfds, int wait_ms)
{
	struct iovec iov = { .iov_base = (void *)msg, .iov_len = len };
	union pass_control control;
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (nfds > CHANNEL_MAX_FDS)
		return -EINVAL;
	pass_put(&mh, &control, fds, nfds);
	for (;;) {
		if (sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		if (poll(&p, 1, wait_ms) == 0)
			return -EAGAIN;
	}
}

ssize_t channel_recv(int fd, struct channel_msg *msg, int *fds)
{
	unsigned int nfds;
	ssize_t n;

	for (unsigned int i = 0; i < CHANNEL_MAX_FDS; i++)
		fds[i] = -1;
	n = pass_recv(fd, msg, sizeof(*msg), 0, fds, &nfds);
	if (n <= 0)
		return n;
	if ((size_t)n < CHANNEL_HEAD) {
		for (unsigned int i = 0; i < nfds; i++)
			close(fds[i]);
		return -EPROTO;
	}
	if ((size_t)n < sizeof(*msg))
		memset((char *)msg + n, 0, sizeof(*msg) - (size_t)n);
	msg->u.text[CHANNEL_TEXT - 1] = '\0';
	return n;
}
