/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * testdev: the calls that the test driver and the test programs share.
 *
 * Structures that hold pointers or longs have another layout in a 32-bit
 * program, on purpose; the driver's compat_ioctl translates them (compat32.c).
 * The others have one layout for all.
 */
#ifndef TESTDEV_H
#define TESTDEV_H

#include <linux/ioctl.h>
#include <linux/types.h>

#ifndef __KERNEL__
#define __user
#endif

#define TD_MAGIC 0xb5

/* The nodes; each takes every call but the hotplug calls, which want "ctl". */
#define TD_NODE_MAIN "testdev"
#define TD_NODE_OPEN "testdev-open" /* open fails or waits as TD_OPEN_SET says */
#define TD_NODE_HOT "testdev-hot" /* TD_UNPLUG and TD_PLUG take it away and back */
#define TD_NODE_CTL "testdev-ctl"

/* Byte @pos of the endless pattern @seed. */
static inline __u64 td_word(__u32 seed, __u64 index)
{
	__u64 w = index + 1 + ((__u64)seed << 40);

	w ^= w >> 29;
	w *= 0xbf58476d1ce4e5b9ULL;
	return w ^ (w >> 32);
}

static inline __u8 td_byte(__u32 seed, __u64 pos)
{
	return (__u8)(td_word(seed, pos >> 3) >> ((pos & 7) * 8));
}

/* The running sum by which driver and program compare contents. */
static inline __u64 td_sum(__u64 sum, const void *data, unsigned long len)
{
	const __u8 *byte = (const __u8 *)data;

	while (len--)
		sum = sum * 31 + *byte++ + 1;
	return sum;
}

/* ---- plain ---- */

#define TD_NOP _IO(TD_MAGIC, 0x00)
/* The argument itself, as an int, is what the call returns. */
#define TD_RETURN _IO(TD_MAGIC, 0x01)

struct td_info {
	__u32 open_flags; /* as the driver's open saw them */
	__u32 flags; /* as they are now */
	__u32 compat; /* 1 when a 32-bit program asks */
	__u32 segments; /* of the last read or write */
	__u64 count; /* bytes the last read or write asked for */
	__u64 pos; /* where it was to happen */
	__u32 queued; /* bytes waiting in the loop buffer */
	__u32 mode;
};

#define TD_INFO _IOR(TD_MAGIC, 0x02, struct td_info)

/*
 * Files of one group share tickets, a poll mask and counters. A watcher does
 * not count among the group's files. A file joins once.
 */
struct td_join {
	__u64 id;
	__u32 watcher;
	__u32 pad;
};

#define TD_JOIN _IOW(TD_MAGIC, 0x03, struct td_join)

enum td_count {
	TD_FILES, /* open now */
	TD_RELEASES,
	TD_FLUSHES,
	TD_FSYNCS,
	TD_READS,
	TD_WRITES,
	TD_POLLS,
	TD_BLOCKED, /* operations asleep in the driver now */
	TD_INTERRUPTED, /* operations that a signal ended */
	TD_TICKETS,
	TD_MAPS, /* mappings alive now */
	TD_FAULTS,
	TD_PINNED, /* pages held now */
	TD_JOBS, /* asynchronous jobs under way now */
	TD_ASYNC_FILES, /* files with FASYNC set now */
	TD_OPEN_BLOCKED, /* opens asleep now, of all groups */
	TD_OPEN_LIVE, /* testdev-open files open now, of all groups */
	TD_OBJECTS, /* descriptors made by TD_FD_OUT alive now, of all groups */
	TD_COUNTS = 32
};

struct td_stat {
	__u32 count[TD_COUNTS]; /* of the group */
	__u32 all[TD_COUNTS]; /* of the driver, watchers and all */
};

#define TD_STAT _IOR(TD_MAGIC, 0x04, struct td_stat)

