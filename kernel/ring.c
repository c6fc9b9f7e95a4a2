// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver side of a split virtqueue in an area that another domain can write at any time.
 * Nothing that lies there is read twice, and nothing is needed that could not be made anew: which
 * descriptors are in use, what for, and how much may be written to them is known out of its reach.
 */
#include <linux/slab.h>
#include <linux/virtio_byteorder.h>
#include <uapi/linux/virtio_ring.h>

#include "ring.h"
#include "weak.h"

static_assert(sizeof(struct vring_desc) == 16);
static_assert(PD_RING_MORE < PD_XEN_SLOT);
/* the longest that a request can have; see pd_mm_queue() */
static_assert(PD_RING_PAGES * PD_PAGE_SIZE >= 32768);

/**
 * struct pd_ring_entry - a descriptor of the table
 * @data: of the message in it; NULL: it is free
 * @writable: bytes that the other side may write to it
 * @next: the next free one
 */
struct pd_ring_entry {
	void *data;
	u32 writable;
	u32 next;
};

static u16 pd_le16(__virtio16 v)
{
	return __virtio16_to_cpu(true, v);
}

static __virtio16 pd_to_le16(u16 v)
{
	return __cpu_to_virtio16(true, v);
}

static void pd_ring_desc(struct vring_desc *d, u64 addr, u32 len, u16 flags, u16 next)
{
	d->addr = __cpu_to_virtio64(true, addr);
	d->len = __cpu_to_virtio32(true, len);
	d->flags = pd_to_le16(flags);
	d->next = pd_to_le16(next);
}

static u8 *pd_ring_slot(const struct pd_ring *ring, u32 id)
{
	return ring->slots + (size_t)id * PD_XEN_SLOT;
}

static u64 pd_ring_slot_addr(const struct pd_ring *ring, u32 id)
{
	return ring->base + pd_xen_slots(ring->num) + (u64)id * PD_XEN_SLOT;
}

/**
 * pd_ring_init() - begins a queue
 * @ring: zeroed
 * @area: pd_xen_area_pages(@num) pages, zeroed
 * @num: descriptors, a power of two
 * @queue: which of its connection's
 *
 * Return: 0 or -ENOMEM.
 */
int pd_ring_init(struct pd_ring *ring, void *area, u32 num, unsigned int queue)
{
	u32 i;

	ring->entries = kvcalloc(num, sizeof(*ring->entries), GFP_KERNEL);
	if (!ring->entries)
		return -ENOMEM;
	for (i = 0; i < num; i++)
		ring->entries[i].next = i + 1;
	ring->num = num;
	ring->num_free = num;
	ring->base = (u64)queue << PD_XEN_QUEUE_SHIFT;
	ring->desc = area;
	ring->avail = area + pd_xen_avail(num);
	ring->used = area + pd_xen_used(num);
	ring->slots = area + pd_xen_slots(num);
	return 0;
}

void pd_ring_exit(struct pd_ring *ring)
{
	kvfree(ring->entries);
	ring->entries = NULL;
}

/* makes the free descriptor @id, whose table entry is written, available */
static void pd_ring_add(struct pd_ring *ring, u32 id, u32 writable, void *data)
{
	struct pd_ring_entry *e = &ring->entries[id];

	e->data = data;
	e->writable = writable;
	ring->free = e->next;
	ring->num_free--;
	ring->avail->ring[ring->avail_idx & (ring->num - 1)] = pd_to_le16(id);
	ring->avail_idx++;
	/* what is available is there before it is said to be */
	virt_store_release(&ring->avail->idx, pd_to_le16(ring->avail_idx));
}

/* descriptors of a message's long part, which is in pages of its own; their number */
static u32 pd_ring_pages(struct vring_desc *d, u32 n, const u32 *refs, u32 len, u16 flags)
{
	u32 i;

	for (i = 0; len; i++) {
		u32 part = min(len, PD_PAGE_SIZE);

		pd_ring_desc(&d[n + i], PD_XEN_GRANT | (u64)refs[i] << PD_XEN_GRANT_SHIFT, part,
			     flags, n + i + 1);
		len -= part;
	}
	return i;
}

/**
 * pd_ring_add_message() - makes a message available
 * @ring: queue
 * @m: message, copied
 * @data: given back with the answer, not NULL
 *
 * Return: 0, -ENOSPC when there is no descriptor, -EIO when the queue is broken, or -E2BIG.
 */
