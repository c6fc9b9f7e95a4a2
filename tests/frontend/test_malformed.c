// SPDX-License-Identifier: Apache-2.0
/* A hostile guest: malformed requests are refused with an errno, malformed rings stop. */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fixture.h"

/* The VM is served as before. */
static void still_serves(struct fixture *x)
{
	int64_t file = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);

	assert_true(file > 0);
	assert_int_equal(fe_read(&x->f, &x->mm, file, PROG, 10), 10);
	assert_int_equal(fe_release(&x->f, file), 0);
}

struct bad {
	const char *what;
	struct pd_req req;
	int64_t result;
};

static void test_bad_requests(void **state)
{
	struct fixture *x = *state;
	uint64_t file = (uint64_t)fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
	uint64_t mm = x->mm.id;
	const struct bad table[] = {
		{ "operation 0", { .op = 0 }, -ENOSYS },
		{ "operation 63", { .op = 63 }, -ENOSYS },
		{ "operation 65535", { .op = 65535 }, -ENOSYS },
		{ "HELLO on a request queue", { .op = PD_OP_HELLO }, -ENOSYS },
		{ "READ without mm", { .op = PD_OP_READ, .file = file, .nvecs = 1 }, -EINVAL },
		{ "READ without file", { .op = PD_OP_READ, .mm = mm, .nvecs = 1 }, -EINVAL },
		{ "READ without vecs", { .op = PD_OP_READ, .mm = mm, .file = file }, -EINVAL },
		{ "READ of a wrong mm",
		  { .op = PD_OP_READ, .mm = 4711, .file = file, .nvecs = 1 },
		  -EIO },
		{ "READ of a wrong file",
		  { .op = PD_OP_READ, .mm = mm, .file = 4711, .nvecs = 1 },
		  -EBADF },
		{ "IOCTL with vecs",
		  { .op = PD_OP_IOCTL, .mm = mm, .file = file, .nvecs = 1 },
		  -EINVAL },
		{ "IOCTL with wrong flags",
		  { .op = PD_OP_IOCTL, .mm = mm, .file = file, .u.ioctl.flags = 8 },
		  -EINVAL },
		{ "pages without mm", { .op = PD_OP_RELEASE, .file = file, .npages = 1 }, -EINVAL },
		{ "DROP without mm", { .op = PD_OP_DROP }, -EINVAL },
		{ "CONTINUE of nothing",
		  { .op = PD_OP_CONTINUE, .mm = mm, .u.cont.tag = 4711 },
		  -ENOENT },
		{ "LLSEEK, wrong whence",
		  { .op = PD_OP_LLSEEK, .mm = mm, .file = file, .u.seek.whence = 77 },
		  -EINVAL },
		{ "MMAP, length 0", { .op = PD_OP_MMAP, .mm = mm, .file = file }, -EINVAL },
		{ "MMAP, wrong flags",
		  { .op = PD_OP_MMAP,
		    .mm = mm,
		    .file = file,
		    .u.mmap = { .addr = PROG, .len = PD_PAGE_SIZE, .flags = 2 } },
		  -EINVAL },
		{ "MUNMAP of nothing", { .op = PD_OP_MUNMAP, .mm = mm }, -EINVAL },
		{ "MREMAP of nothing", { .op = PD_OP_MREMAP, .mm = mm }, -EINVAL },
		{ "MAP_RELEASE of nothing", { .op = PD_OP_MAP_RELEASE }, -EINVAL },
		{ "WINDOW_MAP of nothing", { .op = PD_OP_WINDOW_MAP }, -EINVAL },
		{ "WINDOW_UNMAP of nothing", { .op = PD_OP_WINDOW_UNMAP }, -EINVAL },
		{ "RELEASE of a wrong file", { .op = PD_OP_RELEASE, .file = ~0ull }, -EBADF },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct pd_req req = table[i].req;
		const struct pd_range vec = { PROG, 10 };
		const struct pd_pages page = { PROG, fe_frames(&x->f, 1), 1, PD_PAGES_WRITE };
		struct fe_call c = { .mm = &x->mm };
		int64_t ret;

		fe_submit(&x->f, &c, x->mm.queue, &req, NULL, &page, &vec);
		ret = fe_wait(&x->f, &c, 5000);
		if (ret != table[i].result)
			fail_msg("%s: %lld instead of %lld", table[i].what, (long long)ret,
				 (long long)table[i].result);
	}
	still_serves(x);
}

