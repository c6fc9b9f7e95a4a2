// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters, as files in /sys/kernel/debug/paradice.
 */
#include <linux/debugfs.h>

#include "core.h"

struct pd_stats pd_stats;

struct dentry *pd_stats_dir;

static const struct {
	const char *name;
	atomic_t *value;
} pd_stats_files[] = {
	{ "requests", &pd_stats.requests },
	{ "faults", &pd_stats.faults },
	{ "cancels", &pd_stats.cancels },
	{ "pins", &pd_stats.pins },
	{ "pins_known", &pd_stats.known },
	{ "pins_stale", &pd_stats.stale },
	{ "pins_kept", &pd_stats.kept },
	{ "pins_held", &pd_stats.held },
	{ "pins_leaked", &pd_stats.leaked },
	{ "bounce", &pd_stats.bounce },
	{ "windows", &pd_stats.windows },
	{ "maps", &pd_stats.maps },
	{ "orphans", &pd_stats.orphans },
	{ "files", &pd_stats.files },
	{ "mms", &pd_stats.mms },
	{ "objects", &pd_stats.objects },
};

void pd_stats_init(void)
{
	unsigned int i;

	pd_stats_dir = debugfs_create_dir(PD_NAME, NULL);
	for (i = 0; i < ARRAY_SIZE(pd_stats_files); i++)
		debugfs_create_atomic_t(pd_stats_files[i].name, 0444, pd_stats_dir,
					pd_stats_files[i].value);
}

void pd_stats_exit(void)
{
	debugfs_remove(pd_stats_dir);
}
