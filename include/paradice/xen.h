/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Paradice on Xen: how the messages of protocol.h travel between a DomU and the domain that has the
 * devices.
 *
 * The device is one of xenbus, of type "paradice" (PD_XEN_TYPE), number 0. What the two domains write
 * into their folders of xenstore:
 *
 *	back-end, before it goes to InitWait
 *	    protocol-min, protocol-max	pd_config.version_min, version_max
 *	    request-queues		pd_config.num_request_queues
 *	    max-inflight		pd_config.max_inflight
 *	front-end, before it goes to Initialised
 *	    queues			all of them, control and event queue included: PD_QUEUE_REQUEST + 1 to
 *					PD_QUEUE_REQUEST + request-queues
 *	    queue-N/area-ref		grant of the page with queue N's struct pd_xen_area, read-only
 *	    queue-N/event-channel	rung by either side
 *
 * The back-end then maps the areas, binds the event channels and goes to Connected, and so does the
 * front-end, which sends PD_OP_HELLO. When either goes to Closing or Closed the connection is over; a
 * back-end that has come back says InitWait once more, when the front-end is Closed or Initialising,
 * and the front-end begins anew.
 *
 * A queue is a split virtqueue (Virtual I/O Device specification 1.2, section 2.7) in an area of the
 * front-end's pages, with indirect descriptors and the event index. The area holds, at the offsets that
 * pd_xen_used() and pd_xen_slots() give: descriptor table, available ring, used ring, and for each
 * descriptor of the table a slot for what the chain that begins there holds. A descriptor's address is
 * either an offset in queue N's area plus N << PD_XEN_QUEUE_SHIFT, or PD_XEN_GRANT with a grant
 * reference and an offset in the page that it grants, of which the descriptor holds no more than the
 * rest: so lists and answers travel that are too long for a slot. The back-end copies such pages, by
 * grant, and maps none of them; it uses them only while it has the chain.
 *
 * In pd_pages.frame are grant references. What they grant is writable where PD_PAGES_WRITE is set. The
 * back-end maps them until it has answered a request that drops them, or longer where a driver has
 * pinned the page: what is mapped still the front-end does not reuse.
 *
 * Device memory is not shown on this transport: there is no window region, PD_OP_WINDOW_MAP is not sent,
 * and PD_OP_MMAP is answered -ENODEV.
 */
#ifndef PARADICE_XEN_H
#define PARADICE_XEN_H

#include <paradice/protocol.h>

#define PD_XEN_TYPE "paradice"

#define PD_XEN_QUEUE_SHIFT 32
#define PD_XEN_GRANT (1ull << 63)
#define PD_XEN_GRANT_SHIFT PD_PAGE_SHIFT /* of the reference, 32 bits; below it the offset in the page */

/* descriptors of a queue, a power of two */
#define PD_XEN_MIN_NUM 8u
#define PD_XEN_MAX_NUM 512u
#define PD_XEN_SLOT 1024u /* bytes */

#define PD_XEN_AREA_MAGIC 0x41584450u /* "PDXA" */
#define PD_XEN_AREA_PAGES 1020u

/**
 * struct pd_xen_area - a queue's area, described in one page
 * @magic: PD_XEN_AREA_MAGIC
 * @num: descriptors of the queue
 * @pages: of the area: what pd_xen_area_pages() says for @num
 * @pad: 0
 * @refs: grants of them, writable, in order
 */
struct pd_xen_area {
	__le32 magic;
	__le32 num;
	__le32 pages;
	__le32 pad;
	__le32 refs[PD_XEN_AREA_PAGES];
};

/* where the available ring begins */
static inline __u32 pd_xen_avail(__u32 num)
{
	return num * 16;
}

/* where the used ring begins */
static inline __u32 pd_xen_used(__u32 num)
{
	return (num * 16 + 6 + num * 2 + PD_PAGE_SIZE - 1) & ~(PD_PAGE_SIZE - 1);
}

/* where the slots begin */
static inline __u32 pd_xen_slots(__u32 num)
{
	return (pd_xen_used(num) + 6 + num * 8 + PD_PAGE_SIZE - 1) & ~(PD_PAGE_SIZE - 1);
}

static inline __u32 pd_xen_area_pages(__u32 num)
{
	return (pd_xen_slots(num) + num * PD_XEN_SLOT) / PD_PAGE_SIZE;
}

#ifndef __cplusplus
static_assert(sizeof(struct pd_xen_area) == PD_PAGE_SIZE, "pd_xen_area");
#endif

#endif
