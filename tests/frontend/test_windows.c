// SPDX-License-Identifier: Apache-2.0
/* Mappings of device files, and showing them through the window region. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

#define AT 0x60000000ull
#define LEN (16 * (uint64_t)PD_PAGE_SIZE)

static int64_t do_map(struct fixture *x, int64_t file, uint64_t addr, uint64_t len, uint32_t prot,
		      struct fe_call *c)
{
	return fe_mmap(&x->f, &x->mm, (uint64_t)file, addr, len, prot, c);
}

static int64_t window(struct fixture *x, uint16_t op, uint64_t map, uint64_t offset, uint64_t len,
		      uint64_t at)
{
	return fe_window(&x->f, op, map, offset, len, at);
}

static int64_t unmap(struct fixture *x, uint64_t map, uint64_t addr, uint64_t len)
{
	struct pd_req req = { .op = PD_OP_MUNMAP,
			      .u.mmap = { .map = map, .addr = addr, .len = len } };

	return fe_call(&x->f, &x->mm, &req, NULL);
}

static uint64_t map_zero(struct fixture *x, int64_t *file)
{
	struct fe_call c;

	*file = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
	assert_true(*file > 0);
	assert_int_equal(do_map(x, *file, AT, LEN, PROT_READ | PROT_WRITE, &c), 0);
	assert_true(c.resp.u.map.map != 0);
	assert_int_equal(c.resp.u.map.caching, PD_CACHE_WB);
	assert_int_equal(c.resp.u.map.flags, 0);
	return c.resp.u.map.map;
}

static void test_a_mapping_is_shown_and_ends(void **state)
{
	struct fixture *x = *state;
	int64_t file;
	uint64_t map = map_zero(x, &file);
	struct stat st;

	assert_int_equal(x->f.window_size, 256u << 20);
	assert_int_equal(x->f.config.window_size, 256u << 20);
	assert_int_equal(
		window(x, PD_OP_WINDOW_MAP, map, PD_PAGE_SIZE, LEN - PD_PAGE_SIZE, 1 << 20), 0);
	assert_int_equal(x->f.nmaps, 1);
	assert_int_equal(x->f.maps[0].m.shmid, 0);
	assert_int_equal(x->f.maps[0].m.fd_offset, PD_PAGE_SIZE);
	assert_int_equal(x->f.maps[0].m.shm_offset, 1 << 20);
	assert_int_equal(x->f.maps[0].m.len, LEN - PD_PAGE_SIZE);
	assert_int_equal(x->f.maps[0].m.flags, VHOST_SHMEM_MAP_RW);
	assert_int_equal(fstat(x->f.maps[0].fd, &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	/* waited for until it is live */
	assert_int_equal(x->f.settles, 1);
	assert_int_equal(x->f.unknown_backend, 0);
	/* not before its windows are gone */
	struct pd_req release = { .op = PD_OP_MAP_RELEASE, .u.window.map = map };

	assert_int_equal(fe_call(&x->f, NULL, &release, NULL), -EBUSY);
	assert_int_equal(window(x, PD_OP_WINDOW_UNMAP, map, 0, LEN - PD_PAGE_SIZE, 1 << 20), 0);
	assert_int_equal(x->f.nmaps, 0);
	assert_int_equal(unmap(x, map, AT, LEN), 0);
	release.tag = 0;
	assert_int_equal(fe_call(&x->f, NULL, &release, NULL), 0);
	release.tag = 0;
	assert_int_equal(fe_call(&x->f, NULL, &release, NULL), -EINVAL);
	assert_int_equal(fe_release(&x->f, file), 0);
}

static void test_a_file_is_released_before_its_mapping(void **state)
{
	struct fixture *x = *state;
	struct fe_call c = { .mm = &x->mm };
	struct pd_req req = { .op = PD_OP_RELEASE };
	int64_t file;

	map_zero(x, &file);
	req.file = (uint64_t)file;
	fe_submit(&x->f, &c, x->mm.queue, &req, NULL, NULL, NULL);
	/* the driver's release comes after the last mapping */
	assert_int_equal(fe_wait(&x->f, &c, 100), -ETIME);
	/* or with the VM's end */
	fixture_vm_gone(x);
	assert_false(fe_daemon_logged(&x->d, "does not end its operations", 0));
}

