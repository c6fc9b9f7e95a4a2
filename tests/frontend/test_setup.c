// SPDX-License-Identifier: Apache-2.0
/* What a VMM says: the handshake, and VMMs that do it wrong. */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

static void test_features(void **state)
{
	struct fixture *x = *state;

	assert_true(x->f.features & 1ull << VIRTIO_F_VERSION_1);
	assert_true(x->f.features & 1ull << VIRTIO_RING_F_EVENT_IDX);
	assert_true(x->f.features & 1ull << VIRTIO_RING_F_INDIRECT_DESC);
	assert_true(x->f.features & 1ull << VHOST_F_PROTOCOL_FEATURES);
	assert_true(x->f.protocol & 1ull << 22);
	assert_false(x->f.protocol & 1ull << 21); /* another feature than SHMEM */
	assert_false(x->f.protocol & 1ull << 15); /* CONFIGURE_MEM_SLOTS: see the design */
	assert_false(x->f.protocol & 1ull << 12); /* inflight: not with QEMU's generic device */
	assert_int_equal(fe_message(&x->f, VHOST_GET_QUEUE_NUM, NULL, 0, NULL, 0, NULL), 66);
}

static void test_configuration(void **state)
{
	const char *const args[] = { "--queues", "3", "--max-inflight", "77", "--window",
				     "64M",	 NULL };
	struct fixture *x = fixture_begin(NULL, args);
	struct vhost_config config = { .offset = 4, .size = 4 };
	struct vhost_message reply;

	(void)state;
	assert_int_equal(x->f.config.magic, PD_MAGIC);
	assert_int_equal(x->f.config.version_min, PD_VERSION);
	assert_int_equal(x->f.config.version_max, PD_VERSION);
	assert_int_equal(x->f.config.num_request_queues, 3);
	assert_int_equal(x->f.config.max_inflight, 77);
	assert_int_equal(x->f.config.window_size, 64u << 20);
	/* a part of it, more than it, and nonsense */
	fe_message(&x->f, VHOST_GET_CONFIG, &config, 12 + 4, NULL, 0, &reply);
	assert_int_equal(reply.head.size, 12 + 4);
	assert_int_equal(reply.u.config.region[0], PD_VERSION);
	config = (struct vhost_config){ .size = 256 };
	fe_message(&x->f, VHOST_GET_CONFIG, &config, sizeof(config), NULL, 0, &reply);
	assert_int_equal(reply.head.size, sizeof(config));
	assert_int_equal(reply.u.config.region[255], 0);
	config = (struct vhost_config){ .offset = 200, .size = 200 };
	fe_message(&x->f, VHOST_GET_CONFIG, &config, 12, NULL, 0, &reply);
	assert_int_equal(reply.head.size, 0);
	fe_message(&x->f, VHOST_GET_SHMEM_CONFIG, NULL, 0, NULL, 0, &reply);
	assert_int_equal(reply.head.size, 2056);
	assert_int_equal(reply.u.shmem.nregions, 1);
	assert_int_equal(reply.u.shmem.sizes[0], 64u << 20);
	assert_int_equal(reply.u.shmem.sizes[1], 0);
	fixture_end(x);
}

static void test_without_event_index(void **state)
{
	const struct fe_options o = { .no_event_idx = true };
	struct fixture *x = fixture_begin(&o, NULL);
	int64_t file = fe_dev_open(&x->f, DEV_ZERO, O_RDWR);

	(void)state;
	for (int i = 0; i < 200; i++)
		assert_int_equal(fe_read(&x->f, &x->mm, file, PROG, 10), 10);
	fixture_end(x);
}

static void test_bad_messages_are_refused(void **state)
{
	struct fixture *x = *state;
	struct fe *f = &x->f;
	struct vhost_vring_state s = { .index = 66, .num = 16 };
	struct vhost_vring_addr a = { .index = 5, .desc = 0x1000 };
	uint64_t v = ~0ull;

	assert_int_equal(fe_message(f, 999, NULL, 0, NULL, 0, NULL), 1);
	assert_int_equal(fe_message(f, VHOST_SET_VRING_NUM, &s, sizeof(s), NULL, 0, NULL), 1);
	s = (struct vhost_vring_state){ .index = 5, .num = 17 };
	assert_int_equal(fe_message(f, VHOST_SET_VRING_NUM, &s, sizeof(s), NULL, 0, NULL), 1);
	s.num = 65536;
	assert_int_equal(fe_message(f, VHOST_SET_VRING_NUM, &s, sizeof(s), NULL, 0, NULL), 1);
	s.num = 0;
	assert_int_equal(fe_message(f, VHOST_SET_VRING_NUM, &s, sizeof(s), NULL, 0, NULL), 1);
	assert_int_equal(fe_message(f, VHOST_SET_VRING_ADDR, &a, sizeof(a), NULL, 0, NULL), 1);
	assert_int_equal(fe_message(f, VHOST_SET_FEATURES, &v, 8, NULL, 0, NULL), 1);
	assert_int_equal(fe_message(f, VHOST_SET_PROTOCOL_FEATURES, &v, 8, NULL, 0, NULL), 1);
	v = 5;
	assert_int_equal(fe_message(f, VHOST_SET_VRING_KICK, &v, 8, NULL, 0, NULL), 1);
	v = 200;
	assert_int_equal(fe_message(f, VHOST_SET_VRING_CALL, &v, 8, NULL, 0, NULL), 1);
	assert_int_equal(fe_message(f, VHOST_SET_BACKEND_REQ_FD, NULL, 0, NULL, 0, NULL), 1);
	/* and the rest works as before */
	assert_int_equal(fe_read(f, &x->mm, fe_dev_open(f, DEV_ZERO, O_RDWR), PROG, 10), 10);
}

