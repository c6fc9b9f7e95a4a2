// SPDX-License-Identifier: Apache-2.0
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "events.h"
#include "files.h"
#include "log.h"

/* epoll keys beside files' handles, which are small numbers */
#define KEY_SIGNAL (~0ull)
#define KEY_KICK (~1ull)

#define ALL_EVENTS                                                                               \
	(EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDNORM | EPOLLRDBAND | EPOLLWRNORM | EPOLLWRBAND | \
	 EPOLLMSG | EPOLLRDHUP)

struct watch {
	struct worker *w;
	int epoll;
	int signals;
	int signo;
	pthread_t thread;
};

static void sigio(struct watch *wa, const struct signalfd_siginfo *si)
{
	struct session *s = session_get(wa->w);
	struct file *f;
	size_t i;

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	idmap_for_each(&s->files, i, f)
	{
		/* plain SIGIO: more signals came than the kernel queues */
		bool all = si->ssi_signo == SIGIO;

		if (f->async && (all || f->mf.fd == si->ssi_fd))
			events_send(wa->w->events, PD_EV_SIGIO, all ? 0 : si->ssi_band, f->mf.id);
	}
	pthread_mutex_unlock(&s->lock);
	session_put(s);
}

static void *watch_main(void *arg)
{
	struct watch *wa = arg;
	struct epoll_event ev[16];

	for (;;) {
		int n = epoll_wait(wa->epoll, ev, 16, -1);

		for (int i = 0; i < n; i++) {
			struct signalfd_siginfo si;

			if (ev[i].data.u64 == KEY_KICK) {
				events_kick(wa->w->events);
			} else if (ev[i].data.u64 == KEY_SIGNAL) {
				while (read(wa->signals, &si, sizeof(si)) == sizeof(si))
					sigio(wa, &si);
			} else {
				events_send(wa->w->events, PD_EV_POLL, ev[i].events,
					    ev[i].data.u64);
			}
		}
	}
	return NULL;
}

struct watch *watch_create(struct worker *w)
{
	struct watch *wa = calloc(1, sizeof(*wa));
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = KEY_SIGNAL };
	sigset_t set;

	if (!wa)
		return NULL;
	wa->w = w;
	wa->signo = SIGRTMIN + 3;
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigaddset(&set, wa->signo);
	wa->epoll = epoll_create1(EPOLL_CLOEXEC);
	wa->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) || wa->epoll < 0 || wa->signals < 0 ||
	    epoll_ctl(wa->epoll, EPOLL_CTL_ADD, wa->signals, &ev) ||
	    pthread_create(&wa->thread, NULL, watch_main, wa)) {
		log_error("cannot watch files: %m");
		return NULL;
	}
	return wa;
}

int watch_arm(struct watch *wa, struct file *f, uint32_t events, bool edge)
{
	struct epoll_event ev = { .data.u64 = f->mf.id };
	int err = 0;

	events = events ? events & ALL_EVENTS : ALL_EVENTS;
	pthread_mutex_lock(&f->lock);
	if (f->watched && f->edges && !(events & ~f->edges)) {
		pthread_mutex_unlock(&f->lock);
		return 0;
	}
	/* what is watched for edges stays so: there is one registration of a file */
	if (edge || f->edges) {
		f->edges |= events;
		ev.events = f->edges | EPOLLET;
	} else {
		ev.events = events | EPOLLET | EPOLLONESHOT;
	}
	if (epoll_ctl(wa->epoll, f->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, f->mf.fd, &ev))
		err = -errno;
	else
		f->watched = true;
	pthread_mutex_unlock(&f->lock);
	return err;
}

int watch_async(struct watch *wa, struct file *f, bool on)
{
	struct f_owner_ex owner = { .type = F_OWNER_PID, .pid = getpid() };
	int err = 0;
	int flags;

	pthread_mutex_lock(&f->lock);
	flags = fcntl(f->mf.fd, F_GETFL);
	if (flags < 0)
		err = -errno;
	if (!err && on &&
	    (fcntl(f->mf.fd, F_SETOWN_EX, &owner) || fcntl(f->mf.fd, F_SETSIG, wa->signo)))
		err = -errno;
	if (!err && fcntl(f->mf.fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC))
		err = -errno;
	if (!err)
		f->async = on;
	pthread_mutex_unlock(&f->lock);
	return err;
}

void watch_forget(struct watch *wa, struct file *f)
{
	if (f->async)
		watch_async(wa, f, false);
	pthread_mutex_lock(&f->lock);
	if (f->watched)
		epoll_ctl(wa->epoll, EPOLL_CTL_DEL, f->mf.fd, NULL);
	f->watched = false;
	f->edges = 0;
	pthread_mutex_unlock(&f->lock);
}

void watch_event_kick(struct watch *wa, int old, int kick)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u64 = KEY_KICK };

	if (old >= 0)
		epoll_ctl(wa->epoll, EPOLL_CTL_DEL, old, NULL);
	if (kick >= 0 && epoll_ctl(wa->epoll, EPOLL_CTL_ADD, kick, &ev))
		log_error("the event queue's kicks cannot be watched: %m");
}
