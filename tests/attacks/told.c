// SPDX-License-Identifier: Apache-2.0
/* See told.h. What an operation comes to and what is said to the VMM pass through here as well (the linker's --wrap). */
#include "told.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "../../daemon/log.h"
#include "../../daemon/vhost_io.h"
#include "lies.h"
#include "told_identity.h"

void __real_request_done(struct request *r, int64_t result);
void __wrap_request_done(struct request *r, int64_t result);
int __real_vhost_write(int fd, const struct vhost_message *msg, const int *fds, unsigned int nfds);
int __wrap_vhost_write(int fd, const struct vhost_message *msg, const int *fds, unsigned int nfds);
void __real_vq_push(struct virtqueue *q, uint16_t head, uint32_t len);

static struct events *events;
/* what is told before anybody asks */
static enum lie first;
static _Atomic enum lie lie;
static _Atomic uint64_t argument;
/* the last file that was opened */
static _Atomic uint64_t handle;
/* of LIE_PAGE: the read, the message that answers its fault, and whether that has the page */
static _Atomic uint64_t asking, continued;
static atomic_bool given;
/* of the answer that this thread gives next: another length, or 0; a lie of the ring's, or LIE_NONE */
static _Thread_local uint32_t told_len;
static _Thread_local enum lie in_ring;
static _Thread_local bool kept_back;

void told_events(struct events *e)
{
	events = e;
}

void told_first(unsigned int which)
{
	first = which;
}

/* Has a device come? */
static bool announces(enum lie which)
{
	return which >= LIE_NAME && which <= LIE_OUTER;
}

/* ... that there is not, with an identity? */
static bool identifies(enum lie which, uint32_t device)
{
	return which == LIE_TOTALS ||
	       (announces(which) && which >= LIE_PROPERTY && device == (uint32_t)argument);
}

void told_take(const struct request *r)
{
	const uint32_t cmd = r->req.u.ioctl.cmd;

	switch (r->req.op) {
	case PD_OP_HELLO:
		lie = first;
		break;
	case PD_OP_IOCTL:
		if (cmd < LIE(LIE_NONE) || cmd > LIE(LIE_LONG))
			break;
		argument = r->req.u.ioctl.arg;
		lie = cmd - LIE(LIE_NONE);
		if (announces(lie))
			events_send(events, PD_EV_DEVICE_ADD, 0, 0);
		break;
	case PD_OP_CONTINUE:
		if (r->req.u.cont.tag != asking)
			break;
		given = r->req.npages && !r->req.u.cont.error;
		continued = r->req.tag;
		break;
	}
}

static void answer_read(struct pd_resp *resp)
{
	switch (lie) {
	case LIE_TAG:
		resp->tag++;
		break;
	case LIE_LENGTH:
		told_len = 8;
		break;
	case LIE_LONG:
		told_len = PD_PAGE_SIZE;
		break;
	case LIE_ID:
	case LIE_TWICE:
		in_ring = lie;
		break;
	case LIE_STATUS:
		resp->status = 7;
		break;
	case LIE_RESULT:
		resp->result = (uint64_t)LIE_RESULT_TOLD;
		break;
	case LIE_QUEUED:
		resp->result = (uint64_t)-LIE_EIOCBQUEUED;
		break;
	case LIE_MOVED:
		resp->result = PD_PAGE_SIZE;
		break;
	case LIE_PAGE:
		asking = resp->tag;
		resp->status = PD_ST_FAULT;
		memset(&resp->u, 0, sizeof(resp->u));
		resp->u.fault.addr = argument;
		break;
	default:
		break;
	}
}

void told_answer(struct pd_resp *resp, uint16_t op)
{
	if (op == PD_OP_READ && resp->status == PD_ST_DONE) {
		answer_read(resp);
	} else if (op == PD_OP_POLL && lie == LIE_FAULT) {
		resp->status = PD_ST_FAULT;
		memset(&resp->u, 0, sizeof(resp->u));
	} else if ((op < PD_OP_OPEN || op == PD_OP_PING) && lie == LIE_SILENCE) {
		kept_back = true;
	}
}

/* One answer, as one is asked for, to a descriptor that is farther past the table than vq_push() can say. */
static void push_past(struct virtqueue *q)
{
	struct vring_used_elem *e = &q->used->ring[q->used_idx % q->num];

	e->id = UINT32_MAX;
	e->len = 0;
	__atomic_store_n(&q->used->idx, ++q->used_idx, __ATOMIC_RELEASE);
	eventfd_write(q->call, 1);
}

bool told_give(struct virtqueue *q, uint16_t head, uint32_t *len)
{
	const bool give = !kept_back && in_ring != LIE_ID;

	if (told_len)
		*len = told_len;
	if (in_ring == LIE_ID)
		push_past(q);
	else if (in_ring == LIE_TWICE)
		__real_vq_push(q, head, *len);
	told_len = 0;
	in_ring = LIE_NONE;
	kept_back = false;
	return give;
}

