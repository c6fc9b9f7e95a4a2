// SPDX-License-Identifier: GPL-2.0-only
/*
 * The Xen front-end: when there is a connection with a back-end, and when it is over. The states
 * that both sides go through are in paradice/xen.h.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <xen/xen.h>
#include <xen/xenbus.h>

#include "transport.h"
#include "weak.h"
#include "xen.h"
#include "xenbus.h"

/* a back-end with which it went wrong is not bothered again at once: from, to */
#define PD_FRONT_PAUSE (2 * HZ)
#define PD_FRONT_PAUSE_MAX (60 * HZ)

/* how long who loads the module waits for a back-end that does not offer anything yet */
#define PD_FRONT_GRACE (3 * HZ)

/**
 * struct pd_front - a device
 * @xdev: of xenbus
 * @work: does what @backend demands; nothing else does, but removal and suspend after they ended it
 * @lock: protects the next five
 * @backend: its state, as last heard
 * @x: the connection, or NULL
 * @connected: both sides have said so
 * @pause: how long to wait before the next attempt
 * @grace: how long to wait before the device is said to be closed; 0 once it was
 * @ready: and the host's devices are there
 */
struct pd_front {
	struct xenbus_device *xdev;
	struct delayed_work work;
	spinlock_t lock; /* see above */
	enum xenbus_state backend;
	struct pd_xen *x;
	bool connected;
	unsigned long pause;
	unsigned long grace;
	bool ready;
};

/* does a back-end in this state mean that there is no connection any more? f->lock held */
static bool pd_front_over(const struct pd_front *f, enum xenbus_state state)
{
	switch (state) {
	case XenbusStateUnknown:
	case XenbusStateClosing:
	case XenbusStateClosed:
		return true;
	case XenbusStateInitialising:
	case XenbusStateInitWait:
		return f->connected; /* it has begun anew */
	default:
		return false;
	}
}

/* ends what there is; in order only where the back-end still works. May sleep */
static void pd_front_close(struct pd_front *f, bool in_order)
{
	struct pd_xen *x = f->x;

	if (x) {
		if (!in_order)
			pd_host_lose(&x->host, NULL);
		pd_host_stop(&x->host);
		spin_lock(&f->lock);
		f->x = NULL;
		f->connected = false;
		spin_unlock(&f->lock);
		pd_xen_stop(x);
	}
	xenbus_frontend_closed(f->xdev);
	if (x)
		pd_xen_put(x);
}

/* says in xenstore where queue @q is */
static int pd_front_write_queue(struct pd_front *f, struct xenbus_transaction t,
				const struct pd_xen_queue *q)
{
	char *folder;
	int ret;

	folder = kasprintf(GFP_KERNEL, "%s/queue-%u", f->xdev->nodename, q->q.index);
	if (!folder)
		return -ENOMEM;
	ret = xenbus_printf(t, folder, "area-ref", "%u", q->head->refs[0]);
	if (!ret)
		ret = xenbus_printf(t, folder, "event-channel", "%u", q->port);
	kfree(folder);
	return ret;
}

static int pd_front_write(struct pd_front *f, const struct pd_xen *x)
{
	struct xenbus_transaction t;
	unsigned int i;
	int ret;

	do {
		ret = xenbus_transaction_start(&t);
		if (ret)
			return ret;
		ret = xenbus_printf(t, f->xdev->nodename, "queues", "%u",
				    pd_host_queues(&x->host));
		for (i = 0; i < pd_host_queues(&x->host) && !ret; i++)
			ret = pd_front_write_queue(f, t, &x->queues[i]);
		if (ret) {
			xenbus_transaction_end(t, 1);
			return ret;
		}
		ret = xenbus_transaction_end(t, 0);
	} while (ret == -EAGAIN);
	return ret;
}

