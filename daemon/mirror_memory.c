// SPDX-License-Identifier: Apache-2.0
/*
 * The program's memory in its mirror: pages that the guest named are mapped from the guest's RAM,
 * everything else is a reserve registered with userfaultfd, where a touch waits for the guest's
 * answer.
 *
 * The reserve is a sparse memory file mapped shared: unlike private memory that counts nothing
 * against the host's overcommit limit, and none of it is ever allocated.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "mirror_private.h"
#include "weak.h"

bool mirror_range_ok(const struct mirror *m, uint64_t addr, uint64_t len)
{
	if (addr % PD_PAGE_SIZE || len % PD_PAGE_SIZE || !len)
		return false;
	if (addr < MIRROR_ADDR_MIN || addr >= MIRROR_ADDR_MAX || len > MIRROR_ADDR_MAX - addr)
		return false;
	return WEAK(HOLE) || addr + len <= m->hole || addr >= m->hole + m->hole_len;
}

static int uffd_register(struct mirror *m, uint64_t addr, uint64_t len, uint64_t mode)
{
	struct uffdio_register r = {
		.range = { .start = addr, .len = len },
		.mode = mode,
	};

	return ioctl(m->uffd, UFFDIO_REGISTER, &r) ? -errno : 0;
}

int mirror_wake(struct mirror *m, uint64_t addr, uint64_t len)
{
	struct uffdio_range r = { .start = addr, .len = len };

	return ioctl(m->uffd, UFFDIO_WAKE, &r) ? -errno : 0;
}

/*
 * Until it is registered the reserve must not be touched (it would read as zeroes), hence without
 * permission first: in that moment a touch gives EFAULT. By map_lock.
 */
static int reserve_some(struct mirror *m, const struct pd_range *ranges, unsigned int n)
{
	unsigned int k = 0;
	int ret;

	for (unsigned int i = 0; i < n; i++)
		mirror_add(m->mapper, &k, SYS_mmap, ranges[i].addr, ranges[i].len, PROT_NONE,
			   MAP_SHARED | MAP_FIXED | MAP_NORESERVE, MIRROR_FD_RESERVE,
			   ranges[i].addr);
	ret = mirror_run_mapper(m, k);
	for (unsigned int i = 0; !ret && i < n; i++)
		ret = uffd_register(m, ranges[i].addr, ranges[i].len, UFFDIO_REGISTER_MODE_MISSING);
	if (ret)
		return ret;
	k = 0;
	for (unsigned int i = 0; i < n; i++)
		mirror_add(m->mapper, &k, SYS_mprotect, ranges[i].addr, ranges[i].len,
			   PROT_READ | PROT_WRITE, 0, 0, 0);
	return mirror_run_mapper(m, k);
}

static int reserve_locked(struct mirror *m, const struct pd_range *ranges, unsigned int n)
{
	int ret = 0;

	for (unsigned int i = 0; i < n; i++)
		mirror_replaced(m, ranges[i].addr, ranges[i].len);
	for (unsigned int i = 0; !ret && i < n; i += MIRROR_REQ_MAX_CALLS) {
		unsigned int k = n - i;

		if (k > MIRROR_REQ_MAX_CALLS)
			k = MIRROR_REQ_MAX_CALLS;
		ret = reserve_some(m, ranges + i, k);
	}
	/* a page that may still be there must not be used any more */
	if (ret) {
		if (!atomic_load(&m->dead))
			log_limited(LOG_ERROR,
				    "mirror of %s: pages cannot be taken back (%s), it is ended",
				    m->name, strerror(-ret));
		mirror_kill(m);
		return -EIO;
	}
	return 0;
}

/* Keeps operations from beginning; false when one runs. By map_lock. */
static bool stand_still(struct mirror *m)
{
	bool yes;

	pthread_mutex_lock(&m->lock);
	yes = m->still = !m->running;
	pthread_mutex_unlock(&m->lock);
	return yes;
}

static void go_on(struct mirror *m)
{
	pthread_mutex_lock(&m->lock);
	m->still = false;
	pthread_cond_broadcast(&m->moving);
	pthread_mutex_unlock(&m->lock);
}