static void test_the_mapping_is_the_programs(void **state)
{
	struct fixture *x = *state;
	int64_t file;
	uint64_t map = map_zero(x, &file);
	int64_t zero = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
	struct pd_req mremap = { .op = PD_OP_MREMAP,
				 .u.mremap = { .map = map,
					       .old_addr = AT,
					       .old_len = LEN,
					       .new_addr = AT + (1 << 28),
					       .new_len = LEN } };

	/* drivers reach it as the program's memory, with no page of the guest's */
	assert_int_equal(fe_read(&x->f, &x->mm, zero, AT, LEN), LEN);
	assert_int_equal(x->mm.faults, 0);
	/* partly gone */
	assert_int_equal(unmap(x, map, AT + PD_PAGE_SIZE, PD_PAGE_SIZE), 0);
	assert_int_equal(fe_read(&x->f, &x->mm, zero, AT + PD_PAGE_SIZE, 1), -EFAULT);
	assert_int_equal(fe_read(&x->f, &x->mm, zero, AT, 1), 1);
	/* elsewhere */
	assert_int_equal(fe_call(&x->f, &x->mm, &mremap, NULL), 0);
	assert_int_equal(fe_read(&x->f, &x->mm, zero, AT, 1), -EFAULT);
	assert_int_equal(fe_read(&x->f, &x->mm, zero, AT + (1 << 28), LEN), LEN);
	/* a file is not gone while it is mapped */
	assert_int_equal(unmap(x, map, AT + (1 << 28), LEN), 0);
}

static void test_a_forked_child_finds_it(void **state)
{
	struct fixture *x = *state;
	int64_t file;
	uint64_t map = map_zero(x, &file);
	struct pd_range vec = { AT + PD_PAGE_SIZE, 100 };
	struct pd_req req = {
		.op = PD_OP_READ, .file = (uint64_t)file, .nvecs = 1, .oflags = O_RDWR
	};
	struct pd_req_continue cont = { .map = map, .map_addr = AT, .map_len = LEN };
	struct fe_mm child;
	struct fe_call c = { .mm = &child };

	assert_int_equal(fe_mm_create(&x->f, &child), 0);
	req.mm = child.id;
	fe_submit(&x->f, &c, child.queue, &req, NULL, NULL, &vec);
	fe_wait_raw(&x->f, &c, 5000);
	assert_int_equal(c.resp.status, PD_ST_FAULT);
	fe_continue(&x->f, &c, 0, NULL, 0, &cont);
	assert_int_equal(fe_wait_raw(&x->f, &c, 5000), 100);
	assert_int_equal(c.resp.status, PD_ST_DONE);
	assert_int_equal(fe_mm_destroy(&x->f, &child), 0);
}

static void test_wrong_windows_are_refused(void **state)
{
	struct fixture *x = *state;
	int64_t file;
	uint64_t map = map_zero(x, &file);

	assert_int_equal(window(x, PD_OP_WINDOW_MAP, map, 0, LEN + PD_PAGE_SIZE, 0), -EINVAL);
	assert_int_equal(window(x, PD_OP_WINDOW_MAP, map, LEN, PD_PAGE_SIZE, 0), -EINVAL);
	assert_int_equal(window(x, PD_OP_WINDOW_MAP, map, ~0ull & ~4095ull, 2 * PD_PAGE_SIZE, 0),
			 -EINVAL);
	assert_int_equal(window(x, PD_OP_WINDOW_MAP, map, 0, 100, 0), -EINVAL);
	assert_int_equal(window(x, PD_OP_WINDOW_MAP, map, 0, 0, 0), -EINVAL);
	assert_int_equal(window(x, PD_OP_WINDOW_MAP, map, 0, PD_PAGE_SIZE, 17), -EINVAL);
	assert_int_equal(window(x, PD_OP_WINDOW_MAP, map, 0, 2 * PD_PAGE_SIZE,
				x->f.window_size - PD_PAGE_SIZE),
			 -EINVAL);
	assert_int_equal(window(x, PD_OP_WINDOW_MAP, map, 0, PD_PAGE_SIZE, ~0ull & ~4095ull),
			 -EINVAL);
	assert_int_equal(window(x, PD_OP_WINDOW_MAP, 4711, 0, PD_PAGE_SIZE, 0), -EINVAL);
	assert_int_equal(window(x, PD_OP_WINDOW_MAP, map, 0, 2 * PD_PAGE_SIZE, 0), 0);
	assert_int_equal(window(x, PD_OP_WINDOW_MAP, map, 0, PD_PAGE_SIZE, PD_PAGE_SIZE), -EINVAL);
	assert_int_equal(window(x, PD_OP_WINDOW_UNMAP, map, 0, PD_PAGE_SIZE, 0), -EINVAL);
	assert_int_equal(window(x, PD_OP_WINDOW_UNMAP, map, 0, PD_PAGE_SIZE, PD_PAGE_SIZE),
			 -EINVAL);
	assert_int_equal(x->f.nmaps, 1);
	assert_int_equal(window(x, PD_OP_WINDOW_UNMAP, map, 0, 2 * PD_PAGE_SIZE, 0), 0);
}

