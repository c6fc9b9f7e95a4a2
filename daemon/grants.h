/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages that a domain of Xen's has granted to ours, through /dev/xen/gntdev. Not by libxengnttab: its
 * handle is for one process, and what the worker names here a mirror maps.
 */
#ifndef PARADICE_GRANTS_H
#define PARADICE_GRANTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "mirror.h"

/**
 * struct grants - those of one domain
 * @fd: /dev/xen/gntdev, -1 where the guest is none of Xen's
 * @domid: the domain
 * @region: what guest_extent.region says of them
 */
struct grants {
	int fd;
	uint32_t domid;
	uint32_t region;
};

/* True when @st is of the file that these are mapped through. */
bool grants_are_file(const struct grants *g, const struct stat *st);

/**
 * grants_map() - makes ready what @ref grants, to be mapped once, at @out, by whoever has the file
 *
 * Whether there is such a grant shows when it is mapped.
 *
 * Return: 1 (page), or -EFAULT.
 */
int grants_map(const struct grants *g, uint64_t ref, struct guest_extent *out);
/* It has been mapped, or will not be; what is mapped stays until that is unmapped. */
void grants_mapped(const struct grants *g, const struct guest_extent *e);

/* True when @len bytes at @addr lie in one page that a grant names: PD_XEN_GRANT of xen.h. */
bool grants_name(uint64_t addr, uint64_t len);
/* Has the hypervisor copy such bytes; 0 or -EFAULT. */
int grants_copy(const struct grants *g, uint64_t addr, void *buf, uint64_t len, bool to_guest);

#endif
