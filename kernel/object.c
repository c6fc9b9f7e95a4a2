// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's devices, and their ancestors, as devices of this kernel's.
 *
 * A host has a directory, /sys/devices/paradice/virtio1 for example, and below it the paths are the
 * host's own. Every object is a device on a bus of ours, whatever its class, so that none of the
 * kernel's classes takes it for one of its own; afterwards its links are made to say what the
 * host's say, and only then programs are told of it.
 */
#include <linux/cdev.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "core.h"
#include "identity.h"

static DEFINE_MUTEX(pd_root_lock); /* protects the next two */
static struct kobject *pd_root; /* /sys/devices/paradice */
static unsigned int pd_root_users;

static struct pd_object *to_object(const struct device *dev)
{
	return container_of(dev, struct pd_object, dev);
}

/* ---- the host's directory ---- */

static int pd_directory_make(struct pd_host *host)
{
	struct kobject *devices = pd_sysfs_devices();
	int ret = 0;

	if (host->directory)
		return 0;
	if (!devices)
		return -ENODEV;
	mutex_lock(&pd_root_lock);
	if (!pd_root_users && !pd_sysfs_has(devices, PD_NAME))
		pd_root = kobject_create_and_add(PD_NAME, devices);
	if (pd_root && !pd_sysfs_has(pd_root, dev_name(host->parent)))
		host->directory = kobject_create_and_add(dev_name(host->parent), pd_root);
	if (host->directory) {
		pd_root_users++;
	} else {
		if (pd_root && !pd_root_users) {
			kobject_put(pd_root);
			pd_root = NULL;
		}
		ret = -ENOMEM;
	}
	mutex_unlock(&pd_root_lock);
	return ret;
}

/* when the last place of a host is gone */
void pd_places_exit(struct pd_host *host)
{
	if (!host->directory)
		return;
	WARN_ON(!list_empty(&host->places) || !list_empty(&host->buses));
	kobject_put(host->directory);
	host->directory = NULL;
	mutex_lock(&pd_root_lock);
	if (!--pd_root_users) {
		kobject_put(pd_root);
		pd_root = NULL;
	}
	mutex_unlock(&pd_root_lock);
}

/* ---- buses ---- */

/* registers a bus under a name that nobody has, and takes the name away again */
static struct bus_type *pd_bus_register(const char *subsystem)
{
	struct bus_type *bus = ERR_PTR(-ENOMEM);
	char *bare = kstrdup(subsystem, GFP_KERNEL);
	char name[64];
	int i;

	for (i = 0; bare && i < 100; i++) {
		snprintf(name, sizeof(name), i ? PD_NAME "-%s-%d" : PD_NAME "-%s", subsystem, i);
		if (!pd_sysfs_has_bus(name)) {
			bus = pd_sysfs_bus(name);
			break;
		}
	}
	if (IS_ERR(bus)) {
		kfree(bare);
		return bus;
	}
	/* what the events of its devices say */
	kfree(bus->name);
	bus->name = bare;
	return bus;
}

static struct pd_bus *pd_bus_get(struct pd_host *host, const struct pd_ident *ident)
{
	struct pd_bus *b;
	int ret;

	list_for_each_entry(b, &host->buses, link) {
		if (b->subsystem->is_class == ident->is_class &&
		    !strcmp(b->subsystem->name, ident->subsystem)) {
			b->users++;
			return b;
		}
	}
	b = kzalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return ERR_PTR(-ENOMEM);
	b->users = 1;
	b->subsystem = pd_subsystem_get(ident->subsystem, ident->is_class);
	if (IS_ERR(b->subsystem)) {
		ret = PTR_ERR(b->subsystem);
		kfree(b);
		return ERR_PTR(ret);
	}
	b->bus = pd_bus_register(ident->subsystem);
	if (IS_ERR(b->bus)) {
		ret = PTR_ERR(b->bus);
		pd_subsystem_put(b->subsystem);
		kfree(b);
		return ERR_PTR(ret);
	}
	list_add(&b->link, &host->buses);
	return b;
}

static void pd_bus_put(struct pd_bus *b)
{
	if (--b->users)
		return;
	list_del(&b->link);
	pd_sysfs_bus_free(b->bus);
	pd_subsystem_put(b->subsystem);
	kfree(b);
}

/* ---- objects ---- */