/* the descriptions of devices 0 and 1 */
static void describe(struct pd_device *d, uint32_t index)
{
	const uint32_t id = (uint32_t)argument;

	if (index > (lie == LIE_NAME))
		return;
	d->id = id + index;
	snprintf((char *)d->name, sizeof(d->name), "%slied-%u",
		 lie == LIE_NAME && !index ? "." : "", id);
	d->mode = (lie == LIE_MODE ? S_IFBLK : 0) | 0666;
}

/* what asking for device @index comes to, of those that there are not */
static int64_t none(uint32_t index)
{
	if (index < LIE_MAX_INDEX)
		return -ENODEV;
	log_warning("a guest has asked for device %u", index);
	return -ERANGE;
}

/* a part of an identity; its length, or what that is said to be */
static int64_t identify(struct request *r)
{
	uint32_t room = (uint32_t)(r->reply.room - sizeof(struct pd_resp));
	struct told_identity t = { .lie = lie, .id = r->req.u.identity.device };
	int err;

	free(r->tail);
	r->tail = malloc(PD_IDENTITY_MAX);
	r->tail_len = 0;
	if (!r->tail)
		return -ENOMEM;
	if (room > PD_IDENTITY_MAX)
		room = PD_IDENTITY_MAX;
	err = told_identity(&t, r->req.u.identity.offset, r->tail, room);
	if (err)
		return err;
	r->tail_len = t.len;
	r->resp.u.identity.total = t.total;
	return t.result;
}

/* makes the rules from @from on of more than there may be; how many */
static int64_t many_rules(struct request *r, uint32_t from)
{
	const uint64_t room = (r->reply.room - sizeof(struct pd_resp)) / sizeof(struct pd_rule);
	const uint32_t n = room < PD_MAX_RULES ? (uint32_t)room : PD_MAX_RULES;
	struct pd_rule *rules = r->tail;

	if (from > PD_MAX_RULES + n) {
		log_warning("a guest has asked for rule %u", from);
		return 0;
	}
	memset(rules, 0, n * sizeof(*rules));
	for (uint32_t i = 0; i < n; i++) {
		rules[i].cmd = from + i;
		rules[i].flags = PD_RULE_IN | PD_RULE_ARGUMENT;
	}
	r->tail_len = n * (uint32_t)sizeof(*rules);
	return n;
}

/* lies about the rules, of which there are @n; how many there are, which is true but for LIE_RULES */
static int64_t rule(struct request *r, int64_t n)
{
	struct pd_rule *rules = r->tail;

	if (lie == LIE_MANY && n >= 0)
		return many_rules(r, r->req.u.rules.first);
	if (n > 0 && lie == LIE_CONDS)
		rules[0].nconds = 40;
	return n > 0 && lie == LIE_RULES ? 100 : n;
}

void __wrap_request_done(struct request *r, int64_t result)
{
	switch (r->req.op) {
	case PD_OP_LLSEEK:
		if (lie == LIE_POSITION)
			r->resp.u.seek.pos = (uint64_t)LIE_RESULT_TOLD;
		break;
	case PD_OP_OPEN:
		if (lie == LIE_HANDLE)
			r->resp.u.open.file = handle;
		else if (result >= 0)
			handle = r->resp.u.open.file;
		break;
	case PD_OP_FD_TAKE:
		if (lie == LIE_FLAGS)
			r->resp.u.open.oflags |= O_APPEND | O_DIRECT;
		else if (lie == LIE_SIZE)
			r->resp.u.open.size = 1ull << 63;
		break;
	case PD_OP_DEVICE:
		if (lie == LIE_DEVICES && result == -ERANGE)
			result = none(r->req.u.device.index);
		else if (announces(lie) && r->tail_len == sizeof(struct pd_device))
			describe(r->tail, r->req.u.device.index);
		break;
	case PD_OP_IDENTITY:
		if (identifies(lie, r->req.u.identity.device))
			result = identify(r);
		break;
	case PD_OP_RULES:
		result = rule(r, result);
		break;
	case PD_OP_CONTINUE:
		if (r->req.tag == continued)
			result = given;
		break;
	}
	__real_request_done(r, result);
}

int __wrap_vhost_write(int fd, const struct vhost_message *msg, const int *fds, unsigned int nfds)
{
	struct vhost_message told = *msg;
	struct pd_config config;

	if (first == LIE_QUEUES && msg->head.request == VHOST_GET_CONFIG && !msg->u.config.offset &&
	    msg->u.config.size >= sizeof(config)) {
		memcpy(&config, told.u.config.region, sizeof(config));
		config.num_request_queues = 0;
		memcpy(told.u.config.region, &config, sizeof(config));
	}
	return __real_vhost_write(fd, &told, fds, nfds);
}
