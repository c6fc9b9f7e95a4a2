// SPDX-License-Identifier: Apache-2.0
/*
 * Attacks by a guest, and by a worker that a guest has taken over. Each runs twice: against all defences,
 * where it must fail and another VM of the same daemon must be served as before; and against a daemon that
 * leaves out one defence, where it must succeed: else the first run would show nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../frontend/fixture.h"

#include "../../daemon/vhost_io.h"
#include "../../daemon/weak.h"
#include "../../mirror/abi.h"

enum { DEV_FEW = DEV_TUN + 1, DEV_ALONE, DEV_OWN_RO, DEV_OWN, OTHER_FULL, OTHER_ZERO };

/* The queue that nothing but attacks by its ring uses. */
#define OWN_QUEUE (FE_QUEUES - 1)
/* Past a ring's descriptors; its available ring, which follows them, does not reach so far. */
#define OUTSIDE 300
static_assert((OUTSIDE - FE_RING) * sizeof(struct vring_desc) >= (FE_RING + 3) * sizeof(uint16_t),
	      "it is free");

/* A daemon with the VM that attacks, and the one that is to be unharmed. */
struct scene {
	struct fixture *x;
	struct fe_daemon other_daemon;
	struct fe other;
};

/* ---- by a guest ---- */

static bool opens_readonly_for_writing(struct scene *s)
{
	return fe_dev_open(&s->x->f, DEV_ZERO_RO, O_RDWR) > 0;
}

static bool makes_a_forbidden_ioctl(struct scene *s)
{
	int64_t file = fe_dev_open(&s->x->f, DEV_FEW, O_RDWR | O_NOCTTY);

	assert_true(file > 0);
	return fe_ioctl(&s->x->f, &s->x->mm, (uint64_t)file, TCGETS, PROG) == 0;
}

/* ... by a handle of its own making, of another device that has no list */
static bool takes_a_file_it_has(struct scene *s)
{
	int64_t few = fe_dev_open(&s->x->f, DEV_FEW, O_RDWR | O_NOCTTY);
	int64_t zero = fe_dev_open(&s->x->f, DEV_ZERO, O_RDWR);
	struct pd_req req = { .op = PD_OP_FD_TAKE,
			      .file = (uint64_t)zero,
			      .mm = s->x->mm.id,
			      .u.take.number = 1024 };
	struct fe_call c = { .mm = &s->x->mm };

	assert_true(few > 0 && zero > 0);
	assert_int_equal(fe_ioctl(&s->x->f, &s->x->mm, (uint64_t)few, TIOCGPTN, PROG), 0);
	fe_submit(&s->x->f, &c, s->x->mm.queue, &req, NULL, NULL, NULL);
	if (fe_wait(&s->x->f, &c, 5000) < 0)
		return false;
	return fe_ioctl(&s->x->f, &s->x->mm, c.resp.u.open.file, TCGETS, PROG) == 0;
}

static bool opens_what_another_has_alone(struct scene *s)
{
	assert_true(fe_dev_open(&s->other, OTHER_FULL, O_RDWR) > 0);
	return fe_dev_open(&s->x->f, DEV_ALONE, O_RDWR) > 0;
}

static bool opens_too_many(struct scene *s)
{
	for (int i = 0; i < 9; i++)
		if (fe_dev_open(&s->x->f, DEV_ZERO, O_RDWR) < 0)
			return false;
	return true;
}

static bool has_too_many_programs(struct scene *s)
{
	static struct fe_mm more[3];

	memset(more, 0, sizeof(more));
	for (int i = 0; i < 3; i++)
		if (fe_mm_create(&s->x->f, &more[i]))
			return false;
	return true;
}

static bool has_too_much_under_way(struct scene *s)
{
	int64_t file = fe_dev_open(&s->x->f, DEV_PTMX, O_RDWR | O_NOCTTY);
	struct pd_range vec = { PROG, 1 };
	static struct fe_call calls[8];
	bool refused = false;

	assert_true(file > 0);
	for (int i = 0; i < 8; i++) {
		struct pd_req req = { .op = PD_OP_READ,
				      .file = (uint64_t)file,
				      .mm = s->x->mm.id,
				      .nvecs = 1,
				      .oflags = O_RDWR };

		memset(&calls[i], 0, sizeof(calls[i]));
		calls[i].mm = &s->x->mm;
		fe_submit(&s->x->f, &calls[i], s->x->mm.queue, &req, NULL, NULL, &vec);
	}
	for (int i = 0; i < 8; i++)
		refused |= fe_wait(&s->x->f, &calls[i], 50) == -EBUSY;
	return !refused;
}