enum td_mode_kind {
	TD_MODE_LOOP, /* reads give what was written, as a pipe does */
	TD_MODE_MEM, /* TD_MEM_SIZE bytes with positions */
	TD_MODE_PATTERN, /* reads give the pattern at the position; writes check it */
	TD_MODE_PACKET, /* one write is one record, one read takes one */
	TD_MODE_DONE /* reads give struct td_done of finished jobs */
};

#define TD_MEM_SIZE (1 << 20)
#define TD_PATTERN_SIZE (1LL << 40)

struct td_mode {
	__u32 mode;
	__u32 seed; /* of the pattern */
	__u32 chunk; /* most bytes that one read or write moves; 0: no bound */
	__u32 capacity; /* of the loop buffer; 0: 64 KiB */
	__u32 eof; /* an empty loop buffer reads as the end, not as a wait */
	__u32 fsync_errno; /* what fsync fails with */
	__u32 fsync_blocks; /* fsync waits for a ticket */
	__u32 pad;
};

#define TD_SET_MODE _IOW(TD_MAGIC, 0x05, struct td_mode)

/* ---- memory reached through pointers ---- */

#define TD_TEXT_MAX 65536
#define TD_NEST_MAX 256

/* The text is reversed where it stands and its sum becomes the value. */
struct td_leaf {
	char __user *text;
	unsigned long len;
	long value;
};

struct td_mid {
	struct td_leaf __user *leaves;
	__u32 count;
	long sum; /* of the values, out */
};

struct td_top {
	struct td_mid __user *mids;
	__u32 count;
	char __user *out; /* gets "leaves=N bytes=M" */
	unsigned long out_len;
	long total; /* out */
};

#define TD_NEST _IOWR(TD_MAGIC, 0x10, struct td_top)

/* Every item is squared; count becomes the number of odd ones. */
struct td_array {
	__u64 __user *items;
	__u32 count;
	long sum; /* of the items as they came */
};

#define TD_ARRAY_MAX 65536
#define TD_ARRAY _IOWR(TD_MAGIC, 0x11, struct td_array)

#define TD_STRING_MAX 4096

/* out gets the string in capitals; the call returns its length. */
struct td_string {
	const char __user *in;
	char __user *out;
	unsigned long out_len;
};

#define TD_STRING _IOW(TD_MAGIC, 0x12, struct td_string)

enum td_touch_op {
	TD_TOUCH_READ,
	TD_TOUCH_WRITE,
	TD_TOUCH_CLEAR,
	TD_TOUCH_GET, /* get_user() of 1, 2, 4 or 8 bytes */
	TD_TOUCH_PUT,
	TD_TOUCH_STRLEN, /* strnlen_user() */
	TD_TOUCH_ATOMIC /* read with faults disabled, fault in, go on */
};

#define TD_TOUCH_MAX (4UL << 20)

struct td_touch {
	void __user *addr;
	unsigned long len;
	__u32 op;
	__u32 seed; /* what is written */
	unsigned long done; /* bytes moved before the first fault, out */
	__u64 sum; /* of what was read, out */
};

/* EFAULT when not everything was moved; done is valid then too. */
#define TD_TOUCH _IOWR(TD_MAGIC, 0x13, struct td_touch)

/* Differs between 32 and 64 bits by nothing but alignment. */
struct td_align {
	int a;
	long long b;
	int c; /* a + b, out */
};

#define TD_ALIGN _IOWR(TD_MAGIC, 0x14, struct td_align)

/* The number tells the header's size only; count items follow, each doubled. */
struct td_flex {
	__u32 count;
	__u32 total; /* out */
};

#define TD_FLEX _IOWR(TD_MAGIC, 0x15, struct td_flex)

/* ---- numbers that lie ---- */

struct td_pair {
	__u64 in;
	__u64 out; /* in * 3 + 1 */
};

struct td_setname {
	char name[16]; /* a "%d" in it is replaced */
	__u16 flags;
	__u8 rest[22];
};

