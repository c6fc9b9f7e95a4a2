// SPDX-License-Identifier: GPL-2.0-only
/*
 * Classes and buses by name: their directories in /sys, and making them where this kernel has none.
 *
 * A kernel's struct class is never used for devices of the host's: its attributes' and events'
 * functions take them for the class's own. All that is needed of it is its directory, to link from
 * and to. That is found without the struct: the directories of all classes and of all buses are in
 * two sets that exist for as long as the kernel runs.
 */
#include <linux/async.h>
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kernfs.h>
#include <linux/kmod.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "core.h"
#include "identity.h"

static DEFINE_MUTEX(pd_subsystem_lock); /* protects the list and what is in it */
static LIST_HEAD(pd_subsystems);
static struct vfsmount *pd_sysfs_mnt;

/* ---- /sys ---- */

static struct kernfs_node *pd_sysfs_root(void)
{
	return IS_ERR_OR_NULL(pd_sysfs_mnt) ? NULL : d_inode(pd_sysfs_mnt->mnt_root)->i_private;
}

/* what is called @name in directory @dir, counted, or NULL; consumes a count of @dir with @put */
static struct kernfs_node *pd_sysfs_find(struct kernfs_node *dir, const char *name, bool put)
{
	struct kernfs_node *found = NULL;

	if (!dir)
		return NULL;
	/* where names belong to namespaces, ours are none of theirs */
	if (kernfs_type(dir) == KERNFS_DIR && !kernfs_ns_enabled(dir))
		found = kernfs_find_and_get(dir, name);
	if (put)
		kernfs_put(dir);
	return found;
}

/* the set of /sys/class, /sys/bus or /sys/devices, which never vanish; or NULL */
static struct kset *pd_sysfs_kset(const char *name)
{
	struct kernfs_node *kn = pd_sysfs_find(pd_sysfs_root(), name, false);
	struct kset *set;

	if (!kn)
		return NULL;
	set = to_kset((struct kobject *)kn->priv);
	kernfs_put(kn);
	return set;
}

/* the directory /sys/devices, or NULL */
struct kobject *pd_sysfs_devices(void)
{
	struct kset *set = pd_sysfs_kset("devices");

	return set ? &set->kobj : NULL;
}

/* is there something called @name in @dir, which does not vanish meanwhile? */
bool pd_sysfs_has(struct kobject *dir, const char *name)
{
	struct kernfs_node *kn = pd_sysfs_find(dir->sd, name, false);

	if (kn)
		kernfs_put(kn);
	return kn;
}

/* has this kernel a character device of that number? */
bool pd_sysfs_has_devt(dev_t devt)
{
	struct kernfs_node *kn;
	char name[32];

	snprintf(name, sizeof(name), "%u:%u", MAJOR(devt), MINOR(devt));
	kn = pd_sysfs_find(pd_sysfs_root(), "dev", false);
	kn = pd_sysfs_find(kn, "char", true);
	kn = pd_sysfs_find(kn, name, true);
	if (kn)
		kernfs_put(kn);
	return kn;
}

/* ---- buses and classes of ours ---- */

bool pd_sysfs_has_bus(const char *name)
{
	struct kset *set = pd_sysfs_kset("bus");

	return set && pd_sysfs_has(&set->kobj, name);
}

/* has it a device of that name? */
bool pd_bus_has(struct bus_type *bus, const char *name)
{
	struct device *dev = bus_find_device_by_name(bus, NULL, name);

	put_device(dev);
	return dev;
}

/* registers a bus; returns it or an ERR_PTR() */
struct bus_type *pd_sysfs_bus(const char *name)
{
	struct bus_type *bus;
	int ret;

	bus = kzalloc(sizeof(*bus), GFP_KERNEL);
	if (!bus)
		return ERR_PTR(-ENOMEM);
	pd_bus_register_key(bus);
	bus->name = kstrdup(name, GFP_KERNEL);
	ret = bus->name ? bus_register(bus) : -ENOMEM;
	if (ret) {
		pd_bus_unregister_key(bus);
		kfree(bus->name);
		kfree(bus);
		return ERR_PTR(ret);
	}
	return bus;
}

void pd_sysfs_bus_free(struct bus_type *bus)
{
	bus_unregister(bus);
	pd_bus_unregister_key(bus);
	kfree(bus->name);
	kfree(bus);
}

static struct class *pd_sysfs_class(const char *name)
{
	struct class *class;
	int ret;