/* how many request queues there shall be with this back-end; or a negative errno */
static int pd_front_queues(struct pd_front *f)
{
	unsigned int min = 0, max = 0, queues = 0;
	int ret;

	ret = xenbus_gather(XBT_NIL, f->xdev->otherend, "protocol-min", "%u", &min, "protocol-max",
			    "%u", &max, "request-queues", "%u", &queues, NULL);
	if (ret) {
		xenbus_dev_error(f->xdev, ret, "reading what the back-end offers");
		return ret;
	}
	ret = pd_host_version(&f->xdev->dev, min, max);
	if (ret) {
		xenbus_dev_error(f->xdev, ret, "protocol versions");
		return ret;
	}
	if (PD_WEAK(QUEUES))
		return queues;
	return clamp(queues, 1u, min(PD_MAX_REQUEST_QUEUES + 0u, num_possible_cpus()));
}

/* the back-end waits: offers it a connection. 0 or a negative errno */
static int pd_front_open(struct pd_front *f)
{
	struct pd_xen *x;
	int ret;

	ret = pd_front_queues(f);
	if (ret < 0)
		return ret;
	x = pd_xen_new(f->xdev, ret);
	if (IS_ERR(x)) {
		ret = PTR_ERR(x);
		xenbus_dev_error(f->xdev, ret, "making the queues");
		return ret;
	}
	spin_lock(&f->lock);
	f->x = x;
	spin_unlock(&f->lock);
	ret = pd_front_write(f, x);
	if (ret) {
		xenbus_dev_error(f->xdev, ret, "writing where the queues are");
		return ret;
	}
	return xenbus_switch_state(f->xdev, XenbusStateInitialised);
}

/* the back-end is connected, and so are we. 0 or a negative errno */
static int pd_front_start(struct pd_front *f)
{
	int ret;

	WRITE_ONCE(f->ready, false);
	spin_lock(&f->lock);
	f->connected = true;
	spin_unlock(&f->lock);
	ret = xenbus_switch_state(f->xdev, XenbusStateConnected);
	if (!ret)
		ret = pd_xen_start(f->x);
	if (ret && !pd_host_lost(&f->x->host))
		xenbus_dev_error(f->xdev, ret, "the host does not answer as it should");
	WRITE_ONCE(f->ready, !ret);
	return ret;
}

/* an attempt has ended with @ret: when there may be another */
static void pd_front_tried(struct pd_front *f, enum xenbus_state state, int ret)
{
	unsigned long pause = 0;

	spin_lock(&f->lock);
	if (ret)
		f->pause = clamp_t(unsigned long, f->pause * 2, PD_FRONT_PAUSE, PD_FRONT_PAUSE_MAX);
	else if (f->connected)
		f->pause = 0;
	pause = f->pause;
	spin_unlock(&f->lock);
	/* of one that waits nothing more may be heard; nor would it help with other versions */
	if (ret && ret != -EPROTO && state == XenbusStateInitWait)
		queue_delayed_work(system_long_wq, &f->work, pause);
}

static void pd_front_work(struct work_struct *work)
{
	struct pd_front *f = container_of(to_delayed_work(work), struct pd_front, work);
	enum xenbus_state state;
	bool over;
	int ret = 0;

	spin_lock(&f->lock);
	state = f->backend;
	over = pd_front_over(f, state);
	f->grace = 0;
	spin_unlock(&f->lock);

	/* without a connection, too: who loads the module shall not wait for one for long */
	if (over || (!f->x && state != XenbusStateInitWait))
		pd_front_close(f, false);
	if (state == XenbusStateInitWait && !f->x)
		ret = pd_front_open(f);
	else if (state == XenbusStateConnected && (f->x || PD_WEAK(STATES)) && !f->connected)
		ret = pd_front_start(f);
	if (ret)
		pd_front_close(f, false);
	pd_front_tried(f, state, ret);
}

/* called by the one thread that all of xenbus has: it must not wait for anything */
static void pd_front_backend_changed(struct xenbus_device *xdev, enum xenbus_state state)
{
	struct pd_front *f = dev_get_drvdata(&xdev->dev);
	struct pd_xen *x = NULL;
	unsigned long pause;

	spin_lock(&f->lock);
	pause = state == XenbusStateInitWait ? f->pause : f->grace;
	f->backend = state;
	if (f->x && pd_front_over(f, state)) {
		x = f->x;
		pd_host_get(&x->host);
	}
	spin_unlock(&f->lock);
	if (x) {
		/* now, since the work may be waiting for an answer */
		pd_host_lose(&x->host, pd_host_in_use(&x->host) ? "its back-end closed" : NULL);
		pd_host_put(&x->host);
	}
	mod_delayed_work(system_long_wq, &f->work, pause);
}

