// SPDX-License-Identifier: Apache-2.0
/*
 * paradiced-hostile: the daemon, but some of what its workers tell a guest is false. For tests of
 * the guest's module only; what a worker takes from a ring and writes there passes through here (the
 * linker's --wrap).
 *
 * $PARADICE_HOSTILE has words NAME=N. "seed": of the choices. One in N: "answers" and "events" are
 * changed, "tails" (what follows an answer) too, "lengths" are false, answers are "late" (behind the
 * queue's next one), come "twice", or a "ring" entry is nonsense; "pry": instead of the answer to an
 * operation that is no ioctl, a page is asked for that it does not concern. "die": a worker
 * ends when it is N seconds old, just before an answer. "slow": each answer on the control queue takes N ms.
 * "withhold": operations PD_OP_* N are never answered. "flood": an event comes without end, N times ahead of what the guest has taken.
 * "tell": the lie of that number (lies.h) is told from the start; else, those that a program in the guest asks for.
 */
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "paradice/protocol.h"
#include "../../daemon/events.h"
#include "../../daemon/log.h"
#include "../../daemon/request.h"
#include "../../daemon/worker_private.h"
#include "told.h"

#define VARIABLE "PARADICE_HOSTILE"
#define REMEMBERED 256
/* requests under way at most */
#define REQUESTS 65536

enum {
	SEED,
	ANSWERS,
	EVENTS,
	TAILS,
	LENGTHS,
	LATE,
	TWICE,
	RING,
	PRY,
	DIE,
	SLOW,
	WITHHOLD,
	FLOOD,
	TELL,
	SETTINGS
};

static const char *const names[SETTINGS] = { "seed", "answers",	 "events", "tails", "lengths",
					     "late", "twice",	 "ring",   "pry",   "die",
					     "slow", "withhold", "flood",  "tell" };

int __real_execve(const char *path, char *const argv[], char *const envp[]);
int __wrap_execve(const char *path, char *const argv[], char *const envp[]);
struct events *__real_events_create(struct worker *w);
struct events *__wrap_events_create(struct worker *w);
int __real_vq_read(struct guest_memory *g, const struct vq_segment *seg, unsigned int nseg,
		   uint64_t offset, void *out, uint64_t len);
int __wrap_vq_read(struct guest_memory *g, const struct vq_segment *seg, unsigned int nseg,
		   uint64_t offset, void *out, uint64_t len);
int __real_vq_write(struct guest_memory *g, const struct vq_segment *seg, unsigned int nseg,
		    uint64_t offset, const void *in, uint64_t len);
int __wrap_vq_write(struct guest_memory *g, const struct vq_segment *seg, unsigned int nseg,
		    uint64_t offset, const void *in, uint64_t len);
void __real_vq_push(struct virtqueue *q, uint16_t head, uint32_t len);
void __wrap_vq_push(struct virtqueue *q, uint16_t head, uint32_t len);
struct request *__real_request_take(struct worker *w, struct virtqueue *q, bool *more);
struct request *__wrap_request_take(struct worker *w, struct virtqueue *q, bool *more);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t settings[SETTINGS];
static uint64_t state;
static time_t born;
/* earlier answers, from any queue */
static struct pd_resp remembered[REMEMBERED];
static unsigned int nremembered;
/* the operations of requests, by their tags */
static uint16_t ops[REQUESTS];
/* the first buffer of an event, which is the flood's */
static uint16_t flooding;
static uint16_t flood_buffers;
static atomic_bool flooded;
/* this thread's next answer is not to be given */
static _Thread_local bool withheld;
/* a page that each address space has: one that it showed for an ioctl */
static struct {
	uint64_t mm;
	uint64_t page;
} shown[REMEMBERED];
/* operations that will ask for such a page, by their tags; then those that have */
static struct {
	uint64_t tag;
	uint64_t page;
} prying[REMEMBERED], pried[REMEMBERED];
/* answers that come late, one for each queue */
static struct {
	bool present;
	uint16_t head;
	uint32_t len;
} held[NUM_QUEUES];

/* The manager's environment does not reach workers, but this does. */
int __wrap_execve(const char *path, char *const argv[], char *const envp[])
{
	static char setting[256];
	char *const with[] = { setting, NULL };
	const char *given = getenv(VARIABLE);

	(void)envp;
	snprintf(setting, sizeof(setting), "%s=%s", VARIABLE, given ? given : "");
	return __real_execve(path, argv, with);
}