#define TD_SETNAME _IOW(TD_MAGIC, 0x20, int) /* struct td_setname, both ways */
#define TD_NONE_PTR _IO(TD_MAGIC, 0x21) /* struct td_pair, both ways */
#define TD_VALUE _IOW(TD_MAGIC, 0x22, int) /* no pointer: returns argument + 1 */
#define TD_SHORT _IOR(TD_MAGIC, 0x23, char[4]) /* writes TD_SHORT_LEN bytes */
#define TD_SHORT_LEN 8192
#define TD_LONG _IOWR(TD_MAGIC, 0x24, char[8192]) /* touches a td_pair only */
#define TD_READS_IOR _IOR(TD_MAGIC, 0x25, struct td_pair) /* returns in + 5 */
#define TD_WRITES_IOW _IOW(TD_MAGIC, 0x26, struct td_pair) /* sets out to 77 */
#define TD_LEGACY 0x7d01 /* struct td_pair, both ways */
#define TD_ODD 0xfffffff5u /* struct td_pair, both ways */

/* ---- pages kept past the call ---- */

#define TD_PIN_PLAIN 1 /* pin_user_pages() under the mmap lock, not _fast */
#define TD_PIN_LONGTERM 2
#define TD_PIN_WRITABLE 4
#define TD_PIN_MAX 4096 /* pages */

struct td_pin {
	__aligned_u64 addr;
	__aligned_u64 len;
	__u32 flags;
	__u32 id; /* out */
};

struct td_pin_io {
	__u32 id;
	__u32 seed;
	__aligned_u64 offset;
	__aligned_u64 len;
	__aligned_u64 sum; /* out */
};

#define TD_PIN _IOWR(TD_MAGIC, 0x30, struct td_pin)
#define TD_PIN_WRITE _IOW(TD_MAGIC, 0x31, struct td_pin_io)
#define TD_PIN_READ _IOWR(TD_MAGIC, 0x32, struct td_pin_io)
#define TD_PIN_FREE _IO(TD_MAGIC, 0x33) /* argument: the id */

/* ---- blocking ---- */

enum td_block_how {
	TD_BLOCK_INTR,
	TD_BLOCK_KILLABLE,
	TD_BLOCK_UNINTR /* timeout_ms must be 1..5000 */
};

struct td_block {
	__u32 how;
	__u32 code; /* errno when interrupted; 0: ERESTARTSYS */
	__u32 timeout_ms; /* 0: none; ETIMEDOUT at its end */
	__u32 value; /* the ticket's, out */
};

struct td_wake {
	__u32 count; /* tickets to add */
	__u32 value;
};

#define TD_BLOCK _IOWR(TD_MAGIC, 0x40, struct td_block)
#define TD_WAKE _IOW(TD_MAGIC, 0x41, struct td_wake)

/* ---- asynchronous completion ---- */

struct td_submit {
	__aligned_u64 addr;
	__aligned_u64 len;
	__aligned_u64 cookie;
	__u32 delay_ms;
	__u32 seed; /* the pattern that the job writes */
};

struct td_done {
	__aligned_u64 cookie;
	__s32 result; /* bytes, or a negative errno */
	__u32 pad;
};

#define TD_SUBMIT _IOW(TD_MAGIC, 0x48, struct td_submit)
#define TD_CANCEL _IOW(TD_MAGIC, 0x49, __u64)

/* ---- poll and SIGIO ---- */

struct td_poll {
	__u32 mask; /* POLL* bits */
	__u32 delay_ms; /* 0: at once; else by the driver's timer */
};

/* Adds to what the file's mode says of itself; both for the whole group. */
#define TD_POLL_SET _IOW(TD_MAGIC, 0x50, struct td_poll)
#define TD_SIGIO _IOW(TD_MAGIC, 0x51, struct td_poll)

/* ---- mappings: offset = kind * TD_MAP_SPAN + byte in the buffer ---- */

