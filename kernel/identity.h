/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Identity: the host's devices and their ancestors in this kernel's /sys, as they are in the host's.
 * Between identity.c, subsystem.c, object.c and device.c.
 *
 * Locks: host->nodes_lock protects a host's places and objects; pd_subsystem_lock (subsystem.c),
 * taken within it, what the hosts share.
 */
#ifndef PARADICE_IDENTITY_H
#define PARADICE_IDENTITY_H

#include <linux/device.h>
#include <linux/list.h>
#include <linux/types.h>

struct kernfs_node;
struct pd_host;
struct pd_node;

/* ---- what the host says, checked (identity.c) ---- */

/**
 * struct pd_attr - an attribute
 * @attr: for the driver core
 * @folder: in which it is, or NULL
 * @value: its text
 * @len: bytes of it
 */
struct pd_attr {
	struct device_attribute attr;
	const char *folder;
	const char *value;
	unsigned int len;
};

#define PD_ATTR_FOLDERS 15 /* of one object, at most */
#define PD_MAX_PROPERTIES 40

/**
 * struct pd_ident - what the host says of one object
 * @bytes: its records, where all strings are
 * @path: plain directories between its parent's and its own, "" or "a/b"; cut in pieces when used
 * @name: its own
 * @subsystem: name of its class or bus
 * @is_class: a class
 * @devtype: DEVTYPE, or NULL
 * @properties: further ones, "KEY=value"
 * @nproperties: entries of @properties
 * @attrs: its attributes
 * @nattrs: entries of @attrs
 * @pointers: what @groups point to
 * @group: one per folder, and one for those in none
 * @groups: for the driver core
 */
struct pd_ident {
	char *bytes;
	char *path;
	const char *name;
	const char *subsystem;
	bool is_class;
	const char *devtype;
	const char *properties[PD_MAX_PROPERTIES];
	unsigned int nproperties;
	struct pd_attr *attrs;
	unsigned int nattrs;
	struct attribute **pointers;
	struct attribute_group group[PD_ATTR_FOLDERS + 1];
	const struct attribute_group *groups[PD_ATTR_FOLDERS + 2];
};

/**
 * struct pd_identity - what the host says of a device
 * @n: entries of @object, at least 1
 * @object: the outermost ancestor first, the device last; entries that were taken are NULL
 */
struct pd_identity {
	unsigned int n;
	struct pd_ident *object[PD_IDENTITY_OBJECTS];
};

struct pd_identity *pd_identity_fetch(struct pd_host *host, u32 id);
void pd_identity_free(struct pd_identity *identity);
void pd_ident_free(struct pd_ident *ident);

/* ---- classes and buses (subsystem.c) ---- */

/**
 * struct pd_subsystem - a class or bus in /sys, this kernel's own or made for want of it
 * @link: in the list of all
 * @users: objects of it, and those about to be made
 * @name: its name
 * @is_class: a class
 * @kobj: its directory, counted
 * @links: the directory that lists its devices, counted
 * @links_node: the same, counted; NULL where nothing can be listed
 * @nlinks: our devices in @links
 * @generation: counts directories, should the subsystem go and come again
 * @class: of our own making, or NULL
 * @bus: likewise
 */
struct pd_subsystem {
	struct list_head link;
	unsigned int users;
	char *name;
	bool is_class;
	struct kobject *kobj;
	struct kobject *links;
	struct kernfs_node *links_node;
	unsigned int nlinks;
	unsigned int generation;
	struct class *class;
	struct bus_type *bus;
};

void pd_subsystem_load(const char *name, bool is_class, dev_t devt);
struct pd_subsystem *pd_subsystem_get(const char *name, bool is_class);
void pd_subsystem_put(struct pd_subsystem *s);
unsigned int pd_subsystem_list(struct pd_subsystem *s, struct kobject *kobj);
void pd_subsystem_unlist(struct pd_subsystem *s, const char *name, unsigned int listed);
bool pd_subsystem_has_others(struct pd_subsystem *s);

bool pd_sysfs_has(struct kobject *dir, const char *name);
bool pd_sysfs_has_devt(dev_t devt);
struct kobject *pd_sysfs_devices(void);
bool pd_sysfs_has_bus(const char *name);
bool pd_bus_has(struct bus_type *bus, const char *name);
struct bus_type *pd_sysfs_bus(const char *name);
void pd_sysfs_bus_free(struct bus_type *bus);
int pd_subsystem_init(void);
void pd_subsystem_exit(void);

/* ---- objects (object.c) ---- */

/**
 * struct pd_bus - what the driver core knows a host's objects of one subsystem by
 * @link: in host->buses
 * @users: objects
 * @bus: registered under a name of our own, which it loses afterwards
 * @subsystem: what it stands for
 */
struct pd_bus {
	struct list_head link;
	unsigned int users;
	struct bus_type *bus;
	struct pd_subsystem *subsystem;
};

/**
 * struct pd_object - a device of the driver core's
 * @dev: the device; its release frees the object
 * @type: its own type
 * @ident: what the host says of it; NULL without
 * @bus: while it is there; NULL without identity
 * @listed: by its subsystem, as pd_subsystem_list() said
 */
struct pd_object {
	struct device dev;
	struct device_type type;
	struct pd_ident *ident;
	struct pd_bus *bus;
	unsigned int listed;
};

/**
 * struct pd_place - a directory of a host's in /sys/devices
 * @link: in host->places
 * @parent: the one around it, in which it counts as user; NULL for the host's own
 * @users: places in it, and its node
 * @kobj: the directory
 * @object: the object that it is, or NULL
 */
struct pd_place {
	struct list_head link;
	struct pd_place *parent;
	unsigned int users;
	struct kobject *kobj;
	struct pd_object *object;
};

void pd_object_init(struct pd_object *o, void (*release)(struct device *dev));
void pd_object_free(struct pd_object *o);
int pd_place_add_node(struct pd_host *host, struct pd_node *node, struct pd_identity *identity,
		      const char *name);
void pd_place_put(struct pd_host *host, struct pd_place *place);
void pd_places_exit(struct pd_host *host);

#endif
