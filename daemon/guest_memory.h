/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's memory as its VMM shares it: where a guest-physical address lies for us.
 *
 * Locking: pointers that gmem_gpa() and gmem_uva() return hold while the read lock is held.
 */
#ifndef PARADICE_GUEST_MEMORY_H
#define PARADICE_GUEST_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "mirror.h"
#include "vhost_proto.h"

struct guest_memory;

struct guest_memory *gmem_create(void);
void gmem_destroy(struct guest_memory *g);

/**
 * gmem_set_table() - takes over a new memory table
 * @fds: one per region; taken over, also on error
 *
 * Regions that stay keep their id and their place. Regions that are not guest RAM (the VMM also
 * lists the device memory that it shows for us) are left out.
 *
 * Return: 0, or a negative errno with the reason logged; the old table stays then.
 */
int gmem_set_table(struct guest_memory *g, const struct vhost_memory *table, const int *fds,
		   unsigned int nfds);

/* True when there is RAM. */
bool gmem_present(struct guest_memory *g);

void gmem_rdlock(struct guest_memory *g);
void gmem_unlock(struct guest_memory *g);

/* Where guest-physical @gpa lies and how many bytes follow it there; NULL when it is not RAM. */
void *gmem_gpa(struct guest_memory *g, uint64_t gpa, uint64_t *avail);
/* Where the VMM's address @uva lies, when @len bytes of RAM are there; else NULL. */
void *gmem_uva(struct guest_memory *g, uint64_t uva, uint64_t len);

/* For mirrors: see struct mirror_env. */
int gmem_frames(struct guest_memory *g, uint64_t frame, uint32_t count, struct guest_extent *out);
void gmem_frames_mapped(struct guest_memory *g, const struct guest_extent *e, unsigned int n);

/*
 * From now on the guest is a domain of Xen's: frames are references of grants by @domid, and regions
 * are pages that it granted, mapped through @fd (/dev/xen/gntdev, taken over).
 */
void gmem_set_grants(struct guest_memory *g, int fd, uint32_t domid);
bool gmem_has_grants(const struct guest_memory *g);

/* True when @len bytes at @addr are named by a grant (xen.h), for gmem_grant_copy(). */
bool gmem_is_grant(const struct guest_memory *g, uint64_t addr, uint64_t len);
/* Copies such bytes; 0 or -EFAULT. */
int gmem_grant_copy(struct guest_memory *g, uint64_t addr, void *buf, uint64_t len, bool to_guest);

/* Counts bytes that were copied from or to the guest's memory; any thread. */
void gmem_count_copied(struct guest_memory *g, uint64_t len);
/* How many, since gmem_create(). */
uint64_t gmem_copied(const struct guest_memory *g);

#endif
