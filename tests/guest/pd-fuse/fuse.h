/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PD_FUSE_H
#define PD_FUSE_H

#include <linux/fuse.h>
#include <stddef.h>

/* Room for one request of the kernel's with the most that we let it write. */
#define ROOM (256 * 1024)
#define MAX_WRITE (128 * 1024)

/* Ends the program with what failed and why. */
void die(const char *what) __attribute__((noreturn));
/* Answers a request: @error is 0 or a negative errno. */
void answer(int fd, const struct fuse_in_header *in, int error, const void *data, size_t size);
/* Serves requests until the other end is gone (ENODEV). @handle answers one that is neither INIT nor FORGET. */
void serve(int fd, void (*handle)(int fd, struct fuse_in_header *in, void *arg));

/* A character device /dev/@name, through the CUSE node @path. */
int cuse_serve(const char *path, const char *name);
/* A file system, through the FUSE node @path; mounted by mount_for(). */
int files_serve(const char *path);
/* Mounts the file system of the process whose name ends with @comm at @place. */
int mount_for(const char *comm, const char *place);

#endif
