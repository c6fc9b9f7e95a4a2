/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors beside a message on a Unix socket: unix(7), SCM_RIGHTS. */
#ifndef PARADICE_PASS_FDS_H
#define PARADICE_PASS_FDS_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define PASS_MAX_FDS 32

/* Room for PASS_MAX_FDS descriptors, and for no more. */
union pass_control {
	char buf[CMSG_SPACE(sizeof(int) * PASS_MAX_FDS)];
	struct cmsghdr align;
};

/**
 * pass_put() - makes a message carry descriptors
 * @control: anything; the message's until it is sent
 * @n: up to PASS_MAX_FDS, 0 for a message without
 */
static inline void pass_put(struct msghdr *mh, union pass_control *control, const int *fds,
			    unsigned int n)
{
	struct cmsghdr *c;

	if (!n)
		return;
	memset(control, 0, sizeof(*control));
	mh->msg_control = control->buf;
	mh->msg_controllen = CMSG_SPACE(sizeof(int) * n);
	c = CMSG_FIRSTHDR(mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
}

/* takes the descriptors out of a received message. Return: how many */
static inline unsigned int pass_take(struct msghdr *mh, int *fds)
{
	unsigned int n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds + n, CMSG_DATA(c), len);
		n += (unsigned int)(len / sizeof(int));
	}
	return n;
}

/**
 * pass_recv() - receives bytes and the descriptors beside them
 * @flags: recvmsg(2)'s; the descriptors are always closed on exec
 * @fds: PASS_MAX_FDS places
 * @nfds: how many came; the caller's
 *
 * Return: the number of bytes, with @nfds descriptors; or without any, 0 at the end of the stream, or a
 * negative errno, -EPROTO when there was no room for the message or what came with it.
 */
static inline ssize_t pass_recv(int fd, void *buf, size_t len, int flags, int *fds,
				unsigned int *nfds)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	union pass_control control;
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n;

	*nfds = 0;
	do {
		n = recvmsg(fd, &mh, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	*nfds = pass_take(&mh, fds);
	if (n && !(mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return n;
	/* also beside an empty message, which looks like the end */
	while (*nfds) {
		close(fds[--*nfds]);
		fds[*nfds] = -1;
	}
	return n ? -EPROTO : 0;
}

#endif
