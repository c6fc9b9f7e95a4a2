/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues, device side. Nothing that the guest wrote is believed: indices, lengths,
 * addresses, loops. What breaks the ring's rules stops the queue.
 *
 * Locking: the caller holds @lock, and for what touches guest memory also the guest memory's read
 * lock, in this order.
 */
#ifndef PARADICE_VIRTQUEUE_H
#define PARADICE_VIRTQUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest_memory.h"
#include "vm_state.h"

#define VQ_MAX_SIZE STATE_HEADS
/* segments of one chain */
#define VQ_MAX_SEGMENTS 1024

struct vring_desc;
struct vring_avail;
struct vring_used;

/**
 * struct virtqueue - one of them
 * @index: its number
 * @num: its size
 * @uva: addresses of its parts as the VMM named them
 * @desc: its parts, NULL while not resolved
 * @last_avail: the next entry to take
 * @used_idx: the next entry to fill
 * @signalled: where @used_idx stood when the guest was last looked at for an interrupt
 * @generation: changes when the ring starts anew, without what was under way
 * @enabled: by the VMM
 * @started: the kick descriptor has come and the base has not been asked for since
 * @broken: the guest broke the rules; nothing is taken any more
 * @state: what a worker to come must know
 */
struct virtqueue {
	pthread_mutex_t lock;
	unsigned int index;
	uint32_t num;
	struct {
		uint64_t desc;
		uint64_t avail;
		uint64_t used;
	} uva;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t last_avail;
	uint16_t used_idx;
	uint16_t signalled;
	uint32_t generation;
	bool event_idx;
	bool enabled;
	bool started;
	bool broken;
	int kick;
	int call;
	struct queue_state *state;
};

/**
 * struct vq_segment - a piece of guest memory
 */
struct vq_segment {
	uint64_t gpa;
	uint32_t len;
};

/**
 * struct vq_chain - a descriptor chain taken from a queue
 * @head: names it
 * @nread: segments that the device reads, the first ones of @seg
 * @nwrite: segments that it writes, those behind
 * @read_len: their bytes
 * @write_len: their bytes
 */
struct vq_chain {
	uint16_t head;
	unsigned int nread;
	unsigned int nwrite;
	uint64_t read_len;
	uint64_t write_len;
	struct vq_segment seg[VQ_MAX_SEGMENTS];
};

void vq_init(struct virtqueue *q, unsigned int index);
/* Where the VM's state has the queue's; before it is used. */
void vq_attach(struct virtqueue *q, struct queue_state *state);

/*
 * After the death of a worker: takes over the indices where it left them. The ring's parts have
 * been found.
 */
void vq_recover(struct virtqueue *q);
/* A chain that was taken then and not given back, into @c: 1, or 0 when there are no more. */
int vq_recover_next(struct virtqueue *q, struct guest_memory *g, struct vq_chain *c);

/* Finds the ring's parts in guest memory. Returns 0 or -EFAULT. */
int vq_resolve(struct virtqueue *q, struct guest_memory *g);

/* True when chains may be taken and given back. */
bool vq_running(const struct virtqueue *q);

/**
 * vq_pop() - takes a chain
 * Return: 1, 0 when there is none, or -EPROTO when the ring is broken, which stops it (logged).
 */
int vq_pop(struct virtqueue *q, struct guest_memory *g, struct vq_chain *c);

/* True when a chain waits. */
bool vq_more(struct virtqueue *q);

/*
 * Asks for a kick for the next chain. Returns true when one came meanwhile, for which no kick may
 * come.
 */
bool vq_want_kick(struct virtqueue *q);

/*
 * Asks for no kick for the next chains, when the guest heeds that; somebody looks for them. False.
 */
bool vq_no_kick(struct virtqueue *q);

/* Gives chain @head back with @len bytes written, and interrupts the guest if it wants that. */
void vq_push(struct virtqueue *q, uint16_t head, uint32_t len);

/* True when the guest seems never to have touched the ring. */
bool vq_untouched(const struct virtqueue *q);

/**
 * vq_read() - copies from the chain's readable segments
 * @offset: where to begin
 * Return: 0, or -EFAULT when the guest's memory does not have them.
 */
int vq_read(struct guest_memory *g, const struct vq_segment *seg, unsigned int nseg,
	    uint64_t offset, void *out, uint64_t len);
/* copies to writable segments, from @offset on */
int vq_write(struct guest_memory *g, const struct vq_segment *seg, unsigned int nseg,
	     uint64_t offset, const void *in, uint64_t len);

#endif
