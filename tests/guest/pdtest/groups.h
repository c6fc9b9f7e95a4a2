/* SPDX-License-Identifier: Apache-2.0 */
/* pdtest: all groups, in the order in which they run. */
#ifndef PDTEST_GROUPS_H
#define PDTEST_GROUPS_H

#include "pdtest.h"

extern const struct pd_group group_open, group_rw, group_vectored, group_seek, group_ioctl,
	group_numbers, group_efault, group_strings, group_pins, group_async, group_blocking,
	group_kill, group_poll, group_epoll, group_sigio, group_mmap, group_mapchange, group_mappfn,
	group_mapprivate, group_mapfault, group_mapmany, group_files, group_many, group_compat,
	group_memory, group_kernelio, group_fds, group_hotplug;

static const struct pd_group *const pd_groups[] = {
	&group_open,
	&group_rw,
	&group_vectored,
	&group_seek,
	&group_ioctl,
	&group_numbers,
	&group_efault,
	&group_strings,
	&group_pins,
	&group_async,
	&group_blocking,
	&group_kill,
	&group_poll,
	&group_epoll,
	&group_sigio,
	&group_mmap,
	&group_mapchange,
	&group_mappfn,
	&group_mapprivate,
	&group_mapfault,
	&group_mapmany,
	&group_files,
	&group_many,
	&group_compat,
	&group_memory,
	&group_kernelio,
	&group_fds,
	&group_hotplug,
	NULL,
};

/* What the program does when a case of the group files executes it anew. */
int after_exec(int argc, char **argv);

#endif
