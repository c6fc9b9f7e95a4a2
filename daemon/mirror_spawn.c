// SPDX-License-Identifier: Apache-2.0
/*
 * A mirror's start. The program (mirror/mirror.S) moves into the hole and waits; the rest is done
 * from here by listing system calls for it: userfaultfd, the reserve over the whole address space,
 * the mapper, empty descriptor tables, the filter.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "mirror_private.h"
#include "weak.h"

#define SPAWN_STACK (64 * 1024)
#define NFDS MIRROR_FD_FIRST_FREE
/* Cheap however large we are; the thread sanitizer takes a child that shares our memory for a thread. */
#ifdef PARADICE_TSAN
#define SPAWN_SHARES 0
#else
#define SPAWN_SHARES (CLONE_VM | CLONE_VFORK)
#endif

struct spawn {
	int fds[NFDS];
	int program;
	char name[48];
	sigset_t mask;
	volatile int err; /* the child's, before it is another program */
};

/*
 * In the child, which shares our memory until it execs: system calls only. It never returns, so what the address
 * sanitizer marked on its stack would stay marked for whatever is mapped there next.
 */
__attribute__((no_sanitize("address"))) static int spawn_child(void *arg)
{
	struct spawn *s = arg;
	char *argv[] = { s->name, NULL }, *envp[] = { NULL };
	int program;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* an ignored signal interrupts nothing; of the others none is ever sent */
	for (int sig = 1; sig < NSIG; sig++) {
		struct sigaction sa = { .sa_handler = SIG_IGN };

		sigaction(sig, &sa, NULL);
	}
	sigfillset(&s->mask);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &s->mask, NULL, 8);
	/* first out of the way of the numbers that they shall have */
	program = fcntl(s->program, F_DUPFD_CLOEXEC, 2 * NFDS);
	for (int i = 0; i < NFDS; i++)
		s->fds[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, 2 * NFDS);
	for (int i = 0; i < NFDS; i++)
		if (s->fds[i] < 0 || dup2(s->fds[i], i) != i)
			goto failed;
	syscall(SYS_close_range, NFDS, ~0U, CLOSE_RANGE_CLOEXEC);
	syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
failed:
	s->err = errno;
	_exit(1);
}

static pid_t spawn(struct spawn *s, int *pidfd)
{
	char *stack =
		mmap(NULL, SPAWN_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int err;

	if (stack == MAP_FAILED)
		return -1;
	pid = clone(spawn_child, stack + SPAWN_STACK, SPAWN_SHARES | CLONE_PIDFD | SIGCHLD, s,
		    pidfd);
	err = errno;
	munmap(stack, SPAWN_STACK);
	if (pid > 0 && s->err) {
		waitid(P_PIDFD, *pidfd, &(siginfo_t){ 0 }, WEXITED);
		close(*pidfd);
		pid = -1;
		err = s->err;
	}
	errno = err;
	return pid;
}

static int make_slots(struct mirror *m, int *req_fd, int *res_fd)
{
	const size_t n = m->pool->nslots;

	*req_fd = memfd_create("requests", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	*res_fd = memfd_create("results", MFD_CLOEXEC);
	m->reserve = memfd_create("reserve", MFD_CLOEXEC);
	if (*req_fd < 0 || *res_fd < 0 || m->reserve < 0)
		return -errno;
	if (ftruncate(*req_fd, n * MIRROR_REQ_SIZE) || ftruncate(*res_fd, n * MIRROR_RES_SIZE) ||
	    ftruncate(m->reserve, MIRROR_ADDR_MAX))
		return -errno;
	m->req = mmap(NULL, n * MIRROR_REQ_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, *req_fd, 0);
	if (m->req == MAP_FAILED) {
		m->req = NULL;
		return -errno;
	}
	m->res = mmap(NULL, n * MIRROR_RES_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, *res_fd, 0);
	if (m->res == MAP_FAILED) {
		m->res = NULL;
		return -errno;
	}
	/* nobody else can ever write there */
	if (fcntl(*req_fd, F_ADD_SEALS,
		  (WEAK(REQUESTS) ? 0 : F_SEAL_FUTURE_WRITE) | F_SEAL_SHRINK | F_SEAL_GROW))
		return -errno;
	return 0;
}

/* runs the seed's list; the first failure is the result */
static int seed_run(struct mirror *m, unsigned int n, const char *what)
{
	int64_t ret = mirror_run(m->seed, n);

	for (unsigned int i = 0; !ret && i < n; i++)
		if (m->seed->res->values[i] < 0)
			ret = m->seed->res->values[i];
	if (ret)
		log_error("mirror of %s: %s: %s", m->name, what, strerror((int)-ret));
	return ret;
}

static int setup_uffd(struct mirror *m)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_THREAD_ID };
	unsigned int n = 0;
	int ret;

	if (m->pool->env.uffd_dev >= 0)
		mirror_add(m->seed, &n, SYS_ioctl, MIRROR_FD_UFFD, USERFAULTFD_IOC_NEW,
			   O_CLOEXEC | O_NONBLOCK, 0, 0, 0);
	else
		mirror_add(m->seed, &n, SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK, 0, 0, 0, 0, 0);
	ret = seed_run(m, n, "userfaultfd");
	if (ret)
		return ret;
	m->uffd = syscall(SYS_pidfd_getfd, m->pidfd, m->seed->res->values[0], 0);
	if (m->uffd < 0 || ioctl(m->uffd, UFFDIO_API, &api)) {
		ret = -errno;
		log_error("mirror of %s: its userfaultfd cannot be used: %s", m->name,
			  strerror(-ret));
	}
	return ret;
}