	class = kzalloc(sizeof(*class), GFP_KERNEL);
	if (!class)
		return ERR_PTR(-ENOMEM);
	class->name = kstrdup(name, GFP_KERNEL);
	ret = class->name ? class_register(class) : -ENOMEM;
	if (ret) {
		kfree(class->name);
		kfree(class);
		return ERR_PTR(ret);
	}
	return class;
}

/* ---- subsystems ---- */

/* the directory of a class or bus, counted, or NULL */
static struct kobject *pd_subsystem_kobj(const char *name, bool is_class)
{
	struct kset *set = pd_sysfs_kset(is_class ? "class" : "bus");

	return set ? kset_find_obj(set, name) : NULL;
}

/* finds the directory and that for links in it */
static bool pd_subsystem_find(struct pd_subsystem *s)
{
	struct kset *set = pd_sysfs_kset(s->is_class ? "class" : "bus");
	struct kernfs_node *kn;

	s->kobj = pd_subsystem_kobj(s->name, s->is_class);
	if (!s->kobj)
		return false;
	s->nlinks = 0;
	s->generation++;
	kn = pd_sysfs_find(set->kobj.sd, s->name, false);
	if (!s->is_class)
		kn = pd_sysfs_find(kn, "devices", true);
	if (!kn || kernfs_ns_enabled(kn)) {
		if (kn)
			kernfs_put(kn);
		return true;
	}
	/*
	 * A class's directory is in the set, and counted above. A bus's folder "devices" is in none: of
	 * a bus that is unregistered in this very moment it could vanish between these two lines.
	 */
	s->links = s->is_class ? kobject_get(s->kobj) : kobject_get_unless_zero(kn->priv);
	if (s->links && s->links->sd == kn) {
		s->links_node = kn;
	} else {
		kernfs_put(kn);
		kobject_put(s->links);
		s->links = NULL;
	}
	return true;
}

static void pd_subsystem_lose(struct pd_subsystem *s)
{
	if (s->links_node)
		kernfs_put(s->links_node);
	kobject_put(s->links);
	kobject_put(s->kobj);
	s->links_node = NULL;
	s->links = NULL;
	s->kobj = NULL;
}

static int pd_subsystem_make(struct pd_subsystem *s)
{
	if (s->is_class) {
		struct class *class = pd_sysfs_class(s->name);

		if (IS_ERR(class))
			return PTR_ERR(class);
		s->class = class;
	} else {
		struct bus_type *bus = pd_sysfs_bus(s->name);

		if (IS_ERR(bus))
			return PTR_ERR(bus);
		s->bus = bus;
	}
	return pd_subsystem_find(s) ? 0 : -ENOENT;
}

static void pd_subsystem_free(struct pd_subsystem *s)
{
	pd_subsystem_lose(s);
	if (s->class) {
		class_unregister(s->class);
		kfree(s->class->name);
		kfree(s->class);
	}
	if (s->bus)
		pd_sysfs_bus_free(s->bus);
	kfree(s->name);
	kfree(s);
}

static bool pd_module_name(const char *name)
{
	for (; *name; name++)
		if (!isascii(*name) || (!isalnum(*name) && *name != '_' && *name != '-'))
			return false;
	return true;
}

/**
 * pd_subsystem_load() - has the module loaded that brings a class or bus, where there is one
 * @name: of the class or bus
 * @is_class: a class
 * @devt: number of a device of it on the host, or 0
 *
 * Done before the class or bus is made for want of it, since its module could not be loaded any more
 * afterwards. May sleep; no locks.
 */
void pd_subsystem_load(const char *name, bool is_class, dev_t devt)
{
	struct kobject *kobj;

	/* the machine wakes up: no program runs that could load it, and it was tried before */
	if (current_is_async())
		return;
	kobj = pd_subsystem_kobj(name, is_class);
	if (!kobj && devt) {
		request_module("char-major-%d-%d", MAJOR(devt), MINOR(devt));
		kobj = pd_subsystem_kobj(name, is_class);
	}
	if (!kobj && pd_module_name(name))
		request_module("%s", name);
	kobject_put(kobj);
}

/**
 * pd_subsystem_get() - a class or bus, made when there is none
 * @name: its name
 * @is_class: a class
 *
 * Return: it, to be given back, or an ERR_PTR(). May sleep.
 */
