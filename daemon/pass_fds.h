/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors beside a message on a Unix socket: unix(7), SCM_RIGHTS. */
#ifndef PARADICE_PASS_FDS_H
#define PARADICE_PASS_FDS_H

#include <string.h>
#include <sys/socket.h>

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

/**
 * pass_get() - what a message brought
 * @mh: received, with a union pass_control for its ancillary data
 * @fds: PASS_MAX_FDS places
 *
 * Return: how many came; they are the caller's, also with MSG_CTRUNC.
 */
static inline unsigned int pass_get(struct msghdr *mh, int *fds)
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

#endif