static bool writes_where_it_may_read(struct scene *s)
{
	int64_t file = fe_dev_open(&s->x->f, DEV_ZERO, O_RDWR);
	int64_t pty = fe_dev_open(&s->x->f, DEV_PTMX, O_RDWR | O_NOCTTY);
	uint8_t *page;

	assert_true(file > 0 && pty > 0);
	fe_mm_add(&s->x->f, &s->x->mm, 0x50000000, 1, false);
	page = fe_mm_at(&s->x->f, &s->x->mm, 0x50000000);
	memset(page, 0x55, 100);
	/* it is shown, for reading */
	assert_int_equal(fe_write(&s->x->f, &s->x->mm, (uint64_t)pty, 0x50000000, 10), 10);
	fe_read(&s->x->f, &s->x->mm, (uint64_t)file, 0x50000000, 100);
	return page[0] != 0x55;
}

/* A page of the guest's where the mirror's code is: unless that is refused, the mirror ends. */
static bool gives_a_page_where_the_mirror_is(struct scene *s)
{
	struct pd_req req = { .op = PD_OP_DROP, .mm = s->x->mm.id, .npages = 1 };
	struct pd_pages page = { FE_HOLE + MIRROR_HOLE_CODE, fe_frames(&s->x->f, 1), 1,
				 PD_PAGES_WRITE };
	struct fe_call c = { .mm = &s->x->mm };
	int64_t ret;

	fe_submit(&s->x->f, &c, s->x->mm.queue, &req, NULL, &page, NULL);
	ret = fe_wait(&s->x->f, &c, 5000);
	assert_true(ret == -EIO || ret == -EINVAL);
	return ret == -EIO;
}

static uint64_t map_a_page(struct scene *s)
{
	int64_t file = fe_dev_open(&s->x->f, DEV_ZERO, O_RDWR);
	struct fe_call c;

	assert_true(file > 0);
	assert_int_equal(fe_mmap(&s->x->f, &s->x->mm, (uint64_t)file, 0x60000000, PD_PAGE_SIZE,
				 PROT_READ, &c),
			 0);
	return c.resp.u.map.map;
}

/* what the driver was never asked for: the page behind its mapping */
static bool sees_more_than_it_mapped(struct scene *s)
{
	struct fe *f = &s->x->f;
	uint64_t map = map_a_page(s);
	int64_t ret = fe_window(f, PD_OP_WINDOW_MAP, map, PD_PAGE_SIZE, PD_PAGE_SIZE, 0);

	assert_true(ret == 0 || ret == -EINVAL);
	return f->nmaps == 1 && f->maps[0].m.fd_offset == PD_PAGE_SIZE;
}

/* a descriptor of the ring's that is not in the guest's memory, but in the worker's */
static bool names_memory_that_is_not_its_own(struct scene *s)
{
	struct fe *f = &s->x->f;
	struct fe_queue *q = &f->q[PD_QUEUE_REQUEST];
	struct vring_desc *desc = (void *)(f->mem + FE_DESC(q));
	struct vring_avail *avail = (void *)(f->mem + FE_AVAIL(q));

	desc[200] = (struct vring_desc){ 1ull << 44, 4096, VRING_DESC_F_NEXT, 201 };
	desc[201] = (struct vring_desc){ (1ull << 44) + 4096, 4096, VRING_DESC_F_WRITE, 0 };
	avail->ring[q->avail++ % FE_RING] = 200;
	__atomic_store_n(&avail->idx, q->avail, __ATOMIC_SEQ_CST);
	eventfd_write(q->kick, 1);
	if (fe_daemon_logged(&s->x->d, "a descriptor that is not in the guest's memory", 500))
		return false;
	return fe_daemon_logged(&s->x->d, "killed by signal 11", 1000);
}

