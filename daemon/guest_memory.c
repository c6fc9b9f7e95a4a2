// SPDX-License-Identifier: Apache-2.0
#include "guest_memory.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "grants.h"
#include "log.h"
#include "weak.h"

/* Regions that went away; mirrors may still map them, so their files stay open. */
#define MAX_GONE 64

struct region {
	struct vhost_region r;
	dev_t dev;
	ino_t ino;
	int fd;
	uint32_t id;
	char *base;
};

struct guest_memory {
	pthread_rwlock_t lock;
	struct region regions[VHOST_MAX_REGIONS];
	unsigned int nregions;
	uint32_t next_id;
	int gone[MAX_GONE];
	unsigned int ngone;
	struct grants grants;
	_Atomic uint64_t copied;
};

struct guest_memory *gmem_create(void)
{
	struct guest_memory *g = calloc(1, sizeof(*g));

	if (g) {
		pthread_rwlock_init(&g->lock, NULL);
		g->grants.fd = -1;
	}
	return g;
}

static void unmap_region(struct region *r)
{
	if (r->base)
		munmap(r->base, r->r.size);
	if (r->fd >= 0)
		close(r->fd);
}

void gmem_destroy(struct guest_memory *g)
{
	if (!g)
		return;
	for (unsigned int i = 0; i < g->nregions; i++)
		unmap_region(&g->regions[i]);
	for (unsigned int i = 0; i < g->ngone; i++)
		close(g->gone[i]);
	if (g->grants.fd >= 0)
		close(g->grants.fd);
	pthread_rwlock_destroy(&g->lock);
	free(g);
}

/* 1: RAM; 0: something else, to be left out; negative: refused */
static int judge(const struct guest_memory *g, const struct vhost_region *r, int fd,
		 struct stat *st)
{
	struct statfs fs;

	if (fstat(fd, st) || fstatfs(fd, &fs))
		return -errno;
	if (grants_are_file(&g->grants, st))
		return 1;
	if (!S_ISREG(st->st_mode))
		return 0;
	if (fs.f_type == HUGETLBFS_MAGIC) {
		log_limited(
			LOG_ERROR,
			"the guest's memory is on hugetlbfs, which cannot be shared by single pages: start the VM with -object memory-backend-memfd,share=on,hugetlb=off (transparent huge pages serve as well)");
		return -EINVAL;
	}
	if (fs.f_type != TMPFS_MAGIC)
		log_limited(
			LOG_WARNING,
			"the guest's memory is a file that is not on tmpfs: drivers may be unable to pin it; use -object memory-backend-memfd,share=on");
	if (!r->size || (r->size | r->gpa | r->mmap_offset) & (PD_PAGE_SIZE - 1) ||
	    r->gpa + r->size < r->gpa || r->uva + r->size < r->uva ||
	    r->mmap_offset + r->size < r->size ||
	    (uint64_t)st->st_size < r->mmap_offset + r->size) {
		log_limited(
			LOG_ERROR,
			"the VMM describes memory that its file does not have (0x%llx bytes at guest address 0x%llx)",
			(unsigned long long)r->size, (unsigned long long)r->gpa);
		return -EINVAL;
	}
	return 1;
}

static struct region *find_same(struct guest_memory *g, const struct vhost_region *r,
				const struct stat *st)
{
	for (unsigned int i = 0; i < g->nregions; i++) {
		struct region *old = &g->regions[i];

		if (old->fd >= 0 && !memcmp(&old->r, r, sizeof(*r)) && old->dev == st->st_dev &&
		    old->ino == st->st_ino)
			return old;
	}
	return NULL;
}

static int map_region(struct guest_memory *g, struct region *n, const struct vhost_region *r,
		      int fd, const struct stat *st)
{
	void *base = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
			  (off_t)r->mmap_offset);

	if (base == MAP_FAILED) {
		log_limited(LOG_ERROR, "cannot map the guest's memory: %m");
		return -errno;
	}
	*n = (struct region){
		.r = *r,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.fd = fd,
		.id = ++g->next_id,
		.base = base,
	};
	log_debug("guest memory: 0x%llx bytes at 0x%llx (region %u)", (unsigned long long)r->size,
		  (unsigned long long)r->gpa, n->id);
	return 0;
}

