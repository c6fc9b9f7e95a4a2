/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known beforehand of some kinds of devices, by the subsystem that /sys names: defaults that
 * an administrator's options override. The one place of the daemon where such names are.
 */
#ifndef PARADICE_SUBSYSTEMS_H
#define PARADICE_SUBSYSTEMS_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct subsystem - defaults
 * @name: as /sys has it; NULL in the entry for all others
 * @caching: PD_CACHE_* of mappings
 * @open_in_mirror: drivers look at who opened a file (its process, its memory, its credentials)
 * @keeps_nothing: no driver uses the program's memory after the call that named it. Wrong for a
 *	driver that does: the guest gives that memory to others meanwhile
 */
struct subsystem {
	const char *name;
	uint32_t caching;
	bool open_in_mirror;
	bool keeps_nothing;
};

/* Never NULL. */
const struct subsystem *subsystem_find(const char *name);

#endif
