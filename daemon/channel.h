/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between the manager and a VM's worker, over a SOCK_SEQPACKET pair.
 *
 * The manager trusts nothing that a worker sends: a worker can ask it to open the devices of its
 * own VM, and no more.
 */
#ifndef PARADICE_CHANNEL_H
#define PARADICE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <paradice/protocol.h>

#include "ioctl_policy.h"
#include "pass_fds.h"
#include "rules.h"
#include "vhost_proto.h"

#define CHANNEL_MAX_FDS PASS_MAX_FDS
#define CHANNEL_TEXT 32768
#define CHANNEL_IDENTITY_MAX 32000
#define VM_NAME_MAX 63

/**
 * enum channel_type - what a message says
 * @CHANNEL_START: to the worker: @start; descriptors: VMM connection, mirror program, the VM's state
 *	(vm_state.h), and /dev/userfaultfd where it exists
 * @CHANNEL_KEEP: to the manager: @vhost, a message of the VMM to be kept, with its descriptors
 * @CHANNEL_REPLAY: to the worker, before the start: @vhost, one that was kept
 * @CHANNEL_IDENTITY: to the worker: what /sys says of device @device_id, which comes next: @bytes, up
 *	to the message's end, for table position @index
 * @CHANNEL_DEVICE: to the worker: a device is there: @device, at table position @index
 * @CHANNEL_DEVICE_GONE: to the worker: the device with id @device_id is gone
 * @CHANNEL_OPEN: to the manager: open @device_id with @oflags, or with @in_mirror let a mirror do
 *	so, where the device is one that mirrors open; @id names the answer
 * @CHANNEL_CLOSED: to the manager: a file of exclusive device @device_id is closed, or was not
 *	opened after all; once for each CHANNEL_OPENED with a @device_id
 * @CHANNEL_OPEN_CANCEL: to the manager: interrupt opening @id
 * @CHANNEL_FILE: to the worker: the descriptor that @id asked for; comes before CHANNEL_OPENED, and between the
 *	two the manager closes its own: the worker's close shall be the driver's release
 * @CHANNEL_OPENED: to the worker: the result of @id; @device_id where CHANNEL_CLOSED is wanted for it,
 *	else 0. With @in_mirror the descriptor comes with it, an O_PATH one of a node that this VM's
 *	processes may open
 * @CHANNEL_STATS_ASK: to the worker: send CHANNEL_STATS; @id comes back
 * @CHANNEL_STATS: to the manager: @text; sent unasked (with @id 0) at the VM's end
 */
enum channel_type {
	CHANNEL_START = 1,
	CHANNEL_KEEP,
	CHANNEL_REPLAY,
	CHANNEL_IDENTITY,
	CHANNEL_DEVICE,
	CHANNEL_DEVICE_GONE,
	CHANNEL_OPEN,
	CHANNEL_CLOSED,
	CHANNEL_OPEN_CANCEL,
	CHANNEL_FILE,
	CHANNEL_OPENED,
	CHANNEL_STATS_ASK,
	CHANNEL_STATS,
};

/**
 * struct worker_settings - what a worker must know of its VM
 * @name: the VM's
 * @log_level: enum log_level
 * @queues: request queues to announce
 * @max_inflight: operations at once
 * @spin_us: how long a thread at most looks for the next request before it waits for a kick, microseconds
 * @max_files: open files at once
 * @max_processes: guest processes at once, each of which is one here, too
 * @window_size: bytes, 0 for no windows
 * @keep_caps: capabilities of mirrors, a mask
 * @uid: identity of the worker and of mirrors; (uid_t)-1: stay as we are
 * @gid: likewise
 * @rules: given by the administrator
 * @allow_pfnmap: show device memory that old kernels' KVM cannot
 * @xen: it is a domain of Xen's, whose VMM paradice-xen plays
 * @weak: defences that a build for tests leaves out (weak.h), else 0
 */
struct worker_settings {
	char name[VM_NAME_MAX + 1];
	uint32_t log_level;
	uint32_t queues;
	uint32_t max_inflight;
	uint32_t spin_us;
	uint32_t max_files;
	uint32_t max_processes;
	uint64_t window_size;
	uint64_t keep_caps;
	uid_t uid;
	gid_t gid;
	bool allow_pfnmap;
	bool xen;
	uint64_t weak;
	struct rules_given rules;
};

/**
 * struct device_info - a device as the worker knows it
 * @wire: what the guest is told
 * @caching: PD_CACHE_* of its mappings
 * @keeps_nothing: PD_FILE_KEEPS_NOTHING of its files
 * @ioctls: those it may be given
 */
struct device_info {
	struct pd_device wire;
	uint32_t caching;
	bool keeps_nothing;
	struct ioctl_policy ioctls;
};

struct channel_msg {
	uint32_t type;
	uint32_t id;
	uint32_t device_id;
	uint32_t index;
	uint32_t oflags;
	int32_t result;
	bool in_mirror;
	union {
		struct worker_settings start;
		struct device_info device;
		struct vhost_message vhost;
		char text[CHANNEL_TEXT];
		uint8_t bytes[CHANNEL_IDENTITY_MAX];
	} u;
};

/* Bytes of a message without its union, for channel_send(). */
#define CHANNEL_HEAD offsetof(struct channel_msg, u)

/**
 * channel_send() - sends a message
 * @len: bytes of @msg that are meant
 * @fds: descriptors to pass, which stay the caller's
 * @wait_ms: how long to wait for room; -1 for ever
 *
 * Return: 0, or a negative errno (-EAGAIN: no room in time; -EPIPE: the other side is gone).
 */
int channel_send(int fd, const struct channel_msg *msg, size_t len, const int *fds,
		 unsigned int nfds, int wait_ms);

/**
 * channel_recv() - receives a message; waits for one
 * @fds: CHANNEL_MAX_FDS places; those received are the caller's, the rest -1
 *
 * Return: the message's length (at least CHANNEL_HEAD), 0 when the other side is gone, or a
 * negative errno. Text is NUL-terminated.
 */
ssize_t channel_recv(int fd, struct channel_msg *msg, int *fds);

#endif