/*
 * Takes back pages under running operations without a moment in which a touch fails: the guest's
 * file stays, but nothing of it is mapped any more, and what touches it waits in userfaultfd. By
 * map_lock.
 */
static int empty_some(struct mirror *m, const struct pd_range *ranges, unsigned int n)
{
	unsigned int k = 0;
	int ret;

	for (unsigned int i = 0; i < n; i++) {
		ret = uffd_register(m, ranges[i].addr, ranges[i].len,
				    UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR);
		if (ret)
			return ret;
	}
	for (unsigned int i = 0; i < n; i++)
		mirror_add(m->mapper, &k, SYS_madvise, ranges[i].addr, ranges[i].len, MADV_DONTNEED,
			   0, 0, 0);
	/* poisoned and read-only ones are as unknown as the others now */
	for (unsigned int i = 0; i < n; i++)
		mirror_add(m->mapper, &k, SYS_mprotect, ranges[i].addr, ranges[i].len,
			   PROT_READ | PROT_WRITE, 0, 0, 0);
	return mirror_run_mapper(m, k);
}

/* no operation runs; by map_lock */
static int reserve_emptied(struct mirror *m)
{
	struct pd_range ranges[MIRROR_MAX_EMPTIED];
	unsigned int n = m->nemptied;

	memcpy(ranges, m->emptied, n * sizeof(ranges[0]));
	m->nemptied = 0;
	return n ? reserve_locked(m, ranges, n) : 0;
}

/*
 * Takes back pages. While operations run they are emptied, and reserved again when none does, for
 * each takes a mapping of its own until then. By map_lock.
 */
static int take_back(struct mirror *m, const struct pd_range *ranges, unsigned int n)
{
	const unsigned int most = MIRROR_REQ_MAX_CALLS / 2;
	bool still = stand_still(m);
	int ret = 0;

	if (!still && m->nemptied + n <= MIRROR_MAX_EMPTIED) {
		for (unsigned int i = 0; i < n; i++)
			mirror_replaced(m, ranges[i].addr, ranges[i].len);
		for (unsigned int i = 0; !ret && i < n; i += most)
			ret = empty_some(m, ranges + i, n - i < most ? n - i : most);
		if (!ret) {
			for (unsigned int i = 0; i < n; i++)
				m->emptied[m->nemptied++] = ranges[i];
			return 0;
		}
		log_debug("mirror of %s: pages cannot be emptied: %s", m->name, strerror(-ret));
	}
	ret = reserve_locked(m, ranges, n);
	if (!ret && still)
		ret = reserve_emptied(m);
	if (still)
		go_on(m);
	return ret;
}

int mirror_reserve(struct mirror *m, const struct pd_range *ranges, unsigned int n)
{
	int ret;

	pthread_mutex_lock(&m->map_lock);
	ret = reserve_locked(m, ranges, n);
	pthread_mutex_unlock(&m->map_lock);
	return ret;
}

/*
 * Hands a guest memory region's file to the mapper; its number there follows from what the mapper
 * has. That it really arrived at that number is looked up, not believed. By map_lock.
 */
static int send_region(struct mirror *m, const struct guest_extent *e)
{
	struct mirror_thread *t = m->mapper;
	struct stat want, have;
	unsigned int n = 0;
	int fd, ret;

	ret = mirror_send_fd(m, e->fd);
	if (ret)
		return ret;
	/* the number for devices in transit is lower: fill it meanwhile */
	mirror_add(t, &n, SYS_dup3, MIRROR_FD_FILLER, MIRROR_FD_REQ, O_CLOEXEC, 0, 0, 0);
	mirror_add_recv(t, &n);
	mirror_add(t, &n, SYS_close, MIRROR_FD_REQ, 0, 0, 0, 0, 0);
	ret = mirror_run_mapper(m, n);
	if (ret)
		return ret;

	fd = syscall(SYS_pidfd_getfd, m->mapper_pidfd, MIRROR_FD_FIRST_FREE + m->nregions, 0);
	if (fd < 0)
		return -EIO;
	if (fstat(fd, &have) || fstat(e->fd, &want) || have.st_dev != want.st_dev ||
	    have.st_ino != want.st_ino)
		ret = -EIO;
	close(fd);
	if (!ret)
		m->regions[m->nregions++] = e->region;
	return ret;
}

