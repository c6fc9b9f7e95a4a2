// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hosts: their start, the watch over whether they still live, and their end.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/utsname.h>

#include "core.h"
#include "queue.h"
#include "rules.h"
#include "transport.h"
#include "weak.h"

static struct lock_class_key pd_nodes_key;

static void pd_host_watch(struct work_struct *work);
static void pd_host_late(struct work_struct *work);

/**
 * pd_host_init() - prepares a host, which its transport allocated
 * @host: zeroed; counted once, for the transport
 * @ops: the transport's functions
 * @parent: device under which the nodes will appear
 */
void pd_host_init(struct pd_host *host, const struct pd_transport_ops *ops, struct device *parent)
{
	kref_init(&host->ref);
	host->ops = ops;
	host->parent = parent;
	init_waitqueue_head(&host->space);
	xa_init_flags(&host->files, XA_FLAGS_LOCK_IRQ);
	xa_init(&host->mms);
	xa_init(&host->rules);
	xa_init_flags(&host->nodes, XA_FLAGS_LOCK_IRQ);
	/* the one of these locks that is taken in an interrupt */
	lockdep_set_class(&host->nodes.xa_lock, &pd_nodes_key);
	mutex_init(&host->nodes_lock);
	INIT_LIST_HEAD(&host->places);
	INIT_LIST_HEAD(&host->buses);
	mutex_init(&host->windows.lock);
	init_waitqueue_head(&host->windows.wait);
	INIT_LIST_HEAD(&host->windows.lru);
	INIT_WORK(&host->hotplug, pd_hotplug_work);
	INIT_DELAYED_WORK(&host->watch, pd_host_watch);
	INIT_DELAYED_WORK(&host->limit, pd_host_late);
}

static void pd_host_release(struct kref *ref)
{
	struct pd_host *host = container_of(ref, struct pd_host, ref);

	cancel_delayed_work_sync(&host->watch);
	pd_rules_free(host);
	host->ops->free(host);
}

/* may sleep */
void pd_host_put(struct pd_host *host)
{
	kref_put(&host->ref, pd_host_release);
}

/* can a host be talked to that speaks these versions of the protocol? 0 or -EPROTO */
int pd_host_version(struct device *dev, u32 min, u32 max)
{
	if (min <= PD_VERSION && max >= PD_VERSION)
		return 0;
	dev_err(dev,
		"the host speaks protocol versions %u to %u, this module %u: install paradice.ko and paradiced of one release\n",
		min, max, PD_VERSION);
	return -EPROTO;
}

/* greets the host and makes nodes for its devices; may sleep. 0 or a negative errno */
int pd_host_start(struct pd_host *host)
{
	struct pd_request *r;
	long ret;

	r = pd_req_new(host, PD_OP_HELLO, NULL);
	if (!r)
		return -ENOMEM;
	r->req.u.hello.version = cpu_to_le32(PD_VERSION);
	strscpy((char *)r->req.u.hello.release, init_utsname()->release,
		sizeof(r->req.u.hello.release));
	ret = pd_req_run(&r, PD_WAIT_KILL);
	pd_req_free(r);
	if (ret < 0)
		return ret;
	ret = pd_rules_fetch(host);
	if (ret < 0)
		return ret;
	pd_ping_init(host);
	return pd_node_scan(host);
}

static unsigned long pd_host_patience(void)
{
	return max(READ_ONCE(pd_host_timeout), 1u);
}

/* it may answer whatever it likes, but not what its end waits for */
static void pd_host_late(struct work_struct *work)
{
	struct pd_host *host = container_of(to_delayed_work(work), struct pd_host, limit);

	if (!PD_WEAK(LIMIT))
		pd_host_lose(host, "it does not let go of what it has");
}

/**
 * pd_host_stop() - ends a host in order, while its transport still works
 * @host: host
 *
 * The nodes vanish, the host lets go of all memory, open files give EIO from now on. The transport
 * resets its device afterwards. A host that does not let go is lost in the end. May sleep.
 */
void pd_host_stop(struct pd_host *host)
{
	WRITE_ONCE(host->stopping, true);
	queue_delayed_work(pd_quick_wq, &host->limit, 2 * pd_host_patience() * HZ);
	flush_work(&host->hotplug);
	pd_ping_exit(host);
	pd_node_remove_all(host);
	pd_windows_forget(host);
	pd_mm_destroy_all(host);
	pd_host_lose(host, NULL);
	cancel_delayed_work_sync(&host->limit);
	cancel_delayed_work_sync(&host->watch);
}

/**
 * pd_host_lose() - no answers will come from this host any more
 * @host: host
 * @why: for the log; NULL says nothing
 *
 * Everybody who waits is woken and gets -EIO. Any context, no locks of the core's held.
 */
void pd_host_lose(struct pd_host *host, const char *why)
{
	struct pd_file *pf;
	unsigned long handle;
	unsigned int i;

	if (xchg(&host->lost, true))
		return;
	if (why)
		dev_err(host->parent, "the host is lost: %s; its files give EIO from now on, %s\n",
			why, host->ops->again);
	for (i = 0; i < pd_host_queues(host); i++)
		pd_queue_wake_all(host->queues[i]);
	wake_up_all(&host->space);
	wake_up_all(&host->windows.wait);
	rcu_read_lock();
	xa_for_each(&host->files, handle, pf)
		pd_file_event(pf, (__force u32)(EPOLLERR | EPOLLHUP));
	rcu_read_unlock();
}

/* Has anybody files of it? Address spaces outlast their files for a while, the kernel's own for good. */
bool pd_host_in_use(struct pd_host *host)
{
	return !xa_empty(&host->files);
}

/* a request is on its way: the host is expected to show signs of life */
void pd_host_busy(struct pd_host *host)
{
	if (!delayed_work_pending(&host->watch) && !pd_host_lost(host))
		queue_delayed_work(pd_quick_wq, &host->watch, HZ);
}

static void pd_host_pong(struct pd_request *r)
{
	WRITE_ONCE(r->host->ping, false);
}

/* the control queue has moved on. Any context */
void pd_host_alive(struct pd_host *host)
{
	WRITE_ONCE(host->ping_time, 0);
}

/*
 * Once a second while requests are under way: operations may block for as long as they like, but the
 * control queue's are done at once, one by one. A PING there has to wait behind others, and a hundred
 * processes that begin together can take a slow host longer than what a single answer may. Counts its own
 * runs, not time, which jumps when a VM was paused.
 */
static void pd_host_watch(struct work_struct *work)
{
	struct pd_host *host = container_of(to_delayed_work(work), struct pd_host, watch);
	struct pd_request *r;
	int ret;

	if (pd_host_lost(host) || !atomic_read(&host->inflight))
		return;
	if (READ_ONCE(host->ping) && !PD_WEAK(WATCH)) {
		unsigned long time = READ_ONCE(host->ping_time) + 1;

		if (time > pd_host_patience()) {
			pd_host_lose(host, "it does not answer");
			return;
		}
		WRITE_ONCE(host->ping_time, time);
	} else {
		r = pd_req_new(host, PD_OP_PING, NULL);
		if (r) {
			pd_host_alive(host);
			WRITE_ONCE(host->ping, true);
			r->orphaned = pd_host_pong;
			ret = pd_req_post(r);
			if (ret) {
				WRITE_ONCE(host->ping, false);
				pd_req_free(r);
			}
			if (ret == -EIO) {
				pd_host_lose(host, "its device is gone");
				return;
			}
		}
	}
	queue_delayed_work(pd_quick_wq, &host->watch, HZ);
}
