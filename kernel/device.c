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
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "core.h"
#include "identity.h"
#include "weak.h"

#define PD_MINORS 4096
#define PD_NAMES 100 /* that are tried for a device */
#define PD_MAX_INDEX 65536

static dev_t pd_devt;
static DEFINE_IDA(pd_minors);
/*
 * Between looking for a name and a number that are free and taking them: hosts have devices of the
 * same name. Taken before a host's nodes_lock.
 */
static DEFINE_MUTEX(pd_adding);
static struct vfsmount *pd_dev_mnt;

static struct class pd_class = {
	.name = PD_NAME,
};

static char *pd_numbers = "auto";
module_param_named(numbers, pd_numbers, charp, 0444);
MODULE_PARM_DESC(
	numbers,
	"auto: a device has the host's number where this kernel has no device of its kind (default); own: always one of ours");

static char *pd_devnode(PD_DEVNODE_DEV *dev, umode_t *mode, kuid_t *uid, kgid_t *gid)
{
	const struct pd_node *node = container_of(dev, struct pd_node, object.dev);

	if (mode)
		*mode = node->mode;
	if (uid)
		*uid = node->uid;
	if (gid)
		*gid = node->gid;
	return kstrdup(node->name, GFP_KERNEL);
}

static void pd_node_release(struct device *dev)
{
	struct pd_node *node = container_of(dev, struct pd_node, object.dev);

	if (node->minor >= 0)
		ida_free(&pd_minors, node->minor);
	pd_object_free(&node->object);
	pd_host_put(node->host);
	kfree(node->name);
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

	if (PD_WEAK(NAMES))
		return true;
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

/* the name that the node gets; below paradice/ where the host's own is taken; or a negative errno */
static char *pd_node_name(const char *wanted)
{
	char *name;
	int i;

	for (i = 0; i < PD_NAMES; i++) {
		name = i == 0 ? kstrdup(wanted, GFP_KERNEL) :
		       i == 1 ? kasprintf(GFP_KERNEL, PD_NAME "/%s", wanted) :
				kasprintf(GFP_KERNEL, PD_NAME "/%s-%d", wanted, i);
		if (!name)
			return ERR_PTR(-ENOMEM);
		if (!pd_name_taken(name))
			return name;
		kfree(name);
	}
	return ERR_PTR(-EEXIST);
}

/* the node that @d describes, without a number yet, to be ended by put_device(); or a negative errno */
static struct pd_node *pd_node_new(struct pd_host *host, const struct pd_device *d)
{
	struct pd_node *node;
	char *name;

	name = pd_node_name((const char *)d->name);
	if (IS_ERR(name))
		return ERR_CAST(name);
	node = kzalloc(sizeof(*node), GFP_KERNEL);
	if (!node) {
		kfree(name);
		return ERR_PTR(-ENOMEM);
	}
	node->name = name;
	node->host = pd_host_get(host);
	node->minor = -1;
	node->id = le32_to_cpu(d->id);
	node->open_mm = le32_to_cpu(d->flags) & PD_DEVICE_OPEN_MM;
	node->mode = le32_to_cpu(d->mode) & (PD_WEAK(MODES) ? U16_MAX : 0777);
	node->uid = make_kuid(&init_user_ns, le32_to_cpu(d->uid));
	node->gid = make_kgid(&init_user_ns, le32_to_cpu(d->gid));
	if (!uid_valid(node->uid))
		node->uid = GLOBAL_ROOT_UID;
	if (!gid_valid(node->gid))
		node->gid = GLOBAL_ROOT_GID;
	pd_object_init(&node->object, pd_node_release);
	node->object.type.devnode = pd_devnode;
	cdev_init(&node->cdev, &pd_fops);
	node->cdev.owner = THIS_MODULE;
	return node;
}

static dev_t pd_host_number(const struct pd_device *d)
{
	u32 major = le32_to_cpu(d->major), minor = le32_to_cpu(d->minor);

	return major && !(major >> 12) && !(minor >> MINORBITS) ? MKDEV(major, minor) : 0;
}

/* is it one that pd_number_own() gives? */
static bool pd_number_is_own(dev_t number)
{
	return number >= pd_devt && number - pd_devt < PD_MINORS;
}

/* a number of ours, with the host's minor if that is free */
static int pd_number_own(struct pd_node *node, dev_t host)
{
	unsigned int minor = MINOR(host);

	node->minor = minor < PD_MINORS ? ida_alloc_range(&pd_minors, minor, minor, GFP_KERNEL) :
					  -ENOSPC;
	if (node->minor < 0)
		node->minor = ida_alloc_max(&pd_minors, PD_MINORS - 1, GFP_KERNEL);
	if (node->minor < 0)
		return node->minor;
	node->object.dev.devt = MKDEV(MAJOR(pd_devt), MINOR(pd_devt) + node->minor);
	return 0;
}

/* adds @node with the host's identity */
static int pd_node_identify(struct pd_host *host, struct pd_node *node, const struct pd_device *d,
			    struct pd_identity *identity)
{
	const struct pd_ident *ident = identity->object[identity->n - 1];
	dev_t number = pd_host_number(d);
	struct pd_subsystem *s;
	char *name = NULL;
	int ret;

	s = pd_subsystem_get(ident->subsystem, ident->is_class);
	if (IS_ERR(s))
		return PTR_ERR(s);
	/*
	 * Programs compare what drivers say of numbers with those of nodes. The host may have given
	 * its device the major that this kernel gave us: then it is free only if pd_minors says so.
	 */
	if (number && !strcmp(pd_numbers, "auto") && !pd_number_is_own(number) &&
	    !pd_sysfs_has_devt(number) && !pd_subsystem_has_others(s))
		node->object.dev.devt = number;
	ret = node->object.dev.devt ? 0 : pd_number_own(node, number);
	/* one that has another name in /dev must not be found under the host's */
	if (!ret && strcmp(node->name, (const char *)d->name)) {
		name = kstrdup(node->name, GFP_KERNEL);
		if (name)
			strreplace(name, '/', '!');
		else
			ret = -ENOMEM;
	}
	if (!ret)
		ret = pd_place_add_node(host, node, identity, name);
	kfree(name);
	pd_subsystem_put(s);
	return ret;
}

/* adds @node without: below the host, under our own class */
static int pd_node_plain(struct pd_host *host, struct pd_node *node, const struct pd_device *d)
{
	struct device *dev = &node->object.dev;
	int ret;

	ret = pd_number_own(node, pd_host_number(d));
	if (!ret)
		ret = dev_set_name(dev, "%s", node->name);
	if (ret)
		return ret;
	dev->class = &pd_class;
	dev->parent = host->parent;
	node->object.type.name = PD_NAME;
	return cdev_device_add(&node->cdev, dev);
}

/* makes the node that @d describes; @identity may be NULL; pd_adding and host->nodes_lock held */
static int pd_node_create(struct pd_host *host, const struct pd_device *d,
			  struct pd_identity *identity)
{
	struct pd_node *node = pd_node_new(host, d);
	int ret;

	if (IS_ERR(node))
		return PTR_ERR(node);
	ret = xa_insert_irq(&host->nodes, node->id, node, GFP_KERNEL);
	if (ret)
		goto err;
	ret = identity ? pd_node_identify(host, node, d, identity) : pd_node_plain(host, node, d);
	if (ret) {
		xa_erase_irq(&host->nodes, node->id);
		goto err;
	}
	dev_info(host->parent, "/dev/%s is the host's %s, device %u:%u there\n", node->name,
		 (const char *)d->name, le32_to_cpu(d->major), le32_to_cpu(d->minor));
	return 0;

err:
	put_device(&node->object.dev);
	return ret;
}

static void pd_node_destroy(struct pd_node *node)
{
	WRITE_ONCE(node->gone, true);
	if (node->place) {
		/* the device stays while others are in it; the open number does not */
		pd_place_put(node->host, node->place);
		cdev_del(&node->cdev);
		return;
	}
	cdev_device_del(&node->cdev, &node->object.dev);
	put_device(&node->object.dev);
}

/* asks for the description of the device with @index. May sleep */
static long pd_node_ask(struct pd_host *host, u32 index, struct pd_device *d)
{
	struct pd_request *r;
	long ret;

	r = pd_req_new(host, PD_OP_DEVICE, NULL);
	if (!r)
		return -ENOMEM;
	ret = pd_req_tail(r, sizeof(*d));
	if (ret)
		goto free;
	r->req.u.device.index = cpu_to_le32(index);
	ret = pd_req_run(&r, PD_WAIT_KILL);
	if (ret >= 0 && r->len < sizeof(r->resp) + sizeof(*d))
		ret = -EPROTO;
	if (ret >= 0)
		memcpy(d, r->tail, sizeof(*d));
free:
	pd_req_free(r);
	return min(ret, 0L);
}

/* the device with this id is gone; files that are open stay. nodes_lock held; may sleep */
static void pd_node_remove(struct pd_host *host, u32 id)
{
	struct pd_node *node = xa_erase_irq(&host->nodes, id);

	if (node)
		pd_node_destroy(node);
}

/* @d was described before it had a node: an event that it is gone may have come too early for that */
static void pd_node_recheck(struct pd_host *host, u32 index, const struct pd_device *d)
{
	struct pd_device now;
	long ret = pd_node_ask(host, index, &now);

	if (ret != -ENODEV && ret != -ERANGE && (ret || now.id == d->id))
		return;
	mutex_lock(&host->nodes_lock);
	pd_node_remove(host, le32_to_cpu(d->id));
	mutex_unlock(&host->nodes_lock);
}

/*
 * Asks for the description of a device and makes its node. 0, also where it is there already; -ENODEV for a free
 * index, -ERANGE past the last, or another negative errno. May sleep.
 */
static int pd_node_add(struct pd_host *host, u32 index)
{
	struct pd_identity *identity = NULL;
	bool made = false;
	struct pd_device d;
	unsigned int i;
	long ret;

	ret = pd_node_ask(host, index, &d);
	if (ret < 0)
		return ret;
	if (!pd_name_valid(d.name, sizeof(d.name))) {
		dev_err_ratelimited(host->parent,
				    "device %u of the host has no usable name: left out\n", index);
		return -EINVAL;
	}

	if (!xa_load(&host->nodes, le32_to_cpu(d.id)))
		identity = pd_identity_fetch(host, le32_to_cpu(d.id));
	for (i = 0; identity && i < identity->n; i++)
		pd_subsystem_load(identity->object[i]->subsystem, identity->object[i]->is_class,
				  i == identity->n - 1 ? pd_host_number(&d) : 0);

	mutex_lock(&pd_adding);
	mutex_lock(&host->nodes_lock);
	if (READ_ONCE(host->stopping)) {
		ret = -EIO;
	} else if (xa_load(&host->nodes, le32_to_cpu(d.id))) {
		ret = 0;
	} else {
		ret = pd_node_create(host, &d, identity);
		if (ret && identity) {
			dev_warn_ratelimited(
				host->parent,
				"the host's device %s cannot be shown as what it is: %ld\n",
				(const char *)d.name, ret);
			ret = pd_node_create(host, &d, NULL);
		}
		made = !ret;
	}
	mutex_unlock(&host->nodes_lock);
	mutex_unlock(&pd_adding);
	pd_identity_free(identity);
	if (ret)
		dev_err_ratelimited(host->parent, "no node for the host's device %s: %ld\n",
				    (const char *)d.name, ret);
	if (made)
		pd_node_recheck(host, index, &d);
	return ret;
}

/* makes nodes for all devices that the host has; what cannot be made is left out */
int pd_node_scan(struct pd_host *host)
{
	u32 index;
	int ret;

	for (index = 0; index < PD_MAX_INDEX || PD_WEAK(DEVICES); index++) {
		ret = pd_node_add(host, index);
		if (ret == -ERANGE)
			return 0;
		if (pd_host_lost(host) || READ_ONCE(host->stopping))
			return -EIO;
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return -EPROTO;
}

/* of these devices an event told that they are gone; may sleep */
void pd_node_remove_leaving(struct pd_host *host)
{
	struct pd_node *node;
	unsigned long id;

	mutex_lock(&host->nodes_lock);
	xa_for_each_marked(&host->nodes, id, node, PD_NODE_LEAVING) pd_node_remove(host, id);
	mutex_unlock(&host->nodes_lock);
}

void pd_node_remove_all(struct pd_host *host)
{
	struct pd_node *node;
	unsigned long id;

	mutex_lock(&host->nodes_lock);
	xa_for_each(&host->nodes, id, node)
		pd_node_remove(host, id);
	pd_places_exit(host);
	mutex_unlock(&host->nodes_lock);
}

int pd_node_init(void)
{
	struct file_system_type *type;
	int ret;

	if (strcmp(pd_numbers, "auto") && strcmp(pd_numbers, "own")) {
		pr_err(PD_NAME ": numbers=%s: neither auto nor own\n", pd_numbers);
		return -EINVAL;
	}
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
	if (pd_subsystem_init())
		pr_warn(PD_NAME ": no view of sysfs: devices appear without their identity\n");
	return 0;
}

void pd_node_exit(void)
{
	if (!IS_ERR_OR_NULL(pd_dev_mnt))
		kern_unmount(pd_dev_mnt);
	pd_subsystem_exit();
	class_unregister(&pd_class);
	unregister_chrdev_region(pd_devt, PD_MINORS);
	ida_destroy(&pd_minors);
}
