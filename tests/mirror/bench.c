// SPDX-License-Identifier: Apache-2.0
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "../../daemon/log.h"

static int frames(void *ctx, uint64_t frame, uint32_t count, struct guest_extent *out)
{
	struct bench *b = ctx;

	if (frame >= FRAMES || count > FRAMES - frame)
		return -EFAULT;
	*out = (struct guest_extent){ .region = 7, .fd = b->ram_fd, .offset = frame * PD_PAGE_SIZE };
	return (int)count;
}

static bool fault(void *ctx, struct mirror_op *op, uint64_t addr, bool write)
{
	struct bench *b = ctx;

	if (!b->ask)
		return false;
	pthread_mutex_lock(&b->lock);
	b->faulted = op;
	b->fault_addr = addr;
	b->fault_write = write;
	pthread_cond_signal(&b->cond);
	pthread_mutex_unlock(&b->lock);
	return true;
}

static void died(void *ctx, struct mirror *m)
{
	(void)m;
	((struct bench *)ctx)->died++;
}

int bench_setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct mirror_env env = {
		.ctx = b, .frames = frames, .fault = fault, .died = died, .max_threads = 200
	};

	log_setup("test", LOG_ERROR);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->cond, NULL);
	b->ram_fd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(b->ram_fd, FRAMES * PD_PAGE_SIZE), 0);
	b->ram =
		mmap(NULL, FRAMES * PD_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, b->ram_fd, 0);
	b->uffd_dev = env.uffd_dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	b->program = env.program = open(getenv("PARADICE_MIRROR"), O_RDONLY | O_CLOEXEC);
	assert_true(b->program >= 0);
	assert_int_equal(mirror_pool_create(&env, &b->pool), 0);
	assert_int_equal(mirror_create(b->pool, HOLE, PD_HOLE_SIZE, "test", &b->m), 0);
	*state = b;
	return 0;
}

int bench_teardown(void **state)
{
	struct bench *b = *state;

	mirror_pool_destroy(b->pool);
	munmap(b->ram, FRAMES * PD_PAGE_SIZE);
	close(b->ram_fd);
	close(b->uffd_dev);
	close(b->program);
	free(b);
	return 0;
}

void show(struct bench *b, uint64_t addr, uint64_t frame, uint32_t count, bool write)
{
	struct pd_pages p = { addr, frame, count, write ? PD_PAGES_WRITE : 0 };

	assert_int_equal(mirror_update(b->m, NULL, 0, &p, 1), 0);
}

struct mirror_file zero_file(void)
{
	return (struct mirror_file){ .id = 1,
				     .fd = open("/dev/zero", O_RDWR | O_CLOEXEC),
				     .oflags = O_RDWR };
}

struct mirror_file pty_file(void)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct winsize ws = { .ws_row = 12, .ws_col = 34 };

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TIOCSWINSZ, &ws), 0);
	return (struct mirror_file){ .id = 2, .fd = fd, .oflags = O_RDWR, .stream = true };
}
