// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events from the host.
 */
#include "core.h"

/* coming and going of devices, which waits for hosts */
static struct workqueue_struct *pd_event_wq;

/*
 * Whatever the events were, and however many: what is to go goes, and the host is asked for what it has now. A
 * device that goes and comes has another id then.
 */
void pd_hotplug_work(struct work_struct *work)
{
	struct pd_host *host = container_of(work, struct pd_host, hotplug);

	pd_node_remove_leaving(host);
	if (xchg(&host->rescan, false))
		pd_node_scan(host);
	pd_host_put(host);
}

static void pd_hotplug(struct pd_host *host, u32 type, u32 arg)
{
	unsigned long flags;

	if (READ_ONCE(host->stopping))
		return;
	if (type == PD_EV_DEVICE_ADD) {
		WRITE_ONCE(host->rescan, true);
	} else {
		/* one without a node has none to lose, or pd_node_add() sees that it is gone */
		xa_lock_irqsave(&host->nodes, flags);
		__xa_set_mark(&host->nodes, arg, PD_NODE_LEAVING);
		xa_unlock_irqrestore(&host->nodes, flags);
	}
	pd_host_get(host);
	if (!queue_work(pd_event_wq, &host->hotplug))
		pd_host_put(host); /* not the last one */
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

int pd_event_init(void)
{
	pd_event_wq = alloc_workqueue(PD_NAME "_event", WQ_UNBOUND, 0);
	return pd_event_wq ? 0 : -ENOMEM;
}

void pd_event_exit(void)
{
	destroy_workqueue(pd_event_wq);
}