int pd_ring_add_message(struct pd_ring *ring, const struct pd_ring_message *m, void *data)
{
	u32 id = ring->free, n = 0, more = m->lists_len ?: m->tail_len;
	u16 flags = m->lists_len ? VRING_DESC_F_NEXT : VRING_DESC_F_NEXT | VRING_DESC_F_WRITE;
	struct vring_desc *table, *last;
	u64 addr;
	u8 *slot;

	if (ring->broken)
		return -EIO;
	if (id == ring->num)
		return -ENOSPC;
	if ((m->lists_len && m->tail_len) || more > PD_RING_PAGES * PD_PAGE_SIZE ||
	    (more > PD_RING_INLINE && !m->refs))
		return -E2BIG;

	slot = pd_ring_slot(ring, id);
	addr = pd_ring_slot_addr(ring, id);
	table = (struct vring_desc *)slot;

	memcpy(slot + PD_RING_HEAD, m->req, sizeof(*m->req));
	pd_ring_desc(&table[n], addr + PD_RING_HEAD, sizeof(*m->req), VRING_DESC_F_NEXT, n + 1);
	n++;
	if (!m->lists_len) {
		pd_ring_desc(&table[n], addr + PD_RING_ANSWER, sizeof(struct pd_resp), flags,
			     n + 1);
		n++;
	}
	if (more > PD_RING_INLINE) {
		n += pd_ring_pages(table, n, m->refs, more, flags);
	} else if (more) {
		memcpy(slot + PD_RING_MORE, m->lists, m->lists_len);
		pd_ring_desc(&table[n], addr + PD_RING_MORE, more, flags, n + 1);
		n++;
	}
	if (m->lists_len) {
		pd_ring_desc(&table[n], addr + PD_RING_ANSWER, sizeof(struct pd_resp),
			     VRING_DESC_F_WRITE, 0);
		n++;
	}
	last = &table[n - 1];
	last->flags = pd_to_le16(VRING_DESC_F_WRITE);
	last->next = 0;

	pd_ring_desc(&ring->desc[id], addr, n * sizeof(*table), VRING_DESC_F_INDIRECT, 0);
	pd_ring_add(ring, id, sizeof(struct pd_resp) + m->tail_len, data);
	return 0;
}

/**
 * pd_ring_add_buffer() - makes a slot available for the other side to write to
 * @ring: queue
 * @size: bytes of it
 *
 * Return: 0, -ENOSPC or -EIO.
 */
int pd_ring_add_buffer(struct pd_ring *ring, u32 size)
{
	u32 id = ring->free;

	if (ring->broken)
		return -EIO;
	if (id == ring->num)
		return -ENOSPC;
	pd_ring_desc(&ring->desc[id], pd_ring_slot_addr(ring, id), size, VRING_DESC_F_WRITE, 0);
	pd_ring_add(ring, id, size, ring);
	return 0;
}

/* must the other side be told of what was made available? It is supposed to be told then */
bool pd_ring_kick(struct pd_ring *ring)
{
	struct vring_used *used = ring->used;
	u16 new = ring->avail_idx, old = ring->kicked;
	__virtio16 *event = (__virtio16 *)&used->ring[ring->num];

	if (ring->broken || new == old)
		return false;
	/* it is seen to be available before the other side says from when on it listens */
	virt_mb();
	ring->kicked = new;
	return vring_need_event(pd_le16(READ_ONCE(*event)), new, old);
}

static void *pd_ring_break(struct pd_ring *ring)
{
	ring->broken = true;
	return NULL;
}

/* the descriptor is free again; what was in it */
static void *pd_ring_release(struct pd_ring *ring, u32 id)
{
	struct pd_ring_entry *e = &ring->entries[id];
	void *data = e->data;

	e->data = NULL;
	e->next = ring->free;
	ring->free = id;
	ring->num_free++;
	return data;
}

/**
 * pd_ring_take() - takes an answer
 * @ring: queue
 * @slot: where it is; to be copied, once, before anything is made available again
 * @len: bytes that were written, as the other side says, but no more than it was allowed
 *
 * Return: what was given for it, or NULL when there is none, or the queue is broken.
 */
void *pd_ring_take(struct pd_ring *ring, const void **slot, u32 *len)
{
	const struct vring_used_elem *e;
	u16 new;
	u32 id;

	if (ring->broken)
		return NULL;
	/* what was answered is there when it is said to be */
	new = pd_le16(virt_load_acquire(&ring->used->idx)) - ring->used_idx;
	if (!new)
		return NULL;
	if (new > ring->num - ring->num_free)
		return pd_ring_break(ring);
	e = &ring->used->ring[ring->used_idx & (ring->num - 1)];
	id = __virtio32_to_cpu(true, READ_ONCE(e->id));
	*len = __virtio32_to_cpu(true, READ_ONCE(e->len));
	if ((id >= ring->num || !ring->entries[id].data || *len > ring->entries[id].writable) &&
	    !PD_WEAK(RING))
		return pd_ring_break(ring);
	ring->used_idx++;
	*slot = pd_ring_slot(ring, id);
	return pd_ring_release(ring, id);
}

/* takes back what was never answered, one by one; the connection is over */
void *pd_ring_detach(struct pd_ring *ring)
{
	u32 id;

	for (id = 0; id < ring->num; id++)
		if (ring->entries[id].data)
			return pd_ring_release(ring, id);
	return NULL;
}

/* no events for answers, until pd_ring_listen(): one after as many as the index can count */
void pd_ring_quiet(struct pd_ring *ring)
{
	WRITE_ONCE(ring->avail->ring[ring->num], pd_to_le16(ring->used_idx - 1));
}

/* events from the next answer on; true when one has come meanwhile: it is to be taken */
bool pd_ring_listen(struct pd_ring *ring)
{
	/* the other side sees it before we look for the last time */
	virt_store_mb(ring->avail->ring[ring->num], pd_to_le16(ring->used_idx));
	return !ring->broken && pd_le16(READ_ONCE(ring->used->idx)) != ring->used_idx;
}
