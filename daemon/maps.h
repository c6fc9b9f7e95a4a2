/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings of device files. */
#ifndef PARADICE_MAPS_H
#define PARADICE_MAPS_H

#include "session.h"

struct file;

/**
 * struct map - a mapping
 * @id: the guest's handle
 * @file: with a reference
 * @offset: of its begin in the file
 * @len: bytes
 * @prot: PROT_*, as asked for
 * @private: MAP_PRIVATE
 */
struct map {
	uint64_t id;
	atomic_uint refs;
	struct session *s;
	struct file *file;
	uint64_t offset;
	uint64_t len;
	uint32_t prot;
	bool private;
};

/* Makes a handle; takes a reference to @file. Returns 0 or a negative errno. */
int map_create(struct session *s, struct file *file, const struct pd_req_mmap *req,
	       struct map **out);
/* With a reference, or NULL. */
struct map *map_find(struct session *s, uint64_t id);
void map_put(struct map *m);
/* Takes it out of the table, with the table's reference. */
struct map *map_take(struct session *s, uint64_t id);

/* Says whether the mapping at @addr of process @pid may never become writable. */
bool map_is_readonly(pid_t pid, uint64_t addr);

#endif
