/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lies of paradiced-hostile that a program in the guest asks for, so that each comes where something can be seen
 * of it: by an ioctl LIE(which) on any of the host's files, whose own result is of no interest. The host tells
 * that one until another is asked for, or the module is loaded anew.
 */
#ifndef PARADICE_LIES_H
#define PARADICE_LIES_H

#include <sys/ioctl.h>

#define LIE(which) _IO(0xfe, which)
#define LIE_RESULT_TOLD (-5000) /* no errno is so large */

#define LIE_MORE 3000 /* bytes that an attribute does not have */
/* of the guest's kernel and its module, which programs cannot ask */
#define LIE_EIOCBQUEUED 529
#define LIE_MAX_INDEX 65536 /* of devices */
/* more than an object has room for */
#define LIE_NATTRIBUTES 260
#define LIE_NPROPERTIES 42

enum lie {
	LIE_NONE,
	LIE_TAG, /* a read's answer has another's tag */
	LIE_LENGTH, /* it is 8 bytes long */
	LIE_STATUS, /* its state is one that there is not */
	LIE_RESULT, /* its result is LIE_RESULT_TOLD */
	LIE_QUEUED, /* its result says that it comes later (EIOCBQUEUED) */
	LIE_MOVED, /* it has moved a page */
	LIE_PAGE, /* a read wants the page at the argument; its result says whether it got that */
	LIE_FAULT, /* a poll wants a page */
	LIE_POSITION, /* a seek leads to LIE_RESULT_TOLD */
	LIE_HANDLE, /* an open gives the handle of the file before */
	LIE_FLAGS, /* a file that an ioctl made has O_APPEND and O_DIRECT */
	LIE_SIZE, /* it has 2^63 bytes */
	LIE_NAME, /* two devices have come, ids from the argument on: .lied-ID, and then lied-ID */
	LIE_MODE, /* device lied-ID has come, and its mode says that it is a block device */
	LIE_PROPERTY, /* ... and its events' properties are LIED=1 and a MODALIAS */
	LIE_RECORD, /* ... and has attribute "lied", which begins with "lied" and is longer than the identity */
	LIE_AMOUNT, /* the same where that is longer than what has come of it */
	LIE_TOTAL, /* ... and more of it comes than there was to be; it has that attribute, but of four bytes, ... */
	LIE_ENTRY, /* ... and the attribute is called .lied */
	LIE_OWN, /* ... and it is called driver */
	LIE_PATH, /* ... and its path is longer than any may be */
	LIE_STRING, /* ... and a property MORE=1 is not ended, behind which is AAA */
	LIE_VALUE, /* ... and the attribute is one byte longer than any may be */
	LIE_ATTRIBUTES, /* ... and there are others, more than there may be */
	LIE_EVENTS, /* ... and there are more properties */
	LIE_OBJECTS, /* ... and it has more ancestors */
	LIE_OUTER, /* ... and it is called a, which is not in its ancestor "outer"; from its path's 6th byte on is "lied" */
	LIE_QUEUES, /* from the start: there is no queue for requests */
	LIE_DEVICES, /* from the start: there are free places for devices without end */
	LIE_TOTALS, /* from the start: each identity is of 1 MiB */
	LIE_CONDS, /* a rule has forty conditions */
	LIE_RULES, /* there are more rules than came */
	LIE_MANY, /* from the start: there are more than there may be */
	LIE_SILENCE, /* nothing on the control queue is answered */
	/* what a virtqueue of the kernel's refuses itself: for Xen */
	LIE_ID, /* a read is answered with a descriptor past the ring's table */
	LIE_TWICE, /* it is answered twice */
	LIE_LONG, /* its answer is longer than there is room for */
};

#endif