enum td_map_kind {
	TD_MAP_RAM, /* vm_insert_page() */
	TD_MAP_VMALLOC, /* remap_vmalloc_range() */
	TD_MAP_PFN, /* remap_pfn_range() */
	TD_MAP_FAULT, /* faulted in; TD_MAP_SWITCH changes the pages */
	TD_MAP_READONLY, /* EACCES for PROT_WRITE, then and later */
	TD_MAP_SINGLE, /* one mapping at a time, EBUSY */
	TD_MAP_SHARED, /* one buffer for the group */
	TD_MAP_SIGBUS, /* faulted in; SIGBUS from the middle on */
	TD_MAP_SLOW, /* faulted in; every fault waits for a ticket */
	TD_MAP_PFN_FAULT, /* vmf_insert_pfn() from the fault handler */
	TD_MAP_KINDS,
	TD_MAP_LARGE = 14, /* TD_MAP_LARGE_SIZE, of zeros; mapped from its begin only */
	TD_MAP_ERRNO = 15 /* fails with errno = page number of the offset */
};

#define TD_MAP_PAGES 64
#define TD_MAP_SIZE (TD_MAP_PAGES * 4096)
#define TD_MAP_SPAN (256 * 4096)
#define TD_MAP_LARGE_SIZE (24 << 20)

struct td_map_io {
	__u32 kind;
	__u32 seed;
	__aligned_u64 offset;
	__aligned_u64 len;
	__aligned_u64 sum; /* out */
};

#define TD_MAP_FILL _IOW(TD_MAGIC, 0x60, struct td_map_io)
#define TD_MAP_SUM _IOWR(TD_MAGIC, 0x61, struct td_map_io)
#define TD_MAP_SWITCH _IO(TD_MAGIC, 0x62) /* the other bank of TD_MAP_FAULT */
#define TD_MAP_FREE _IO(TD_MAGIC, 0x63) /* argument: kind; EBUSY while mapped */

/* ---- testdev-open ---- */

struct td_open_set {
	__u32 fail; /* errno that open fails with; 0: none */
	__u32 closed; /* 1: open without O_NONBLOCK waits */
};

#define TD_OPEN_SET _IOW(TD_MAGIC, 0x68, struct td_open_set)

/* ---- who asks, beside who opened the file ---- */

#define TD_OPENER_PROCESS 1 /* the same one */
#define TD_OPENER_CREDENTIALS 2 /* the same ones */

#define TD_OPENER _IOR(TD_MAGIC, 0x69, __u32)

/* ---- testdev-hot, asked of testdev-ctl ---- */

#define TD_UNPLUG _IO(TD_MAGIC, 0x70)
#define TD_PLUG _IO(TD_MAGIC, 0x71)

/* ---- descriptors ---- */

struct td_fd_in {
	__s32 fd;
	__u32 type; /* S_IFMT of its inode, out */
	__u32 access; /* O_ACCMODE, out */
	__u32 ours; /* 1: a testdev file, 2: an object of TD_FD_OUT, out */
	__aligned_u64 pos; /* out */
	__aligned_u64 value; /* an object's, out */
};

struct td_fd_out {
	__s32 fd; /* out */
	__u32 cloexec;
	__aligned_u64 value;
};

struct td_fd_pread {
	__s32 fd;
	__u32 len; /* at most 4096; out: bytes read */
	__aligned_u64 pos;
	__aligned_u64 addr; /* where the file's bytes go */
};

#define TD_FD_IN _IOWR(TD_MAGIC, 0x78, struct td_fd_in)
#define TD_FD_OUT _IOWR(TD_MAGIC, 0x79, struct td_fd_out)
#define TD_FD_PREAD _IOWR(TD_MAGIC, 0x7a, struct td_fd_pread)
/* Of an object: read gives its value as text, mmap a page, poll POLLIN if odd. */
#define TD_OBJ_GET _IOR(TD_MAGIC, 0x7c, __u64)
#define TD_OBJ_SET _IOW(TD_MAGIC, 0x7d, __u64)

#endif
