// SPDX-License-Identifier: GPL-2.0-only
/*
 * Paradice: a host's device files, in a virtual machine.
 */
#include <linux/mm.h>
#include <linux/module.h>

#include "core.h"
#include "rules.h"
#include "transport.h"
#include "xenbus.h"

struct workqueue_struct *pd_wq;
/* for what waits for nobody: what ends waits must not be behind them */
struct workqueue_struct *pd_quick_wq;

unsigned int pd_warm_pages = 16384;
module_param_named(warm_pages, pd_warm_pages, uint, 0644);
MODULE_PARM_DESC(
	warm_pages,
	"pages of a process that stay pinned for the host between operations (default 16384, at least 1024)");

unsigned int pd_max_windows = PD_MAX_WINDOWS;
module_param_named(max_windows, pd_max_windows, uint, 0644);
MODULE_PARM_DESC(
	max_windows,
	"parts of mappings shown at once; each costs the VMM a descriptor (default and at most 400)");

unsigned int pd_kept_pages;
module_param_named(kept_pages, pd_kept_pages, uint, 0644);
MODULE_PARM_DESC(
	kept_pages,
	"pages, of all processes, that stay pinned after the program unmapped them because a driver may still use them; beyond it ioctls fail with ENOMEM (default: a quarter of the memory)");

unsigned int pd_host_timeout = 15;
module_param_named(host_timeout, pd_host_timeout, uint, 0644);
MODULE_PARM_DESC(host_timeout,
		 "seconds without an answer on the control queue after which a host is lost (default 15)");

unsigned int pd_spin_us = 200;
module_param_named(spin_us, pd_spin_us, uint, 0644);
MODULE_PARM_DESC(
	spin_us,
	"microseconds for which a task at most looks for an answer before it sleeps; 0: never (default 200)");

static int __init pd_init(void)
{
	int ret;

	if (!pd_kept_pages)
		pd_kept_pages = min_t(unsigned long, totalram_pages() / 4, UINT_MAX / 2);

	pd_wq = alloc_workqueue(PD_NAME, WQ_UNBOUND | WQ_MEM_RECLAIM, WQ_UNBOUND_MAX_ACTIVE);
	if (!pd_wq)
		return -ENOMEM;
	ret = -ENOMEM;
	pd_quick_wq = alloc_workqueue(PD_NAME "_quick", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!pd_quick_wq)
		goto err_wq;
	ret = pd_event_init();
	if (ret)
		goto err_quick;
	ret = pd_pins_init();
	if (ret)
		goto err_event;
	ret = pd_node_init();
	if (ret)
		goto err_pages;
	ret = pd_anon_init();
	if (ret)
		goto err_node;
	ret = pd_mm_shrinker_init();
	if (ret)
		goto err_anon;
	pd_stats_init();
	ret = pd_virtio_init();
	if (ret)
		goto err_stats;
	ret = pd_xenbus_init();
	if (ret)
		goto err_virtio;
	return 0;

err_virtio:
	pd_virtio_exit();
err_stats:
	pd_stats_exit();
	pd_mm_shrinker_exit();
err_anon:
	pd_anon_exit();
err_node:
	pd_node_exit();
err_pages:
	pd_pins_exit();
err_event:
	pd_event_exit();
err_quick:
	destroy_workqueue(pd_quick_wq);
err_wq:
	destroy_workqueue(pd_wq);
	return ret;
}

static void __exit pd_exit(void)
{
	pd_xenbus_exit();
	pd_virtio_exit();
	pd_mm_shrinker_exit();
	pd_stats_exit();
	pd_event_exit();
	pd_pins_stop();
	/* what the last requests left to be done; it may leave some more itself */
	drain_workqueue(pd_wq);
	destroy_workqueue(pd_wq);
	destroy_workqueue(pd_quick_wq);
	pd_anon_exit();
	pd_node_exit();
	mmu_notifier_synchronize();
	rcu_barrier();
	pd_pins_exit();
}

module_init(pd_init);
module_exit(pd_exit);

MODULE_DESCRIPTION("A host's device files in a virtual machine");
MODULE_AUTHOR("The Paradice developers");
MODULE_LICENSE("GPL");
