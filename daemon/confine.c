// SPDX-License-Identifier: Apache-2.0
#include "confine.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "confine_calls.h"
#include "confine_root.h"
#include "log.h"
#include "weak.h"

/* Each file, mirror and window costs descriptors: what the VM may have must fit, else EMFILE comes earlier. */
static void raise_limits(const struct worker_settings *s)
{
	rlim_t want = 8ul * s->max_processes + 2ul * s->max_files + 4096;
	struct rlimit r;

	if (!getrlimit(RLIMIT_NOFILE, &r)) {
		struct rlimit more = { want, want };

		r.rlim_cur = r.rlim_max;
		if (r.rlim_max >= want || setrlimit(RLIMIT_NOFILE, &more))
			setrlimit(RLIMIT_NOFILE, &r);
	}
	r.rlim_cur = r.rlim_max = 0;
	setrlimit(RLIMIT_CORE, &r); /* a core would hold guests' memory */
}

bool confine_possible(void)
{
	cap_flag_value_t has = CAP_CLEAR;
	cap_t caps = cap_get_proc();

	if (caps) {
		cap_get_flag(caps, CAP_SYS_ADMIN, CAP_EFFECTIVE, &has);
		cap_free(caps);
	}
	return has == CAP_SET;
}

/*
 * A device with caps= acts where the daemon is (an interface made by tun appears in its network
 * namespace); without one, nothing of the network is needed.
 */
static int leave_namespaces(const struct worker_settings *s)
{
	int flags = CLONE_NEWIPC | (s->keep_caps ? 0 : CLONE_NEWNET);
	int err;

	if (!confine_possible() || !unshare(flags))
		return 0;
	err = -errno;
	log_error("cannot leave the daemon's ipc%s: %m",
		  s->keep_caps ? " namespace" : " and net namespaces");
	return err;
}

static int set_capabilities(uint64_t mask)
{
	cap_t caps = cap_init();
	int err = 0;

	if (!caps)
		return -errno;
	for (cap_value_t v = 0; v < 64 && !err; v++)
		if (mask & (1ull << v)) {
			if (cap_set_flag(caps, CAP_PERMITTED, 1, &v, CAP_SET) ||
			    cap_set_flag(caps, CAP_INHERITABLE, 1, &v, CAP_SET) ||
			    cap_set_flag(caps, CAP_EFFECTIVE, 1, &v, CAP_SET))
				err = -errno;
		}
	if (!err && cap_set_proc(caps))
		err = -errno;
	/* ambient: the mirrors, which are other programs, get them, too */
	for (cap_value_t v = 0; v < 64 && !err; v++)
		if (mask & (1ull << v) && cap_set_ambient(v, CAP_SET))
			err = -errno;
	cap_free(caps);
	return err;
}

int confine_worker(const struct worker_settings *s)
{
	int err;

	raise_limits(s);
	if (s->uid != (uid_t)-1 && !WEAK(CAPS)) {
		err = leave_namespaces(s);
		if (err)
			return err;
		if (geteuid() == 0) {
			err = getpid() == 1 ? confine_root() : 0;
			if (err) {
				log_error("cannot leave the file systems: %s", strerror(-err));
				return err;
			}
			for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
				if (!(s->keep_caps & (1ull << cap)))
					prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
			prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
			if (setgroups(0, NULL) && errno != EPERM) {
				err = -errno;
				log_error("cannot drop groups: %m");
				return err;
			}
			if (setresgid(s->gid, s->gid, s->gid) ||
			    setresuid(s->uid, s->uid, s->uid)) {
				err = -errno;
				log_error("cannot become user %u: %m (choose another with --user)",
					  s->uid);
				return err;
			}
		}
		err = set_capabilities(s->keep_caps);
		if (err) {
			log_error("cannot set capabilities: %s", strerror(-err));
			return err;
		}
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		err = -errno;
		log_error("cannot give up new privileges: %m");
		return err;
	}
	/* last, when all that it forbids is done */
	err = WEAK(CALLS) ? 0 : confine_calls();
	if (err)
		log_error("cannot set the system call filter: %s", strerror(-err));
	return err;
}