static void test_bad_lists(void **state)
{
	struct fixture *x = *state;
	uint64_t good = fe_frames(&x->f, 4);
	const struct {
		const char *what;
		struct pd_range drop;
		struct pd_pages page;
		int64_t result;
	} table[] = {
		{ "drop of 0 bytes", { PROG, 0 }, { 0 }, -EINVAL },
		{ "drop not of pages", { PROG + 1, PD_PAGE_SIZE }, { 0 }, -EINVAL },
		{ "drop around the end", { ~0ull & ~4095ull, 2 * PD_PAGE_SIZE }, { 0 }, -EINVAL },
		{ "drop of the hole", { FE_HOLE, PD_PAGE_SIZE }, { 0 }, -EINVAL },
		{ "drop above the user's range",
		  { 0xffff800000000000ull, PD_PAGE_SIZE },
		  { 0 },
		  -EINVAL },
		{ "page count 0", { 0 }, { PROG, good, 0, 0 }, -EINVAL },
		{ "page not of pages", { 0 }, { PROG + 7, good, 1, 0 }, -EINVAL },
		{ "page with wrong flags", { 0 }, { PROG, good, 1, 8 }, -EINVAL },
		{ "page in the hole", { 0 }, { FE_HOLE + PD_PAGE_SIZE, good, 1, 1 }, -EINVAL },
		{ "pages into the hole", { 0 }, { FE_HOLE - PD_PAGE_SIZE, good, 2, 1 }, -EINVAL },
		{ "page in the kernel's range",
		  { 0 },
		  { 0xffff880000000000ull, good, 1, 1 },
		  -EINVAL },
		{ "page at 0", { 0 }, { 0, good, 1, 1 }, -EINVAL },
		{ "frame that is no memory", { 0 }, { PROG, 1ull << 40, 1, 1 }, -EFAULT },
		{ "frame beyond all", { 0 }, { PROG, ~0ull, 1, 1 }, -EFAULT },
		{ "frames past the end",
		  { 0 },
		  { PROG, FE_MEMORY / PD_PAGE_SIZE - 1, 2, 1 },
		  -EFAULT },
		{ "many frames", { 0 }, { PROG, good, 0xffffffffu, 1 }, -EFAULT },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct pd_req req = { .op = PD_OP_DROP, .mm = x->mm.id };
		struct fe_call c = { .mm = &x->mm };
		int64_t ret;

		req.ndrops = table[i].drop.addr != 0;
		req.npages = !req.ndrops;
		fe_submit(&x->f, &c, x->mm.queue, &req, &table[i].drop, &table[i].page, NULL);
		ret = fe_wait(&x->f, &c, 5000);
		if (ret != table[i].result &&
		    !(ret == -EINVAL && table[i].page.count == 0xffffffffu))
			fail_msg("%s: %lld instead of %lld", table[i].what, (long long)ret,
				 (long long)table[i].result);
	}
	still_serves(x);
}