static void test_memory_tables(void **state)
{
	struct fixture *x = *state;
	struct fe *f = &x->f;
	int64_t file = fe_dev_open(f, DEV_ZERO, O_RDWR);
	struct vhost_memory t = {
		.nregions = 2,
		.regions = { { .gpa = 0, .size = FE_MEMORY, .uva = FE_UVA },
			     { .gpa = 1ull << 32, .size = 1 << 20, .uva = FE_UVA + (1ull << 32) } },
	};
	int fds[2] = { f->memfd, open("/dev/zero", O_RDWR | O_CLOEXEC) };

	/* sent again with a window's device in it, as QEMU does */
	assert_int_equal(fe_message(f, VHOST_SET_MEM_TABLE, &t, 8 + 2 * 32, fds, 2, NULL), 0);
	assert_int_equal(fe_read(f, &x->mm, file, PROG, 10), 10);
	/* more memory than the file has */
	t.nregions = 1;
	t.regions[0].size = 2 * FE_MEMORY;
	assert_int_equal(fe_message(f, VHOST_SET_MEM_TABLE, &t, 8 + 32, fds, 1, NULL), 1);
	assert_true(fe_daemon_logged(&x->d, "memory that its file does not have", 1000));
	/* a count that is not that of the descriptors */
	t.regions[0].size = FE_MEMORY;
	t.nregions = 2;
	assert_int_equal(fe_message(f, VHOST_SET_MEM_TABLE, &t, 8 + 64, fds, 1, NULL), 1);
	t.nregions = 0xffffffff;
	assert_int_equal(fe_message(f, VHOST_SET_MEM_TABLE, &t, 8 + 64, fds, 1, NULL), 1);
	assert_int_equal(fe_read(f, &x->mm, file, PROG, 10), 10);
	close(fds[1]);
}

static void test_hugetlbfs_is_refused_by_name(void **state)
{
	struct fixture *x = *state;
	struct vhost_memory t = { .nregions = 1,
				  .regions = { { .size = 2 << 20, .uva = FE_UVA } } };
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 2 << 20), 0);
	assert_int_equal(fe_message(&x->f, VHOST_SET_MEM_TABLE, &t, 8 + 32, &fd, 1, NULL), 1);
	assert_true(fe_daemon_logged(&x->d, "the guest's memory is on hugetlbfs", 1000));
	close(fd);
}

static void test_no_shared_memory(void **state)
{
	const struct fe_options o = { .no_memory = true, .no_hello = true };
	struct fixture *x = fixture_begin(&o, NULL);
	struct vhost_memory t = { 0 };

	(void)state;
	assert_int_equal(fe_message(&x->f, VHOST_SET_MEM_TABLE, &t, 8, NULL, 0, NULL), 0);
	assert_true(fe_daemon_logged(
		&x->d, "shares none of the guest's memory: start the VM with share=on", 1000));
	fixture_end(x);
}

static void test_private_memory(void **state)
{
	const struct fe_options o = { .private_memory = true, .no_hello = true };
	struct fixture *x = fixture_begin(&o, NULL);
	struct pd_req hello = { .op = PD_OP_HELLO, .u.hello = { .version = PD_VERSION } };
	struct fe_call c = { 0 };

	(void)state;
	fe_submit(&x->f, &c, PD_QUEUE_CONTROL, &hello, NULL, NULL, NULL);
	eventfd_write(x->f.q[0].kick, 1);
	assert_true(fe_daemon_logged(
		&x->d, "its memory is a private mapping; start the VM with share=on", 3000));
	fixture_end(x);
}

