/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of the request queues: each runs a prepared request and answers it. */
#ifndef PARADICE_OPS_H
#define PARADICE_OPS_H

#include "request.h"

/* ops_file.c; ioctl and take: ops_ioctl.c */
void op_open(struct request *r);
void op_release(struct request *r);
void op_flush(struct request *r);
void op_read(struct request *r);
void op_write(struct request *r);
void op_llseek(struct request *r);
void op_fsync(struct request *r);
void op_poll(struct request *r);
void op_ioctl(struct request *r);
void op_take(struct request *r);
void op_fasync(struct request *r);

/* ops_map.c */
void op_mmap(struct request *r);
void op_munmap(struct request *r);
void op_mremap(struct request *r);
void op_map_release(struct request *r);
void op_window_map(struct request *r);
void op_window_unmap(struct request *r);

/* ops_continue.c */
/* before its pages are shown: finds its operation, r->next, which takes over its chain */
int op_continue_prepare(struct request *r);
void op_continue(struct request *r);
void op_nothing(struct request *r);
/* its mirror is dead, and its lists are not applied: what it drops is out of the mirror when that has ended */
void op_mirror_ends(struct request *r);

#endif