static int pd_object_uevent(PD_UEVENT_DEV *dev, struct kobj_uevent_env *env)
{
	const struct pd_ident *ident = to_object(dev)->ident;
	unsigned int i;

	for (i = 0; i < ident->nproperties; i++) {
		const char *p = ident->properties[i];

		/* what programs ask for, by "change" events, may have taken the room; SEQNUM comes yet */
		if (env->envp_idx >= UEVENT_NUM_ENVP - 2 ||
		    env->buflen + strlen(p) + 32 >= UEVENT_BUFFER_SIZE)
			break;
		if (add_uevent_var(env, "%s", p))
			break;
	}
	return 0;
}

/**
 * pd_object_init() - begins an object's life, which put_device() ends
 * @o: object
 * @release: frees it; calls pd_object_free()
 */
void pd_object_init(struct pd_object *o, void (*release)(struct device *dev))
{
	device_initialize(&o->dev);
	o->dev.release = release;
	o->dev.type = &o->type;
	atomic_inc(&pd_stats.objects);
}

/* frees what an object holds */
void pd_object_free(struct pd_object *o)
{
	pd_ident_free(o->ident);
	atomic_dec(&pd_stats.objects);
}

static void pd_ancestor_release(struct device *dev)
{
	struct pd_object *o = to_object(dev);

	pd_object_free(o);
	kfree(o);
}

static struct kobject *pd_place_kobj(struct pd_host *host, struct pd_place *place)
{
	return place ? place->kobj : host->directory;
}

/* makes the links say what the host's say; @parent: the nearest object around it, or NULL */
static int pd_object_link(struct pd_object *o, struct pd_object *parent)
{
	struct pd_subsystem *s = o->bus->subsystem;
	struct kobject *kobj = &o->dev.kobj;
	int ret;

	sysfs_remove_link(kobj, "subsystem");
	ret = sysfs_create_link(kobj, s->kobj, "subsystem");
	if (!ret && s->is_class && parent)
		ret = sysfs_create_link(kobj, &parent->dev.kobj, "device");
	/* buses list nodes only: who looks for the ancestors there wants to drive them */
	if (!ret && (s->is_class || o->dev.devt))
		o->listed = pd_subsystem_list(s, kobj);
	return ret;
}

/* puts @o, which has its ident, into /sys as @name in @at; @cdev: its character device, if any */
static int pd_object_add(struct pd_host *host, struct pd_object *o, struct pd_place *at,
			 const char *name, struct cdev *cdev)
{
	struct pd_place *outer = at;
	struct device *dev = &o->dev;
	int ret;

	while (outer && !outer->object)
		outer = outer->parent;
	if (pd_sysfs_has(pd_place_kobj(host, at), name))
		return -EEXIST;
	o->bus = pd_bus_get(host, o->ident);
	if (IS_ERR(o->bus)) {
		ret = PTR_ERR(o->bus);
		o->bus = NULL;
		return ret;
	}
	ret = -EEXIST;
	if (pd_bus_has(o->bus->bus, name))
		goto err_bus;
	o->type.name = o->ident->devtype;
	o->type.uevent = pd_object_uevent;
	dev->bus = o->bus->bus;
	dev->groups = o->ident->groups;
	/* no parent by the driver core's notion, since it would choose the directory itself */
	dev->kobj.parent = pd_place_kobj(host, at);
	ret = dev_set_name(dev, "%s", name);
	if (ret)
		goto err_bus;
	dev_set_uevent_suppress(dev, true);
	ret = cdev ? cdev_device_add(cdev, dev) : device_add(dev);
	if (ret)
		goto err_bus;
	ret = pd_object_link(o, outer ? outer->object : NULL);
	if (ret)
		goto err_dev;
	dev_set_uevent_suppress(dev, false);
	kobject_uevent(&dev->kobj, KOBJ_ADD);
	return 0;

err_dev:
	if (cdev)
		cdev_device_del(cdev, dev);
	else
		device_del(dev);
err_bus:
	dev->bus = NULL;
	pd_bus_put(o->bus);
	o->bus = NULL;
	return ret;
}

static void pd_object_del(struct pd_object *o)
{
	struct pd_bus *bus = o->bus;

	if (o->listed)
		pd_subsystem_unlist(bus->subsystem, dev_name(&o->dev), o->listed);
	device_del(&o->dev);
	o->dev.bus = NULL;
	o->bus = NULL;
	pd_bus_put(bus);
}

/* ---- places ---- */

static struct pd_place *pd_place_find(struct pd_host *host, struct pd_place *at, const char *name)
{
	struct pd_place *p;

	list_for_each_entry(p, &host->places, link)
		if (p->parent == at && !strcmp(kobject_name(p->kobj), name))
			return p;
	return NULL;
}

/* a place in @at, whose count it takes over */
static void pd_place_init(struct pd_host *host, struct pd_place *p, struct pd_place *at)
{
	p->parent = at;
	p->users = 1;
	list_add(&p->link, &host->places);
}

