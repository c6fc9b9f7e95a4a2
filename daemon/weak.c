// SPDX-License-Identifier: Apache-2.0
/* Not in what is installed: see weak.h. */
#include "weak.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "mirror_private.h"

uint32_t weak_now;

static const char *const names[] = {
	[WEAK_READONLY] = "readonly",	[WEAK_IOCTLS] = "ioctls",
	[WEAK_EXCLUSIVE] = "exclusive", [WEAK_FILES] = "files",
	[WEAK_PROCESSES] = "processes", [WEAK_INFLIGHT] = "inflight",
	[WEAK_PAGES] = "pages",		[WEAK_RAM] = "ram",
	[WEAK_TAKE] = "take",		[WEAK_ROOT] = "root",
	[WEAK_CALLS] = "calls",		[WEAK_CAPS] = "caps",
	[WEAK_PIDS] = "pids",		[WEAK_MIRROR] = "mirror",
};

void weak_read(void)
{
	const char *given = getenv("PARADICE_WEAK");
	char *copy = given ? strdup(given) : NULL;
	char *save = NULL;

	for (char *w = copy ? strtok_r(copy, ",", &save) : NULL; w; w = strtok_r(NULL, ",", &save))
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (!strcmp(w, names[i]))
				weak_now |= 1u << i;
	free(copy);
	log_warning("built for tests; defences that are left out: %s", given ? given : "none");
}

static int64_t in_mirror(struct mirror_pool *pool)
{
	struct mirror *m;
	int64_t ret = -ESRCH;

	pthread_mutex_lock(&pool->lock);
	m = LIST_FIRST(&pool->mirrors);
	if (m)
		mirror_get(m);
	pthread_mutex_unlock(&pool->lock);
	if (!m)
		return ret;
	pthread_mutex_lock(&m->bind_lock);
	ret = mirror_seed_call(m, SYS_memfd_create, mirror_slot_addr(m->seed, m->seed->req->data),
			       0, 0);
	pthread_mutex_unlock(&m->bind_lock);
	mirror_put(m);
	return ret;
}

int64_t weak_attack(struct mirror_pool *pool, uint32_t which, uint32_t number)
{
	int64_t ret = -ENOSYS;

	switch (which) {
	case ATTACK_OPEN:
		ret = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
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
		return in_mirror(pool);
	default:
		break;
	}
	return ret < 0 ? -errno : ret;
}

/* More locks at once than its detector of deadlocks can hold: one for each queue there may be. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "detect_deadlocks=0:die_after_fork=0";
}

/* The guest's memory: in which order it is written is the guest's to say, by its rings. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:virtqueue.c\n";
}
