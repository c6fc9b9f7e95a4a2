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
 * @place_lock: for the rest
 * @mm: the process that made it
 * @addr: where it has it, whole; 0: it has changed since
 * @aside: not mapped there now, since the driver allows one mapping only and the VM has it
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
	pthread_mutex_t place_lock;
	uint64_t mm;
	uint64_t addr;
	bool aside;
};

/* Makes a handle; takes a reference to @file. Returns 0 or a negative errno. */
int map_create(struct session *s, struct file *file, uint64_t mm, const struct pd_req_mmap *req,
	       struct map **out);
/* With a reference, or NULL. */
struct map *map_find(struct session *s, uint64_t id);
void map_put(struct map *m);
/* Takes it out of the table, with the table's reference. */
struct map *map_take(struct session *s, uint64_t id);

/* The program has changed its piece. */
void map_moved(struct map *m);
/*
 * Takes the mirror's own mapping away, for a driver that allows one only. Returns false when there
 * is none to take away.
 */
bool map_step_aside(struct map *m);
/* The opposite, when the VM has it no more. */
void map_step_back(struct map *m);

/* Says whether the mapping at @addr of process @pid may never become writable. */
bool map_is_readonly(pid_t pid, uint64_t addr);

#endif
