/* SPDX-License-Identifier: Apache-2.0 */
/* Open device files. */
#ifndef PARADICE_FILES_H
#define PARADICE_FILES_H

#include "session.h"

/**
 * struct file - an open device file
 * @mf: the mirror layer's part; its id is the guest's handle
 * @access: O_RDONLY, O_WRONLY or O_RDWR
 * @caching: PD_CACHE_* of its mappings
 * @keeps_nothing: PD_FILE_KEEPS_NOTHING
 * @ioctls: those it may be given
 * @claim: what CHANNEL_CLOSED is to say, 0: nothing
 * @window_ended: when a window of a mapping of its ended last (now_ms()), 0: never
 * @watched: it is in the watch's epoll set
 * @edges: EPOLL* bits whose every edge the guest is told of
 * @async: it raises SIGIO
 * @releasing: RELEASE request that is answered when it is closed, or NULL
 * @lock: for @watched, @edges and @async
 */
struct file {
	struct mirror_file mf;
	atomic_uint refs;
	struct session *s;
	uint32_t access;
	uint32_t caching;
	bool keeps_nothing;
	struct ioctl_policy ioctls;
	uint32_t claim;
	_Atomic uint64_t window_ended;
	bool watched;
	uint32_t edges;
	bool async;
	pthread_mutex_t lock;
	struct request *releasing;
};

/**
 * file_create() - makes a handle for an open file
 * @fd: taken over, also on error
 * @oflags: it was opened with
 * @id: its handle
 * @device: of which device
 * @claim: for CHANNEL_CLOSED; sent on error, too
 *
 * Return: 0 or a negative errno.
 */
int file_create(struct session *s, int fd, uint32_t oflags, uint64_t id,
		const struct device_info *device, uint32_t claim, struct file **out);

/*
 * The same for a file that an ioctl on @from returned: what holds for its device holds for it. @id
 * is its handle.
 */
int file_create_taken(struct session *s, int fd, uint32_t oflags, uint64_t id,
		      const struct file *from, struct file **out);

/* With a reference, or NULL. */
struct file *file_find(struct session *s, uint64_t id);
void file_put(struct file *f);

/* Takes it out of the table, with the table's reference. */
struct file *file_take(struct session *s, uint64_t id);
/*
 * Ends a file taken out of the table: it is closed when the last operation on it has ended; then
 * @r, if any, is answered.
 */
void file_release(struct file *f, struct request *r);

/* Does pread() give ESPIPE on it? Finds out without a call to the driver. */
bool file_is_stream(int fd);

/* PD_FILE_* of the file itself */
uint32_t file_flags(const struct file *f);

#endif