static void test_bad_lengths(void **state)
{
	struct fixture *x = *state;
	struct pd_req req = { .op = PD_OP_PING, .tag = 77 };
	uint8_t bytes[4096] = { 0 };
	struct fe_call c = { 0 };

	/* too short for a head: even the tag is unknown */
	fe_submit_raw(&x->f, &c, PD_QUEUE_REQUEST, bytes, 20, 64);
	assert_int_equal(fe_wait(&x->f, &c, 5000), -EINVAL);
	/* longer than its lists */
	memcpy(bytes, &req, sizeof(req));
	fe_submit_raw(&x->f, &c, PD_QUEUE_REQUEST, bytes, sizeof(req) + 16, 64);
	assert_int_equal(fe_wait(&x->f, &c, 5000), -EINVAL);
	/* shorter */
	req.ndrops = 5;
	req.mm = x->mm.id;
	memcpy(bytes, &req, sizeof(req));
	fe_submit_raw(&x->f, &c, PD_QUEUE_REQUEST, bytes, sizeof(req) + 16, 64);
	assert_int_equal(fe_wait(&x->f, &c, 5000), -EINVAL);
	/* lists that are too long */
	req.ndrops = PD_MAX_DROPS + 1;
	memcpy(bytes, &req, sizeof(req));
	fe_submit_raw(&x->f, &c, PD_QUEUE_REQUEST, bytes, sizeof(req), 64);
	assert_int_equal(fe_wait(&x->f, &c, 5000), -E2BIG);
	req = (struct pd_req){ .op = PD_OP_READ, .tag = 77, .nvecs = 0xffffffff };
	memcpy(bytes, &req, sizeof(req));
	fe_submit_raw(&x->f, &c, PD_QUEUE_REQUEST, bytes, sizeof(req), 64);
	assert_int_equal(fe_wait(&x->f, &c, 5000), -E2BIG);
	/* tag 0 */
	req = (struct pd_req){ .op = PD_OP_PING };
	memcpy(bytes, &req, sizeof(req));
	fe_submit_raw(&x->f, &c, PD_QUEUE_REQUEST, bytes, sizeof(req), 64);
	assert_int_equal(fe_wait(&x->f, &c, 5000), -EINVAL);
	/* no room for the answer: as much of it as fits */
	req.tag = 77;
	memcpy(bytes, &req, sizeof(req));
	fe_submit_raw(&x->f, &c, PD_QUEUE_REQUEST, bytes, sizeof(req), 10);
	fe_wait(&x->f, &c, 5000);
	assert_int_equal(c.len, 10);
	/* DEVICE needs more room */
	req.op = PD_OP_DEVICE;
	memcpy(bytes, &req, sizeof(req));
	fe_submit_raw(&x->f, &c, PD_QUEUE_CONTROL, bytes, sizeof(req), 64);
	assert_int_equal(fe_wait(&x->f, &c, 5000), -EINVAL);
	still_serves(x);
}

static void test_bad_control_requests(void **state)
{
	struct fixture *x = *state;
	struct fe_call c = { 0 };
	struct pd_req req;

	req = (struct pd_req){ .op = PD_OP_READ };
	assert_int_equal(fe_control(&x->f, &req, &c), -EINVAL);
	req = (struct pd_req){ .op = 4711 };
	assert_int_equal(fe_control(&x->f, &req, &c), -EINVAL);
	req = (struct pd_req){ .op = PD_OP_HELLO, .u.hello.version = PD_VERSION };
	assert_int_equal(fe_control(&x->f, &req, &c), -EBUSY);
	req = (struct pd_req){ .op = PD_OP_CANCEL, .u.cancel.tag = 4711 };
	assert_int_equal(fe_control(&x->f, &req, &c), -ENOENT);
	req = (struct pd_req){ .op = PD_OP_MM_DESTROY, .mm = 4711 };
	assert_int_equal(fe_control(&x->f, &req, &c), -ENOENT);
	req = (struct pd_req){ .op = PD_OP_MM_CREATE,
			       .mm = x->mm.id,
			       .u.mm_create = { .hole = FE_HOLE, .hole_len = PD_HOLE_SIZE } };
	assert_int_equal(fe_control(&x->f, &req, &c), -EEXIST);
	for (uint64_t hole = 1; hole; hole = hole == 1			   ? 0xffff800000000000ull :
					     hole == 0xffff800000000000ull ? 0x7fffffff0000ull :
									     0) {
		req = (struct pd_req){ .op = PD_OP_MM_CREATE,
				       .mm = 99,
				       .u.mm_create = { .hole = hole, .hole_len = PD_HOLE_SIZE } };
		assert_int_equal(fe_control(&x->f, &req, &c), -EINVAL);
	}
	req = (struct pd_req){ .op = PD_OP_MM_CREATE,
			       .mm = 99,
			       .u.mm_create = { .hole = FE_HOLE, .hole_len = PD_PAGE_SIZE } };
	assert_int_equal(fe_control(&x->f, &req, &c), -EINVAL);
	still_serves(x);
}

