// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes what the manager takes from a worker that was taken over: messages on its channel, of any
 * form and with any descriptors, and what it keeps of them for the next worker. The control socket has
 * nothing to fuzz: the manager reads no byte from it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "input.h"
#include "open_files.h"

#include "../../daemon/channel.h"
#include "../../daemon/keep.h"
#include "../../daemon/log.h"
#include "../../daemon/nodes.h"
#include "../../daemon/opener.h"
#include "../../daemon/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct device_option devices[] = {
	{ .path = (char *)"/dev/zero", .name = (char *)"zero", .caching = -1, .exclusive = true },
	{ .path = (char *)"/dev/zero", .name = (char *)"zero-ro", .caching = -1, .readonly = true },
	{ .path = (char *)"/dev/gone", .name = (char *)"gone", .caching = -1 },
};

static struct vm_option option = { .name = (char *)"fuzz", .devices = devices, .ndevices = 3 };

static void set_up(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	log_setup("fuzz", LOG_DEBUG);
	nodes_setup();
	if (opener_setup())
		abort();
}

static void say(int sock, struct input *in)
{
	static struct channel_msg msg;
	uint16_t len = take16(in);
	unsigned int nfds = take8(in) & 3;
	int fds[3];

	memset(&msg, 0, sizeof(msg));
	msg.type = take8(in) & 15;
	msg.device_id = take8(in) & 7;
	msg.id = take8(in);
	msg.oflags = take16(in);
	msg.in_mirror = take8(in) & 1;
	take(in, &msg.u, take8(in) * 8);
	for (unsigned int i = 0; i < nfds; i++)
		fds[i] = fcntl(sock, F_DUPFD_CLOEXEC, 0);
	/* shorter than a head, longer than what it is about: as it comes */
	channel_send(sock, &msg, len % (sizeof(msg) + 1), fds, nfds, 0);
	for (unsigned int i = 0; i < nfds; i++)
		close(fds[i]);
}

static void take_stats(struct vm *vm, uint32_t id, const char *text)
{
	(void)vm;
	(void)id;
	if (strlen(text) > CHANNEL_TEXT)
		abort();
}

/* Reads what the manager said, and lets go of what came with it. */
static void swallow(int sock)
{
	static struct channel_msg msg;
	int fds[CHANNEL_MAX_FDS];

	while (channel_recv(sock, &msg, fds) > 0)
		for (unsigned int i = 0; i < CHANNEL_MAX_FDS; i++)
			if (fds[i] >= 0)
				close(fds[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm_device of[3] = {
		{ .o = &devices[0], .id = 1, .rdev = makedev(1, 5), .by_mirror = true, .lock = -1 },
		{ .o = &devices[1], .id = 2, .rdev = makedev(1, 5), .lock = -1 },
		{ .o = &devices[2], .id = 3, .lock = -1 },
	};
	struct vm vm = { .o = &option, .devices = of, .pidfd = -1, .conn = -1, .state = -1 };
	struct host host = { .vms = &vm, .nvms = 1, .program = -1, .uffd = -1 };
	struct input in = { data, size };
	unsigned int before;
	int pair[2];

	set_up();
	before = open_files(false);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		abort();
	vm.channel = pair[0];
	vm.keep = keep_create();
	for (unsigned int i = 0; in.left && i < 32 && vm.channel >= 0; i++) {
		say(pair[1], &in);
		vm_channel(&vm, &host, take_stats);
		swallow(pair[1]);
	}
	opener_cancel_all(&vm);
	while (opener_tick())
		usleep(100);
	keep_replay(vm.keep, vm.channel);
	swallow(pair[1]);
	keep_destroy(vm.keep);
	free(vm.stats);
	if (vm.channel >= 0)
		close(vm.channel);
	close(pair[1]);
	/* a thread that opened something closes its own after it has left the opener's list */
	for (unsigned int i = 0; open_files(false) != before; i++) {
		if (i == 50000) {
			open_files(true);
			abort();
		}
		usleep(100);
	}
	return 0;
}
