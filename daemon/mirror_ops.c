// SPDX-License-Identifier: Apache-2.0
/*
 * The operations: which system calls a mirror makes for each.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "mirror_private.h"

#define NR_IOCTL_32 54

/* flags that fcntl(F_SETFL) changes */
#define SETFL_FLAGS (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)

static_assert(PD_O_APPEND == O_APPEND && PD_O_NONBLOCK == O_NONBLOCK, "open flags");
/* glibc gives O_DIRECT its x86 value, as the protocol does */
static_assert(PD_O_DIRECT == 040000, "open flags");

static void set_flags(struct mirror_file *file, uint32_t oflags)
{
	int now;

	if (!((file->oflags ^ oflags) & SETFL_FLAGS))
		return;
	now = fcntl(file->fd, F_GETFL);
	if (now < 0 || fcntl(file->fd, F_SETFL, (now & ~SETFL_FLAGS) | (oflags & SETFL_FLAGS)))
		log_debug("F_SETFL %#o: %s", oflags, strerror(errno));
	file->oflags = oflags;
}

/* Begins an operation: its thread and the file's descriptor in the mirror. */
static int begin(struct mirror_op *op, struct mirror_file *file, struct mirror_thread **t)
{
	int ret, fd;

	fd = mirror_fd(op->m, file);
	if (fd < 0)
		return fd;
	ret = mirror_thread_get(op->m, op, t);
	return ret ?: fd;
}

/* Ends one of a single call. */
static int64_t finish(struct mirror_thread *t, unsigned int n)
{
	int64_t ret = mirror_run(t, n);

	if (!ret)
		ret = t->res->values[n - 1];
	mirror_thread_put(t);
	return ret;
}

static int64_t rw(struct mirror_op *op, struct mirror_file *file, uint32_t oflags,
		  const struct pd_range *vecs, unsigned int nvecs, uint64_t pos, uint32_t rwf,
		  bool write)
{
	struct mirror_thread *t;
	unsigned int n = 0;
	uint64_t iov;
	int fd;

	set_flags(file, oflags);
	fd = begin(op, file, &t);
	if (fd < 0)
		return fd;
	if (nvecs == 1 && !rwf) {
		if (file->stream)
			mirror_add(t, &n, write ? SYS_write : SYS_read, fd, vecs->addr, vecs->len,
				   0, 0, 0);
		else
			mirror_add(t, &n, write ? SYS_pwrite64 : SYS_pread64, fd, vecs->addr,
				   vecs->len, pos, 0, 0);
		return finish(t, n);
	}
	static_assert(sizeof(*vecs) == sizeof(struct iovec), "struct pd_range is an iovec");
	static_assert(PD_MAX_VECS * sizeof(*vecs) <= MIRROR_REQ_DATA_SIZE, "iovecs fit");
	memcpy(t->req->data, vecs, nvecs * sizeof(*vecs));
	iov = mirror_slot_addr(t, t->req->data);
	/* position -1: the file's own */
	mirror_add(t, &n, write ? SYS_pwritev2 : SYS_preadv2, fd, iov, nvecs,
		   file->stream ? ~0ull : pos, 0, rwf);
	return finish(t, n);
}

int64_t mirror_read(struct mirror_op *op, struct mirror_file *file, uint32_t oflags,
		    const struct pd_range *vecs, unsigned int nvecs, uint64_t pos, uint32_t rwf)
{
	return rw(op, file, oflags, vecs, nvecs, pos, rwf, false);
}

int64_t mirror_write(struct mirror_op *op, struct mirror_file *file, uint32_t oflags,
		     const struct pd_range *vecs, unsigned int nvecs, uint64_t pos, uint32_t rwf)
{
	return rw(op, file, oflags, vecs, nvecs, pos, rwf, true);
}

int64_t mirror_ioctl(struct mirror_op *op, struct mirror_file *file, uint32_t oflags, uint32_t cmd,
		     uint64_t arg, bool compat)
{
	struct mirror_thread *t;
	struct mirror_call *c;
	unsigned int n = 0;
	int fd;

	if (compat && !op->m->pool->compat)
		return -ENOTTY;
	set_flags(file, oflags);
	fd = begin(op, file, &t);
	if (fd < 0)
		return fd;
	c = mirror_add(t, &n, compat ? NR_IOCTL_32 : SYS_ioctl, fd, cmd, arg, 0, 0, 0);
	if (compat)
		c->flags = MIRROR_CALL_COMPAT;
	return finish(t, n);
}

int64_t mirror_lseek(struct mirror_op *op, struct mirror_file *file, int64_t offset, int whence)
{
	struct mirror_thread *t;
	unsigned int n = 0;
	int fd = begin(op, file, &t);

	if (fd < 0)
		return fd;
	mirror_add(t, &n, SYS_lseek, fd, offset, whence, 0, 0, 0);
	return finish(t, n);
}

int64_t mirror_fsync(struct mirror_op *op, struct mirror_file *file, bool datasync)
{
	struct mirror_thread *t;
	unsigned int n = 0;
	int fd = begin(op, file, &t);

	if (fd < 0)
		return fd;
	mirror_add(t, &n, datasync ? SYS_fdatasync : SYS_fsync, fd, 0, 0, 0, 0, 0);
	return finish(t, n);
}

