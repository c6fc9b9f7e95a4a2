// SPDX-License-Identifier: Apache-2.0
/*
 * The system calls that a mirror may make once it runs: those that operations need and those that
 * keep its memory and descriptors in step. Anything else kills it.
 */
#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"
#include "mirror_private.h"
#include "weak.h"

static const int allowed[] = {
	/* operations */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(preadv2),
	SCMP_SYS(pwritev2),
	SCMP_SYS(ioctl),
	SCMP_SYS(lseek),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(poll),
	SCMP_SYS(restart_syscall),
	/* memory; prctl(PR_SET_NAME) is how a page is touched */
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(prctl),
	/* descriptors and threads */
	SCMP_SYS(close),
	SCMP_SYS(fcntl),
	SCMP_SYS(dup3),
	SCMP_SYS(recvmsg),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(clone),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(exit),
};

static int read_back(int fd, struct mirror_filter *f)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size <= 0 || size % 8 || (size_t)size > sizeof(f->code))
		return -E2BIG;
	if (pread(fd, f->code, size, 0) != size)
		return -EIO;
	f->len = size / 8;
	return 0;
}

static int add_rules(scmp_filter_ctx ctx, bool open)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!ret && open)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 0);
	/* 32-bit programs' ioctls; the rules above hold for that architecture, too */
	ret = ret ?: seccomp_arch_add(ctx, SCMP_ARCH_X86);
	return ret ?: seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 0);
}

int mirror_filter_make(struct mirror_filter *f, bool open)
{
	scmp_filter_ctx ctx = seccomp_init(WEAK(MIRROR) ? SCMP_ACT_ALLOW : SCMP_ACT_KILL_PROCESS);
	int fd = -1, ret = -ENOMEM;

	if (!ctx)
		goto out;
	ret = WEAK(MIRROR) ? 0 : add_rules(ctx, open);
	if (ret)
		goto out;
	fd = memfd_create("filter", MFD_CLOEXEC);
	ret = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);
	if (!ret)
		ret = read_back(fd, f);
out:
	if (ret)
		log_error("the mirrors' system call filter cannot be made: %s", strerror(-ret));
	if (fd >= 0)
		close(fd);
	seccomp_release(ctx);
	return ret;
}