static void test_windows_are_bounded(void **state)
{
	struct fixture *x = *state;
	int64_t file;
	uint64_t map = map_zero(x, &file);

	for (uint64_t i = 0; i < PD_MAX_WINDOWS; i++)
		assert_int_equal(
			window(x, PD_OP_WINDOW_MAP, map, 0, PD_PAGE_SIZE, i * PD_PAGE_SIZE), 0);
	assert_int_equal(window(x, PD_OP_WINDOW_MAP, map, 0, PD_PAGE_SIZE,
				PD_MAX_WINDOWS * (uint64_t)PD_PAGE_SIZE),
			 -ENOSPC);
	assert_true(fe_daemon_logged(&x->d, "wants more than 400 windows", 1000));
}

static void test_a_vmm_that_refuses(void **state)
{
	struct fixture *x = *state;
	int64_t file;
	uint64_t map = map_zero(x, &file);

	x->f.refuse_maps = true;
	assert_int_equal(window(x, PD_OP_WINDOW_MAP, map, 0, PD_PAGE_SIZE, 0), -EIO);
	assert_true(fe_daemon_logged(&x->d, "the VMM refuses to map", 1000));
	x->f.refuse_maps = false;
	assert_int_equal(window(x, PD_OP_WINDOW_MAP, map, 0, PD_PAGE_SIZE, 0), 0);
}

static void test_what_cannot_be_mapped(void **state)
{
	struct fixture *x = *state;
	int64_t null = fe_dev_open(&x->f, DEV_NULL, O_RDWR);
	int64_t tun = fe_dev_open(&x->f, DEV_TUN, O_RDWR);
	int64_t ro = fe_dev_open(&x->f, DEV_ZERO_RO, O_RDONLY);
	struct fe_call c;
	struct pd_req odd = { .op = PD_OP_MMAP,
			      .file = (uint64_t)null,
			      .u.mmap = { .addr = AT + 1, .len = LEN } };

	/* the driver's own words */
	assert_int_equal(do_map(x, tun, AT, LEN, PROT_READ, &c), -ENODEV);
	assert_int_equal(do_map(x, ro, AT, LEN, PROT_READ | PROT_WRITE, &c), -EACCES);
	/* ours */
	assert_int_equal(do_map(x, ro, AT, LEN, PROT_READ, &c), -ENODEV);
	assert_true(fe_daemon_logged(&x->d, "opened for reading only cannot be mapped", 1000));
	assert_int_equal(fe_call(&x->f, &x->mm, &odd, NULL), -EINVAL);
	/* over the mirror itself */
	assert_int_equal(do_map(x, fe_dev_open(&x->f, DEV_ZERO, O_RDWR), FE_HOLE, LEN, PROT_READ,
				&c),
			 -EINVAL);
}

static void test_without_shared_memory_regions(void **state)
{
	const struct fe_options o = { .no_shmem = true };
	struct fixture *x = fixture_begin(&o, NULL);
	int64_t zero = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);
	struct fe_call c;

	(void)state;
	assert_int_equal(x->f.config.window_size, 0);
	assert_int_equal(do_map(x, zero, AT, LEN, PROT_READ, &c), -ENODEV);
	assert_true(
		fe_daemon_logged(&x->d, "the VMM has no vhost-user shared memory regions", 1000));
	/* and all else works */
	assert_int_equal(fe_read(&x->f, &x->mm, zero, PROG, 10), 10);
	fixture_end(x);
}

static void test_without_windows_by_option(void **state)
{
	const char *const args[] = { "--window", "0", NULL };
	struct fixture *x = fixture_begin(NULL, args);
	struct fe_call c;

	(void)state;
	assert_int_equal(x->f.config.window_size, 0);
	assert_int_equal(x->f.protocol & 1ull << VHOST_PROTOCOL_SHMEM, 0);
	assert_int_equal(do_map(x, fe_dev_open(&x->f, DEV_ZERO, O_RDWR), AT, LEN, PROT_READ, &c),
			 -ENODEV);
	fixture_end(x);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_mapping_is_shown_and_ends),
		TEST(test_a_file_is_released_before_its_mapping),
		TEST(test_the_mapping_is_the_programs),
		TEST(test_a_forked_child_finds_it),
		TEST(test_wrong_windows_are_refused),
		TEST(test_windows_are_bounded),
		TEST(test_a_vmm_that_refuses),
		TEST(test_what_cannot_be_mapped),
		cmocka_unit_test(test_without_shared_memory_regions),
		cmocka_unit_test(test_without_windows_by_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
