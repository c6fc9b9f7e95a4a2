// SPDX-License-Identifier: Apache-2.0
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>

#include "clock.h"
#include "files.h"
#include "log.h"
#include "maps.h"
#include "mms.h"
#include "window.h"

#define PFNMAP_MAJOR 6
#define PFNMAP_MINOR 13

/* Can this kernel's KVM show pages without references of their own to a guest? */
static bool kvm_shows_pfnmap(void)
{
	unsigned int major = 0;
	unsigned int minor = 0;
	struct utsname u;

	if (uname(&u) || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > PFNMAP_MAJOR || (major == PFNMAP_MAJOR && minor >= PFNMAP_MINOR);
}

/* A driver that says "busy" may mean a window that the VMM has not let go of yet. */
static int64_t map_in_mirror(struct request *r, uint32_t prot)
{
	const struct pd_req_mmap *q = &r->req.u.mmap;
	struct timespec t = { .tv_nsec = 5000000 };
	int64_t err;

	for (;;) {
		err = mirror_map(&r->mop, &r->file->mf, q->addr, q->len, prot,
				 q->flags & PD_MAP_PRIVATE, q->offset);
		if (err != -EBUSY || !windows_lingering(r->w->windows) || r->abandoned)
			return err;
		nanosleep(&t, NULL);
	}
}

/*
 * The driver let the program map it for reading only, for good. The VMM maps for writing always:
 * would the driver let it?
 */
static int judge_readonly(struct request *r)
{
	const struct pd_req_mmap *q = &r->req.u.mmap;
	int64_t err = map_in_mirror(r, PROT_READ | PROT_WRITE);

	if (err) {
		log_limited(
			LOG_WARNING,
			"mmap refused (ENODEV): the driver lets this memory be mapped for reading only, and the VMM maps device memory for writing, always");
		return -ENODEV;
	}
	return (int)map_in_mirror(r, q->prot);
}

/* May what the driver mapped be shown to the guest? */
static int judge(struct request *r)
{
	const struct pd_req_mmap *q = &r->req.u.mmap;
	struct utsname u;
	int kind;

	if (r->file->access == O_RDONLY) {
		log_limited(
			LOG_WARNING,
			"mmap refused (ENODEV): a file opened for reading only cannot be mapped into a VM; open it for reading and writing");
		return -ENODEV;
	}
	kind = mirror_map_kind(&r->mop, q->addr, q->len);
	if (kind < 0)
		return kind;
	if (kind & MIRROR_MAP_SIGBUS) {
		log_limited(
			LOG_WARNING,
			"mmap refused (ENODEV): the driver gives SIGBUS for part of the %llu bytes, which would end the VM",
			(unsigned long long)q->len);
		return -ENODEV;
	}
	if ((kind & MIRROR_MAP_PFN) && !r->w->s.allow_pfnmap && !kvm_shows_pfnmap()) {
		uname(&u);
		log_limited(
			LOG_WARNING,
			"mmap refused (ENODEV): this device memory has no page references (VM_PFNMAP), and KVM of Linux %s would end the VM when it is touched; Linux %d.%d or newer on the host shows it (--allow-pfnmap for VMs without KVM)",
			u.release, PFNMAP_MAJOR, PFNMAP_MINOR);
		return -ENODEV;
	}
	return 0;
}

static bool range_ok(uint64_t addr, uint64_t len, uint64_t offset)
{
	return len && !((addr | len | offset) & (PD_PAGE_SIZE - 1)) && addr + len > addr &&
	       offset + len > offset;
}

void op_mmap(struct request *r)
{
	const struct pd_req_mmap *q = &r->req.u.mmap;
	bool readonly;
	struct map *m;
	int64_t err;

	if (!range_ok(q->addr, q->len, q->offset) || q->flags & ~PD_MAP_PRIVATE) {
		request_done(r, -EINVAL);
		return;
	}
	if (!windows_possible(r->w->windows)) {
		request_done(r, -ENODEV);
		return;
	}
	err = map_in_mirror(r, q->prot);
	if (err) {
		request_done(r, err);
		return;
	}
	err = judge(r);
	readonly = !err && map_is_readonly(mirror_pid(r->mm->mirror), q->addr);
	if (readonly && !(q->prot & PROT_WRITE))
		err = judge_readonly(r);
	if (!err)
		err = map_create(r->s, r->file, r->req.mm, q, &m);
	if (err) {
		mirror_unmap(r->mm->mirror, q->addr, q->len);
		request_done(r, err);
		return;
	}
	atomic_fetch_add(&r->w->counts.maps, 1);
	r->resp.u.map.map = m->id;
	r->resp.u.map.caching = r->file->caching;
	if (readonly)
		r->resp.u.map.flags = PD_MAPRESP_READONLY;
	map_put(m);
	request_done(r, 0);
}

void op_munmap(struct request *r)
{
	const struct pd_req_mmap *q = &r->req.u.mmap;

	r->map = map_find(r->s, q->map);
	if (!r->map || !range_ok(q->addr, q->len, 0)) {
		request_done(r, -EINVAL);
		return;
	}
	map_moved(r->map);
	request_done(r, mirror_unmap(r->mm->mirror, q->addr, q->len));
}

void op_mremap(struct request *r)
{
	const struct pd_req_mremap *q = &r->req.u.mremap;
	int64_t err;

	r->map = map_find(r->s, q->map);
	if (!r->map || !range_ok(q->old_addr, q->old_len, 0) ||
	    !range_ok(q->new_addr, q->new_len, q->offset) || q->offset > r->map->len ||
	    q->new_len > r->map->len - q->offset) {
		request_done(r, -EINVAL);
		return;
	}
	map_moved(r->map);
	/* first the old one: a driver may allow one mapping only */
	err = mirror_unmap(r->mm->mirror, q->old_addr, q->old_len);
	if (!err)
		err = mirror_map(&r->mop, &r->map->file->mf, q->new_addr, q->new_len, r->map->prot,
				 r->map->private, r->map->offset + q->offset);
	request_done(r, err);
}

void op_map_release(struct request *r)
{
	uint64_t id = r->req.u.window.map;
	struct map *m;

	if (windows_has(r->w->windows, id)) {
		log_limited(LOG_WARNING, "map_release refused: the mapping has windows");
		request_done(r, -EBUSY);
		return;
	}
	m = map_take(r->s, id);
	if (!m) {
		request_done(r, -EINVAL);
		return;
	}
	map_put(m);
	request_done(r, 0);
}

void op_window_map(struct request *r)
{
	r->map = map_find(r->s, r->req.u.window.map);
	request_done(r, r->map ? windows_map(r->w->windows, r->map, &r->req.u.window) : -EINVAL);
}

void op_window_unmap(struct request *r)
{
	int err = windows_unmap(r->w->windows, &r->req.u.window);

	r->map = map_find(r->s, r->req.u.window.map);
	if (!err && r->map)
		r->map->file->window_ended = now_ms();
	if (!err && r->map && r->map->aside && !windows_has(r->w->windows, r->map->id))
		map_step_back(r->map);
	request_done(r, err);
}