static void test_tag_in_use(void **state)
{
	struct fixture *x = *state;
	int64_t zero = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
	struct pd_range vec = { 0x50000000, 100 };
	struct pd_req req = { .op = PD_OP_READ,
			      .file = (uint64_t)zero,
			      .mm = x->mm.id,
			      .nvecs = 1,
			      .oflags = O_RDWR,
			      .tag = 4711 };
	struct fe_call a = { .mm = &x->mm };
	struct fe_call b = { .mm = &x->mm };

	fe_submit(&x->f, &a, x->mm.queue, &req, NULL, NULL, &vec);
	fe_wait_raw(&x->f, &a, 5000); /* sleeps in a fault */
	assert_int_equal(a.resp.status, PD_ST_FAULT);
	fe_submit(&x->f, &b, x->mm.queue, &req, NULL, NULL, &vec);
	assert_int_equal(fe_wait_raw(&x->f, &b, 5000), -EINVAL);
	fe_continue(&x->f, &a, -EFAULT, NULL, 0, NULL);
	assert_int_equal(fe_wait_raw(&x->f, &a, 5000), -EFAULT);
}

static void test_one_queue_per_program(void **state)
{
	struct fixture *x = *state;
	int64_t zero = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);

	assert_int_equal(fe_read(&x->f, &x->mm, zero, PROG, 10), 10);
	x->mm.queue ^= 1;
	assert_int_equal(fe_read(&x->f, &x->mm, zero, PROG, 10), -EINVAL);
	x->mm.queue ^= 1;
	assert_int_equal(fe_read(&x->f, &x->mm, zero, PROG, 10), 10);
}

/* Puts descriptors of its own on queue 5 and kicks; the queue stops, the others do not. */
static void ring(void **state, void (*fill)(struct vring_desc *d, struct vring_avail *a),
		 const char *log)
{
	struct fixture *x = *state;
	struct fe_queue *q = &x->f.q[5];
	struct vring_desc *d = (void *)(x->f.mem + q->base);
	struct vring_avail *a = (void *)(x->f.mem + q->base + FE_RING * 16);

	x->mm.queue = 3;
	fill(d, a);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!a->idx)
		a->idx = 1;
	eventfd_write(q->kick, 1);
	assert_true(fe_daemon_logged(&x->d, log, 2000));
	still_serves(x);
}

static void fill_loop(struct vring_desc *d, struct vring_avail *a)
{
	d[0] = (struct vring_desc){ 0x200000, 16, VRING_DESC_F_NEXT, 1 };
	d[1] = (struct vring_desc){ 0x200000, 16, VRING_DESC_F_NEXT, 0 };
	a->ring[0] = 0;
}

static void fill_head(struct vring_desc *d, struct vring_avail *a)
{
	(void)d;
	a->ring[0] = FE_RING;
}

static void fill_next(struct vring_desc *d, struct vring_avail *a)
{
	d[0] = (struct vring_desc){ 0x200000, 16, VRING_DESC_F_NEXT, 0xffff };
	a->ring[0] = 0;
}

static void fill_jump(struct vring_desc *d, struct vring_avail *a)
{
	(void)d;
	a->idx = FE_RING + 1;
}

static void fill_outside(struct vring_desc *d, struct vring_avail *a)
{
	d[0] = (struct vring_desc){ 1ull << 45, 16, 0, 0 };
	a->ring[0] = 0;
}

static void fill_wrap(struct vring_desc *d, struct vring_avail *a)
{
	d[0] = (struct vring_desc){ ~0ull - 4, 16, 0, 0 };
	a->ring[0] = 0;
}

