// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtio transport: one control queue, one event queue, and one or more request queues. The
 * only file that knows of virtio.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

#include "compat/compat.h"
#include "core.h"
#include "transport.h"

/* descriptors that a message can take: head, lists, answer */
#define PD_DESCS 3

#define PD_EVENTS 64

/**
 * struct pd_queue - a virtqueue
 * @lock: protects the rest
 * @vq: NULL when the device is gone
 * @reserved: descriptors kept for messages that will be submitted
 * @margin: descriptors set aside for messages that must not wait behind operations
 * @spinning: tasks that look for answers themselves; no interrupts meanwhile
 * @inflight: requests in it
 */
struct pd_queue {
	spinlock_t lock; /* see above */
	struct virtqueue *vq;
	unsigned int reserved;
	unsigned int margin;
	unsigned int spinning;
	struct list_head inflight;
};

/**
 * struct pd_virtio - a virtio device
 * @host: what the core knows of it
 * @vdev: the device, until it is removed
 * @shm: the window region, len 0 without
 * @events: buffers that the host fills
 * @nqueues: entries of @queues
 * @queues: by virtqueue index
 */
struct pd_virtio {
	struct pd_host host;
	struct virtio_device *vdev;
	struct virtio_shm_region shm;
	struct pd_event *events;
	unsigned int nqueues;
	struct pd_queue queues[];
};

static struct pd_virtio *to_virtio(struct pd_host *host)
{
	return container_of(host, struct pd_virtio, host);
}

static struct pd_queue *to_queue(struct pd_host *host, unsigned int queue)
{
	struct pd_virtio *v = to_virtio(host);

	return &v->queues[queue];
}

static int pd_virtio_reserve(struct pd_host *host, unsigned int queue, bool urgent)
{
	struct pd_queue *q = to_queue(host, queue);
	unsigned int need = q->reserved + PD_DESCS;
	unsigned long flags;
	int ret = 0;

	spin_lock_irqsave(&q->lock, flags);
	need = q->reserved + PD_DESCS + (urgent ? 0 : q->margin);
	if (!q->vq || virtqueue_is_broken(q->vq))
		ret = -EIO;
	else if (q->vq->num_free < need)
		ret = -ENOSPC;
	else
		q->reserved += PD_DESCS;
	spin_unlock_irqrestore(&q->lock, flags);
	return ret;
}

static void pd_virtio_unreserve(struct pd_host *host, unsigned int queue)
{
	struct pd_queue *q = to_queue(host, queue);
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	q->reserved -= PD_DESCS;
	spin_unlock_irqrestore(&q->lock, flags);
	wake_up(&host->space);
}

