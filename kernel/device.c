// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's devices as devices of ours: numbers, nodes in /dev, their coming and going.
 */
#include <linux/ctype.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "core.h"

#define PD_MINORS 4096
#define PD_MAX_INDEX 65536

static dev_t pd_devt;
static DEFINE_IDA(pd_minors);
static struct vfsmount *pd_dev_mnt;

static struct class pd_class = {
	.name = PD_NAME,
};

static char *pd_devnode(PD_DEVNODE_DEV *dev, umode_t *mode, kuid_t *uid, kgid_t *gid)
{
	const struct pd_node *node = container_of(dev, struct pd_node, dev);

	if (mode)
		*mode = node->mode;
	if (uid)
		*uid = node->uid;
	if (gid)
		*gid = node->gid;
	return NULL; /* the device's own name, in which ! stands for / */
}

static const struct device_type pd_device_type = {
	.name = PD_NAME,
	.devnode = pd_devnode,
};

static void pd_node_release(struct device *dev)
{
	struct pd_node *node = container_of(dev, struct pd_node, dev);

	ida_free(&pd_minors, MINOR(dev->devt) - MINOR(pd_devt));
	pd_host_put(node->host);
	kfree(node);
}

/* is there such a node in /dev? */
static bool pd_name_taken(const char *name)
{
	struct path path;

	if (IS_ERR_OR_NULL(pd_dev_mnt))
		return false;
	if (vfs_path_lookup(pd_dev_mnt->mnt_root, pd_dev_mnt, name, 0, &path))
		return false;
	path_put(&path);
	return true;
}

/* is what the host calls its device fit to be a path below /dev? */
static bool pd_name_valid(const u8 *name, size_t size)
{
	size_t i, len = strnlen((const char *)name, size);

	if (!len || len == size || name[0] == '/' || name[len - 1] == '/')
		return false;
	for (i = 0; i < len; i++) {
		if (!isascii(name[i]) || !isgraph(name[i]) || name[i] == '!')
			return false;
		/* no empty component, none that begins with a dot */
		if ((i == 0 || name[i - 1] == '/') && (name[i] == '/' || name[i] == '.'))
			return false;
	}
	return true;
}

/* the name that the node gets; below paradice/ where the host's own is taken */
static char *pd_node_name(const char *wanted)
{
	char *name;
	int i;

	name = kstrdup(wanted, GFP_KERNEL);
	for (i = 1; name && pd_name_taken(name) && i < 100; i++) {
		kfree(name);
		name = i == 1 ? kasprintf(GFP_KERNEL, PD_NAME "/%s", wanted) :
				kasprintf(GFP_KERNEL, PD_NAME "/%s-%d", wanted, i);
	}
	return name;
}

/* makes the node that @d describes; host->nodes_lock held */
static int pd_node_create(struct pd_host *host, const struct pd_device *d)
{
	struct pd_node *node;
	char *name;
	int minor, ret;

	minor = ida_alloc_max(&pd_minors, PD_MINORS - 1, GFP_KERNEL);
	if (minor < 0)
		return minor;
	node = kzalloc(sizeof(*node), GFP_KERNEL);
	if (!node) {
		ida_free(&pd_minors, minor);
		return -ENOMEM;
	}
	node->host = pd_host_get(host);
	node->id = le32_to_cpu(d->id);
	node->mode = le32_to_cpu(d->mode) & 0777;
	node->uid = make_kuid(&init_user_ns, le32_to_cpu(d->uid));
	node->gid = make_kgid(&init_user_ns, le32_to_cpu(d->gid));
	if (!uid_valid(node->uid))
		node->uid = GLOBAL_ROOT_UID;
	if (!gid_valid(node->gid))
		node->gid = GLOBAL_ROOT_GID;
	memcpy(node->subsystem, d->subsystem, sizeof(node->subsystem));
	node->subsystem[sizeof(node->subsystem) - 1] = 0;

	device_initialize(&node->dev);
	node->dev.class = &pd_class;
	node->dev.type = &pd_device_type;
	node->dev.parent = host->parent;
	node->dev.release = pd_node_release;
	node->dev.devt = MKDEV(MAJOR(pd_devt), MINOR(pd_devt) + minor);
	cdev_init(&node->cdev, &pd_fops);
	node->cdev.owner = THIS_MODULE;

	name = pd_node_name((const char *)d->name);
	ret = name ? dev_set_name(&node->dev, "%s", name) : -ENOMEM;
	if (ret)
		goto err;
	ret = xa_insert(&host->nodes, node->id, node, GFP_KERNEL);
	if (ret)
		goto err;
	ret = cdev_device_add(&node->cdev, &node->dev);
	if (ret) {
		xa_erase(&host->nodes, node->id);
		goto err;
	}
	dev_info(host->parent, "/dev/%s is the host's %s, device %u:%u there\n", name,
		 (const char *)d->name, le32_to_cpu(d->major), le32_to_cpu(d->minor));
	kfree(name);
	return 0;

err:
	kfree(name);
	put_device(&node->dev);
	return ret;
}

