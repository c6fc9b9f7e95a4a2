// SPDX-License-Identifier: GPL-2.0-only
/*
 * shrinker_alloc(): Linux 6.7,
 * "mm: shrinker: add infrastructure for dynamically allocating shrinker"
 */
#include <linux/shrinker.h>

struct shrinker *probe(void);
struct shrinker *probe(void)
{
	return shrinker_alloc(0, "probe");
}
