// SPDX-License-Identifier: Apache-2.0
#include "bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <paradice/xen.h>

#include "../log.h"
#include "store.h"

static int watch(struct bus *b, const char *path)
{
	if (xs_watch(b->xs, path, path))
		return 0;
	log_error("xenstore: %s cannot be watched: %m", path);
	return -errno;
}

int bus_setup(struct bus *b)
{
	int err;

	/* a relative path: our own domain's */
	if (store_read_u32(b->xs, &b->self, "domid")) {
		log_error(
			"xenstore does not say which domain this is: it has no 'domid' (in domain 0, xen-init-dom0 writes it)");
		return -ENOENT;
	}
	err = watch(b, b->self ? "backend/" PD_XEN_TYPE : "@introduceDomain");
	return err || b->self ? err : watch(b, "@releaseDomain");
}

static bool is_domain(const struct bus *b, const char *id, const char *name)
{
	bool yes = !strcmp(id, b->domain) || (name && !strcmp(name, b->domain));

	return yes && strtoul(id, NULL, 10) > 0;
}

/* In domain 0: among all domains; elsewhere: among those for which there is a folder here. */
static uint32_t find(const struct bus *b)
{
	const char *folder = b->self ? "backend/" PD_XEN_TYPE : "/local/domain";
	unsigned int n = 0;
	char **ids = xs_directory(b->xs, XBT_NULL, folder, &n);
	uint32_t found = 0;

	for (unsigned int i = 0; ids && i < n && !found; i++) {
		char *name = b->self ? store_read(b->xs, "%s/%s/0/domain", folder, ids[i]) :
				       store_read(b->xs, "%s/%s/name", folder, ids[i]);

		if (is_domain(b, ids[i], name))
			found = (uint32_t)strtoul(ids[i], NULL, 10);
		free(name);
	}
	free(ids);
	return found;
}

static bool make_folder(const struct bus *b, xs_transaction_t t, const char *path, uint32_t owner,
			uint32_t reader)
{
	struct xs_permissions p[2] = {
		{ .id = owner, .perms = XS_PERM_NONE },
		{ .id = reader, .perms = XS_PERM_READ },
	};

	return xs_mkdir(b->xs, t, path) && xs_set_permissions(b->xs, t, path, p, 2);
}

/* As a toolstack does for a device that it knows. */
static bool make_folders(const struct bus *b)
{
	xs_transaction_t t;
	bool ok;

	do {
		t = xs_transaction_start(b->xs);
		if (t == XBT_NULL)
			return false;
		ok = make_folder(b, t, b->back, b->self, b->domid) &&
		     make_folder(b, t, b->front, b->domid, b->self) &&
		     store_write(b->xs, t, b->front, "%s/frontend", b->back) &&
		     store_write_u32(b->xs, t, b->domid, "%s/frontend-id", b->back) &&
		     store_write_u32(b->xs, t, 1, "%s/online", b->back) &&
		     store_write(b->xs, t, b->domain, "%s/domain", b->back) &&
		     store_write_u32(b->xs, t, BUS_INITIALISING, "%s/state", b->back) &&
		     store_write(b->xs, t, b->back, "%s/backend", b->front) &&
		     store_write_u32(b->xs, t, b->self, "%s/backend-id", b->front) &&
		     store_write_u32(b->xs, t, BUS_INITIALISING, "%s/state", b->front);
		if (!ok) {
			log_error("xenstore: the folders of domain %u cannot be made: %m",
				  b->domid);
			xs_transaction_end(b->xs, t, true);
			return false;
		}
	} while (!xs_transaction_end(b->xs, t, false) && errno == EAGAIN);
	return true;
}

bool bus_look(struct bus *b)
{
	char path[80];
	uint32_t domid;

	if (b->domid)
		return b->self ? bus_front_state(b) != BUS_UNKNOWN :
				 xs_is_domain_introduced(b->xs, b->domid);
	domid = find(b);
	if (!domid || (!b->self && !xs_is_domain_introduced(b->xs, domid)))
		return false;
	b->domid = domid;
	snprintf(b->front, sizeof(b->front), "/local/domain/%u/device/" PD_XEN_TYPE "/0", domid);
	snprintf(b->back, sizeof(b->back), "/local/domain/%u/backend/" PD_XEN_TYPE "/%u/0", b->self,
		 domid);
	snprintf(path, sizeof(path), "%s/state", b->front);
	if ((!b->self && bus_back_state(b) == BUS_UNKNOWN && !make_folders(b)) || watch(b, path)) {
		b->domid = 0;
		return false;
	}
	log_info("domain '%s' is number %u", b->domain, domid);
	return true;
}

void bus_forget(struct bus *b)
{
	char path[80];

	if (!b->domid)
		return;
	snprintf(path, sizeof(path), "%s/state", b->front);
	xs_unwatch(b->xs, path, path);
	if (!b->self && !xs_is_domain_introduced(b->xs, b->domid)) {
		/* of a domain that is no more; its number is not given out again soon */
		snprintf(path, sizeof(path), "/local/domain/%u/backend/" PD_XEN_TYPE "/%u", b->self,
			 b->domid);
		xs_rm(b->xs, XBT_NULL, path);
	}
	b->domid = 0;
}

static enum bus_state state(const struct bus *b, const char *folder)
{
	uint32_t v;

	return store_read_u32(b->xs, &v, "%s/state", folder) || v > BUS_CLOSED ? BUS_UNKNOWN :
										 (enum bus_state)v;
}

enum bus_state bus_front_state(const struct bus *b)
{
	return state(b, b->front);
}

enum bus_state bus_back_state(const struct bus *b)
{
	return state(b, b->back);
}

void bus_say(const struct bus *b, enum bus_state s)
{
	if (!store_write_u32(b->xs, XBT_NULL, s, "%s/state", b->back))
		log_error("xenstore: %s/state cannot be written: %m", b->back);
}

void bus_offer(const struct bus *b)
{
	if (store_write_u32(b->xs, XBT_NULL, PD_VERSION, "%s/protocol-min", b->back) &&
	    store_write_u32(b->xs, XBT_NULL, PD_VERSION, "%s/protocol-max", b->back) &&
	    store_write_u32(b->xs, XBT_NULL, b->queues, "%s/request-queues", b->back) &&
	    store_write_u32(b->xs, XBT_NULL, b->max_inflight, "%s/max-inflight", b->back))
		bus_say(b, BUS_INIT_WAIT);
	else
		log_error("xenstore: %s cannot be written: %m", b->back);
}
