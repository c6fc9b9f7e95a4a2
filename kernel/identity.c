// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host says of a device's identity: asking for it, and believing no byte of it.
 */
#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "core.h"
#include "identity.h"
#include "weak.h"

#define PD_IDENTITY_CHUNK 8192
#define PD_NAME_LEN 128 /* of a directory in /sys */

/* a name that can stand between two slashes of a path in /sys */
static bool pd_component_valid(const char *name, size_t len)
{
	size_t i;

	if (PD_WEAK(ENTRIES))
		return true;
	if (!len || len >= PD_NAME_LEN || name[0] == '.')
		return false;
	for (i = 0; i < len; i++)
		if (!isascii(name[i]) || !isprint(name[i]) || name[i] == '/')
			return false;
	return true;
}

/* a name that a directory or attribute of the host's may have in an object's directory */
static bool pd_entry_valid(const char *name, size_t len)
{
	/* what the driver core or object.c puts there */
	static const char *const own[] = { "uevent", "dev",    "subsystem", "device",
					   "power",  "driver", "paradice" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(own); i++)
		if (len == strlen(own[i]) && !memcmp(name, own[i], len))
			return PD_WEAK(OWN);
	return pd_component_valid(name, len);
}

static bool pd_path_valid(const char *path)
{
	size_t len;

	if (strlen(path) >= PD_IDENTITY_PATH && !PD_WEAK(PATHS))
		return false;
	for (;; path += len + 1) {
		len = strcspn(path, "/");
		if (!pd_entry_valid(path, len))
			return false;
		if (!path[len])
			return true;
	}
}

static bool pd_property_valid(const char *p)
{
	/* the kernel's own, and those that would have the device's driver loaded here */
	static const char *const own[] = { "ACTION",  "DEVPATH", "SUBSYSTEM", "SEQNUM", "MAJOR",
					   "MINOR",   "DEVNAME", "DEVMODE",   "DEVUID", "DEVGID",
					   "DEVTYPE", "DRIVER",	 "MODALIAS" };
	size_t i, key = strcspn(p, "=");

	if (!key || !p[key] || isdigit(p[0]))
		return false;
	for (i = 0; i < key; i++)
		if (!isascii(p[i]) || (!isalnum(p[i]) && p[i] != '_'))
			return false;
	for (; p[i]; i++)
		if (!isascii(p[i]) || !isprint(p[i]))
			return false;
	for (i = 0; i < ARRAY_SIZE(own); i++)
		if (key == strlen(own[i]) && !memcmp(p, own[i], key))
			return PD_WEAK(PROPERTIES);
	return true;
}

void pd_ident_free(struct pd_ident *ident)
{
	if (!ident)
		return;
	kvfree(ident->bytes);
	kvfree(ident->attrs);
	kvfree(ident->pointers);
	kfree(ident);
}

void pd_identity_free(struct pd_identity *identity)
{
	unsigned int i;

	if (!identity)
		return;
	for (i = 0; i < identity->n; i++)
		pd_ident_free(identity->object[i]);
	kfree(identity);
}

static ssize_t pd_attr_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct pd_attr *a = container_of(attr, struct pd_attr, attr);

	memcpy(buf, a->value, a->len);
	return a->len;
}

/* is there such an entry among those taken so far? */
static bool pd_attr_taken(const struct pd_ident *ident, const char *folder, const char *name)
{
	unsigned int i;

	for (i = 0; i < ident->nattrs; i++) {
		const struct pd_attr *a = &ident->attrs[i];

		if (folder && a->folder) {
			if (!strcmp(folder, a->folder) && !strcmp(name, a->attr.attr.name))
				return true;
		} else if (!strcmp(folder ?: name, a->folder ?: a->attr.attr.name)) {
			return true;
		}
	}
	return false;
}

/* "device" is the link to its parent in an object of a class, and an attribute of PCI devices */
static bool pd_attr_valid(const struct pd_ident *ident, const char *name, size_t len)
{
	if (len == 6 && !memcmp(name, "device", 6))
		return !ident->is_class;
	return pd_entry_valid(name, len);
}

/* @text: name, NUL, value; @len: of all. What is not fit to be shown is left out */
static void pd_attr_add(struct pd_ident *ident, char *text, size_t len)
{
	size_t name_len = strnlen(text, len);
	char *slash = memchr(text, '/', name_len);
	struct pd_attr *a = &ident->attrs[ident->nattrs];

	if ((ident->nattrs == PD_IDENTITY_ATTRIBUTES && !PD_WEAK(ATTRIBUTES)) || name_len == len ||
	    (len - name_len - 1 > PD_IDENTITY_VALUE && !PD_WEAK(VALUES)))
		return;
	if (slash) {
		if (!pd_entry_valid(text, slash - text) ||
		    !pd_component_valid(slash + 1, text + name_len - slash - 1))
			return;
		*slash = 0;
	} else if (!pd_attr_valid(ident, text, name_len)) {
		return;
	}
	if (pd_attr_taken(ident, slash ? text : NULL, slash ? slash + 1 : text))
		return;
	sysfs_attr_init(&a->attr.attr);
	a->folder = slash ? text : NULL;
	a->attr.attr.name = slash ? slash + 1 : text;
	a->attr.attr.mode = 0444;
	a->attr.show = pd_attr_show;
	a->value = text + name_len + 1;
	a->len = len - name_len - 1;
	ident->nattrs++;
}