/* the VMM is told to map what is none of it */
static bool has_a_window_outside_its_region(struct scene *s)
{
	struct fe *f = &s->x->f;
	uint64_t map = map_a_page(s);
	int64_t ret = fe_window(f, PD_OP_WINDOW_MAP, map, 0, PD_PAGE_SIZE, f->window_size);

	assert_true(ret == 0 || ret == -EINVAL);
	return f->nmaps == 1 && f->maps[0].m.shm_offset == f->window_size;
}

static bool has_a_window_over_another(struct scene *s)
{
	struct fe *f = &s->x->f;
	uint64_t map = map_a_page(s);
	int64_t ret;

	assert_int_equal(fe_window(f, PD_OP_WINDOW_MAP, map, 0, PD_PAGE_SIZE, 0), 0);
	ret = fe_window(f, PD_OP_WINDOW_MAP, map, 0, PD_PAGE_SIZE, 0);
	assert_true(ret == 0 || ret == -EINVAL);
	return f->nmaps == 2;
}

static bool has_too_many_windows(struct scene *s)
{
	struct fe *f = &s->x->f;
	uint64_t map = map_a_page(s);
	uint64_t at = PD_MAX_WINDOWS * (uint64_t)PD_PAGE_SIZE;
	int64_t ret;

	for (; at; at -= PD_PAGE_SIZE)
		assert_int_equal(fe_window(f, PD_OP_WINDOW_MAP, map, 0, PD_PAGE_SIZE, at), 0);
	/* where it lies is written over the worker's count of them: 0, so that it goes on */
	ret = fe_window(f, PD_OP_WINDOW_MAP, map, 0, PD_PAGE_SIZE, 0);
	assert_true(ret == -ENOSPC || f->nmaps > PD_MAX_WINDOWS);
	return f->nmaps > PD_MAX_WINDOWS;
}

static struct vring_desc *own_ring(struct scene *s)
{
	assert_int_not_equal(s->x->mm.queue, OWN_QUEUE);
	return (void *)(s->x->f.mem + FE_DESC(&s->x->f.q[OWN_QUEUE]));
}

/* A guest's page to write into. */
static void *a_page(struct scene *s, uint64_t *addr)
{
	uint64_t frame = fe_frames(&s->x->f, 1);

	*addr = frame << PD_PAGE_SHIFT;
	return fe_frame(&s->x->f, frame);
}

/* A request that asks for nothing: @first is read, @second, which is descriptor @next, written. */
static void put_ping(struct scene *s, struct vring_desc *first, struct vring_desc *second,
		     uint16_t next)
{
	uint64_t addr;
	struct pd_req *req = a_page(s, &addr);

	*req = (struct pd_req){ .op = PD_OP_PING, .tag = 1 };
	*first = (struct vring_desc){ addr, sizeof(*req), VRING_DESC_F_NEXT, next };
	*second = (struct vring_desc){ addr + PD_PAGE_SIZE / 2, sizeof(struct pd_resp),
				       VRING_DESC_F_WRITE, 0 };
}

/*
 * Gives the chain that begins at @head @n times, at once. False when the worker says @why, true when
 * it dies instead, or serves them (unless it @may).
 */
static bool give(struct scene *s, uint16_t head, uint16_t n, bool may, const char *why)
{
	struct fe *f = &s->x->f;
	struct fe_queue *q = &f->q[OWN_QUEUE];
	struct vring_avail *avail = (void *)(f->mem + FE_AVAIL(q));
	struct vring_used *used = (void *)(f->mem + FE_USED(q));

	for (unsigned int i = 0; i < FE_RING; i++)
		avail->ring[i] = head;
	__atomic_store_n(&avail->idx, n, __ATOMIC_SEQ_CST);
	eventfd_write(q->kick, 1);
	for (int i = 0; i < 5000; i++) {
		if (fe_daemon_logged(&s->x->d, why, 0)) {
			assert_true(may || !used->idx);
			return false;
		}
		if (fe_daemon_logged(&s->x->d, "killed by signal", 0) ||
		    (!may && __atomic_load_n(&used->idx, __ATOMIC_SEQ_CST) == n))
			return true;
		usleep(1000);
	}
	fail_msg("the queue does nothing");
	return false;
}