int64_t mirror_flush(struct mirror_op *op, struct mirror_file *file)
{
	struct mirror_thread *t;
	struct mirror_outcome out;
	unsigned int n = 0;
	int64_t ret;
	int fd = mirror_fd_peek(op->m, file->id);

	if (fd < 0)
		return 0;
	ret = mirror_thread_get(op->m, op, &t);
	if (ret)
		return ret;
	/* every close of a descriptor runs the driver's flush: close a second one */
	mirror_add(t, &n, SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0, 0, 0, 0);
	ret = mirror_run_sure(t, n, &out);
	if (ret || out.last < 0) {
		mirror_thread_put(t);
		return ret ?: out.last;
	}
	n = 0;
	mirror_add(t, &n, SYS_close, out.last, 0, 0, 0, 0, 0);
	return finish(t, n);
}

int64_t mirror_poll(struct mirror_op *op, struct mirror_file *file, uint32_t events)
{
	struct mirror_thread *t;
	struct pollfd *p;
	unsigned int n = 0;
	int64_t ret;
	int fd = begin(op, file, &t);

	if (fd < 0)
		return fd;
	p = (struct pollfd *)t->res->data;
	*p = (struct pollfd){ .fd = fd, .events = (short)events };
	mirror_add(t, &n, SYS_poll, mirror_slot_addr(t, p), 1, 0, 0, 0, 0);
	ret = mirror_run(t, n);
	if (!ret)
		ret = t->res->values[0];
	if (ret >= 0)
		ret = (uint16_t)p->revents;
	mirror_thread_put(t);
	return ret;
}

int64_t mirror_map(struct mirror_op *op, struct mirror_file *file, uint64_t addr, uint64_t len,
		   uint32_t prot, bool private, uint64_t offset)
{
	const struct pd_range range = { addr, len };
	struct mirror *m = op->m;
	struct mirror_outcome out;
	struct mirror_thread *t;
	unsigned int n = 0;
	int64_t ret;
	int fd;

	if (!mirror_range_ok(m, addr, len) || offset % PD_PAGE_SIZE)
		return -EINVAL;
	fd = begin(op, file, &t);
	if (fd < 0)
		return fd;
	pthread_mutex_lock(&m->map_lock);
	mirror_replaced(m, addr, len);
	pthread_mutex_unlock(&m->map_lock);
	mirror_add(t, &n, SYS_mmap, addr, len, prot & (PROT_READ | PROT_WRITE | PROT_EXEC),
		   MAP_FIXED | (private ? MAP_PRIVATE : MAP_SHARED), fd, offset);
	ret = mirror_run_sure(t, n, &out);
	mirror_thread_put(t);
	if (!ret && out.last == (int64_t)addr) {
		COUNT(m->pool, device_maps, 1);
		return 0;
	}
	/* a failed MAP_FIXED may have left nothing there */
	mirror_reserve(m, &range, 1);
	return ret ?: out.last;
}

int mirror_unmap(struct mirror *m, uint64_t addr, uint64_t len)
{
	const struct pd_range range = { addr, len };
	struct mirror_thread *t;
	unsigned int n = 0;
	int ret;

	if (!mirror_range_ok(m, addr, len))
		return -EINVAL;
	/*
	 * Not by the mapper: the driver's close may wait for an operation of the same program that
	 * waits for the mapper.
	 */
	ret = mirror_thread_get(m, NULL, &t);
	if (ret)
		return ret;
	mirror_add(t, &n, SYS_munmap, addr, len, 0, 0, 0, 0);
	ret = mirror_run(t, n);
	mirror_thread_put(t);
	/* and to be sure of it whatever the slot says */
	return mirror_reserve(m, &range, 1) ?: ret;
}

/* what /proc says of the mapping at @addr; -ENOENT when there is none */
static int smaps_kind(pid_t pid, uint64_t addr)
{
	unsigned long start, end;
	bool here = false;
	char path[32], line[512];
	int ret = -ENOENT;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = addr >= start && addr < end;
		else if (here && !strncmp(line, "VmFlags:", 8)) {
			ret = strstr(line, " pf") || strstr(line, " io") ? MIRROR_MAP_PFN : 0;
			break;
		}
	}
	fclose(f);
	return ret;
}

int mirror_map_kind(struct mirror_op *op, uint64_t addr, uint64_t len)
{
	struct mirror *m = op->m;
	struct mirror_outcome out;
	struct mirror_thread *t;
	int kind, ret;

	if (!mirror_range_ok(m, addr, len))
		return -EINVAL;
	kind = smaps_kind(m->pid, addr);
	if (kind < 0)
		return kind;
	ret = mirror_thread_get(m, op, &t);
	if (ret)
		return ret;
	/* populating does not work on PFN mappings: read a little of each page by a harmless call */
	for (uint64_t done = 0; !ret && done < len;) {
		unsigned int n = 0;

		if (!(kind & MIRROR_MAP_PFN)) {
			mirror_add(t, &n, SYS_madvise, addr, len, MADV_POPULATE_READ, 0, 0, 0);
			done = len;
		}
		for (; done < len && n < MIRROR_REQ_MAX_CALLS; done += PD_PAGE_SIZE)
			mirror_add(t, &n, SYS_prctl, PR_SET_NAME, addr + done, 0, 0, 0, 0)->flags =
				MIRROR_CALL_STOP;
		ret = mirror_run_sure(t, n, &out);
		if (ret || !out.first_error)
			continue;
		if (out.first_error == -EFAULT || out.first_error == -EHWPOISON)
			kind |= MIRROR_MAP_SIGBUS;
		done = len;
	}
	mirror_thread_put(t);
	return ret ?: kind;
}