/* by the lock */
static uint64_t any(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void __attribute__((constructor)) read_settings(void)
{
	const char *given = getenv(VARIABLE);
	char *copy = strdup(given ? given : "");
	char *save = NULL;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		char *value = strchr(w, '=');
		int i = 0;

		if (value)
			*value++ = 0;
		while (i < SETTINGS && strcmp(w, names[i]))
			i++;
		if (!value || i == SETTINGS) {
			fprintf(stderr, VARIABLE ": %s is no setting\n", w);
			exit(2);
		}
		settings[i] = strtoull(value, NULL, 0);
	}
	free(copy);
	state = settings[SEED] + (uint64_t)getpid() * 0x9e3779b97f4a7c15;
	born = time(NULL);
	told_first((unsigned int)settings[TELL]);
}

static bool hit(int setting)
{
	return settings[setting] && any() % settings[setting] == 0;
}

static uint64_t word(void)
{
	static const uint64_t special[] = {
		0,
		1,
		2,
		63,
		64,
		4095,
		4096,
		65535,
		65536,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		0x100000000,
		0x300000000000,
		0x7fffffffffff,
		0x8000000000000000,
		0x7fffffffffffffff,
		-1ull,
		-4ull,
		-5ull,
		-14ull,
		-512ull,
		-516ull,
		-4095ull,
		-4096ull,
	};

	return any() % 4 ? special[any() % (sizeof(special) / sizeof(special[0]))] : any();
}

static void set_word(void *at, size_t size)
{
	uint64_t w = word();

	if (any() % 2)
		memcpy((char *)at + (any() % (size / 8)) * 8, &w, 8);
	else
		memcpy((char *)at + (any() % (size / 4)) * 4, &w, 4);
}

static void spoil_answer(struct pd_resp *resp)
{
	struct pd_resp old = remembered[any() % REMEMBERED];

	switch (any() % 8) {
	case 0:
		resp->result = word();
		break;
	case 1:
		resp->status = (uint32_t)(any() % 2 ? PD_ST_FAULT : word());
		break;
	case 2:
		resp->tag = any() % 2 ? resp->tag + any() % 3 - 1 : word();
		break;
	case 3:
	case 4:
		set_word(&resp->u, sizeof(resp->u));
		break;
	case 5:
		/* true once, of something else */
		old.tag = resp->tag;
		*resp = old;
		break;
	case 6:
		resp->u = old.u;
		break;
	default:
		set_word(resp, sizeof(*resp));
	}
}

static bool names_page(const struct request *r, uint64_t page)
{
	for (uint32_t i = 0; i < r->req.nvecs; i++)
		if (r->vecs[i].addr < page + PD_PAGE_SIZE && r->vecs[i].addr + r->vecs[i].len > page)
			return true;
	return false;
}

/* what @r teaches of its program's memory, or whether it shall ask for some */
static void pry(const struct request *r)
{
	unsigned int m = r->req.mm % REMEMBERED, t = r->req.tag % REMEMBERED;
	unsigned int c = r->req.u.cont.tag % REMEMBERED;

	switch (r->req.op) {
	case PD_OP_IOCTL:
		if (r->req.npages) {
			shown[m].mm = r->req.mm;
			shown[m].page = r->pages[0].addr;
		}
		break;
	case PD_OP_FLUSH:
	case PD_OP_READ:
	case PD_OP_WRITE:
	case PD_OP_LLSEEK:
	case PD_OP_FSYNC:
	case PD_OP_POLL:
		if (r->req.mm && shown[m].mm == r->req.mm && !names_page(r, shown[m].page) &&
		    hit(PRY)) {
			prying[t].tag = r->req.tag;
			prying[t].page = shown[m].page;
		}
		break;
	case PD_OP_CONTINUE:
		if (pried[c].tag != r->req.u.cont.tag)
			break;
		pried[c].tag = 0;
		if (r->req.npages || !r->req.u.cont.error)
			log_warning("the guest gave a page that an operation does not concern");
		else
			log_limited(LOG_WARNING, "the guest gave no such page");
		break;
	}
}

/* by the lock */
static void pry_answer(struct pd_resp *resp)
{
	unsigned int t = resp->tag % REMEMBERED;

	if (!resp->tag || prying[t].tag != resp->tag || resp->status != PD_ST_DONE)
		return;
	pried[t].tag = resp->tag;
	prying[t].tag = 0;
	resp->status = PD_ST_FAULT;
	memset(&resp->u, 0, sizeof(resp->u));
	resp->u.fault.addr = prying[t].page;
}

struct request *__wrap_request_take(struct worker *w, struct virtqueue *q, bool *more)
{
	struct request *r = __real_request_take(w, q, more);

	if (r)
		told_take(r);
	if (r && settings[PRY]) {
		pthread_mutex_lock(&lock);
		pry(r);
		pthread_mutex_unlock(&lock);
	}
	return r;
}