static bool begins_a_chain_outside_its_ring(struct scene *s)
{
	struct vring_desc *desc = own_ring(s);

	put_ping(s, &desc[OUTSIDE], &desc[0], 0);
	return give(s, OUTSIDE, 1, false, "a chain's head is past the ring");
}

static bool goes_on_outside_its_ring(struct scene *s)
{
	struct vring_desc *desc = own_ring(s);

	put_ping(s, &desc[0], &desc[OUTSIDE], OUTSIDE);
	return give(s, 0, 1, false, "a descriptor past the ring");
}

static bool goes_on_outside_its_table(struct scene *s)
{
	struct vring_desc *desc = own_ring(s);
	uint64_t addr;
	struct vring_desc *table = a_page(s, &addr);

	put_ping(s, &table[0], &table[2], 2);
	desc[0] = (struct vring_desc){ addr, 2 * sizeof(*table), VRING_DESC_F_INDIRECT, 0 };
	return give(s, 0, 1, false, "an indirect descriptor past its table");
}

/* ... so that one of them is under way twice */
static bool has_more_chains_than_its_ring(struct scene *s)
{
	struct vring_desc *desc = own_ring(s);

	put_ping(s, &desc[0], &desc[1], 1);
	return give(s, 0, FE_RING + 1, false, "the available index jumped");
}

/* Without end, the worker writes behind its list of pieces. */
static bool goes_round_in_its_ring(struct scene *s)
{
	struct vring_desc *desc = own_ring(s);
	uint64_t addr;

	a_page(s, &addr);
	desc[0] = (struct vring_desc){ addr, 16, VRING_DESC_F_NEXT, 1 };
	desc[1] = (struct vring_desc){ addr, 16, VRING_DESC_F_NEXT, 0 };
	return give(s, 0, 1, false, "a loop of descriptors");
}

static bool goes_round_in_its_table(struct scene *s)
{
	struct vring_desc *desc = own_ring(s);
	uint64_t addr;
	struct vring_desc *table = a_page(s, &addr);

	table[0] = (struct vring_desc){ addr, 16, VRING_DESC_F_NEXT, 1 };
	table[1] = (struct vring_desc){ addr, 16, VRING_DESC_F_NEXT, 0 };
	desc[0] = (struct vring_desc){ addr, 2 * sizeof(*table), VRING_DESC_F_INDIRECT, 0 };
	return give(s, 0, 1, false, "a loop of indirect descriptors");
}

/* no loop: all of a ring, and then the longest table */
static bool has_too_many_segments(struct scene *s)
{
	const uint32_t n = 1024;
	struct fe *f = &s->x->f;
	struct vring_desc *desc = own_ring(s);
	uint64_t frame = fe_frames(f, n * sizeof(*desc) / PD_PAGE_SIZE);
	struct vring_desc *table = fe_frame(f, frame);
	uint64_t addr = frame << PD_PAGE_SHIFT;

	for (uint16_t i = 0; i < FE_RING; i++)
		desc[i] = (struct vring_desc){ addr, 16, VRING_DESC_F_NEXT, i + 1 };
	desc[FE_RING - 1] =
		(struct vring_desc){ addr, n * sizeof(*desc), VRING_DESC_F_INDIRECT, 0 };
	for (uint16_t i = 0; i < n; i++)
		table[i] = (struct vring_desc){ addr, 16, VRING_DESC_F_NEXT, i + 1 };
	table[n - 1].flags = 0;
	return give(s, 0, 1, false, "a chain with too many segments");
}

/* The worker keeps four: what is behind these in its memory becomes the guest's. */
static bool wants_its_answer_in_many_pieces(struct scene *s)
{
	struct vring_desc *desc = own_ring(s);

	put_ping(s, &desc[0], &desc[1], 1);
	for (uint16_t i = 1; i < FE_RING; i++)
		desc[i] = (struct vring_desc){ desc[1].addr, 1,
					       VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, i + 1 };
	desc[FE_RING - 1].flags = VRING_DESC_F_WRITE;
	/* it is answered, with an error */
	return give(s, 0, 1, true, "pieces for its answer");
}