static void test_version_mismatch(void **state)
{
	const struct fe_options o = { .no_hello = true };
	struct fixture *x = fixture_begin(&o, NULL);
	struct pd_req hello = { .op = PD_OP_HELLO, .u.hello = { .version = PD_VERSION + 1 } };
	struct fe_call c = { 0 };

	(void)state;
	strcpy((char *)hello.u.hello.release, "6.1.0-test");
	assert_int_equal(fe_control(&x->f, &hello, &c), -EPROTO);
	assert_true(fe_daemon_logged(
		&x->d, "the guest (Linux 6.1.0-test) speaks protocol version 3, this daemon 2",
		1000));
	hello.tag = 0;
	hello.u.hello.version = PD_VERSION;
	assert_int_equal(fe_control(&x->f, &hello, &c), 0);
	fixture_end(x);
}

/* Lines of the daemon's log that hold @text. */
static unsigned int lines(const struct fixture *x, const char *text)
{
	unsigned int n = 0;
	char line[1024];
	FILE *f = fopen(x->d.log, "re");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, text) != NULL;
	fclose(f);
	return n;
}

/* What a guest can say as often as it likes does not fill the host's log. */
static void test_hellos_without_end(void **state)
{
	struct fixture *x = *state;
	struct vhost_vring_state s = { .index = 66, .num = 16 };

	for (int i = 0; i < 60; i++) {
		struct pd_req hello = { .op = PD_OP_HELLO, .u.hello = { .version = PD_VERSION + i % 2 } };
		struct fe_call c = { 0 };

		assert_int_equal(fe_control(&x->f, &hello, &c), i % 2 ? -EPROTO : -EBUSY);
		assert_int_equal(fe_message(&x->f, VHOST_SET_VRING_NUM, &s, sizeof(s), NULL, 0, NULL), 1);
	}
	/* all of them have been logged before this is */
	assert_int_equal(fe_message(&x->f, 999, NULL, 0, NULL, 0, NULL), 1);
	assert_true(fe_daemon_logged(&x->d, "sends message 999", 1000));
	assert_in_range(lines(x, "a second HELLO"), 1, 10);
	assert_in_range(lines(x, "speaks protocol version"), 1, 10);
	assert_in_range(lines(x, "is about queue 66"), 1, 10);
}

static void test_not_vhost_user(void **state)
{
	struct fixture *x = *state;
	static const char http[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	char byte;

	fixture_vm_gone(x);
	fe_open(&x->f, &x->d);
	assert_true(send(x->f.sock, http, sizeof(http), MSG_NOSIGNAL) > 0);
	/* hung up on, with a hint, and the next one is served */
	assert_true(recv(x->f.sock, &byte, 1, 0) <= 0);
	assert_true(fe_daemon_logged(&x->d, "is this a vhost-user device", 1000));
	fe_close(&x->f);
	fe_connect(&x->f, &x->d, NULL);
	x->connected = true;
	assert_int_equal(fe_mm_create(&x->f, &x->mm), 0);
}

static void uevent(const char *what)
{
	int fd = open("/sys/class/mem/full/uevent", O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, what, strlen(what)), strlen(what));
	close(fd);
}

/* The kernel says that /dev/full goes and comes, as for a device that is pulled out. */
static void test_device_gone_and_back(void **state)
{
	struct fixture *x = *state;
	struct pd_req req = { .op = PD_OP_DEVICE, .u.device.index = 4 };
	int64_t file = fe_dev_open(&x->f, DEV_FULL, O_RDWR);
	struct fe_call c = { 0 };
	struct pd_event ev;

	fe_post_events(&x->f, 8);
	uevent("remove");
	assert_int_equal(fe_event(&x->f, &ev, 5000), 0);
	assert_int_equal(ev.type, PD_EV_DEVICE_REMOVE);
	assert_int_equal(ev.arg, DEV_FULL);
	assert_int_equal(fe_dev_open(&x->f, DEV_FULL, O_RDWR), -ENODEV);
	assert_int_equal(fe_control(&x->f, &req, &c), -ENODEV);
	/* who has it open goes on with the driver */
	assert_int_equal(fe_write(&x->f, &x->mm, file, PROG, 1), -ENOSPC);
	uevent("add");
	assert_int_equal(fe_event(&x->f, &ev, 5000), 0);
	assert_int_equal(ev.type, PD_EV_DEVICE_ADD);
	assert_int_equal(ev.arg, 4);
	req.tag = 0;
	assert_int_equal(fe_control(&x->f, &req, &c), 0);
	assert_string_equal((char *)c.device.name, "full");
	assert_true(c.device.id > DEV_TUN);
	assert_true(fe_dev_open(&x->f, c.device.id, O_RDWR) > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_features),
		cmocka_unit_test(test_configuration),
		cmocka_unit_test(test_without_event_index),
		TEST(test_bad_messages_are_refused),
		TEST(test_memory_tables),
		TEST(test_hugetlbfs_is_refused_by_name),
		cmocka_unit_test(test_no_shared_memory),
		cmocka_unit_test(test_private_memory),
		cmocka_unit_test(test_version_mismatch),
		TEST(test_hellos_without_end),
		TEST(test_not_vhost_user),
		TEST(test_device_gone_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