static void spoil_bytes(uint8_t *bytes, uint64_t len)
{
	for (uint64_t n = 1 + any() % 4; n; n--)
		bytes[any() % len] = (uint8_t)word();
}

/* how many events the guest has yet to take; it has given the buffers of the others anew */
static uint16_t untaken(const struct virtqueue *q)
{
	return q->used_idx - *(const volatile uint16_t *)&q->avail->idx + flood_buffers;
}

/*
 * The guest gives a buffer that it has taken again at once, under the same number: that one is filled over and over,
 * whatever the worker itself thinks of a ring that moves so fast.
 */
static void *flood(void *arg)
{
	struct worker *w = arg;
	struct virtqueue *q = &w->vq[PD_QUEUE_EVENT];

	for (;;) {
		usleep(flooded ? 1000 : 20000);
		if (!flooded) {
			events_send(w->events, PD_EV_DEVICE_ADD, 0, 0);
			continue;
		}
		pthread_mutex_lock(&q->lock);
		gmem_rdlock(w->mem);
		if (!q->started || !q->enabled || !q->desc)
			flooded = false;
		while (flooded && untaken(q) < settings[FLOOD])
			__real_vq_push(q, flooding, sizeof(struct pd_event));
		gmem_unlock(w->mem);
		pthread_mutex_unlock(&q->lock);
	}
	return NULL;
}

struct events *__wrap_events_create(struct worker *w)
{
	struct events *e = __real_events_create(w);
	pthread_t thread;

	told_events(e);
	if (e && settings[FLOOD] && pthread_create(&thread, NULL, flood, w))
		exit(2);
	return e;
}

int __wrap_vq_read(struct guest_memory *g, const struct vq_segment *seg, unsigned int nseg,
		   uint64_t offset, void *out, uint64_t len)
{
	int err = __real_vq_read(g, seg, nseg, offset, out, len);
	const struct pd_req *req = out;

	if (!err && !offset && len == sizeof(*req)) {
		pthread_mutex_lock(&lock);
		ops[req->tag % REQUESTS] = req->op;
		pthread_mutex_unlock(&lock);
	}
	return err;
}

/* by the lock: @resp, which is about to be written, as the settings say */
static void answer_falsely(struct pd_resp *resp)
{
	const uint16_t op = ops[resp->tag % REQUESTS];

	remembered[nremembered++ % REMEMBERED] = *resp;
	withheld = settings[WITHHOLD] && op == settings[WITHHOLD];
	pry_answer(resp);
	told_answer(resp, op);
	if (hit(ANSWERS))
		spoil_answer(resp);
}

int __wrap_vq_write(struct guest_memory *g, const struct vq_segment *seg, unsigned int nseg,
		    uint64_t offset, const void *in, uint64_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	int err;

	if (!copy)
		return -1;
	memcpy(copy, in, len);
	pthread_mutex_lock(&lock);
	if (!offset && len == sizeof(struct pd_resp)) {
		answer_falsely((struct pd_resp *)(void *)copy);
	} else if (!offset && len == sizeof(struct pd_event) && hit(EVENTS)) {
		set_word(copy, sizeof(struct pd_event));
	} else if (offset && len && hit(TAILS)) {
		spoil_bytes(copy, len);
	}
	pthread_mutex_unlock(&lock);
	err = __real_vq_write(g, seg, nseg, offset, copy, len);
	free(copy);
	return err;
}

void __wrap_vq_push(struct virtqueue *q, uint16_t head, uint32_t len)
{
	bool twice, withhold = withheld;

	withheld = false;
	if (!told_give(q, head, &len) || withhold)
		return;
	if (q->index == PD_QUEUE_CONTROL)
		usleep((useconds_t)settings[SLOW] * 1000);
	if (settings[FLOOD] && q->index == PD_QUEUE_EVENT && !flooded) {
		flooding = head;
		flood_buffers = q->avail->idx - q->used_idx;
		flooded = true;
	}
	pthread_mutex_lock(&lock);
	if (settings[DIE] && time(NULL) - born >= (time_t)settings[DIE])
		_exit(1);
	if (hit(LENGTHS))
		len = (uint32_t)word();
	twice = hit(TWICE);
	if (hit(RING)) {
		head = (uint16_t)word();
	} else if (!held[q->index].present && hit(LATE)) {
		held[q->index].present = true;
		held[q->index].head = head;
		held[q->index].len = len;
		pthread_mutex_unlock(&lock);
		return;
	}
	pthread_mutex_unlock(&lock);
	__real_vq_push(q, head, len);
	if (twice)
		__real_vq_push(q, head, len);
	if (held[q->index].present) {
		held[q->index].present = false;
		__real_vq_push(q, held[q->index].head, held[q->index].len);
	}
}