static int setup_mapper(struct mirror *m)
{
	struct mirror_thread *s = m->seed, *t = m->mapper;
	unsigned int n = 0;
	int ret;

	/* shares memory, but not descriptors */
	mirror_add(s, &n, SYS_clone, CLONE_VM | SIGCHLD, 0, 0, 0, 0, mirror_slot_addr(t, t->req));
	ret = seed_run(m, n, "the mapper cannot be started");
	if (ret)
		return ret;
	m->mapper_pid = s->res->values[0];
	m->mapper_pidfd = syscall(SYS_pidfd_open, m->mapper_pid, 0);
	if (m->mapper_pidfd < 0)
		return -errno;
	t->tid = m->mapper_pid;
	t->req->report = MIRROR_FD_CONTROL;
	t->req->ok = 1;
	t->req->err = 2;

	/* nothing that an operation could be made to name */
	n = 0;
	mirror_add(s, &n, SYS_close_range, 0, ~0U, 0, 0, 0, 0);
	ret = seed_run(m, n, "its descriptors cannot be closed");
	if (ret)
		return ret;
	n = 0;
	mirror_add(t, &n, SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
	mirror_add(t, &n, SYS_close_range, MIRROR_FD_FIRST_FREE, ~0U, 0, 0, 0, 0);
	mirror_add(t, &n, SYS_dup3, MIRROR_FD_FILLER, MIRROR_FD_RES, O_CLOEXEC, 0, 0, 0);
	mirror_add(t, &n, SYS_dup3, MIRROR_FD_FILLER, MIRROR_FD_UFFD, O_CLOEXEC, 0, 0, 0);
	mirror_add(t, &n, SYS_close, MIRROR_FD_REQ, 0, 0, 0, 0, 0);
	if (WEAK(REQUESTS))
		mirror_add(t, &n, SYS_mprotect, m->hole + MIRROR_HOLE_REQ,
			   m->pool->nslots * MIRROR_REQ_SIZE, PROT_READ | PROT_WRITE, 0, 0, 0);
	return mirror_run_mapper(m, n);
}

static int setup_memory(struct mirror *m)
{
	const uint64_t end = m->hole + m->hole_len;
	const struct pd_range ranges[] = {
		{ MIRROR_ADDR_MIN, m->hole - MIRROR_ADDR_MIN },
		{ end, MIRROR_ADDR_MAX - end },
	};
	unsigned int n = 0;
	int ret;

	/* the program's own stack, vdso and first code; the kernel needs none of them */
	mirror_add(m->seed, &n, SYS_munmap, MIRROR_ADDR_MIN, ranges[0].len, 0, 0, 0, 0);
	mirror_add(m->seed, &n, SYS_munmap, end, ranges[1].len, 0, 0, 0, 0);
	ret = seed_run(m, n, "its memory cannot be emptied");
	if (ret)
		return ret;
	return mirror_reserve(m, ranges, 2);
}

/* For people who look at processes: their arguments went with their stack. */
static void add_name(struct mirror_thread *t, unsigned int *n)
{
	char *name = (char *)t->req->data + MIRROR_REQ_DATA_SIZE - 64;

	snprintf(name, 64, "pd:%s", t->m->name);
	mirror_add(t, n, SYS_prctl, PR_SET_NAME, mirror_slot_addr(t, name), 0, 0, 0, 0);
}

static void add_filter(struct mirror_thread *t, unsigned int *n)
{
	const struct mirror_filter *f = &t->m->pool->filter;
	struct {
		uint16_t len;
		uint64_t filter;
	} *prog = (void *)t->req->data;

	memcpy(t->req->data + 64, f->code, (size_t)f->len * 8);
	prog->len = f->len;
	prog->filter = mirror_slot_addr(t, t->req->data + 64);
	mirror_add(t, n, SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
	mirror_add(t, n, SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, mirror_slot_addr(t, prog), 0, 0,
		   0);
}

static int setup_filter(struct mirror *m)
{
	unsigned int n = 0;
	int ret;

	add_name(m->mapper, &n);
	add_filter(m->mapper, &n);
	ret = mirror_run_mapper(m, n);
	if (ret)
		return ret;
	n = 0;
	add_name(m->seed, &n);
	add_filter(m->seed, &n);
	return seed_run(m, n, "its system calls cannot be filtered");
}

static int start(struct mirror *m)
{
	struct mirror_env *env = &m->pool->env;
	int sockets[2] = { -1, -1 }, req = -1, res = -1, filler, ret;
	struct spawn s = { .program = env->program };

	snprintf(s.name, sizeof(s.name), "paradice-mirror %s", m->name);
	filler = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = make_slots(m, &req, &res);
	if (!ret && (filler < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets)))
		ret = -errno;
	if (ret)
		goto out;
	m->control = sockets[0];
	m->req[0].nslots = m->pool->nslots;
	m->req[0].hole = m->hole;
	m->mapper = mirror_thread_new(m, MIRROR_SLOT_MAPPER);
	m->seed = mirror_thread_new(m, MIRROR_SLOT_SEED);
	ret = -ENOMEM;
	if (!m->mapper || !m->seed)
		goto out;
	for (int i = 0; i < MIRROR_FD_REQ; i++)
		s.fds[i] = filler;
	s.fds[MIRROR_FD_REQ] = req;
	s.fds[MIRROR_FD_RES] = res;
	s.fds[MIRROR_FD_CONTROL] = sockets[1];
	s.fds[MIRROR_FD_UFFD] = env->uffd_dev >= 0 ? env->uffd_dev : filler;
	s.fds[MIRROR_FD_RESERVE] = m->reserve;
	m->pid = spawn(&s, &m->pidfd);
	ret = m->pid < 0 ? -errno : 0;
	if (ret)
		m->pidfd = -1;
	else
		m->seed->tid = m->pid;
out:
	for (int i = 0; i < 2; i++)
		if (sockets[i] >= 0 && sockets[i] != m->control)
			close(sockets[i]);
	if (filler >= 0)
		close(filler);
	if (req >= 0)
		close(req);
	if (res >= 0)
		close(res);
	return ret;
}

static void watch(struct mirror *m, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = m };

	if (fd >= 0)
		epoll_ctl(m->pool->epoll, EPOLL_CTL_ADD, fd, &ev);
}