/**
 * pd_node_add() - asks for the description of a device and makes its node
 * @host: whose
 * @index: which
 *
 * Return: 0, also where it is there already; -ENODEV for a free index, -ERANGE past the last, or
 * another negative errno. May sleep.
 */
int pd_node_add(struct pd_host *host, u32 index)
{
	struct pd_device d;
	struct pd_request *r;
	long ret;

	r = pd_req_new(host, PD_OP_DEVICE, NULL);
	if (!r)
		return -ENOMEM;
	ret = pd_req_tail(r, sizeof(d));
	if (ret)
		goto free;
	r->req.u.device.index = cpu_to_le32(index);
	ret = pd_req_run(&r, PD_WAIT_HOST);
	if (ret >= 0 && r->len < sizeof(r->resp) + sizeof(d))
		ret = -EPROTO;
	if (ret >= 0)
		memcpy(&d, r->tail, sizeof(d));
free:
	pd_req_free(r);
	if (ret < 0)
		return ret;
	if (!pd_name_valid(d.name, sizeof(d.name))) {
		dev_err(host->parent, "device %u of the host has no usable name: left out\n",
			index);
		return -EINVAL;
	}

	mutex_lock(&host->nodes_lock);
	if (READ_ONCE(host->stopping))
		ret = -EIO;
	else if (xa_load(&host->nodes, le32_to_cpu(d.id)))
		ret = 0;
	else
		ret = pd_node_create(host, &d);
	mutex_unlock(&host->nodes_lock);
	if (ret)
		dev_err(host->parent, "no node for the host's device %s: %ld\n",
			(const char *)d.name, ret);
	return ret;
}

/* makes nodes for all devices that the host has; what cannot be made is left out */
int pd_node_scan(struct pd_host *host)
{
	u32 index;
	int ret;

	for (index = 0; index < PD_MAX_INDEX; index++) {
		ret = pd_node_add(host, index);
		if (ret == -ERANGE)
			return 0;
		if (pd_host_lost(host))
			return -EIO;
	}
	return -EPROTO;
}

static void pd_node_destroy(struct pd_node *node)
{
	WRITE_ONCE(node->gone, true);
	cdev_device_del(&node->cdev, &node->dev);
	put_device(&node->dev);
}

/* the device with this id is gone; files that are open stay. May sleep */
void pd_node_remove(struct pd_host *host, u32 id)
{
	struct pd_node *node;

	mutex_lock(&host->nodes_lock);
	node = xa_erase(&host->nodes, id);
	if (node)
		pd_node_destroy(node);
	mutex_unlock(&host->nodes_lock);
}

void pd_node_remove_all(struct pd_host *host)
{
	struct pd_node *node;
	unsigned long id;

	mutex_lock(&host->nodes_lock);
	xa_for_each(&host->nodes, id, node) {
		xa_erase(&host->nodes, id);
		pd_node_destroy(node);
	}
	mutex_unlock(&host->nodes_lock);
}

int pd_node_init(void)
{
	struct file_system_type *type;
	int ret;

	ret = alloc_chrdev_region(&pd_devt, 0, PD_MINORS, PD_NAME);
	if (ret)
		return ret;
	ret = class_register(&pd_class);
	if (ret) {
		unregister_chrdev_region(pd_devt, PD_MINORS);
		return ret;
	}
	/* a view of the nodes that does not depend on where the caller's /dev is */
	type = get_fs_type("devtmpfs");
	if (type)
		pd_dev_mnt = kern_mount(type);
	return 0;
}

void pd_node_exit(void)
{
	if (!IS_ERR_OR_NULL(pd_dev_mnt))
		kern_unmount(pd_dev_mnt);
	class_unregister(&pd_class);
	unregister_chrdev_region(pd_devt, PD_MINORS);
	ida_destroy(&pd_minors);
}