/* one that is there already, in @at, whose count is given back */
static struct pd_place *pd_place_share(struct pd_host *host, struct pd_place *p,
				       struct pd_place *at)
{
	p->users++;
	if (at)
		pd_place_put(host, at);
	return p;
}

/* a plain directory; takes over the count of @at unless it fails */
static struct pd_place *pd_place_directory(struct pd_host *host, struct pd_place *at,
					   const char *name)
{
	struct pd_place *p = pd_place_find(host, at, name);

	if (p)
		return pd_place_share(host, p, at);
	if (pd_sysfs_has(pd_place_kobj(host, at), name))
		return ERR_PTR(-EEXIST);
	p = kzalloc(sizeof(*p), GFP_KERNEL);
	if (!p)
		return ERR_PTR(-ENOMEM);
	p->kobj = kobject_create_and_add(name, pd_place_kobj(host, at));
	if (!p->kobj) {
		kfree(p);
		return ERR_PTR(-ENOMEM);
	}
	pd_place_init(host, p, at);
	return p;
}

/* an object; likewise. @o is initialised and has its ident, and stays the caller's on failure */
static struct pd_place *pd_place_object(struct pd_host *host, struct pd_place *at,
					struct pd_object *o, const char *name, struct cdev *cdev)
{
	struct pd_place *p;
	int ret;

	p = kzalloc(sizeof(*p), GFP_KERNEL);
	if (!p)
		return ERR_PTR(-ENOMEM);
	ret = pd_object_add(host, o, at, name, cdev);
	if (ret) {
		kfree(p);
		return ERR_PTR(ret);
	}
	p->object = o;
	p->kobj = &o->dev.kobj;
	pd_place_init(host, p, at);
	return p;
}

/* an ancestor; likewise. Takes over *@ident when it needs it */
static struct pd_place *pd_place_ancestor(struct pd_host *host, struct pd_place *at,
					  struct pd_ident **ident)
{
	struct pd_place *p = pd_place_find(host, at, (*ident)->name);
	struct pd_object *o;

	if (p)
		return pd_place_share(host, p, at);
	o = kzalloc(sizeof(*o), GFP_KERNEL);
	if (!o)
		return ERR_PTR(-ENOMEM);
	pd_object_init(o, pd_ancestor_release);
	o->ident = *ident;
	*ident = NULL;
	p = pd_place_object(host, at, o, o->ident->name, NULL);
	if (IS_ERR(p))
		put_device(&o->dev);
	return p;
}

/**
 * pd_place_put() - one user less
 * @host: whose
 * @place: place; vanishes with its last user, as do those around it
 */
void pd_place_put(struct pd_host *host, struct pd_place *place)
{
	while (place && !--place->users) {
		struct pd_place *parent = place->parent;

		list_del(&place->link);
		if (place->object) {
			pd_object_del(place->object);
			put_device(&place->object->dev);
		} else {
			kobject_put(place->kobj);
		}
		kfree(place);
		place = parent;
	}
}

/**
 * pd_place_add_node() - puts a node into /sys, with its ancestors
 * @host: whose; its nodes_lock is held
 * @node: initialised, without its ident; its number and its name in /dev are known
 * @identity: what the host says of it; what is used of it is taken out
 * @name: its name in /sys, or NULL for the host's own
 *
 * Return: 0 with @node->place set, which is one count of the device's; or a negative errno.
 */
int pd_place_add_node(struct pd_host *host, struct pd_node *node, struct pd_identity *identity,
		      const char *name)
{
	struct pd_place *at = NULL, *next;
	struct pd_object *o = &node->object;
	unsigned int i;
	int ret;

	ret = pd_directory_make(host);
	if (ret)
		return ret;
	for (i = 0; i < identity->n; i++) {
		char *dir, *rest = identity->object[i]->path;

		while (*rest && (dir = strsep(&rest, "/"))) {
			next = pd_place_directory(host, at, dir);
			if (IS_ERR(next))
				goto err;
			at = next;
			if (!rest)
				break;
		}
		if (i < identity->n - 1) {
			next = pd_place_ancestor(host, at, &identity->object[i]);
		} else {
			o->ident = identity->object[i];
			identity->object[i] = NULL;
			next = pd_place_object(host, at, o, name ?: o->ident->name, &node->cdev);
		}
		if (IS_ERR(next))
			goto err;
		at = next;
	}
	node->place = at;
	return 0;
err:
	pd_place_put(host, at);
	return PTR_ERR(next);
}