/* by one operation: more than the worker's stack has room for */
static bool drops_too_many_pages(struct scene *s)
{
	static struct pd_range drops[1 << 15];
	struct pd_req req = { .op = PD_OP_DROP,
			      .mm = s->x->mm.id,
			      .ndrops = sizeof(drops) / sizeof(drops[0]) };
	struct fe_call c = { .mm = &s->x->mm };

	for (size_t i = 0; i < req.ndrops; i++)
		drops[i] = (struct pd_range){ 0x50000000, PD_PAGE_SIZE };
	fe_submit(&s->x->f, &c, s->x->mm.queue, &req, drops, NULL, NULL);
	if (fe_wait(&s->x->f, &c, 5000) == -E2BIG)
		return false;
	return fe_daemon_logged(&s->x->d, "killed by signal", 1000);
}

/* Its mirror is killed while the driver is at work for it, which may be so for as long as it is held here. */
static bool has_a_page_back_while_it_is_used(struct scene *s)
{
	int64_t file = fe_dev_open(&s->x->f, DEV_PTMX, O_RDWR | O_NOCTTY);
	const struct pd_range page = { PROG, PD_PAGE_SIZE }, vec = { PROG, 1 };
	struct pd_req read = { .op = PD_OP_READ,
			       .file = (uint64_t)file,
			       .mm = s->x->mm.id,
			       .nvecs = 1,
			       .oflags = O_RDWR };
	struct pd_req drop = { .op = PD_OP_DROP, .mm = s->x->mm.id, .ndrops = 1 };
	struct fe_call reads = { .mm = &s->x->mm }, drops = { .mm = &s->x->mm };
	pid_t held, mapper;
	bool early;

	assert_true(file > 0);
	fe_submit(&s->x->f, &reads, s->x->mm.queue, &read, NULL, NULL, &vec);
	assert_int_equal(fe_wait(&s->x->f, &reads, 50), -ETIME);
	held = fe_hold_call(fe_worker(&s->x->d), SYS_read, &mapper);
	assert_true(held > 0);
	assert_int_equal(kill(mapper, SIGKILL), 0);
	assert_true(fe_daemon_logged(&s->x->d, "has ended unexpectedly", 5000));
	fe_submit(&s->x->f, &drops, s->x->mm.queue, &drop, &page, NULL, NULL);
	early = fe_wait(&s->x->f, &drops, 300) != -ETIME;
	fe_let_go(held);
	return early;
}

/* ---- by a worker that was taken over ---- */

/* what the attack returned; -EPIPE when the worker was killed for it */
static int64_t attack(struct scene *s, enum attack which, uint32_t number)
{
	struct vhost_message msg = {
		.head = { VHOST_TEST_ATTACK, VHOST_VERSION, sizeof(msg.u.state) },
		.u.state = { which, number },
	};
	int fds[VHOST_MAX_FDS];
	unsigned int nfds;

	assert_int_equal(vhost_write(s->x->f.sock, &msg, NULL, 0), 0);
	return vhost_read(s->x->f.sock, &msg, fds, &nfds) == 1 ? (int64_t)msg.u.u64 : -EPIPE;
}

static bool opens_a_file_of_the_hosts(struct scene *s)
{
	return attack(s, ATTACK_OPEN, 0) >= 0;
}

static bool makes_a_socket(struct scene *s)
{
	return attack(s, ATTACK_SOCKET, 0) >= 0;
}

static bool becomes_root(struct scene *s)
{
	return attack(s, ATTACK_ROOT, 0) >= 0;
}

static bool sees_other_processes(struct scene *s)
{
	/* that it may not signal them is another defence */
	return attack(s, ATTACK_KILL, (uint32_t)s->x->d.pid) != -ESRCH;
}

static bool makes_any_call_in_a_mirror(struct scene *s)
{
	return attack(s, ATTACK_MIRROR, 0) >= 0;
}

static bool opens_a_file_in_a_mirror(struct scene *s)
{
	int64_t ret = attack(s, ATTACK_MIRROR_OPEN, 0);

	/* a mirror may open: there is nothing to be opened */
	assert_true(ret >= 0 || ret == -ENOENT);
	return ret >= 0;
}

