// SPDX-License-Identifier: GPL-2.0-only
/* Not in what is installed: see weak.h. */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "weak.h"

unsigned long pd_weak;

static const char *const names[] = {
	[PD_WEAK_QUEUES] = "queues",
	[PD_WEAK_TAGS] = "tags",
	[PD_WEAK_LENGTHS] = "lengths",
	[PD_WEAK_RESULTS] = "results",
	[PD_WEAK_QUEUED] = "queued",
	[PD_WEAK_FAULTS] = "faults",
	[PD_WEAK_MOVED] = "moved",
	[PD_WEAK_POSITIONS] = "positions",
	[PD_WEAK_PAGES] = "pages",
	[PD_WEAK_HANDLES] = "handles",
	[PD_WEAK_FLAGS] = "flags",
	[PD_WEAK_SIZES] = "sizes",
	[PD_WEAK_DEVICES] = "devices",
	[PD_WEAK_NAMES] = "names",
	[PD_WEAK_MODES] = "modes",
	[PD_WEAK_PROPERTIES] = "properties",
	[PD_WEAK_RECORDS] = "records",
	[PD_WEAK_AMOUNTS] = "amounts",
	[PD_WEAK_TOTALS] = "totals",
	[PD_WEAK_ENTRIES] = "entries",
	[PD_WEAK_OWN] = "own",
	[PD_WEAK_PATHS] = "paths",
	[PD_WEAK_STRINGS] = "strings",
	[PD_WEAK_VALUES] = "values",
	[PD_WEAK_ATTRIBUTES] = "attributes",
	[PD_WEAK_EVENTS] = "events",
	[PD_WEAK_OBJECTS] = "objects",
	[PD_WEAK_OUTER] = "outer",
	[PD_WEAK_CONDS] = "conds",
	[PD_WEAK_RULES] = "rules",
	[PD_WEAK_MANY] = "many",
	[PD_WEAK_WATCH] = "watch",
	[PD_WEAK_LIMIT] = "limit",
	[PD_WEAK_EXIT] = "exit",
	[PD_WEAK_FLOOD] = "flood",
	[PD_WEAK_KEEP] = "keep",
	[PD_WEAK_KEPT] = "kept",
	[PD_WEAK_RING] = "ring",
	[PD_WEAK_STATES] = "states",
};

static int weak_set(const char *value, const struct kernel_param *kp)
{
	int i = sysfs_match_string(names, value);

	if (i < 0 && !sysfs_streq(value, "none"))
		return i;
	WRITE_ONCE(pd_weak, i < 0 ? 0 : BIT(i));
	return 0;
}

static int weak_get(char *buffer, const struct kernel_param *kp)
{
	return scnprintf(buffer, PAGE_SIZE, "%s\n", pd_weak ? names[__ffs(pd_weak)] : "none");
}

static const struct kernel_param_ops weak_ops = {
	.set = weak_set,
	.get = weak_get,
};

module_param_cb(weak, &weak_ops, NULL, 0644);
MODULE_PARM_DESC(weak, "built for tests: the defence that is left out, or none (default)");