struct pd_subsystem *pd_subsystem_get(const char *name, bool is_class)
{
	struct pd_subsystem *s;
	int ret = -ENOMEM;

	mutex_lock(&pd_subsystem_lock);
	list_for_each_entry(s, &pd_subsystems, link) {
		if (s->is_class != is_class || strcmp(s->name, name))
			continue;
		/* the module that brought it may have gone, and come again */
		if (!s->kobj || !s->kobj->state_in_sysfs) {
			pd_subsystem_lose(s);
			ret = pd_subsystem_find(s) ? 0 : pd_subsystem_make(s);
			if (ret)
				goto out;
		}
		s->users++;
		mutex_unlock(&pd_subsystem_lock);
		return s;
	}
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		goto out;
	s->name = kstrdup(name, GFP_KERNEL);
	s->is_class = is_class;
	ret = !s->name ? -ENOMEM : pd_subsystem_find(s) ? 0 : pd_subsystem_make(s);
	if (ret) {
		pd_subsystem_free(s);
		goto out;
	}
	s->users = 1;
	list_add(&s->link, &pd_subsystems);
out:
	mutex_unlock(&pd_subsystem_lock);
	return ret ? ERR_PTR(ret) : s;
}

void pd_subsystem_put(struct pd_subsystem *s)
{
	mutex_lock(&pd_subsystem_lock);
	if (!--s->users) {
		list_del(&s->link);
		pd_subsystem_free(s);
	}
	mutex_unlock(&pd_subsystem_lock);
}

/**
 * pd_subsystem_list() - links an object where the subsystem's devices are listed
 * @s: its subsystem
 * @kobj: the object
 *
 * Return: for pd_subsystem_unlist(); 0 when it is not listed, since there is one of that name.
 */
unsigned int pd_subsystem_list(struct pd_subsystem *s, struct kobject *kobj)
{
	unsigned int listed = 0;

	mutex_lock(&pd_subsystem_lock);
	if (s->links_node && !sysfs_create_link_nowarn(s->links, kobj, kobject_name(kobj))) {
		s->nlinks++;
		listed = s->generation;
	}
	mutex_unlock(&pd_subsystem_lock);
	return listed;
}

void pd_subsystem_unlist(struct pd_subsystem *s, const char *name, unsigned int listed)
{
	mutex_lock(&pd_subsystem_lock);
	/* the module that brought the subsystem may have gone, and the directory with it */
	if (listed == s->generation && s->links->state_in_sysfs) {
		sysfs_remove_link(s->links, name);
		s->nlinks--;
	}
	mutex_unlock(&pd_subsystem_lock);
}

/**
 * struct pd_count - counts links in a directory
 * @ctx: for iterate_dir()
 * @n: how many there are
 */
struct pd_count {
	struct dir_context ctx;
	unsigned int n;
};

static bool pd_count_link(struct dir_context *ctx, const char *name, int len, loff_t pos, u64 ino,
			  unsigned int type)
{
	container_of(ctx, struct pd_count, ctx)->n += type == DT_LNK;
	return true;
}

/* has this kernel devices of that subsystem besides ours? true when it cannot be told */
bool pd_subsystem_has_others(struct pd_subsystem *s)
{
	struct pd_count count = { .ctx.actor = pd_count_link };
	struct file *dir;
	struct path path;
	char name[64];
	int ret;

	snprintf(name, sizeof(name), s->is_class ? "class/%s" : "bus/%s/devices", s->name);
	if (vfs_path_lookup(pd_sysfs_mnt->mnt_root, pd_sysfs_mnt, name, 0, &path))
		return true;
	dir = dentry_open(&path, O_RDONLY | O_DIRECTORY, current_cred());
	path_put(&path);
	if (IS_ERR(dir))
		return true;
	ret = iterate_dir(dir, &count.ctx);
	fput(dir);
	return ret || count.n > READ_ONCE(s->nlinks);
}

/* without it there is no identity, but devices all the same */
int pd_subsystem_init(void)
{
	struct file_system_type *type = get_fs_type("sysfs");

	if (!type)
		return -ENODEV;
	/* a view of it that does not depend on where, and whether, it is mounted */
	pd_sysfs_mnt = kern_mount(type);
	return PTR_ERR_OR_ZERO(pd_sysfs_mnt);
}

void pd_subsystem_exit(void)
{
	if (!IS_ERR_OR_NULL(pd_sysfs_mnt))
		kern_unmount(pd_sysfs_mnt);
}
