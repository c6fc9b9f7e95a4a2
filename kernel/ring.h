/* SPDX-License-Identifier: GPL-2.0-only */
/* Queues in an area of pages that another domain writes, too; paradice/xen.h says what is where. */
#ifndef PARADICE_RING_H
#define PARADICE_RING_H

#include <linux/types.h>

#include <paradice/xen.h>

struct pd_ring_entry;
struct vring_avail;
struct vring_desc;
struct vring_used;

/* where a message's parts are in its slot: indirect table, head, answer, short lists or tail */
#define PD_RING_DESCS 12u
#define PD_RING_HEAD (PD_RING_DESCS * 16u)
#define PD_RING_ANSWER (PD_RING_HEAD + (u32)sizeof(struct pd_req))
#define PD_RING_MORE (PD_RING_ANSWER + (u32)sizeof(struct pd_resp))
#define PD_RING_INLINE (PD_XEN_SLOT - PD_RING_MORE)
/* what does not fit is in pages of its own, one descriptor each */
#define PD_RING_PAGES (PD_RING_DESCS - 2)

/**
 * struct pd_ring - a queue's driver side. Its owner serialises all calls
 * @num: descriptors
 * @base: a descriptor's address of the area's begin
 * @desc: descriptor table, in the area
 * @avail: available ring, in the area
 * @used: used ring, in the area; what is there is not believed
 * @slots: in the area
 * @entries: what we know of each descriptor, out of the other side's reach
 * @free: the first free one, @num when there is none
 * @num_free: how many are free
 * @avail_idx: messages made available
 * @kicked: those of which the other side was told, or need not be
 * @used_idx: answers taken
 * @broken: the other side broke it: nothing more is taken out of it or put into it
 */
struct pd_ring {
	u32 num;
	u64 base;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	u8 *slots;
	struct pd_ring_entry *entries;
	u32 free;
	u32 num_free;
	u16 avail_idx;
	u16 kicked;
	u16 used_idx;
	bool broken;
};

/**
 * struct pd_ring_message - what goes into a slot
 * @req: the head
 * @lists: its lists; longer than PD_RING_INLINE, they are in the pages of @refs already
 * @lists_len: bytes of them
 * @tail_len: bytes that may be written behind the answer, in @refs where they are more than
 *	PD_RING_INLINE; 0 where there are lists
 * @refs: grant references of pages for what is long, as many as it takes
 */
struct pd_ring_message {
	const struct pd_req *req;
	const void *lists;
	u32 lists_len;
	u32 tail_len;
	const u32 *refs;
};

int pd_ring_init(struct pd_ring *ring, void *area, u32 num, unsigned int queue);
void pd_ring_exit(struct pd_ring *ring);
int pd_ring_add_message(struct pd_ring *ring, const struct pd_ring_message *m, void *data);
int pd_ring_add_buffer(struct pd_ring *ring, u32 size);
bool pd_ring_kick(struct pd_ring *ring);
void *pd_ring_take(struct pd_ring *ring, const void **slot, u32 *len);
void *pd_ring_detach(struct pd_ring *ring);
void pd_ring_quiet(struct pd_ring *ring);
bool pd_ring_listen(struct pd_ring *ring);

#endif