/* has a device that is connected made its nodes? Who loads the module waits for them */
static int pd_front_is_ready(struct xenbus_device *xdev)
{
	struct pd_front *f = dev_get_drvdata(&xdev->dev);

	return !f || READ_ONCE(f->ready);
}

static int pd_front_probe(struct xenbus_device *xdev, const struct xenbus_device_id *id)
{
	struct pd_front *f = kzalloc(sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	f->xdev = xdev;
	f->backend = XenbusStateUnknown;
	f->grace = PD_FRONT_GRACE;
	spin_lock_init(&f->lock);
	INIT_DELAYED_WORK(&f->work, pd_front_work);
	dev_set_drvdata(&xdev->dev, f);
	/* the back-end's state will be told next; it may still be ending an earlier connection */
	return xenbus_switch_state(xdev, XenbusStateInitialising);
}

/* ends the connection while the back-end, if it is there, still works; may sleep */
static void pd_front_end(struct pd_front *f)
{
	bool works;

	cancel_delayed_work_sync(&f->work);
	works = f->connected && f->backend == XenbusStateConnected &&
		xenbus_exists(XBT_NIL, f->xdev->nodename, "");
	pd_front_close(f, works);
}

/* the back-end's state is not told any more */
static void pd_front_remove(struct xenbus_device *xdev)
{
	struct pd_front *f = dev_get_drvdata(&xdev->dev);

	pd_front_end(f);
	dev_set_drvdata(&xdev->dev, NULL);
	kfree(f);
}

/*
 * Before the domain is saved or migrated. The host's state of open files does not go with it: only
 * an unused device may. This is where that can be refused: what a xenbus driver's suspend returns
 * is ignored, and by then other devices are suspended already.
 */
static int pd_front_prepare(struct device *dev)
{
	struct pd_front *f = dev_get_drvdata(dev);
	bool used;

	if (!f)
		return 0;
	spin_lock(&f->lock);
	used = f->x && pd_host_in_use(&f->x->host);
	spin_unlock(&f->lock);
	if (used) {
		dev_err(dev, "cannot suspend while programs use the host's devices\n");
		return -EBUSY;
	}
	return 0;
}

static int pd_front_suspend(struct xenbus_device *xdev)
{
	struct pd_front *f = dev_get_drvdata(&xdev->dev);

	/* where nothing comes of it, the back-end, which sees it closed, waits for another */
	pd_front_end(f);
	return 0;
}

static int pd_front_resume(struct xenbus_device *xdev)
{
	struct pd_front *f = dev_get_drvdata(&xdev->dev);

	/* another back-end, whose state will be told next */
	spin_lock(&f->lock);
	f->backend = XenbusStateUnknown;
	spin_unlock(&f->lock);
	return 0;
}

static const struct dev_pm_ops pd_front_pm = {
	.prepare = pd_front_prepare,
};

static const struct xenbus_device_id pd_front_ids[] = {
	{ PD_XEN_TYPE },
	{ "" },
};
MODULE_ALIAS("xen:" PD_XEN_TYPE);

static struct xenbus_driver pd_front_driver = {
	.ids = pd_front_ids,
	.not_essential = true,
	.probe = pd_front_probe,
	.remove = pd_front_remove,
	.is_ready = pd_front_is_ready,
	.otherend_changed = pd_front_backend_changed,
	.suspend = pd_front_suspend,
	.resume = pd_front_resume,
	.driver.pm = &pd_front_pm,
};

int pd_xenbus_init(void)
{
	if (!xen_domain())
		return 0;
	pd_xen_limit();
	/* without an owner: xenbus would not let the module go for as long as there is a device */
	return __xenbus_register_frontend(&pd_front_driver, NULL, KBUILD_MODNAME);
}

void pd_xenbus_exit(void)
{
	if (xen_domain())
		xenbus_unregister_driver(&pd_front_driver);
}
