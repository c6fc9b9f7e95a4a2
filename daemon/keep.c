// SPDX-License-Identifier: Apache-2.0
#include "keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "vm_state.h"
#include "weak.h"

struct kept {
	struct vhost_message *msg;
	int fds[CHANNEL_MAX_FDS];
	unsigned int nfds;
};

/* In the order of a set-up: first what concerns all, then each ring's own. */
static const uint32_t global[] = { VHOST_SET_FEATURES, VHOST_SET_PROTOCOL_FEATURES,
				   VHOST_SET_BACKEND_REQ_FD, VHOST_XEN_GRANTS,
				   VHOST_SET_MEM_TABLE };
static const uint32_t ring[] = {
	VHOST_SET_VRING_NUM,  VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR,
	VHOST_SET_VRING_CALL, VHOST_SET_VRING_KICK, VHOST_SET_VRING_ENABLE
};

#define N(a) (sizeof(a) / sizeof((a)[0]))

struct keep {
	struct kept global[N(global)];
	struct kept ring[STATE_QUEUES][N(ring)];
};

struct keep *keep_create(void)
{
	return calloc(1, sizeof(struct keep));
}

static void forget(struct kept *e)
{
	for (unsigned int i = 0; i < e->nfds; i++)
		close(e->fds[i]);
	free(e->msg);
	*e = (struct kept){ 0 };
}

void keep_destroy(struct keep *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < N(global); i++)
		forget(&k->global[i]);
	for (size_t q = 0; q < STATE_QUEUES; q++)
		for (size_t i = 0; i < N(ring); i++)
			forget(&k->ring[q][i]);
	free(k);
}

static uint32_t ring_index(const struct vhost_message *msg)
{
	switch (msg->head.request) {
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_KICK:
		return (uint32_t)(msg->u.u64 & VHOST_VRING_INDEX_MASK);
	default:
		return msg->u.state.index; /* at the same place in all others */
	}
}

bool keep_wants(uint32_t request)
{
	for (size_t i = 0; i < N(global); i++)
		if (global[i] == request)
			return true;
	for (size_t i = 0; i < N(ring); i++)
		if (ring[i] == request)
			return true;
	return request == VHOST_GET_VRING_BASE;
}

/* How many descriptors belong to a message: what more comes with it only fills our table. */
static unsigned int descriptors(uint32_t request)
{
	switch (request) {
	case VHOST_SET_MEM_TABLE:
		return VHOST_MAX_REGIONS;
	case VHOST_SET_BACKEND_REQ_FD:
	case VHOST_XEN_GRANTS:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_KICK:
		return 1;
	default:
		return WEAK(KEEP) ? CHANNEL_MAX_FDS : 0;
	}
}

static struct kept *place(struct keep *k, const struct vhost_message *msg)
{
	uint32_t q = ring_index(msg);

	for (size_t i = 0; i < N(global); i++)
		if (global[i] == msg->head.request)
			return &k->global[i];
	if (q >= STATE_QUEUES)
		return NULL;
	/* a ring that stops has no kicks until it gets them anew */
	if (msg->head.request == VHOST_GET_VRING_BASE)
		forget(&k->ring[q][4]);
	for (size_t i = 0; i < N(ring); i++)
		if (ring[i] == msg->head.request)
			return &k->ring[q][i];
	return NULL;
}

void keep_store(struct keep *k, const struct vhost_message *msg, int *fds, unsigned int nfds)
{
	struct kept *e = place(k, msg);
	unsigned int most = descriptors(msg->head.request);

	while (nfds > most)
		close(fds[--nfds]);
	if (e && msg->head.size <= sizeof(msg->u)) {
		forget(e);
		e->msg = calloc(1, sizeof(*e->msg));
		if (e->msg) {
			*e->msg = *msg;
			memcpy(e->fds, fds, nfds * sizeof(int));
			e->nfds = nfds;
			return;
		}
	}
	for (unsigned int i = 0; i < nfds; i++)
		close(fds[i]);
}

bool keep_any(const struct keep *k)
{
	return k->global[0].msg != NULL;
}

static int replay(const struct kept *e, int channel)
{
	struct channel_msg msg;

	if (!e->msg)
		return 0;
	memset(&msg, 0, CHANNEL_HEAD);
	msg.type = CHANNEL_REPLAY;
	msg.u.vhost = *e->msg;
	return channel_send(channel, &msg, CHANNEL_HEAD + sizeof(msg.u.vhost), e->fds, e->nfds,
			    5000);
}

int keep_replay(const struct keep *k, int channel)
{
	int err = 0;

	for (size_t i = 0; i < N(global) && !err; i++)
		err = replay(&k->global[i], channel);
	for (size_t q = 0; q < STATE_QUEUES && !err; q++)
		for (size_t i = 0; i < N(ring) && !err; i++)
			err = replay(&k->ring[q][i], channel);
	return err;
}