static int pd_virtio_submit(struct pd_host *host, struct pd_request *r)
{
	struct pd_queue *q = to_queue(host, r->queue);
	struct scatterlist head, lists, answer, tail, *sgs[PD_DESCS];
	unsigned int out = 0, in = 0;
	unsigned long flags;
	int ret;

	sg_init_one(&head, &r->req, sizeof(r->req));
	sgs[out++] = &head;
	if (r->lists_len) {
		sg_init_one(&lists, r->lists, r->lists_len);
		sgs[out++] = &lists;
	}
	sg_init_one(&answer, &r->resp, sizeof(r->resp));
	sgs[out + in++] = &answer;
	if (r->tail_len) {
		/* never with lists: there are PD_DESCS descriptors */
		sg_init_one(&tail, r->tail, r->tail_len);
		sgs[out + in++] = &tail;
	}

	spin_lock_irqsave(&q->lock, flags);
	q->reserved -= PD_DESCS;
	if (!q->vq) {
		ret = -EIO;
	} else {
		ret = virtqueue_add_sgs(q->vq, sgs, out, in, r, GFP_ATOMIC);
		if (!ret)
			list_add_tail(&r->link, &q->inflight);
		else if (ret != -ENOMEM)
			ret = -EIO;
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return ret;
}

static void pd_virtio_kick(struct pd_host *host, unsigned int queue)
{
	struct pd_queue *q = to_queue(host, queue);
	unsigned long flags;

	/* notified under the lock: the queue could be deleted otherwise */
	spin_lock_irqsave(&q->lock, flags);
	if (q->vq)
		virtqueue_kick(q->vq);
	spin_unlock_irqrestore(&q->lock, flags);
}

static void pd_virtio_wake_all(struct pd_host *host)
{
	struct pd_virtio *v = to_virtio(host);
	struct pd_request *r;
	unsigned long flags;
	unsigned int i;

	for (i = 0; i < v->nqueues; i++) {
		spin_lock_irqsave(&v->queues[i].lock, flags);
		list_for_each_entry(r, &v->queues[i].inflight, link)
			wake_up(&r->wait);
		spin_unlock_irqrestore(&v->queues[i].lock, flags);
	}
}

static void pd_virtio_free(struct pd_host *host)
{
	struct pd_virtio *v = to_virtio(host);

	kfree(v->events);
	kfree(v);
}

/* takes the next answered request out of @q; @more: there may be others */
static struct pd_request *pd_virtio_next(struct pd_queue *q, u32 *len, bool *more)
{
	struct pd_request *r = NULL;
	unsigned long flags;

	spin_lock_irqsave(&q->lock, flags);
	*more = false;
	if (q->vq) {
		r = virtqueue_get_buf(q->vq, len);
		/* of a broken queue nothing more comes */
		if (!r && !q->spinning)
			*more = !virtqueue_enable_cb(q->vq) && !virtqueue_is_broken(q->vq);
	}
	if (r) {
		*more = true;
		list_del_init(&r->link);
		/* whoever goes on with an operation must not wait behind those that begin */
		if (pd_req_will_continue(r, *len)) {
			q->reserved += PD_DESCS;
			r->reserved = true;
		}
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return r;
}

/* a broken queue is the end of its host */
static void pd_virtio_judge(struct pd_virtio *v, struct pd_queue *q)
{
	unsigned long flags;
	bool broken;

	spin_lock_irqsave(&q->lock, flags);
	broken = q->vq && virtqueue_is_broken(q->vq);
	spin_unlock_irqrestore(&q->lock, flags);
	if (broken)
		pd_host_lose(&v->host, "it broke a virtqueue");
}

/* hands over all answered requests of @q */
static void pd_virtio_take(struct pd_virtio *v, struct pd_queue *q)
{
	struct pd_request *r;
	bool more, any = false;
	u32 len;

	do {
		r = pd_virtio_next(q, &len, &more);
		if (r) {
			any = true;
			pd_req_complete(r, len);
		}
	} while (more);

	if (any)
		wake_up(&v->host.space);
	pd_virtio_judge(v, q);
}

static void pd_virtio_answered(struct virtqueue *vq)
{
	struct pd_virtio *v = vq->vdev->priv;

	pd_virtio_take(v, &v->queues[vq->index]);
}

static void pd_virtio_poll(struct pd_host *host, unsigned int queue)
{
	pd_virtio_take(to_virtio(host), to_queue(host, queue));
}

static void pd_virtio_spin(struct pd_host *host, unsigned int queue, bool on)
{
	struct pd_queue *q = to_queue(host, queue);
	unsigned long flags;
	bool last;

	spin_lock_irqsave(&q->lock, flags);
	if (on && !q->spinning++ && q->vq)
		virtqueue_disable_cb(q->vq);
	last = !on && !--q->spinning;
	spin_unlock_irqrestore(&q->lock, flags);
	if (last)
		pd_virtio_take(to_virtio(host), q); /* which allows interrupts again */
}

static const struct pd_transport_ops pd_virtio_ops = {
	.reserve = pd_virtio_reserve,
	.unreserve = pd_virtio_unreserve,
	.submit = pd_virtio_submit,
	.kick = pd_virtio_kick,
	.spin = pd_virtio_spin,
	.poll = pd_virtio_poll,
	.wake_all = pd_virtio_wake_all,
	.free = pd_virtio_free,
};

static int pd_virtio_post_event(struct pd_queue *q, struct pd_event *ev)
{
	struct scatterlist sg;

	sg_init_one(&sg, ev, sizeof(*ev));
	return virtqueue_add_inbuf(q->vq, &sg, 1, ev, GFP_ATOMIC);
}

static void pd_virtio_event(struct virtqueue *vq)
{
	struct pd_virtio *v = vq->vdev->priv;
	struct pd_queue *q = &v->queues[PD_QUEUE_EVENT];
	struct pd_event *buf, ev;
	unsigned long flags;
	bool more;
	u32 len;

	do {
		spin_lock_irqsave(&q->lock, flags);
		more = false;
		buf = q->vq ? virtqueue_get_buf(q->vq, &len) : NULL;
		if (buf) {
			more = true;
			ev = *buf;
			if (!pd_virtio_post_event(q, buf))
				virtqueue_kick(q->vq);
		} else if (q->vq) {
			more = !virtqueue_enable_cb(q->vq);
		}
		spin_unlock_irqrestore(&q->lock, flags);
		if (buf && len >= sizeof(ev))
			pd_event(&v->host, &ev);
	} while (more && !virtqueue_is_broken(vq));

	pd_virtio_judge(v, q);
}

/* finds control, event and @n request queues */
static int pd_virtio_find(struct pd_virtio *v, unsigned int n)
{
	unsigned int total = PD_QUEUE_REQUEST + n;
	vq_callback_t **callbacks;
	struct virtqueue **vqs;
	const char **names;
	unsigned int i;
	int ret = -ENOMEM;

	vqs = kcalloc(total, sizeof(*vqs), GFP_KERNEL);
	callbacks = kcalloc(total, sizeof(*callbacks), GFP_KERNEL);
	names = kcalloc(total, sizeof(*names), GFP_KERNEL);
	if (!vqs || !callbacks || !names)
		goto out;

	for (i = 0; i < total; i++) {
		callbacks[i] = i == PD_QUEUE_EVENT ? pd_virtio_event : pd_virtio_answered;
		names[i] = i == PD_QUEUE_CONTROL ? "control" :
			   i == PD_QUEUE_EVENT	 ? "event" :
						   "request";
	}
	ret = pd_find_vqs(v->vdev, total, vqs, callbacks, names);
	if (ret)
		goto out;

	for (i = 0; i < total; i++) {
		struct pd_queue *q = &v->queues[i];

		q->vq = vqs[i];
		q->margin = max(virtqueue_get_vring_size(q->vq) / 8, 2u * PD_DESCS);
	}
	v->nqueues = total;
	v->host.nqueues = n;
out:
	kfree(names);
	kfree(callbacks);
	kfree(vqs);
	return ret;
}

static int pd_virtio_post_events(struct pd_virtio *v)
{
	struct pd_queue *q = &v->queues[PD_QUEUE_EVENT];
	unsigned int i, n;

	n = min_t(unsigned int, PD_EVENTS, virtqueue_get_vring_size(q->vq));
	v->events = kcalloc(n, sizeof(*v->events), GFP_KERNEL);
	if (!v->events)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		if (pd_virtio_post_event(q, &v->events[i]))
			break;
	return i ? 0 : -ENOSPC;
}

/* resets the device and takes back what it had; nothing touches the queues afterwards */
static void pd_virtio_stop(struct pd_virtio *v)
{
	struct virtio_device *vdev = v->vdev;
	struct pd_request *r;
	unsigned int i;

	virtio_reset_device(vdev);
	for (i = 0; i < v->nqueues; i++) {
		struct pd_queue *q = &v->queues[i];
		struct virtqueue *vq = q->vq;

		spin_lock_irq(&q->lock);
		q->vq = NULL;
		spin_unlock_irq(&q->lock);
		for (;;) {
			r = virtqueue_detach_unused_buf(vq);
			if (!r)
				break;
			if (i == PD_QUEUE_EVENT)
				continue;
			spin_lock_irq(&q->lock);
			list_del_init(&r->link);
			spin_unlock_irq(&q->lock);
			pd_req_complete(r, 0);
		}
	}
	vdev->config->del_vqs(vdev);
	wake_up_all(&v->host.space);
}

static int pd_virtio_probe(struct virtio_device *vdev)
{
	struct pd_config cfg;
	struct pd_virtio *v;
	unsigned int i, n;
	u64 window;
	int ret;

	if (!vdev->config->get)
		return -ENODEV;
	/* the only read of it: QEMU aborts at one when the daemon has died */
	virtio_cread_bytes(vdev, 0, &cfg, sizeof(cfg));
	if (le32_to_cpu(cfg.magic) != PD_MAGIC)
		return -ENODEV; /* somebody else's device of this id */
	ret = pd_host_version(&vdev->dev, le16_to_cpu(cfg.version_min),
			      le16_to_cpu(cfg.version_max));
	if (ret)
		return ret;

	n = min3(le32_to_cpu(cfg.num_request_queues), (u32)PD_MAX_REQUEST_QUEUES,
		 (u32)num_possible_cpus());
	n = max(n, 1u);
	v = kzalloc(struct_size(v, queues, PD_QUEUE_REQUEST + n), GFP_KERNEL);
	if (!v)
		return -ENOMEM;
	v->vdev = vdev;
	vdev->priv = v;
	for (i = 0; i < PD_QUEUE_REQUEST + n; i++) {
		spin_lock_init(&v->queues[i].lock);
		INIT_LIST_HEAD(&v->queues[i].inflight);
	}
	pd_host_init(&v->host, &pd_virtio_ops, &vdev->dev);

	ret = pd_virtio_find(v, n);
	if (ret && n > 1)
		ret = pd_virtio_find(v, 1); /* the VMM made fewer queues than the daemon serves */
	if (ret) {
		dev_err(&vdev->dev, "no virtqueues: %d\n", ret);
		goto err_put;
	}

	window = le64_to_cpu(cfg.window_size);
	if (window && virtio_get_shm_region(vdev, &v->shm, PD_WINDOW_SHMID)) {
		window = min(window, v->shm.len);
		ret = pd_windows_init(&v->host, v->shm.addr, window);
		if (ret)
			dev_warn(&vdev->dev, "the window region cannot be used: %d\n", ret);
	}

	ret = pd_virtio_post_events(v);
	if (ret)
		goto err_stop;
	virtio_device_ready(vdev);
	virtqueue_kick(v->queues[PD_QUEUE_EVENT].vq);

	ret = pd_host_start(&v->host);
	if (ret) {
		dev_err(&vdev->dev, "the host does not answer as it should: %d\n", ret);
		goto err_stop;
	}
	return 0;

err_stop:
	pd_host_stop(&v->host);
	pd_virtio_stop(v);
	pd_windows_exit(&v->host);
err_put:
	vdev->priv = NULL;
	pd_host_put(&v->host);
	return ret;
}

static void pd_virtio_remove(struct virtio_device *vdev)
{
	struct pd_virtio *v = vdev->priv;

	if (!v)
		return;
	pd_host_stop(&v->host);
	pd_virtio_stop(v);
	pd_windows_exit(&v->host);
	vdev->priv = NULL;
	pd_host_put(&v->host);
}

#ifdef CONFIG_PM_SLEEP
/* The host's state of open files does not survive a reset: only an unused device may sleep. */
static int pd_virtio_freeze(struct virtio_device *vdev)
{
	struct pd_virtio *v = vdev->priv;

	if (v && pd_host_in_use(&v->host)) {
		dev_err(&vdev->dev, "cannot suspend while programs use the host's devices\n");
		return -EBUSY;
	}
	pd_virtio_remove(vdev);
	return 0;
}

static int pd_virtio_restore(struct virtio_device *vdev)
{
	return pd_virtio_probe(vdev);
}
#endif

static unsigned int virtio_id = PD_VIRTIO_ID_DEFAULT;
module_param(virtio_id, uint, 0444);
MODULE_PARM_DESC(virtio_id, "virtio device id to serve, where the VMM gives it another than 31");

static struct virtio_device_id pd_virtio_ids[] = {
	{ PD_VIRTIO_ID_DEFAULT, VIRTIO_DEV_ANY_ID },
	{},
};
MODULE_DEVICE_TABLE(virtio, pd_virtio_ids);

static struct virtio_driver pd_virtio_driver = {
	.driver.name = PD_NAME,
	.driver.owner = THIS_MODULE,
	.id_table = pd_virtio_ids,
	.probe = pd_virtio_probe,
	.remove = pd_virtio_remove,
#ifdef CONFIG_PM_SLEEP
	.freeze = pd_virtio_freeze,
	.restore = pd_virtio_restore,
#endif
};

int pd_virtio_init(void)
{
	pd_virtio_ids[0].device = virtio_id;
	return register_virtio_driver(&pd_virtio_driver);
}

void pd_virtio_exit(void)
{
	unregister_virtio_driver(&pd_virtio_driver);
}
