// SPDX-License-Identifier: Apache-2.0
/* What a worker does that an attacker has taken over, in paradiced-weak. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../daemon/channel.h"
#include "../../daemon/mirror_private.h"
#include "../../daemon/weak.h"
#include "../../daemon/worker.h"
#include "../../daemon/worker_private.h"

#define FILE_OF_THE_HOSTS "/etc/passwd"
/* that no request and no file has */
#define NOBODYS_ID 0xffffffffu
#define NOBODYS_HANDLE (1ull << 60)

/* Any mirror, which the caller puts back. */
static struct mirror *some_mirror(struct mirror_pool *pool)
{
	struct mirror *m;

	pthread_mutex_lock(&pool->lock);
	m = LIST_FIRST(&pool->mirrors);
	if (m)
		mirror_get(m);
	pthread_mutex_unlock(&pool->lock);
	return m;
}

static int64_t in_mirror(struct mirror *m, bool open)
{
	uint64_t text = mirror_slot_addr(m->seed, m->seed->req->data);
	int64_t ret;

	pthread_mutex_lock(&m->bind_lock);
	strcpy((char *)m->seed->req->data, FILE_OF_THE_HOSTS);
	ret = open ? mirror_seed_call(m, SYS_openat, AT_FDCWD, text, O_RDONLY) :
		     mirror_seed_call(m, SYS_memfd_create, text, 0, 0);
	pthread_mutex_unlock(&m->bind_lock);
	return ret;
}

/* The node of a device, as for reading; a descriptor that only names it, or a negative errno. */
static int get_node(int channel, uint32_t device)
{
	static struct channel_msg msg;
	int fds[CHANNEL_MAX_FDS];

	memset(&msg, 0, CHANNEL_HEAD);
	msg.type = CHANNEL_OPEN;
	msg.id = NOBODYS_ID;
	msg.device_id = device;
	msg.oflags = O_RDONLY;
	msg.in_mirror = true;
	if (channel_send(channel, &msg, CHANNEL_HEAD, NULL, 0, -1))
		return -EIO;
	do {
		if (channel_recv(channel, &msg, fds) <= 0)
			return -EIO;
	} while (msg.type != CHANNEL_OPENED || msg.id != NOBODYS_ID);
	return msg.result ? msg.result : fds[0];
}

static int64_t open_node(int channel, struct mirror *m, uint32_t device)
{
	struct mirror_op op = { .m = m };
	int node = get_node(channel, device);
	int64_t ret;
	int fd;

	if (node < 0)
		return node;
	ret = mirror_open(&op, node, O_RDWR, NOBODYS_HANDLE, &fd);
	close(node);
	if (!ret) {
		close(fd);
		mirror_forget_file(m->pool, NOBODYS_HANDLE);
	}
	return ret;
}

static int64_t by_mirror(int channel, struct mirror_pool *pool, uint32_t which, uint32_t number)
{
	struct mirror *m = some_mirror(pool);
	int64_t ret;

	if (!m)
		return -ESRCH;
	ret = which == ATTACK_NODE ? open_node(channel, m, number) :
				     in_mirror(m, which == ATTACK_MIRROR_OPEN);
	mirror_put(m);
	return ret;
}

/* the worker ends after some seconds, if nobody ends it */
static void __attribute__((noreturn)) deaf(uint32_t device)
{
	struct channel_msg msg = { .type = CHANNEL_OPEN, .device_id = device, .in_mirror = true };
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		channel_send(WORKER_CHANNEL, &msg, CHANNEL_HEAD, NULL, 0, 10);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < 4);
	_exit(0);
}

static int64_t have_kept(void)
{
	static const uint32_t requests[] = { VHOST_SET_VRING_NUM, VHOST_SET_VRING_BASE,
					     VHOST_SET_VRING_ADDR, VHOST_SET_VRING_ENABLE };
	static struct channel_msg msg;
	struct timespec t = { .tv_nsec = 1000000 };
	int fds[CHANNEL_MAX_FDS];
	int64_t ret = 0;

	for (unsigned int i = 0; i < CHANNEL_MAX_FDS; i++)
		fds[i] = WORKER_CHANNEL;
	msg.type = CHANNEL_KEEP;
	for (uint32_t i = 0; i < 4 * NUM_QUEUES && !ret; i++) {
		msg.u.vhost.head.request = requests[i % 4];
		msg.u.vhost.u.state.index = i / 4;
		/* the kernel's limit of those under way, too, makes it slower only */
		do {
			ret = channel_send(WORKER_CHANNEL, &msg, CHANNEL_HEAD + sizeof(msg.u.vhost),
					   fds, CHANNEL_MAX_FDS, -1);
			nanosleep(&t, NULL);
		} while (ret == -ETOOMANYREFS);
	}
	return ret;
}

/* 0 when it is got; nobody else reads the channel meanwhile */
static int64_t ask_for_node(uint32_t device)
{
	static struct channel_msg msg;
	int fds[CHANNEL_MAX_FDS];
	int64_t ret;

	msg.type = CHANNEL_OPEN;
	msg.id = NOBODYS_ID;
	msg.device_id = device;
	msg.in_mirror = true;
	msg.oflags = O_RDWR;
	ret = channel_send(WORKER_CHANNEL, &msg, CHANNEL_HEAD, NULL, 0, -1);
	while (!ret) {
		ssize_t n = channel_recv(WORKER_CHANNEL, &msg, fds);

		if (n <= 0)
			return n ? n : -EPIPE;
		for (unsigned int i = 0; i < CHANNEL_MAX_FDS && fds[i] >= 0; i++)
			close(fds[i]);
		if (msg.type == CHANNEL_OPENED && msg.id == NOBODYS_ID)
			return msg.result ? msg.result : msg.in_mirror ? 0 : -ENXIO;
	}
	return ret;
}

int64_t weak_attack(int channel, struct mirror_pool *pool, uint32_t which, uint32_t number)
{
	int64_t ret = -ENOSYS;

	switch (which) {
	case ATTACK_OPEN:
		ret = open(FILE_OF_THE_HOSTS, O_RDONLY | O_CLOEXEC);
		break;
	case ATTACK_SOCKET:
		ret = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		break;
	case ATTACK_ROOT:
		ret = setresuid(0, 0, 0);
		break;
	case ATTACK_KILL:
		ret = kill((pid_t)number, 0);
		break;
	case ATTACK_MIRROR:
	case ATTACK_MIRROR_OPEN:
	case ATTACK_NODE:
		return by_mirror(channel, pool, which, number);
	case ATTACK_DEAF:
		deaf(number);
	case ATTACK_KEEP:
		return have_kept();
	case ATTACK_ASK:
		return ask_for_node(number);
	default:
		break;
	}
	return ret < 0 ? -errno : ret;
}
