/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A module built for tests only (PARADICE_WEAKNESSES=y) leaves out the defences that its parameter "weak" names, so
 * that tests/vm can show that what they defend against does harm. In every other one nothing of this is
 * there, and PD_WEAK() is false.
 */
#ifndef PARADICE_WEAK_H
#define PARADICE_WEAK_H

#include <linux/bits.h>
#include <linux/compiler.h>

/* The defences. */
enum pd_weakness {
	PD_WEAK_QUEUES, /* there is a request queue; on Xen also: no more than there may be */
	PD_WEAK_TAGS, /* an answer is to the request that it comes for */
	PD_WEAK_LENGTHS, /* an answer is as long as one */
	PD_WEAK_RESULTS, /* states and results are those that there are */
	PD_WEAK_QUEUED, /* no result says that it comes later */
	PD_WEAK_FAULTS, /* nothing but an operation with an address space faults */
	PD_WEAK_MOVED, /* no more bytes were moved than were asked for */
	PD_WEAK_POSITIONS, /* positions are not negative */
	PD_WEAK_PAGES, /* the host gets no page that an operation does not concern */
	PD_WEAK_HANDLES, /* no file has the handle of another */
	PD_WEAK_FLAGS, /* a file has no flags that its like never has */
	PD_WEAK_SIZES, /* nor a size */
	PD_WEAK_DEVICES, /* a host has no more devices than there may be */
	PD_WEAK_NAMES, /* a node's name is one */
	PD_WEAK_MODES, /* a node's permissions are no more than that */
	PD_WEAK_PROPERTIES, /* events have no property that is the kernel's to tell */
	PD_WEAK_RECORDS, /* records of an identity end where that does */
	PD_WEAK_AMOUNTS, /* there is no more of it than came */
	PD_WEAK_TOTALS, /* nor than it is said to be, and than there is room for */
	PD_WEAK_ENTRIES, /* names in /sys are names */
	PD_WEAK_OWN, /* and none that this kernel has there itself */
	PD_WEAK_PATHS, /* nor is a path longer than there is room for */
	PD_WEAK_STRINGS, /* text ends where its record does */
	PD_WEAK_VALUES, /* an attribute is no longer than there is room for */
	PD_WEAK_ATTRIBUTES, /* there are no more of them */
	PD_WEAK_EVENTS, /* nor of the properties of events */
	PD_WEAK_OBJECTS, /* nor of a device's ancestors */
	PD_WEAK_OUTER, /* an object's path goes on from that of the one around it */
	PD_WEAK_CONDS, /* a rule has no more conditions than there is room for */
	PD_WEAK_RULES, /* there are no more rules than came */
	PD_WEAK_MANY, /* nor than there may be */
	PD_WEAK_WATCH, /* a host that gives no sign of life is lost */
	PD_WEAK_LIMIT, /* a host that does not let go is lost in the end */
	PD_WEAK_EXIT, /* a task that dies waits for a while only */
	PD_WEAK_FLOOD, /* events are left to a work item when there are too many */
	PD_WEAK_KEEP, /* what drivers may still use is kept */
	PD_WEAK_KEPT, /* what drivers may still use is bounded ("kept_pages") */
	PD_WEAK_RING, /* Xen: answers are to what was asked, once, and no longer than there is room for */
	PD_WEAK_STATES, /* Xen: a back-end is not connected before there is anything to connect to */
};

#ifdef PARADICE_WEAKNESSES
extern unsigned long pd_weak;
#define PD_WEAK(name) (READ_ONCE(pd_weak) & BIT(PD_WEAK_##name))
#else
#define PD_WEAK(name) false
#endif

#endif
