/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARADICE_STATS_H
#define PARADICE_STATS_H

#include <stddef.h>

#include "worker_private.h"

/* Adds what the mirrors of a session that ends have counted. */
void stats_add_pool(struct worker *w, struct mirror_pool *pool);
/* Writes all counts as one JSON object; cut off at @size, which is ample. */
void stats_format(struct worker *w, char *out, size_t size);
/* Sends them to the manager, under the name @id. */
void stats_send(struct worker *w, uint32_t id);

#endif