/* the mapper's descriptor of a region, or a negative errno; by map_lock */
static int region_fd(struct mirror *m, const struct guest_extent *e)
{
	int ret;

	for (unsigned int i = 0; i < m->nregions; i++)
		if (m->regions[i] == e->region)
			return MIRROR_FD_FIRST_FREE + i;
	if (m->nregions == MIRROR_MAX_REGIONS)
		return -ENOSPC;
	ret = send_region(m, e);
	if (ret) {
		log_limited(LOG_ERROR,
			    "mirror of %s: guest memory cannot be handed over (%s), it is ended",
			    m->name, strerror(-ret));
		mirror_kill(m);
		return -EIO;
	}
	return MIRROR_FD_FIRST_FREE + m->nregions - 1;
}

/* A run of pages that lies in a row in the file behind it. */
struct piece {
	uint64_t addr;
	uint64_t len;
	int prot;
	int fd;
};

/* Maps @n pieces; by map_lock. */
static int map_pieces(struct mirror *m, const struct piece *p, const struct guest_extent *e,
		      unsigned int n)
{
	struct mirror_env *env = &m->pool->env;
	struct pd_range lost[MIRROR_REQ_MAX_CALLS];
	unsigned int k = 0;
	uint64_t bytes = 0;
	int ret;

	for (unsigned int i = 0; i < n; i++) {
		mirror_replaced(m, p[i].addr, p[i].len);
		mirror_add(m->mapper, &k, SYS_mmap, p[i].addr, p[i].len, p[i].prot,
			   MAP_SHARED | MAP_FIXED, p[i].fd, e[i].offset)
			->flags = MIRROR_CALL_STOP;
		lost[i] = (struct pd_range){ p[i].addr, p[i].len };
		bytes += p[i].len;
	}
	ret = mirror_run_mapper(m, k);
	if (env->frames_mapped) {
		env->frames_mapped(env->ctx, e, n);
		/* a grant that cannot be mapped leaves nothing at all at its address */
		if (ret == -EREMOTEIO && reserve_locked(m, lost, n))
			return -EIO;
	}
	if (ret == -EREMOTEIO)
		return -ENOMEM;
	COUNT(m->pool, pages_mapped, bytes / PD_PAGE_SIZE);
	return ret;
}

/* by map_lock */
static int show(struct mirror *m, const struct pd_pages *pages, unsigned int n)
{
	struct mirror_env *env = &m->pool->env;
	struct guest_extent e[MIRROR_REQ_MAX_CALLS];
	struct piece p[MIRROR_REQ_MAX_CALLS];
	unsigned int k = 0;
	int ret = 0;

	for (unsigned int i = 0; i < n; i++) {
		bool write = pages[i].flags & PD_PAGES_WRITE || WEAK(PAGES);
		uint32_t done = 0;

		if (!mirror_range_ok(m, pages[i].addr, (uint64_t)pages[i].count * PD_PAGE_SIZE)) {
			ret = -EINVAL;
			break;
		}
		while (done < pages[i].count) {
			ret = env->frames(env->ctx, pages[i].frame + done, pages[i].count - done,
					  &e[k]);
			if (ret < 0)
				goto out;
			p[k].addr = pages[i].addr + (uint64_t)done * PD_PAGE_SIZE;
			p[k].len = (uint64_t)ret * PD_PAGE_SIZE;
			p[k].prot = PROT_READ | (write ? PROT_WRITE : 0);
			done += (uint32_t)ret;
			/* may use the mapper's slot itself */
			p[k].fd = region_fd(m, &e[k]);
			ret = p[k].fd < 0 ? p[k].fd : 0;
			k++;
			if (ret)
				goto out;
			if (k == MIRROR_REQ_MAX_CALLS) {
				ret = map_pieces(m, p, e, k);
				k = 0;
				if (ret)
					goto out;
			}
		}
	}
	if (!ret && k) {
		ret = map_pieces(m, p, e, k);
		k = 0;
	}
out:
	if (k && env->frames_mapped)
		env->frames_mapped(env->ctx, e, k);
	return ret;
}

