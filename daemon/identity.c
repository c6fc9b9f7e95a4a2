// SPDX-License-Identifier: Apache-2.0
#include "identity.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <paradice/protocol.h>

#include "clock.h"
#include "log.h"

#define DEVICES "/sys/devices"
/* A device has at most so many ancestors that programs look for: input, USB, hub, PCI. */
#define MAX_ANCESTORS 4
/* Drivers answer at once, as a rule; the manager has other things to do than to wait for one. */
#define MAX_MS 1000

_Static_assert(MAX_ANCESTORS < PD_IDENTITY_OBJECTS, "the guest takes all");

/**
 * struct object - a directory of /sys with a subsystem
 * @dir: its path on the host
 * @subsystem: name
 * @is_class: the subsystem is a class, not a bus
 */
struct object {
	char dir[PATH_MAX];
	char subsystem[64];
	bool is_class;
};

/**
 * struct records - what is being written
 * @limit: of what may be written now
 * @cut: something did not fit
 * @begin: time, ms
 */
struct records {
	uint8_t *bytes;
	size_t len;
	size_t limit;
	bool cut;
	uint64_t begin;
};

static bool put(struct records *r, unsigned int type, const char *payload, size_t len)
{
	struct pd_identity_record head = { .type = (uint16_t)type, .len = (uint16_t)len };

	if (len > UINT16_MAX || r->limit - r->len < sizeof(head) + len) {
		r->cut = true;
		return false;
	}
	memcpy(r->bytes + r->len, &head, sizeof(head));
	memcpy(r->bytes + r->len + sizeof(head), payload, len);
	r->len += sizeof(head) + len;
	return true;
}

static bool put_string(struct records *r, unsigned int type, const char *text)
{
	return put(r, type, text, strlen(text) + 1);
}

/* A whole small file of text, NUL-terminated. Returns its length, or -1. */
static ssize_t read_text(int dir, const char *name, char *text, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	ssize_t n = -1;

	if (fd < 0)
		return -1;
	/* nothing that only root may know */
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_mode & S_IROTH)
		n = read(fd, text, size);
	close(fd);
	if (n < 0 || (size_t)n >= size)
		return -1;
	text[n] = '\0';
	for (const unsigned char *p = (unsigned char *)text; p < (unsigned char *)text + n; p++)
		if (*p == 0x7f || (*p < ' ' && *p != '\n' && *p != '\t'))
			return -1;
	return n;
}

static bool listed(const char *const *list, const char *name)
{
	for (; *list; list++)
		if (!strcmp(*list, name))
			return true;
	return false;
}

/* What the guest's kernel makes itself, and what is a button rather than an attribute. */
static bool skipped(const char *name)
{
	static const char *const names[] = { "uevent", "dev",	 "subsystem", "driver",
					     "power",  "remove", "rescan",    "rom",
					     "config", "trace",	 NULL };

	return name[0] == '.' || listed(names, name) || !strncmp(name, "reset", 5) ||
	       !strncmp(name, "resource", 8);
}

static void put_attribute(struct records *r, int dir, const char *folder, const char *name)
{
	char bytes[NAME_MAX * 2 + 2 + PD_IDENTITY_VALUE + 1];
	int head = snprintf(bytes, NAME_MAX * 2 + 2, "%s%s%s", folder, *folder ? "/" : "", name);
	ssize_t n;

	n = read_text(dir, name, bytes + head + 1, PD_IDENTITY_VALUE + 1);
	if (n >= 0)
		put(r, PD_ID_ATTRIBUTE, bytes, (size_t)head + 1 + (size_t)n);
}

/* The attributes in @path; those of the folders in it, too, when @folder is "". */
static void put_attributes(struct records *r, const char *path, const char *folder)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **entries = NULL;
	int n = dir < 0 ? -1 : scandir(path, &entries, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		char inner[PATH_MAX];

		if (skipped(name)) {
			/* nothing */
		} else if (now_ms() - r->begin > MAX_MS) {
			r->cut = true;
		} else if (entries[i]->d_type == DT_REG) {
			put_attribute(r, dir, folder, name);
		} else if (entries[i]->d_type == DT_DIR && !*folder &&
			   snprintf(inner, sizeof(inner), "%s/%s/uevent", path, name) <
				   (int)sizeof(inner) &&
			   access(inner, F_OK)) {
			*strrchr(inner, '/') = '\0';
			put_attributes(r, inner, name);
		}
		free(entries[i]);
	}
	free(entries);
	if (dir >= 0)
		close(dir);
}

/*
 * DEVTYPE and the properties. Not those that the guest's kernel adds itself, nor those that would
 * have the guest load the device's driver.
 */
static void put_properties(struct records *r, const char *uevent)
{
	static const char *const skip[] = { "MAJOR",  "MINOR",	"DEVNAME",  "DEVMODE", "DEVUID",
					    "DEVGID", "DRIVER", "MODALIAS", NULL };
	size_t room = PD_IDENTITY_PROPERTIES;
	char text[4096];
	char *save = NULL;

	snprintf(text, sizeof(text), "%s", uevent);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *is = strchr(line, '=');
		size_t len = strlen(line) + 1;

		if (!is)
			continue;
		*is = '\0';
		if (listed(skip, line))
			continue;
		if (!strcmp(line, "DEVTYPE")) {
			put_string(r, PD_ID_DEVTYPE, is + 1);
			continue;
		}
		*is = '=';
		if (len > room) {
			r->cut = true;
			continue;
		}
		room -= len;
		put_string(r, PD_ID_PROPERTY, line);
	}
}

