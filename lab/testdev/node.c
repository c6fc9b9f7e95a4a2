// SPDX-License-Identifier: GPL-2.0-only
/* testdev: the nodes in /dev, and taking one away while it is open. */
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "internal.h"

static const char *const node_name[TD_MINORS] = {
	[TD_MINOR_MAIN] = TD_NODE_MAIN,
	[TD_MINOR_OPEN] = TD_NODE_OPEN,
	[TD_MINOR_HOT] = TD_NODE_HOT,
	[TD_MINOR_CTL] = TD_NODE_CTL,
};

static dev_t first_dev;
static struct cdev *cdevs[TD_MINORS];
static DEFINE_MUTEX(plug_lock);
static struct td_plug *plug; /* the current life of testdev-hot */

static char *td_devnode(td_devnode_arg *dev, umode_t *mode)
{
	if (mode)
		*mode = 0666;
	return NULL;
}

static struct class td_class = {
	.name = "testdev",
	.devnode = td_devnode,
};

static int td_node_add(int minor)
{
	struct device *dev;
	struct cdev *cdev;
	int ret;

	cdev = cdev_alloc();
	if (!cdev)
		return -ENOMEM;
	cdev->owner = THIS_MODULE;
	cdev->ops = &td_fops;
	ret = cdev_add(cdev, first_dev + minor, 1);
	if (ret) {
		kobject_put(&cdev->kobj);
		return ret;
	}
	dev = device_create(&td_class, NULL, first_dev + minor, NULL, "%s", node_name[minor]);
	if (IS_ERR(dev)) {
		cdev_del(cdev);
		return PTR_ERR(dev);
	}
	cdevs[minor] = cdev;
	return 0;
}

static void td_node_del(int minor)
{
	if (!cdevs[minor])
		return;
	device_destroy(&td_class, first_dev + minor);
	cdev_del(cdevs[minor]);
	cdevs[minor] = NULL;
}

static void td_plug_free(struct kref *ref)
{
	kfree(container_of(ref, struct td_plug, ref));
}

/**
 * td_plug() - make testdev-hot appear
 *
 * Return: 0, -EBUSY when it is there, or why it could not be made.
 */
int td_plug(void)
{
	int ret = -EBUSY;

	mutex_lock(&plug_lock);
	if (plug)
		goto out;
	ret = -ENOMEM;
	plug = kzalloc(sizeof(*plug), GFP_KERNEL);
	if (!plug)
		goto out;
	kref_init(&plug->ref);
	INIT_LIST_HEAD(&plug->files);
	ret = td_node_add(TD_MINOR_HOT);
	if (ret) {
		kfree(plug);
		plug = NULL;
	}
out:
	mutex_unlock(&plug_lock);
	return ret;
}

/**
 * td_unplug() - take testdev-hot away, open files and all
 *
 * What sleeps on its files wakes with ENODEV, polls see POLLHUP.
 *
 * Return: 0, -ENODEV when it is away already.
 */
int td_unplug(void)
{
	struct td_file *f;

	mutex_lock(&plug_lock);
	if (!plug) {
		mutex_unlock(&plug_lock);
		return -ENODEV;
	}
	td_node_del(TD_MINOR_HOT);
	WRITE_ONCE(plug->gone, true);
	list_for_each_entry(f, &plug->files, in_plug) {
		td_group_wake(f->group, EPOLLHUP | EPOLLERR);
		wake_up_poll(&f->wait, EPOLLHUP | EPOLLERR);
		kill_fasync(&f->fasync, SIGIO, POLL_HUP);
	}
	kref_put(&plug->ref, td_plug_free);
	plug = NULL;
	mutex_unlock(&plug_lock);
	return 0;
}

/* A file of testdev-hot belongs to its present life; NULL when there is none. */
struct td_plug *td_plug_enter(struct td_file *f)
{
	struct td_plug *p;

	mutex_lock(&plug_lock);
	p = plug;
	if (p) {
		kref_get(&p->ref);
		list_add(&f->in_plug, &p->files);
	}
	mutex_unlock(&plug_lock);
	return p;
}

void td_plug_leave(struct td_file *f)
{
	if (!f->plug)
		return;
	mutex_lock(&plug_lock);
	list_del(&f->in_plug);
	kref_put(&f->plug->ref, td_plug_free);
	mutex_unlock(&plug_lock);
}

static void td_nodes_exit(void)
{
	int minor;

	for (minor = 0; minor < TD_MINORS; minor++)
		td_node_del(minor);
	if (plug)
		kref_put(&plug->ref, td_plug_free);
	class_unregister(&td_class);
	unregister_chrdev_region(first_dev, TD_MINORS);
}

static int __init td_nodes_init(void)
{
	int ret, minor;

	ret = alloc_chrdev_region(&first_dev, 0, TD_MINORS, "testdev");
	if (ret)
		return ret;
	ret = class_register(&td_class);
	if (ret) {
		unregister_chrdev_region(first_dev, TD_MINORS);
		return ret;
	}
	for (minor = 0; minor < TD_MINORS && !ret; minor++)
		ret = minor == TD_MINOR_HOT ? td_plug() : td_node_add(minor);
	if (ret)
		td_nodes_exit();
	return ret;
}

module_init(td_nodes_init);
module_exit(td_nodes_exit);

MODULE_DESCRIPTION("Device files that do what drivers do, to be tested against");
MODULE_AUTHOR("The Paradice authors");
MODULE_LICENSE("GPL");