/* makes the driver core's groups of the attributes, one per folder */
static int pd_ident_group(struct pd_ident *ident)
{
	unsigned int i, k, n = 0;
	struct attribute **at;

	ident->pointers =
		kvcalloc(ident->nattrs + ARRAY_SIZE(ident->group), sizeof(*at), GFP_KERNEL);
	if (!ident->pointers)
		return -ENOMEM;
	at = ident->pointers;
	for (i = 0; i < ident->nattrs; i++) {
		const char *folder = ident->attrs[i].folder;

		for (k = 0; k < n; k++)
			if (!strcmp(ident->group[k].name ?: "", folder ?: ""))
				break;
		if (k < n || n == ARRAY_SIZE(ident->group))
			continue;
		ident->group[n].name = folder;
		ident->group[n].attrs = at;
		ident->groups[n] = &ident->group[n];
		n++;
		for (k = i; k < ident->nattrs; k++)
			if (!strcmp(ident->attrs[k].folder ?: "", folder ?: ""))
				*at++ = &ident->attrs[k].attr.attr;
		at++; /* the group's end */
	}
	return 0;
}

/* takes a record of the object's; @text is NUL-terminated where its type says so, and writable */
static void pd_ident_record(struct pd_ident *ident, unsigned int type, char *text, size_t len,
			    unsigned int *room)
{
	bool string = (len && strnlen(text, len) == len - 1) || PD_WEAK(STRINGS);

	switch (type) {
	case PD_ID_CLASS:
	case PD_ID_BUS:
		if (!string || ident->subsystem || len > 32 || strchr(text, ' ') ||
		    !pd_component_valid(text, len - 1))
			return;
		ident->subsystem = text;
		ident->is_class = type == PD_ID_CLASS;
		return;
	case PD_ID_DEVTYPE:
		if (string && len <= 64 && pd_component_valid(text, len - 1))
			ident->devtype = text;
		return;
	case PD_ID_PROPERTY:
		if (!string || len > *room ||
		    (ident->nproperties == PD_MAX_PROPERTIES && !PD_WEAK(EVENTS)) ||
		    !pd_property_valid(text))
			return;
		*room -= len;
		ident->properties[ident->nproperties++] = text;
		return;
	case PD_ID_ATTRIBUTE:
		pd_attr_add(ident, text, len);
		return;
	default:
		return; /* of a later version */
	}
}

/* the record at @at, if there is a whole one before @end */
static char *pd_record(char *at, const char *end, unsigned int *type, size_t *len)
{
	struct pd_identity_record head;

	if (end - at < sizeof(head))
		return NULL;
	memcpy(&head, at, sizeof(head));
	*type = le16_to_cpu(head.type);
	*len = le16_to_cpu(head.len);
	return *len <= end - at - sizeof(head) || PD_WEAK(RECORDS) ? at + sizeof(head) : NULL;
}

/*
 * makes an object of the records at @bytes, the first of which names it; @outer is the path of the
 * object around it, or NULL; @path gets its own
 */
static struct pd_ident *pd_ident_new(const char *bytes, size_t size, const char *outer, char *path)
{
	unsigned int type, room = PD_IDENTITY_PROPERTIES;
	size_t len, below = outer ? strlen(outer) : 0;
	struct pd_ident *ident;
	char *at, *text, *slash;
	int ret = -ENOMEM;

	ident = kzalloc(sizeof(*ident), GFP_KERNEL);
	if (!ident)
		return ERR_PTR(-ENOMEM);
	ident->bytes = kvmalloc(size, GFP_KERNEL);
	ident->attrs = kvcalloc(PD_IDENTITY_ATTRIBUTES + 1, sizeof(*ident->attrs), GFP_KERNEL);
	if (!ident->bytes || !ident->attrs)
		goto err;
	memcpy(ident->bytes, bytes, size);