static void read_uevent(const char *path, char *text, size_t size)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || read_text(dir, "uevent", text, size) < 0)
		text[0] = '\0';
	if (dir >= 0)
		close(dir);
}

/* Is @dir an object, that is, has it a subsystem? */
static bool look(const char *dir, struct object *o)
{
	char path[PATH_MAX + 16];
	char target[PATH_MAX];
	const char *name;

	snprintf(path, sizeof(path), "%s/subsystem", dir);
	if (!realpath(path, target))
		return false;
	name = strrchr(target, '/') + 1;
	if (strlen(name) >= sizeof(o->subsystem))
		return false;
	snprintf(o->dir, sizeof(o->dir), "%s", dir);
	snprintf(o->subsystem, sizeof(o->subsystem), "%s", name);
	o->is_class = !strncmp(target, "/sys/class/", 11);
	return true;
}

/* A PCI bridge: where a device's slot is on the host tells nothing in the guest. */
static bool is_bridge(const struct object *o)
{
	int dir = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char class[16] = "";

	if (dir < 0)
		return false;
	if (read_text(dir, "class", class, sizeof(class)) < 0)
		class[0] = '\0';
	close(dir);
	return !strcmp(o->subsystem, "pci") && !strncmp(class, "0x0604", 6);
}

/* The node at @dir is the first of @o, its ancestors follow. Returns how many. */
static unsigned int ancestors(char *dir, struct object *o)
{
	unsigned int n = 0;

	for (; strlen(dir) > strlen(DEVICES); *strrchr(dir, '/') = '\0') {
		if (!look(dir, &o[n]))
			continue;
		if (n && is_bridge(&o[n]))
			break;
		if (++n == MAX_ANCESTORS + 1)
			break;
	}
	return n;
}

/* What the object is called in the guest, where it calls the node @name. */
static void own_name(const char *dir, const char *uevent, const char *name, char *out, size_t size)
{
	const char *base = strrchr(name, '/');
	const char *host_base;
	char host[256] = "";

	for (const char *line = uevent; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (!strncmp(line, "DEVNAME=", 8))
			snprintf(host, sizeof(host), "%.*s", (int)strcspn(line + 8, "\n"),
				 line + 8);
	if (!strcmp(host, name)) {
		snprintf(out, size, "%s", strrchr(dir, '/') + 1);
		return;
	}
	host_base = strrchr(host, '/');
	/* dri/card0 as dri/card1: card1. In another folder the folder belongs to the name. */
	if (base && host_base && base - name == host_base - host &&
	    !strncmp(name, host, (size_t)(base - name)))
		name = base + 1;
	snprintf(out, size, "%s", name);
	for (char *p = out; *p; p++)
		if (*p == '/')
			*p = '!'; /* as the kernel has it */
}

/*
 * The path of @o in the guest: without its ancestors that the guest is not told of. @o is the first
 * of @n objects, innermost first; @leaf replaces the last component when not NULL.
 */
static bool guest_path(const struct object *o, unsigned int n, const char *leaf, char *out,
		       size_t size)
{
	const char *at = o->dir + strlen(DEVICES);
	size_t len = 0;

	while (*at) {
		const char *next = at + 1 + strcspn(at + 1, "/");
		const char *component = at + 1;
		int width = (int)(next - component);
		struct object unused;
		char dir[PATH_MAX];
		bool told = false;
		int wrote;

		snprintf(dir, sizeof(dir), "%.*s", (int)(next - o->dir), o->dir);
		for (unsigned int i = 0; i < n; i++)
			told |= !strcmp(dir, o[i].dir);
		at = next;
		if (!told && look(dir, &unused))
			continue;
		if (!*next && leaf) {
			component = leaf;
			width = (int)strlen(leaf);
		}
		wrote = snprintf(out + len, size - len, "%s%.*s", len ? "/" : "", width, component);
		if (wrote < 0 || (size_t)wrote >= size - len)
			return false;
		len += (size_t)wrote;
	}
	return true;
}

size_t identity_snapshot(dev_t rdev, const char *name, uint8_t *out, size_t size)
{
	static struct object objects[MAX_ANCESTORS + 1];
	struct records r = { .bytes = out, .begin = now_ms() };
	char path[PD_IDENTITY_PATH];
	char link[64];
	char leaf[NAME_MAX + 1];
	char dir[PATH_MAX];
	char uevent[4096];
	unsigned int n;

	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u", major(rdev), minor(rdev));
	if (!realpath(link, dir) || strncmp(dir, DEVICES "/", strlen(DEVICES) + 1))
		return 0;
	read_uevent(dir, uevent, sizeof(uevent));
	own_name(dir, uevent, name, leaf, sizeof(leaf));
	n = ancestors(dir, objects);
	if (!n)
		return 0;
	for (unsigned int i = n; i-- > 0;) {
		const struct object *o = &objects[i];

		/* so that one's attributes leave room for the next one's */
		r.limit = r.len + (size - r.len) / (i + 1);
		if (!guest_path(o, n - i, i ? NULL : leaf, path, sizeof(path))) {
			log_debug("%s: too long a path for the guest", o->dir);
			return 0;
		}
		read_uevent(o->dir, uevent, sizeof(uevent));
		if (!put_string(&r, PD_ID_OBJECT, path) ||
		    !put_string(&r, o->is_class ? PD_ID_CLASS : PD_ID_BUS, o->subsystem))
			return 0;
		put_properties(&r, uevent);
		put_attributes(&r, o->dir, "");
	}
	if (r.cut)
		log_warning("/dev/%s: the guest does not get all of its attributes in /sys", name);
	return r.len;
}
