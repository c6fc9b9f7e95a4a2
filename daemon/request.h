/* SPDX-License-Identifier: Apache-2.0 */
/* A request of the guest, from the queue to its answer. */
#ifndef PARADICE_REQUEST_H
#define PARADICE_REQUEST_H

#include "session.h"

#define REPLY_SEGMENTS 4

/**
 * struct reply - the descriptor chain on which a request is answered
 * @present: there is one; by the queue's lock
 * @tag: of the request that brought it
 */
struct reply {
	bool present;
	uint16_t head;
	uint32_t generation;
	uint64_t tag;
	uint64_t room;
	unsigned int nseg;
	struct vq_segment seg[REPLY_SEGMENTS];
};

struct mm;
struct file;
struct map;
struct op_info;

/**
 * struct request - see above
 * @info: what its operation needs
 * @vq: where it came from
 * @reply: where its answer goes; gone while the guest looks for a page
 * @resp: its answer
 * @tail: what follows its answer, by malloc(); freed with the request
 * @tail_len: bytes of it
 * @asked: the page that the guest has been asked for and has not given yet, +1; by the queue's
 *	lock. Of a CONTINUE: the one that it answers
 * @wanted: the page that it waits for by now, +1, while @asked is another that came without the
 *	answer: asked for next. 0: none; by the queue's lock
 * @wanted_write: to write to it
 * @ended: it has its result, to be given on a chain as soon as there is one; by the queue's lock
 * @abandoned: nobody waits for it
 * @listed: in the session's table
 * @open_id: what the manager calls its opening; 0: it has answered
 * @open_in_mirror: the manager is only asked to let a mirror do it
 * @open_fd: what came of it: the file, or the node to be opened; -1 until then
 * @open_claim: for opens_closed()
 * @mop: its part in the mirror layer
 * @drops: lists, behind the struct
 */
struct request {
	struct worker *w;
	struct session *s;
	atomic_uint refs;
	const struct op_info *info;
	struct virtqueue *vq;
	struct reply reply;
	struct pd_req req;
	struct pd_resp resp;
	void *tail;
	uint32_t tail_len;
	bool ended;
	uint64_t asked;
	uint64_t wanted;
	bool wanted_write;
	atomic_bool abandoned;
	bool listed;
	uint32_t open_id;
	bool open_in_mirror;
	int open_fd;
	uint32_t open_claim;
	struct mm *mm;
	struct file *file;
	struct map *map;
	struct mirror_op mop;
	struct request *next;
	struct pd_range *drops;
	struct pd_pages *pages;
	struct pd_range *vecs;
	struct pd_fd *fds;
	_Alignas(8) uint8_t lists[];
};

/**
 * request_take() - takes the next request from a queue
 * @more: set when another one waits
 *
 * Answers what is malformed by itself and goes on to the next.
 *
 * Return: a request with one reference, or NULL when there is none.
 */
struct request *request_take(struct worker *w, struct virtqueue *q, bool *more);

void request_get(struct request *r);
void request_put(struct request *r);

/* Answers with @result; the rest of r->resp.u as the caller left it. Once per request. */
void request_done(struct request *r, int64_t result);

/* mirror_env.fault: tells the guest that page @addr is wanted. */
bool request_fault(struct request *r, uint64_t addr, bool write);

/*
 * CONTINUE @c of @r: @r's next answer goes on @c's chain.
 * To be called before the pages of @c are shown: @r may go on, and touch the next one, as soon as
 * they are there.
 * Return: false when @r has a chain already.
 */
bool request_continue(struct request *r, struct request *c);
/*
 * After request_continue(): the pages are there (@error 0), or are not to be had. An operation that ended without a
 * chain is answered now, and not before: the guest takes back what @c drops.
 */
void request_go_on(struct request *r, const struct request *c, int error);

/* Nobody waits for @r any more; no CONTINUE has to come for it to go. */
void request_abandon(struct request *r);

/* After the death of a worker: answers with -EIO what it had taken from a queue. */
void request_fail_old(struct worker *w, struct virtqueue *q);

/* The ring starts anew or goes on: gives what could not be given while it stood still. */
void request_flush_held(struct virtqueue *q, struct worker *w);

#endif
