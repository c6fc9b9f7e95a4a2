// SPDX-License-Identifier: Apache-2.0
#include "grants.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include <paradice/xen.h>

#include "gntdev.h"
#include "log.h"

/* Xen's GNTCOPY_source_gref and GNTCOPY_dest_gref */
#define COPY_FROM_GRANT 1
#define COPY_TO_GRANT 2

bool grants_are_file(const struct grants *g, const struct stat *st)
{
	struct stat own;

	return g->fd >= 0 && S_ISCHR(st->st_mode) && !fstat(g->fd, &own) &&
	       own.st_rdev == st->st_rdev;
}

int grants_map(const struct grants *g, uint64_t ref, struct guest_extent *out)
{
	struct ioctl_gntdev_map_grant_ref map = {
		.count = 1,
		.refs = { { .domid = g->domid, .ref = (uint32_t)ref } },
	};

	if (ref >> 32)
		return -EFAULT;
	if (ioctl(g->fd, IOCTL_GNTDEV_MAP_GRANT_REF, &map)) {
		log_limited(LOG_ERROR, "no page of the guest can be mapped: /dev/xen/gntdev: %m");
		return -EFAULT;
	}
	out->region = g->region;
	out->fd = g->fd;
	out->offset = map.index;
	return 1;
}

void grants_mapped(const struct grants *g, const struct guest_extent *e)
{
	struct ioctl_gntdev_unmap_grant_ref unmap = { .index = e->offset, .count = 1 };

	ioctl(g->fd, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap);
}

bool grants_name(uint64_t addr, uint64_t len)
{
	uint64_t ref = (addr & ~PD_XEN_GRANT) >> PD_XEN_GRANT_SHIFT;

	return addr & PD_XEN_GRANT && ref <= UINT32_MAX && len &&
	       len <= PD_PAGE_SIZE - addr % PD_PAGE_SIZE;
}

int grants_copy(const struct grants *g, uint64_t addr, void *buf, uint64_t len, bool to_guest)
{
	struct gntdev_grant_copy_segment seg = {
		.len = (uint16_t)len,
		.flags = to_guest ? COPY_TO_GRANT : COPY_FROM_GRANT,
	};
	struct ioctl_gntdev_grant_copy copy = { .count = 1, .segments = &seg };
	struct {
		grant_ref_t ref;
		uint16_t offset;
		domid_t domid;
	} foreign = {
		.ref = (uint32_t)((addr & ~PD_XEN_GRANT) >> PD_XEN_GRANT_SHIFT),
		.offset = (uint16_t)(addr % PD_PAGE_SIZE),
		.domid = (domid_t)g->domid,
	};

	if (!grants_name(addr, len))
		return -EFAULT;
	if (to_guest) {
		seg.source.virt = buf;
		seg.dest.foreign.ref = foreign.ref;
		seg.dest.foreign.offset = foreign.offset;
		seg.dest.foreign.domid = foreign.domid;
	} else {
		seg.source.foreign.ref = foreign.ref;
		seg.source.foreign.offset = foreign.offset;
		seg.source.foreign.domid = foreign.domid;
		seg.dest.virt = buf;
	}
	if (ioctl(g->fd, IOCTL_GNTDEV_GRANT_COPY, &copy) || seg.status) {
		log_limited(LOG_WARNING, "the guest's grant %u cannot be copied (status %d)",
			    foreign.ref, seg.status);
		return -EFAULT;
	}
	return 0;
}