int mirror_update(struct mirror *m, const struct pd_range *drops, unsigned int ndrops,
		  const struct pd_pages *pages, unsigned int npages)
{
	struct pd_range good[PD_MAX_DROPS];
	unsigned int ngood = 0;
	uint64_t dropped = 0;
	int ret = 0;

	if (atomic_load(&m->dead))
		return -EIO;
	for (unsigned int i = 0; i < ndrops; i++) {
		if (mirror_range_ok(m, drops[i].addr, drops[i].len)) {
			good[ngood++] = drops[i];
			dropped += drops[i].len / PD_PAGE_SIZE;
		} else {
			ret = -EINVAL;
		}
	}
	pthread_mutex_lock(&m->map_lock);
	if (ngood) {
		int err = take_back(m, good, ngood);

		if (err)
			ret = err;
		else
			COUNT(m->pool, pages_dropped, dropped);
	}
	if (!ret)
		ret = show(m, pages, npages);
	/*
	 * Threads may sleep in a touch of a page that is there now. (MAP_FIXED does not wake them.)
	 * Those whose fault went to the guest are woken by mirror_fault_done(), too.
	 */
	for (unsigned int i = 0; !ret && i < npages; i++)
		mirror_wake(m, pages[i].addr, (uint64_t)pages[i].count * PD_PAGE_SIZE);
	pthread_mutex_unlock(&m->map_lock);
	return ret;
}

/*
 * Poisoned pages become unknown memory again, and never more than that: one may have been shown
 * meanwhile, and is then asked for once more.
 */
static void forget_poison(struct mirror *m, struct mirror_thread *t)
{
	struct pd_range ranges[MIRROR_MAX_POISONED];
	unsigned int n = 0;

	for (unsigned int i = m->npoisoned; i-- > 0;) {
		if (t && m->poisoned[i].thread != t)
			continue;
		ranges[n++] = (struct pd_range){ m->poisoned[i].addr, PD_PAGE_SIZE };
		m->poisoned[i] = m->poisoned[--m->npoisoned];
	}
	if (n)
		reserve_locked(m, ranges, n);
}

void mirror_poison(struct mirror *m, struct mirror_thread *t, uint64_t addr)
{
	unsigned int n = 0;

	pthread_mutex_lock(&m->map_lock);
	if (m->npoisoned == MIRROR_MAX_POISONED)
		forget_poison(m, NULL);
	mirror_add(m->mapper, &n, SYS_mprotect, addr, PD_PAGE_SIZE, PROT_NONE, 0, 0, 0);
	/* fails where nothing is mapped: the touch fails then as well */
	if (!mirror_run_mapper(m, n)) {
		m->poisoned[m->npoisoned++] = (struct mirror_poison){ addr, t };
		if (t)
			t->poisoned = true;
	}
	mirror_wake(m, addr, PD_PAGE_SIZE);
	pthread_mutex_unlock(&m->map_lock);
}

void mirror_unpoison(struct mirror_thread *t)
{
	pthread_mutex_lock(&t->m->map_lock);
	forget_poison(t->m, t);
	t->poisoned = false;
	pthread_mutex_unlock(&t->m->map_lock);
}

void mirror_replaced(struct mirror *m, uint64_t addr, uint64_t len)
{
	for (unsigned int i = m->npoisoned; i-- > 0;)
		if (m->poisoned[i].addr - addr < len)
			m->poisoned[i] = m->poisoned[--m->npoisoned];
	for (unsigned int i = m->nemptied; i-- > 0;)
		if (m->emptied[i].addr < addr + len && addr < m->emptied[i].addr + m->emptied[i].len)
			m->emptied[i] = m->emptied[--m->nemptied];
}
