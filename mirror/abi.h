/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker and the mirror program agree on: numbers only, so that assembly reads it too.
 *
 * A mirror's thread is a loop over one slot: it takes a list of system calls from its request
 * slot, which it can only read, makes them, and puts what they returned into its result slot.
 *
 * A driver can be told to write into the result slots, and a driver can be told numbers of descriptors. So the end of
 * a list is told by what neither can do: the thread wakes who waits for its request slot's MIRROR_REQ_DONE,
 * until it has woken somebody. And what must not be forged it holds out in registers while it waits for the next
 * list, as arguments of that call to futex() which the kernel does not look at: the fifth is what the
 * last call of its list returned, the sixth the first error, or 0.
 */
#ifndef PARADICE_MIRROR_ABI_H
#define PARADICE_MIRROR_ABI_H

/* Descriptors that the program is started with */
#define MIRROR_FD_FILLER 0 /* 0, 1 and 2: something harmless */
#define MIRROR_FD_REQ 3 /* memory of the request slots */
#define MIRROR_FD_RES 4 /* memory of the result slots */
#define MIRROR_FD_CONTROL 5 /* socket to the worker */
#define MIRROR_FD_UFFD 6 /* /dev/userfaultfd, or the filler */
#define MIRROR_FD_RESERVE 7 /* what backs the addresses for which no page is known */
#define MIRROR_FD_FIRST_FREE 8
/* Device files' descriptors lie from here on: those below are the program's numbers */
#define MIRROR_FD_FILES 1024

/* The hole: the mirror's own part of the address space, offsets from its begin */
#define MIRROR_HOLE_CODE 0x0
#define MIRROR_HOLE_REQ 0x100000
#define MIRROR_HOLE_RES 0x2800000
#define MIRROR_REQ_SIZE 0x8000
#define MIRROR_RES_SIZE 0x1000
#define MIRROR_MAX_SLOTS 1024

/* A request slot */
#define MIRROR_REQ_SEQ 0 /* u32: a change starts the list */
#define MIRROR_REQ_COUNT 4 /* u32: calls in the list */
#define MIRROR_REQ_REPORT 8 /* u32: not 0: write OK or ERR to this descriptor at the end */
#define MIRROR_REQ_NSLOTS 12 /* u32: slots there are; slot 0, first start only */
#define MIRROR_REQ_HOLE 16 /* u64: the hole; slot 0, first start only */
#define MIRROR_REQ_RESULT 24 /* u64: the slot's result slot */
#define MIRROR_REQ_OK 32 /* u64: what to report when every call succeeded */
#define MIRROR_REQ_ERR 40 /* u64: what to report when one failed */
#define MIRROR_REQ_DONE 48 /* u32: the worker waits here; 0, not 0 when nothing more will be done */
#define MIRROR_REQ_CALLS 128 /* the calls */
#define MIRROR_REQ_MAX_CALLS 126
#define MIRROR_REQ_DATA 0x2000 /* read-only data for the calls' pointers */
#define MIRROR_REQ_DATA_SIZE 0x6000

/* A call: 64 bytes */
#define MIRROR_CALL_SIZE 64
#define MIRROR_CALL_NR 0
#define MIRROR_CALL_ARGS 8 /* six u64 */
#define MIRROR_CALL_FLAGS 56

#define MIRROR_CALL_COMPAT 1 /* the 32-bit call */
#define MIRROR_CALL_STOP 2 /* when it fails the rest of the list is left out */

/* A result slot */
#define MIRROR_RES_VALUES 64 /* s64 for each call */
#define MIRROR_RES_DATA 0x800 /* data that calls write */
#define MIRROR_RES_DATA_SIZE 0x800

/* Slots 0 and 1 have their tasks; from 2 on they are for operations */
#define MIRROR_SLOT_MAPPER 0
#define MIRROR_SLOT_SEED 1
#define MIRROR_SLOT_FIRST 2

#endif
