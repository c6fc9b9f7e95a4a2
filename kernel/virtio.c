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
#include "queue.h"
#include "transport.h"
#include "weak.h"

/* descriptors that a message can take: head, lists, answer */
#define PD_DESCS 3

#define PD_EVENTS 64

/**
 * struct pd_vq - a virtqueue
 * @q: the queue that it carries
 * @vq: valid while @q is live, and until the queues are deleted
 */
struct pd_vq {
	struct pd_queue q;
	struct virtqueue *vq;
};

/**
 * struct pd_virtio - a virtio device
 * @host: what the core knows of it
 * @vdev: the device, until it is removed
 * @shm: the window region, len 0 without
 * @events: buffers that the host fills
 * @queues: by virtqueue index
 */
struct pd_virtio {
	struct pd_host host;
	struct virtio_device *vdev;
	struct virtio_shm_region shm;
	struct pd_event *events;
	struct pd_vq queues[];
};

static struct pd_virtio *to_virtio(struct pd_host *host)
{
	return container_of(host, struct pd_virtio, host);
}

static struct virtqueue *to_vq(struct pd_queue *q)
{
	return container_of(q, struct pd_vq, q)->vq;
}

/* ---- rings ---- */

static int pd_virtio_space(struct pd_queue *q)
{
	struct virtqueue *vq = to_vq(q);

	return virtqueue_is_broken(vq) ? -EIO : vq->num_free;
}

static int pd_virtio_add(struct pd_queue *q, struct pd_request *r)
{
	struct scatterlist head, lists, answer, tail, *sgs[PD_DESCS];
	unsigned int out = 0, in = 0;
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
	ret = virtqueue_add_sgs(to_vq(q), sgs, out, in, r, GFP_ATOMIC);
	return ret && ret != -ENOMEM ? -EIO : ret;
}

static void pd_virtio_kick(struct pd_queue *q)
{
	virtqueue_kick(to_vq(q));
}

static struct pd_request *pd_virtio_take(struct pd_queue *q, u32 *len)
{
	return virtqueue_get_buf(to_vq(q), len);
}

static int pd_virtio_post_event(struct virtqueue *vq, struct pd_event *ev)
{
	struct scatterlist sg;

	sg_init_one(&sg, ev, sizeof(*ev));
	return virtqueue_add_inbuf(vq, &sg, 1, ev, GFP_ATOMIC);
}

static bool pd_virtio_take_event(struct pd_queue *q, struct pd_event *ev, u32 *len)
{
	struct virtqueue *vq = to_vq(q);
	struct pd_event *buf = virtqueue_get_buf(vq, len);

	if (!buf)
		return false;
	*ev = *buf;
	if (!pd_virtio_post_event(vq, buf))
		virtqueue_kick(vq);
	return true;
}

static void pd_virtio_quiet(struct pd_queue *q)
{
	virtqueue_disable_cb(to_vq(q));
}

static bool pd_virtio_listen(struct pd_queue *q)
{
	struct virtqueue *vq = to_vq(q);

	/* of a broken queue nothing more comes */
	return !virtqueue_enable_cb(vq) && !virtqueue_is_broken(vq);
}

static void *pd_virtio_detach(struct pd_queue *q)
{
	return virtqueue_detach_unused_buf(to_vq(q));
}

static const struct pd_queue_ops pd_virtio_queue_ops = {
	.space = pd_virtio_space,
	.add = pd_virtio_add,
	.kick = pd_virtio_kick,
	.take = pd_virtio_take,
	.take_event = pd_virtio_take_event,
	.quiet = pd_virtio_quiet,
	.listen = pd_virtio_listen,
	.detach = pd_virtio_detach,
};

static void pd_virtio_interrupt(struct virtqueue *vq)
{
	struct pd_virtio *v = vq->vdev->priv;

	pd_queue_answered(&v->queues[vq->index].q);
}

/* ---- the device ---- */

static void pd_virtio_free(struct pd_host *host)
{
	struct pd_virtio *v = to_virtio(host);

	kfree(v->events);
	kfree(v);
}

static const struct pd_transport_ops pd_virtio_ops = {
	.again = "others can be opened when the device is bound again",
	.free = pd_virtio_free,
};

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
		callbacks[i] = pd_virtio_interrupt;
		names[i] = i == PD_QUEUE_CONTROL ? "control" :
			   i == PD_QUEUE_EVENT	 ? "event" :
						   "request";
	}
	ret = pd_find_vqs(v->vdev, total, vqs, callbacks, names);
	if (ret)
		goto out;

	for (i = 0; i < total; i++) {
		v->queues[i].vq = vqs[i];
		pd_queue_begin(&v->queues[i].q, virtqueue_get_vring_size(vqs[i]));
	}
	v->host.nqueues = n;
out:
	kfree(names);
	kfree(callbacks);
	kfree(vqs);
	return ret;
}

static int pd_virtio_post_events(struct pd_virtio *v)
{
	struct virtqueue *vq = v->queues[PD_QUEUE_EVENT].vq;
	unsigned int i, n;

	n = min_t(unsigned int, PD_EVENTS, virtqueue_get_vring_size(vq));
	v->events = kcalloc(n, sizeof(*v->events), GFP_KERNEL);
	if (!v->events)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		if (pd_virtio_post_event(vq, &v->events[i]))
			break;
	return i ? 0 : -ENOSPC;
}

/* resets the device and takes back what it had; nothing touches the queues afterwards */
static void pd_virtio_stop(struct pd_virtio *v)
{
	struct virtio_device *vdev = v->vdev;
	unsigned int i;

	virtio_reset_device(vdev);
	for (i = 0; i < pd_host_queues(&v->host); i++) {
		pd_queue_end(&v->queues[i].q);
		pd_queue_drain(&v->queues[i].q);
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
	if (!PD_WEAK(QUEUES))
		n = max(n, 1u);
	v = kzalloc(struct_size(v, queues, PD_QUEUE_REQUEST + n), GFP_KERNEL);
	if (!v)
		return -ENOMEM;
	v->vdev = vdev;
	vdev->priv = v;
	pd_host_init(&v->host, &pd_virtio_ops, &vdev->dev);
	for (i = 0; i < PD_QUEUE_REQUEST + n; i++)
		pd_queue_init(&v->queues[i].q, &v->host, &pd_virtio_queue_ops, i, PD_DESCS);

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