	ret = -EINVAL;
	text = pd_record(ident->bytes, ident->bytes + size, &type, &len);
	if (!text || !len || strnlen(text, len) != len - 1 || !pd_path_valid(text))
		goto err;
	if (outer && (strncmp(text, outer, below) || text[below] != '/') && !PD_WEAK(OUTER))
		goto err;
	strscpy(path, text, PD_IDENTITY_PATH);
	ident->path = text + (outer ? below + 1 : 0);
	slash = strrchr(ident->path, '/');
	if (slash) {
		*slash = 0;
		ident->name = slash + 1;
	} else {
		ident->name = ident->path;
		ident->path = text + len - 1; /* "" */
	}
	for (at = text + len; at < ident->bytes + size; at = text + len) {
		text = pd_record(at, ident->bytes + size, &type, &len);
		if (!text)
			goto err;
		pd_ident_record(ident, type, text, len, &room);
	}
	if (!ident->subsystem)
		goto err;
	ret = pd_ident_group(ident);
	if (ret)
		goto err;
	return ident;
err:
	pd_ident_free(ident);
	return ERR_PTR(ret);
}

/* @bytes are @size */
static struct pd_identity *pd_identity_parse(char *bytes, size_t size)
{
	char *paths, *path, *outer, *at = bytes, *begin = bytes, *text;
	struct pd_identity *identity;
	struct pd_ident *ident;
	unsigned int type;
	int ret = -ENOMEM;
	size_t len;

	paths = kzalloc(2 * PD_IDENTITY_PATH, GFP_KERNEL);
	identity = kzalloc(sizeof(*identity), GFP_KERNEL);
	if (!paths || !identity)
		goto out;
	path = paths;
	outer = paths + PD_IDENTITY_PATH;
	ret = -EINVAL;
	text = pd_record(at, bytes + size, &type, &len);
	if (!text || type != PD_ID_OBJECT)
		goto out;
	while (begin < bytes + size) {
		/* up to the next object's begin */
		for (at = text + len; at < bytes + size; at = text + len) {
			text = pd_record(at, bytes + size, &type, &len);
			if (!text)
				goto out;
			if (type == PD_ID_OBJECT)
				break;
		}
		if (identity->n == PD_IDENTITY_OBJECTS && !PD_WEAK(OBJECTS))
			goto out;
		ident = pd_ident_new(begin, at - begin, identity->n ? outer : NULL, path);
		if (IS_ERR(ident)) {
			ret = PTR_ERR(ident);
			goto out;
		}
		identity->object[identity->n++] = ident;
		swap(path, outer);
		begin = at;
	}
	ret = 0;
out:
	kfree(paths);
	if (!ret)
		return identity;
	pd_identity_free(identity);
	return ERR_PTR(ret);
}

/* asks for the part of it from @offset on; returns bytes or a negative errno */
static long pd_identity_ask(struct pd_host *host, u32 id, u32 offset, char *to, u32 *total)
{
	struct pd_request *r;
	long ret;
	u32 got;

	r = pd_req_new(host, PD_OP_IDENTITY, NULL);
	if (!r)
		return -ENOMEM;
	r->req.u.identity.device = cpu_to_le32(id);
	r->req.u.identity.offset = cpu_to_le32(offset);
	ret = pd_req_tail(r, PD_IDENTITY_CHUNK);
	if (!ret)
		ret = pd_req_run(&r, PD_WAIT_KILL);
	if (r) {
		got = r->len > sizeof(r->resp) ? r->len - sizeof(r->resp) : 0;
		got = min_t(u32, got, PD_IDENTITY_CHUNK);
		*total = le32_to_cpu(r->answer.u.identity.total);
		if (ret > got && !PD_WEAK(AMOUNTS))
			ret = -EPROTO;
		if (ret > 0)
			memcpy(to, r->tail, min_t(long, ret, PD_IDENTITY_MAX - offset));
		pd_req_free(r);
	}
	return ret;
}

/**
 * pd_identity_fetch() - asks the host for a device's identity
 * @host: whose
 * @id: the device's
 *
 * Return: it, or NULL where there is none that could be used. May sleep.
 */
struct pd_identity *pd_identity_fetch(struct pd_host *host, u32 id)
{
	struct pd_identity *identity = NULL;
	u32 total = 0, first = 0, have = 0;
	char *bytes;
	long ret;

	bytes = kvmalloc(PD_IDENTITY_MAX, GFP_KERNEL);
	if (!bytes)
		return NULL;
	do {
		ret = pd_identity_ask(host, id, have, bytes + have, &total);
		if (!have)
			first = total;
		if (ret <= 0 || total != first ||
		    ((total > PD_IDENTITY_MAX || ret > total - have) && !PD_WEAK(TOTALS))) {
			if (ret != -ENODATA && ret != -ENODEV && !pd_host_lost(host))
				dev_warn(host->parent,
					 "the host gives no identity of its device %u: %ld\n", id,
					 ret);
			goto out;
		}
		have += ret;
	} while (have < total);
	identity = pd_identity_parse(bytes, have);
	if (IS_ERR(identity)) {
		dev_warn(host->parent, "the identity of the host's device %u makes no sense: %ld\n",
			 id, PTR_ERR(identity));
		identity = NULL;
	}
out:
	kvfree(bytes);
	return identity;
}
