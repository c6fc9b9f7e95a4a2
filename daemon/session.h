/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session: all that one start of the guest's driver has here, from its HELLO until the device
 * is reset or the VMM goes. When it ends all its operations are interrupted, its mirrors killed,
 * its files closed, in the background; the next one does not wait for it.
 */
#ifndef PARADICE_SESSION_H
#define PARADICE_SESSION_H

#include "worker_private.h"

#define MAX_MAPS 65536

/**
 * struct session - see above
 * @over: it has ended; what still runs in it gives -EIO
 * @lock: for the tables
 * @requests: operations under way, by tag
 * @inflight: their number
 * @idle: signalled when a request or a file has gone
 */
struct session {
	struct worker *w;
	atomic_uint refs;
	atomic_bool over;
	struct mirror_pool *pool;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct idmap requests;
	struct idmap mms;
	struct idmap files;
	struct idmap maps;
	atomic_uint inflight;
	unsigned int live_files;
};

/* Begins one. By a thread that lives as long as the worker. Returns 0 or a negative errno. */
int session_begin(struct worker *w);
/* Ends the present one, if any, without waiting. */
void session_end(struct worker *w);
/* Waits until all sessions are gone, @ms at most. Returns false when some are not. */
bool session_wait(struct worker *w, unsigned int ms);

/* The present one with a reference, or NULL. */
struct session *session_get(struct worker *w);
void session_put(struct session *s);

/**
 * session_add_request() - makes a request findable by its tag
 * Return: 0, -EEXIST, -ENOMEM, or -EIO when the session is over. Takes a reference.
 */
int session_add_request(struct session *s, struct request *r);
/* the opposite; drops the reference */
void session_remove_request(struct session *s, struct request *r);
/* with a reference, or NULL */
struct request *session_find_request(struct session *s, uint64_t tag);

struct mm;
/* Nobody waits for @mm's operations any more. */
void session_abandon_mm(struct session *s, const struct mm *mm);

/* Interrupts again those whose caller is gone and who have not ended. True: there are some. */
bool session_nag(struct session *s);

#endif
