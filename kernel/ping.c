// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/paradice/DEVICE/ping: each write is an empty request, on the queue that an operation
 * would take and waited for as one. What operations cost is measured beside it.
 */
#include <linux/debugfs.h>

#include "core.h"

static ssize_t pd_ping_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	struct pd_host *host = file->private_data;
	struct pd_request *r;
	long ret;

	r = pd_req_new(host, PD_OP_PING, NULL);
	if (!r)
		return -ENOMEM;
	r->queue = PD_QUEUE_REQUEST;
	ret = pd_req_run(&r, PD_WAIT_INTR);
	pd_req_free(r);
	return ret < 0 ? ret : len;
}

/* debugfs waits for writers before the file goes */
static const struct file_operations pd_ping_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = pd_ping_write,
};

/* for a host that was started */
void pd_ping_init(struct pd_host *host)
{
	host->debug = debugfs_create_dir(dev_name(host->parent), pd_stats_dir);
	debugfs_create_file("ping", 0200, host->debug, host, &pd_ping_fops);
}

/* before its transport goes; for one that was not started, too */
void pd_ping_exit(struct pd_host *host)
{
	debugfs_remove(host->debug);
	host->debug = NULL;
}