static void fill_empty(struct vring_desc *d, struct vring_avail *a)
{
	d[0] = (struct vring_desc){ 0x200000, 0, 0, 0 };
	a->ring[0] = 0;
}

static void fill_order(struct vring_desc *d, struct vring_avail *a)
{
	d[0] = (struct vring_desc){ 0x200000, 16, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1 };
	d[1] = (struct vring_desc){ 0x200000, 16, 0, 0 };
	a->ring[0] = 0;
}

static void fill_indirect_size(struct vring_desc *d, struct vring_avail *a)
{
	d[0] = (struct vring_desc){ 0x200000, 17, VRING_DESC_F_INDIRECT, 0 };
	a->ring[0] = 0;
}

static void fill_indirect_next(struct vring_desc *d, struct vring_avail *a)
{
	d[0] = (struct vring_desc){ 0x200000, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1 };
	a->ring[0] = 0;
}

static void fill_indirect_outside(struct vring_desc *d, struct vring_avail *a)
{
	d[0] = (struct vring_desc){ 1ull << 45, 16, VRING_DESC_F_INDIRECT, 0 };
	a->ring[0] = 0;
}

/* an indirect table in the descriptors' own place */
static void fill_indirect_nested(struct vring_desc *d, struct vring_avail *a)
{
	d[0] = (struct vring_desc){ 0x100000 + 5 * 0x10000 + 16, 16, VRING_DESC_F_INDIRECT, 0 };
	d[1] = (struct vring_desc){ 0x200000, 16, VRING_DESC_F_INDIRECT, 0 };
	a->ring[0] = 0;
}

static void fill_indirect_loop(struct vring_desc *d, struct vring_avail *a)
{
	d[0] = (struct vring_desc){ 0x100000 + 5 * 0x10000 + 16, 32, VRING_DESC_F_INDIRECT, 0 };
	d[1] = (struct vring_desc){ 0x200000, 16, VRING_DESC_F_NEXT, 1 };
	d[2] = (struct vring_desc){ 0x200000, 16, VRING_DESC_F_NEXT, 0 };
	a->ring[0] = 0;
}

#define RING(name, fill, log)                       \
	static void name(void **state)              \
	{                                           \
		ring(state, fill, "queue 5: " log); \
	}

RING(test_ring_loop, fill_loop, "a loop of descriptors")
RING(test_ring_head, fill_head, "a chain's head is past the ring")
RING(test_ring_next, fill_next, "a descriptor past the ring")
RING(test_ring_jump, fill_jump, "the available index jumped")
RING(test_ring_outside, fill_outside, "a descriptor that is not in the guest's memory")
RING(test_ring_wrap, fill_wrap, "a descriptor that is not in the guest's memory")
RING(test_ring_empty, fill_empty, "a descriptor of length 0")
RING(test_ring_order, fill_order, "a readable descriptor behind a writable one")
RING(test_ring_indirect_size, fill_indirect_size, "an indirect table of a wrong size")
RING(test_ring_indirect_next, fill_indirect_next, "an indirect descriptor with a next one")
RING(test_ring_indirect_outside, fill_indirect_outside, "an indirect table that is not in")
RING(test_ring_indirect_nested, fill_indirect_nested, "an indirect table in an indirect table")
RING(test_ring_indirect_loop, fill_indirect_loop, "a loop of indirect descriptors")

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bad_requests),
		TEST(test_bad_lists),
		TEST(test_bad_lengths),
		TEST(test_bad_control_requests),
		TEST(test_tag_in_use),
		TEST(test_one_queue_per_program),
		TEST(test_ring_loop),
		TEST(test_ring_head),
		TEST(test_ring_next),
		TEST(test_ring_jump),
		TEST(test_ring_outside),
		TEST(test_ring_wrap),
		TEST(test_ring_empty),
		TEST(test_ring_order),
		TEST(test_ring_indirect_size),
		TEST(test_ring_indirect_next),
		TEST(test_ring_indirect_outside),
		TEST(test_ring_indirect_nested),
		TEST(test_ring_indirect_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