int gmem_set_table(struct guest_memory *g, const struct vhost_memory *table, const int *fds,
		   unsigned int nfds)
{
	struct region next[VHOST_MAX_REGIONS];
	bool kept[VHOST_MAX_REGIONS] = { false };
	unsigned int n = 0;
	unsigned int used = 0;
	int err = 0;

	if (table->nregions > VHOST_MAX_REGIONS || table->nregions != nfds)
		err = -EINVAL;
	for (; !err && used < nfds; used++) {
		const struct vhost_region *r = &table->regions[used];
		struct region *old;
		struct stat st;
		int rc = judge(g, r, fds[used], &st);

		if (rc < 0) {
			err = rc;
			break;
		}
		if (rc == 0) {
			close(fds[used]);
			continue;
		}
		old = find_same(g, r, &st);
		if (old) {
			if (kept[old - g->regions]) {
				log_limited(LOG_ERROR, "the VMM names the same memory twice");
				err = -EINVAL;
				break;
			}
			/* the map moves over; what is left behind is not unmapped */
			kept[old - g->regions] = true;
			next[n++] = *old;
			close(fds[used]);
			continue;
		}
		err = map_region(g, &next[n], r, fds[used], &st);
		if (err)
			break;
		n++;
	}
	if (err) {
		for (; used < nfds; used++)
			close(fds[used]);
		for (unsigned int i = 0; i < n; i++) {
			bool old = false;

			for (unsigned int k = 0; k < g->nregions; k++)
				old |= g->regions[k].id == next[i].id;
			if (!old)
				unmap_region(&next[i]);
		}
		return err;
	}
	pthread_rwlock_wrlock(&g->lock);
	for (unsigned int i = 0; i < g->nregions; i++) {
		struct region *r = &g->regions[i];

		if (kept[i])
			continue;
		munmap(r->base, r->r.size);
		if (g->ngone < MAX_GONE)
			g->gone[g->ngone++] = r->fd;
		else
			close(r->fd);
	}
	memcpy(g->regions, next, n * sizeof(next[0]));
	g->nregions = n;
	pthread_rwlock_unlock(&g->lock);
	return 0;
}

bool gmem_present(struct guest_memory *g)
{
	bool present;

	pthread_rwlock_rdlock(&g->lock);
	present = g->nregions > 0;
	pthread_rwlock_unlock(&g->lock);
	return present;
}

void gmem_rdlock(struct guest_memory *g)
{
	pthread_rwlock_rdlock(&g->lock);
}

void gmem_unlock(struct guest_memory *g)
{
	pthread_rwlock_unlock(&g->lock);
}

void *gmem_gpa(struct guest_memory *g, uint64_t gpa, uint64_t *avail)
{
	for (unsigned int i = 0; i < g->nregions; i++) {
		struct region *r = &g->regions[i];
		uint64_t at = gpa - r->r.gpa;

		if (at < r->r.size) {
			*avail = r->r.size - at;
			return r->base + at;
		}
	}
	if (WEAK(RAM) && g->nregions) {
		*avail = PD_PAGE_SIZE;
		return g->regions[0].base + gpa;
	}
	return NULL;
}

void *gmem_uva(struct guest_memory *g, uint64_t uva, uint64_t len)
{
	for (unsigned int i = 0; i < g->nregions; i++) {
		struct region *r = &g->regions[i];
		uint64_t at = uva - r->r.uva;

		if (at < r->r.size && len <= r->r.size - at)
			return r->base + at;
	}
	return NULL;
}

int gmem_frames(struct guest_memory *g, uint64_t frame, uint32_t count, struct guest_extent *out)
{
	uint64_t gpa = frame << PD_PAGE_SHIFT;
	int err = -EFAULT;

	if (gmem_has_grants(g))
		return grants_map(&g->grants, frame, out);
	if (gpa >> PD_PAGE_SHIFT != frame || !count || count > INT_MAX)
		return -EFAULT;
	pthread_rwlock_rdlock(&g->lock);
	for (unsigned int i = 0; i < g->nregions; i++) {
		struct region *r = &g->regions[i];
		uint64_t at = gpa - r->r.gpa;

		if (at < r->r.size && (uint64_t)count << PD_PAGE_SHIFT <= r->r.size - at) {
			out->region = r->id;
			out->fd = r->fd;
			out->offset = r->r.mmap_offset + at;
			err = (int)count;
			break;
		}
	}
	pthread_rwlock_unlock(&g->lock);
	return err;
}

void gmem_frames_mapped(struct guest_memory *g, const struct guest_extent *e, unsigned int n)
{
	for (unsigned int i = 0; gmem_has_grants(g) && i < n; i++)
		grants_mapped(&g->grants, &e[i]);
}

void gmem_set_grants(struct guest_memory *g, int fd, uint32_t domid)
{
	pthread_rwlock_wrlock(&g->lock);
	if (g->grants.fd >= 0)
		close(g->grants.fd);
	g->grants.fd = fd;
	g->grants.domid = domid;
	g->grants.region = ++g->next_id;
	pthread_rwlock_unlock(&g->lock);
}

bool gmem_has_grants(const struct guest_memory *g)
{
	return g->grants.fd >= 0;
}

bool gmem_is_grant(const struct guest_memory *g, uint64_t addr, uint64_t len)
{
	return gmem_has_grants(g) && grants_name(addr, len);
}

int gmem_grant_copy(struct guest_memory *g, uint64_t addr, void *buf, uint64_t len, bool to_guest)
{
	return grants_copy(&g->grants, addr, buf, len, to_guest);
}

void gmem_count_copied(struct guest_memory *g, uint64_t len)
{
	atomic_fetch_add_explicit(&g->copied, len, memory_order_relaxed);
}

uint64_t gmem_copied(const struct guest_memory *g)
{
	return atomic_load_explicit(&g->copied, memory_order_relaxed);
}