/* the manager gives the node of what it thinks is opened for reading */
static bool opens_a_readonly_node_for_writing(struct scene *s)
{
	int64_t ret = attack(s, ATTACK_NODE, DEV_OWN_RO);

	assert_true(ret == 0 || ret == -EACCES);
	return ret == 0;
}

/* ... so that the manager waits for it, and nobody else is served */
static bool does_not_read(struct scene *s)
{
	struct vhost_message msg = {
		.head = { VHOST_TEST_ATTACK, VHOST_VERSION, sizeof(msg.u.state) },
		.u.state = { ATTACK_DEAF, DEV_OWN },
	};
	struct timespec begin, end;

	assert_int_equal(vhost_write(s->x->f.sock, &msg, NULL, 0), 0);
	sleep(2);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_true(fe_dev_open(&s->other, OTHER_ZERO, O_RDWR) > 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000 > 700;
}

/* ... so that it can open nothing for anybody else */
static bool fills_the_managers_descriptors(struct scene *s)
{
	unsigned int n = 0;
	char path[32];
	DIR *d;

	assert_int_equal(attack(s, ATTACK_KEEP, 0), 0);
	snprintf(path, sizeof(path), "/proc/%d/fd", s->x->d.pid);
	/* it takes what was sent to it in its own time */
	for (int i = 0; i < 100 && n < 1000; i++) {
		usleep(10000);
		d = opendir(path);
		assert_non_null(d);
		for (n = 0; readdir(d);)
			n++;
		closedir(d);
	}
	return n >= 1000;
}

/* ... which it could open again whenever it likes */
static bool gets_a_node_that_it_may_not(struct scene *s)
{
	assert_int_equal(attack(s, ATTACK_ASK, DEV_OWN), 0);
	return attack(s, ATTACK_ASK, DEV_ZERO) == 0;
}

/* ---- */

/**
 * struct attempt - an attack
 * @defence: what PARADICE_WEAK calls the defence against it
 * @also: others that are left out in both runs, to show this one alone
 * @weak_build: the daemon that is built for tests in both runs, for @also or a worker that is taken over
 */
static const struct attempt {
	bool (*attack)(struct scene *s);
	const char *name;
	const char *defence;
	const char *also;
	bool weak_build;
} attempts[] = {
#define GUEST(attack, defence)                      \
	{                                           \
		attack, #attack, defence, "", false \
	}
#define WEAK_BUILD(attack, defence, also)            \
	{                                            \
		attack, #attack, defence, also, true \
	}
	GUEST(opens_readonly_for_writing, "readonly"),
	GUEST(makes_a_forbidden_ioctl, "ioctls"),
	GUEST(takes_a_file_it_has, "take"),
	GUEST(opens_what_another_has_alone, "exclusive"),
	GUEST(opens_too_many, "files"),
	GUEST(has_too_many_programs, "processes"),
	GUEST(has_too_much_under_way, "inflight"),
	GUEST(writes_where_it_may_read, "pages"),
	GUEST(gives_a_page_where_the_mirror_is, "hole"),
	GUEST(sees_more_than_it_mapped, "windows"),
	GUEST(has_a_window_outside_its_region, "region"),
	GUEST(has_a_window_over_another, "region"),
	GUEST(has_too_many_windows, "count"),
	GUEST(names_memory_that_is_not_its_own, "ram"),
	GUEST(begins_a_chain_outside_its_ring, "ring"),
	GUEST(goes_on_outside_its_ring, "ring"),
	GUEST(goes_on_outside_its_table, "ring"),
	GUEST(has_more_chains_than_its_ring, "ring"),
	WEAK_BUILD(goes_round_in_its_ring, "loops", "segments"),
	WEAK_BUILD(goes_round_in_its_table, "loops", "segments"),
	GUEST(has_too_many_segments, "segments"),
	GUEST(wants_its_answer_in_many_pieces, "reply"),
	GUEST(drops_too_many_pages, "lists"),
	GUEST(has_a_page_back_while_it_is_used, "end"),
	WEAK_BUILD(opens_a_file_of_the_hosts, "root", ""),
	WEAK_BUILD(makes_a_socket, "calls", ""),
	WEAK_BUILD(becomes_root, "caps", "calls"),
	WEAK_BUILD(sees_other_processes, "pids", ""),
	WEAK_BUILD(makes_any_call_in_a_mirror, "mirror", ""),
	WEAK_BUILD(opens_a_file_in_a_mirror, "root", ""),
	WEAK_BUILD(opens_a_readonly_node_for_writing, "nodes", ""),
	WEAK_BUILD(does_not_read, "waiting", ""),
	WEAK_BUILD(fills_the_managers_descriptors, "keep", ""),
	WEAK_BUILD(gets_a_node_that_it_may_not, "openers", ""),
};

static void begin(struct scene *s, const char *program, const char *weak)
{
	static char socket[96];
	const char *const args[] = { "--mirror",
				     getenv("MIRROR"),
				     "--max-files",
				     "8",
				     "--max-processes",
				     "2",
				     "--max-inflight",
				     "4",
				     "--device",
				     "/dev/ptmx,as=/dev/few,allow-ioctl=TIOCGPTN",
				     "--device",
				     "/dev/full,as=/dev/alone,exclusive",
				     "--device",
				     "/dev/zero,as=/dev/own-ro,ro,open=mirror",
				     "--device",
				     "/dev/zero,as=/dev/own,open=mirror",
				     "--vm",
				     "other",
				     "--socket",
				     socket,
				     "--device",
				     "/dev/full",
				     "--device",
				     "/dev/zero",
				     NULL };

	setenv("PARADICED", program, 1);
	setenv("PARADICE_WEAK", weak, 1);
	snprintf(socket, sizeof(socket), "/tmp/paradice-test-other-%d", getpid());
	s->x = fixture_begin(NULL, args);
	s->other_daemon = s->x->d;
	snprintf(s->other_daemon.socket, sizeof(s->other_daemon.socket), "%s", socket);
	fe_connect(&s->other, &s->other_daemon, NULL);
}

/* The other VM is served as it was. */
static void other_is_served(struct scene *s)
{
	struct fe_mm mm = { 0 };
	int64_t file = fe_dev_open(&s->other, OTHER_ZERO, O_RDWR);

	assert_true(file > 0);
	assert_int_equal(fe_mm_create(&s->other, &mm), 0);
	fe_mm_add(&s->other, &mm, PROG, 2, true);
	memset(fe_mm_at(&s->other, &mm, PROG), 0x55, 100);
	assert_int_equal(fe_read(&s->other, &mm, (uint64_t)file, PROG, 100), 100);
	assert_int_equal(*(uint8_t *)fe_mm_at(&s->other, &mm, PROG), 0);
	assert_int_equal(fe_release(&s->other, (uint64_t)file), 0);
}

static void end(struct scene *s)
{
	fe_close(&s->other);
	fe_close(&s->x->f);
	assert_int_equal(fe_daemon_stop(&s->x->d), 0);
	fe_daemon_clean(&s->x->d);
	free(s->x);
}

static void test_attack(void **state)
{
	const struct attempt *a = *state;
	const char *tests_only = getenv("PARADICED_WEAK");
	static char *real;
	struct scene s;
	char weak[64];

	/* begin() changes it */
	if (!real)
		real = strdup(getenv("PARADICED"));
	assert_non_null(tests_only);
	begin(&s, a->weak_build ? tests_only : real, a->also);
	if (a->attack(&s))
		fail_msg("the attack succeeds");
	other_is_served(&s);
	end(&s);

	snprintf(weak, sizeof(weak), "%s,%s", a->also, a->defence);
	begin(&s, tests_only, weak);
	if (!a->attack(&s))
		fail_msg("the attack fails without the defence, too: it shows nothing");
	end(&s);
}

int main(void)
{
	struct CMUnitTest tests[sizeof(attempts) / sizeof(attempts[0])];
	const size_t n = sizeof(attempts) / sizeof(attempts[0]);

	for (size_t i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){ .name = attempts[i].name,
						.test_func = test_attack,
						.initial_state = (void *)&attempts[i] };
	return _cmocka_run_group_tests("attacks", tests, n, NULL, NULL);
}
