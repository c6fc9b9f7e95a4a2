// SPDX-License-Identifier: Apache-2.0
/*
 * Interrupting an operation as a signal would. A signal needs a handler and a stack in the mirror,
 * which it must not have; so its thread is stopped by ptrace: the driver's interruptible wait ends
 * just as for a signal, and where it asked for the call to be restarted, the restart is taken out
 * and its code (-ERESTARTSYS …) becomes the call's result. The guest's kernel then decides about
 * the restart by its own signal's rules.
 *
 * One thread does this for all mirrors of a VM, since a tracer is a thread. Drivers that wait
 * uninterruptibly let it wait, and nobody else.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mirror_private.h"

/* by m->lock */
static bool over_locked(const struct mirror_cancel *c)
{
	return !c->thread->op || c->thread->nth_op != c->nth_op || atomic_load(&c->m->dead);
}

static bool over(const struct mirror_cancel *c)
{
	bool over;

	pthread_mutex_lock(&c->m->lock);
	over = over_locked(c);
	pthread_mutex_unlock(&c->m->lock);
	return over;
}

/*
 * Has the thread stop. By the lock, without which no other operation begins on it: whatever the driver of the
 * next one makes of an interruption, it is not to meet this one. 0, -ENOENT when it is over, or ptrace's errno
 */
static int interrupt(const struct mirror_cancel *c)
{
	pid_t tid = c->thread->tid;
	int err = 0;

	pthread_mutex_lock(&c->m->lock);
	if (over_locked(c))
		err = -ENOENT;
	else if (ptrace(PTRACE_SEIZE, tid, NULL, NULL))
		err = -errno;
	else
		ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	pthread_mutex_unlock(&c->m->lock);
	return err;
}

/* the thread is stopped; true when its call was ended */
static bool end_call(pid_t tid)
{
	struct user_regs_struct regs;
	long long ret;
	bool ended = false;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &regs))
		return false;
	ret = (long long)regs.rax;
	/* waiting for the next list is a call as well */
	if ((long long)regs.orig_rax >= 0 && regs.orig_rax != SYS_futex && ret <= -ERESTARTSYS &&
	    ret >= -ERESTART_RESTARTBLOCK) {
		regs.orig_rax = -1;
		ended = !ptrace(PTRACE_SETREGS, tid, NULL, &regs);
	}
	return ended;
}

/* true when nothing more is to be done for this one */
static bool step(struct mirror_cancel *c)
{
	pid_t tid = c->thread->tid, got;
	int status;
	bool ended;
	int err;

	if (!c->attached) {
		err = interrupt(c);
		/* -EPERM: it is traced for another operation; later */
		if (err)
			return err == -ENOENT || err == -ESRCH;
		c->attached = true;
	}
	/* also when it dies: a thread that its tracer has not awaited keeps its process from ending */
	got = waitpid(tid, &status, __WALL | WNOHANG);
	if (!got)
		return false;
	if (got < 0 || !WIFSTOPPED(status))
		return true;
	/* where it was over before it stopped, the kernel makes the call that it is in once more by itself */
	ended = !over(c) && end_call(tid);
	/* fails when it was killed meanwhile: its end is still to be awaited */
	if (ptrace(PTRACE_DETACH, tid, NULL, NULL))
		return false;
	c->attached = false;
	/* not there yet, or between two calls: once more */
	return ended || over(c);
}

static void *cancel_main(void *arg)
{
	struct mirror_pool *pool = arg;
	STAILQ_HEAD(, mirror_cancel) mine = STAILQ_HEAD_INITIALIZER(mine), still;
	struct timespec pause = { 0, 20000 };
	struct mirror_cancel *c;

	for (;;) {
		pthread_mutex_lock(&pool->cancel_lock);
		while (STAILQ_EMPTY(&mine) && STAILQ_EMPTY(&pool->cancels) && !pool->cancel_stop)
			pthread_cond_wait(&pool->cancel_cond, &pool->cancel_lock);
		if (!STAILQ_EMPTY(&pool->cancels))
			pause.tv_nsec = 20000;
		STAILQ_CONCAT(&mine, &pool->cancels);
		if (pool->cancel_stop && STAILQ_EMPTY(&mine)) {
			pthread_mutex_unlock(&pool->cancel_lock);
			return NULL;
		}
		pthread_mutex_unlock(&pool->cancel_lock);

		STAILQ_INIT(&still);
		while ((c = STAILQ_FIRST(&mine))) {
			STAILQ_REMOVE_HEAD(&mine, next);
			if (step(c)) {
				mirror_put(c->m);
				free(c);
			} else {
				STAILQ_INSERT_TAIL(&still, c, next);
			}
		}
		STAILQ_CONCAT(&mine, &still);
		if (STAILQ_EMPTY(&mine))
			continue;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 2000000)
			pause.tv_nsec *= 2;
	}
}

int mirror_cancel(struct mirror_op *op, bool abandon)
{
	struct mirror *m = op->m;
	struct mirror_pool *pool = m->pool;
	struct mirror_cancel *c = calloc(1, sizeof(*c));
	bool faulting = false;
	int ret = 0;

	if (!c)
		return -ENOMEM;
	pthread_mutex_lock(&m->lock);
	if (abandon) {
		op->state |= OP_ABANDONED;
		faulting = op->state & OP_FAULTING;
	}
	if (op->thread) {
		c->m = m;
		c->thread = op->thread;
		c->nth_op = op->thread->nth_op;
		mirror_get(m);
	} else {
		ret = -ENOENT;
	}
	pthread_mutex_unlock(&m->lock);
	if (faulting)
		mirror_fault_done(op, -EFAULT);
	if (ret) {
		free(c);
		return ret;
	}
	COUNT(pool, cancels, 1);
	pthread_mutex_lock(&pool->cancel_lock);
	STAILQ_INSERT_TAIL(&pool->cancels, c, next);
	pthread_cond_signal(&pool->cancel_cond);
	pthread_mutex_unlock(&pool->cancel_lock);
	return 0;
}

int mirror_cancel_start(struct mirror_pool *pool)
{
	STAILQ_INIT(&pool->cancels);
	pthread_mutex_init(&pool->cancel_lock, NULL);
	pthread_cond_init(&pool->cancel_cond, NULL);
	return -pthread_create(&pool->cancel_thread, NULL, cancel_main, pool);
}

void mirror_cancel_stop(struct mirror_pool *pool)
{
	pthread_mutex_lock(&pool->cancel_lock);
	pool->cancel_stop = true;
	pthread_cond_signal(&pool->cancel_cond);
	pthread_mutex_unlock(&pool->cancel_lock);
	pthread_join(pool->cancel_thread, NULL);
}