int mirror_create(struct mirror_pool *pool, uint64_t hole, uint64_t hole_len, const char *name,
		  struct mirror **out)
{
	struct mirror *m;
	int ret;

	/* far from where a new process has anything */
	if (hole % PD_PAGE_SIZE || hole_len < PD_HOLE_SIZE || hole_len % PD_PAGE_SIZE ||
	    hole_len > (1ull << 40) || hole < (1ull << 32) || hole > 0x7f0000000000ull - hole_len)
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->pool = pool;
	atomic_init(&m->refs, 1);
	m->pidfd = m->mapper_pidfd = m->uffd = m->control = m->reserve = -1;
	m->hole = hole;
	m->hole_len = hole_len;
	m->nslots = MIRROR_SLOT_FIRST;
	snprintf(m->name, sizeof(m->name), "%s", name);
	pthread_mutex_init(&m->bind_lock, NULL);
	pthread_mutex_init(&m->map_lock, NULL);
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->moving, NULL);

	pthread_mutex_lock(&pool->lock);
	LIST_INSERT_HEAD(&pool->mirrors, m, next);
	pthread_mutex_unlock(&pool->lock);
	COUNT(pool, mirrors_made, 1);
	COUNT(pool, mirrors_live, 1);

	ret = start(m);
	if (!ret)
		watch(m, m->pidfd);
	ret = ret ?: setup_uffd(m);
	ret = ret ?: setup_mapper(m);
	ret = ret ?: setup_memory(m);
	ret = ret ?: setup_filter(m);
	if (ret) {
		log_error("mirror of %s cannot be started: %s", m->name, strerror(-ret));
		mirror_destroy(m);
		return ret;
	}
	watch(m, m->mapper_pidfd);
	watch(m, m->uffd);
	*out = m;
	return 0;
}

static void wait_pidfd(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	while (pidfd >= 0 && poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

void mirror_await_end(struct mirror *m)
{
	/* a VM that ends asks for each of its files */
	if (!atomic_load(&m->dead) || atomic_load(&m->ended) || WEAK(END))
		return;
	wait_pidfd(m->mapper_pidfd);
	wait_pidfd(m->pidfd);
	atomic_store(&m->ended, true);
}

static void reap(struct mirror *m)
{
	mirror_await_end(m);
	if (m->pidfd >= 0)
		waitid(P_PIDFD, m->pidfd, &(siginfo_t){ 0 }, WEXITED);
	/* the mirror's child; ours now where we are the first process of a namespace */
	if (m->mapper_pidfd >= 0)
		waitid(P_PIDFD, m->mapper_pidfd, &(siginfo_t){ 0 }, WEXITED);
}

void mirror_destroy(struct mirror *m)
{
	mirror_unwatch(m);
	m->destroyed = true;
	mirror_kill(m);
	reap(m);
	mirror_put(m);
}
