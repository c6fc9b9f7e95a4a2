// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events from the host.
 */
#include <linux/slab.h>

#include "core.h"

/* one at a time, in the order in which the host sent them */
static struct workqueue_struct *pd_event_wq;

/**
 * struct pd_hotplug - a device comes or goes
 * @work: for what cannot be done in an interrupt
 * @host: counted
 * @type: PD_EV_DEVICE_*
 * @arg: the event's
 */
struct pd_hotplug {
	struct work_struct work;
	struct pd_host *host;
	u32 type;
	u32 arg;
};

static void pd_hotplug_work(struct work_struct *work)
{
	struct pd_hotplug *h = container_of(work, struct pd_hotplug, work);

	if (h->type == PD_EV_DEVICE_ADD)
		pd_node_add(h->host, h->arg);
	else
		pd_node_remove(h->host, h->arg);
	pd_host_put(h->host);
	kfree(h);
}

static void pd_hotplug(struct pd_host *host, u32 type, u32 arg)
{
	struct pd_hotplug *h;

	if (READ_ONCE(host->stopping))
		return;
	h = kzalloc(sizeof(*h), GFP_ATOMIC);
	if (!h)
		return;
	INIT_WORK(&h->work, pd_hotplug_work);
	h->host = pd_host_get(host);
	h->type = type;
	h->arg = arg;
	queue_work(pd_event_wq, &h->work);
}

/**
 * pd_event() - takes an event
 * @host: from whom
 * @ev: a copy that the host cannot change
 *
 * Any context.
 */
void pd_event(struct pd_host *host, const struct pd_event *ev)
{
	u32 type = le32_to_cpu(ev->type);
	u32 arg = le32_to_cpu(ev->arg);
	struct pd_file *pf;
	unsigned long handle;

	rcu_read_lock();
	if (ev->lost)
		xa_for_each(&host->files, handle, pf)
			pd_file_event(pf, 0);
	pf = xa_load(&host->files, le64_to_cpu(ev->file));
	switch (type) {
	case PD_EV_POLL:
		if (pf)
			pd_file_event(pf, arg);
		break;
	case PD_EV_SIGIO:
		if (pf)
			pd_file_sigio(pf, arg);
		break;
	case PD_EV_DEVICE_ADD:
	case PD_EV_DEVICE_REMOVE:
		pd_hotplug(host, type, arg);
		break;
	default:
		pr_warn_once(PD_NAME ": the host sent an event of unknown type %u\n", type);
		break;
	}
	rcu_read_unlock();
}

/* waits for what earlier events left to be done */
void pd_event_flush(void)
{
	flush_workqueue(pd_event_wq);
}

int pd_event_init(void)
{
	pd_event_wq = alloc_ordered_workqueue(PD_NAME "_event", 0);
	return pd_event_wq ? 0 : -ENOMEM;
}

void pd_event_exit(void)
{
	destroy_workqueue(pd_event_wq);
}
