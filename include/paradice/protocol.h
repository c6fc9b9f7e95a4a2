/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The Paradice protocol: what a guest's module and the host's daemon say to each other.
 *
 * One header for both sides and for every transport. All fields are little-endian and of fixed
 * size, all padding is explicit and must be sent as zero, and is ignored on receipt. Neither side
 * trusts the other: every length, count, handle and address is checked where it is received.
 *
 * Transport. On virtio there are virtqueue 0 (control: PD_OP_* marked "control"), virtqueue 1
 * (events, buffers posted by the guest, struct pd_event), and one or more request queues from
 * virtqueue 2 on. A request is a descriptor chain: device-readable {struct pd_req, then its lists
 * in the order drops, pages, vecs, fds}, device-writable {struct pd_resp, for PD_OP_DEVICE
 * followed by struct pd_device, for PD_OP_IDENTITY by bytes, for PD_OP_RULES by struct pd_rule}.
 * Requests may be answered in any order.
 *
 * Memory. A program's memory is named by {address in the program, guest frame}. The guest pins a
 * frame before it names it in a request and keeps it pinned until a request that drops the
 * address has been answered. All requests of one address space ("mm") go to one request queue;
 * the host applies their drops, then their pages, in that queue's order, before it runs the
 * request, so a request never sees an older view than those before it. Drops that touch pages in
 * use by an operation under way are applied all the same.
 *
 * Faults. When the driver touches an address for which the host knows no frame, the request is
 * answered with status PD_ST_FAULT and the operation sleeps; the guest sends PD_OP_CONTINUE (same
 * queue) with the pages, or an error, and the operation's next answer comes on that chain.
 *
 * Changelog
 *   1: first version.
 *   2: identity (PD_OP_IDENTITY); descriptors that ioctls pass: rules (PD_OP_RULES), pd_req.nfds,
 *	PD_OP_FD_TAKE.
 */
#ifndef PARADICE_PROTOCOL_H
#define PARADICE_PROTOCOL_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/types.h>
#else
#include <assert.h>
#include <linux/types.h>
#endif

#define PD_MAGIC 0x43494450u /* "PDIC" */
#define PD_VERSION 2

/* virtio device id used by default: reserved in the virtio specification, without a Linux driver */
#define PD_VIRTIO_ID_DEFAULT 31

#define PD_QUEUE_CONTROL 0
#define PD_QUEUE_EVENT 1
#define PD_QUEUE_REQUEST 2 /* the first of them */
#define PD_MAX_REQUEST_QUEUES 64

#define PD_PAGE_SHIFT 12
#define PD_PAGE_SIZE 4096u

/* bounds of a request's lists; a host answers -E2BIG beyond them */
#define PD_MAX_DROPS 512
#define PD_MAX_PAGES 512
#define PD_MAX_VECS 1024 /* UIO_MAXIOV */
#define PD_MAX_FDS 64
/* descriptor numbers of programs that may be passed to ioctls; beyond, EMFILE */
#define PD_MAX_FD_NUMBER 65535

/* The shared memory region (virtio shared memory id) through which device memory is shown. */
#define PD_WINDOW_SHMID 0
/* Windows that may be mapped at once; QEMU needs a descriptor for each. */
#define PD_MAX_WINDOWS 400

/**
 * struct pd_config - the device's configuration space, constant while the device lives
 * @magic: PD_MAGIC; anything else is not a Paradice device
 * @version_min: the oldest protocol version that the host speaks
 * @version_max: the newest one
 * @num_request_queues: request queues that the host serves, 1 to PD_MAX_REQUEST_QUEUES; a guest
 *	may use fewer, from the first on
 * @max_inflight: operations that one VM may have under way; beyond, requests are answered -EBUSY
 * @window_size: size in bytes of the window region, a power of two, 0 when there is none
 */
struct pd_config {
	__le32 magic;
	__le16 version_min;
	__le16 version_max;
	__le32 num_request_queues;
	__le32 max_inflight;
	__le64 window_size;
	__u8 reserved[40];
};

/**
 * enum pd_op - what a request asks for
 * @PD_OP_HELLO: control. First request after each start of the rings: chooses the version.
 * @PD_OP_DEVICE: control. Describes the device with index pd_req_device.index (0, 1, …);
 *	-ENODEV for a free index, -ERANGE past the last one.
 * @PD_OP_MM_CREATE: control. Announces the address space @mm; the host makes its mirror.
 * @PD_OP_MM_DESTROY: control. Ends it. When answered, the host uses none of its frames.
 * @PD_OP_CANCEL: control. Interrupts the operation with pd_req_cancel.tag as a signal would; the
 *	operation itself is then answered as the driver decides, with -EINTR or a restart code
 *	(-512 to -516) as the driver returned it. Result 0, or -ENOENT when no such operation is
 *	under way (not yet, or no longer): the guest asks again while its request is unanswered.
 * @PD_OP_IDENTITY: control. Part of what the host's /sys says of a device (struct
 *	pd_identity_record), from pd_req_identity.offset on, as much as the chain has room for: the
 *	result says how many bytes. -ENODATA when /sys does not know the device.
 * @PD_OP_RULES: control. The rules from index pd_req_rules.first on, as many as the answer has room
 *	for; result: their number, 0 behind the last one.
 * @PD_OP_OPEN: opens a device; resp.open.file is the new handle. @mm may be 0; see
 *	PD_DEVICE_OPEN_MM.
 * @PD_OP_RELEASE: the last reference to @file in the guest is gone. Answered when the driver's
 *	release has run. @mm is 0.
 * @PD_OP_FLUSH: a program closed a descriptor of @file; runs the driver's flush.
 * @PD_OP_READ: reads into the buffers of @vecs (addresses in @mm).
 * @PD_OP_WRITE: writes from them.
 * @PD_OP_LLSEEK: moves; resp.seek.pos is the new position.
 * @PD_OP_FSYNC: fsync, or fdatasync.
 * @PD_OP_POLL: the readiness now; when none of the wanted events is ready the host arms one
 *	PD_EV_POLL for @file.
 * @PD_OP_IOCTL: ioctl. While it runs each of its @fds stands for what it names, in the driver's eyes.
 * @PD_OP_FASYNC: turns PD_EV_SIGIO for @file on or off.
 * @PD_OP_MMAP: maps @file in @mm; resp.map.map is the new mapping's handle. No window yet.
 * @PD_OP_MUNMAP: @mm no longer has [addr, addr+len) of the mapping; may be any part of it.
 * @PD_OP_MREMAP: @mm has part of the mapping at another address now.
 * @PD_OP_MAP_RELEASE: no process has the mapping any more, none of its windows is left.
 * @PD_OP_WINDOW_MAP: shows part of a mapping in the window region at an offset the guest chose.
 * @PD_OP_WINDOW_UNMAP: ends that; exactly what one WINDOW_MAP mapped.
 * @PD_OP_DROP: does nothing but apply its lists.
 * @PD_OP_CONTINUE: answers a PD_ST_FAULT.
 * @PD_OP_FD_TAKE: an ioctl on @file has returned a new descriptor, of which the driver told @mm the
 *	number: resp.open describes the file behind it, which is the guest's from now on; -EBADF when
 *	no ioctl of that process made such a descriptor.
 * @PD_OP_PING: control or request queue; answered with result 0: on the control queue, behind what is there,
 *	a sign of life; on others for measuring the transport.
 */
enum pd_op {
	PD_OP_HELLO = 1,
	PD_OP_DEVICE = 2,
	PD_OP_MM_CREATE = 3,
	PD_OP_MM_DESTROY = 4,
	PD_OP_CANCEL = 5,
	PD_OP_IDENTITY = 6,
	PD_OP_RULES = 7,
	PD_OP_OPEN = 16,
	PD_OP_RELEASE = 17,
	PD_OP_FLUSH = 18,
	PD_OP_READ = 19,
	PD_OP_WRITE = 20,
	PD_OP_LLSEEK = 21,
	PD_OP_FSYNC = 22,
	PD_OP_POLL = 23,
	PD_OP_IOCTL = 24,
	PD_OP_FASYNC = 25,
	PD_OP_MMAP = 26,
	PD_OP_MUNMAP = 27,
	PD_OP_MREMAP = 28,
	PD_OP_MAP_RELEASE = 29,
	PD_OP_WINDOW_MAP = 30,
	PD_OP_WINDOW_UNMAP = 31,
	PD_OP_DROP = 32,
	PD_OP_CONTINUE = 33,
	PD_OP_PING = 34,
	PD_OP_FD_TAKE = 35,
};

/* Linux open flags (x86-64 and generic values) that may be sent in OPEN and @oflags */
#define PD_O_ACCMODE 03
#define PD_O_EXCL 0200
#define PD_O_NOCTTY 0400
#define PD_O_TRUNC 01000
#define PD_O_APPEND 02000
#define PD_O_NONBLOCK 04000
#define PD_O_DSYNC 010000
#define PD_O_DIRECT 040000
#define PD_O_SYNC 04010000

/**
 * struct pd_range - part of an address space
 * @addr: first byte, a multiple of the page size in drops
 * @len: bytes; in drops a multiple of the page size and not 0
 */
struct pd_range {
	__le64 addr;
	__le64 len;
};

/**
 * struct pd_pages - frames that stand at an address, one run
 * @addr: address in the program, page-aligned
 * @frame: the first guest frame number (guest-physical address >> 12); on other transports the
 *	first grant reference
 * @count: pages, contiguous in address and in frame, at least 1
 * @flags: PD_PAGES_*
 */
struct pd_pages {
	__le64 addr;
	__le64 frame;
	__le32 count;
	__le32 flags;
};

#define PD_PAGES_WRITE 1u /* the program may write there */

/**
 * struct pd_fd - a descriptor that an ioctl's argument names
 * @number: as the program knows it, 0 to PD_MAX_FD_NUMBER
 * @pad: 0
 * @file: handle of the file behind it; 0: one of the guest's own, or none, which the driver shall
 *	find closed (EBADF)
 */
struct pd_fd {
	__le32 number;
	__le32 pad;
	__le64 file;
};

/* PD_OP_HELLO */
struct pd_req_hello {
	__le32 version; /* chosen by the guest within pd_config's range; else -EPROTO */
	__le32 pad;
	__u8 release[48]; /* the guest kernel's release, for the host's log; NUL-padded */
};

/* PD_OP_DEVICE */
struct pd_req_device {
	__le32 index;
	__le32 pad;
};

/* PD_OP_IDENTITY */
struct pd_req_identity {
	__le32 device; /* pd_device.id */
	__le32 offset; /* in bytes */
};

/**
 * struct pd_req_mm_create - PD_OP_MM_CREATE
 * @hole: page-aligned address of a range that the program does not use; the mirror lives there
 * @hole_len: its size in bytes, at least PD_HOLE_SIZE; @hole and @hole_len below 2^47
 * @pid: process id in the guest, for people only
 * @flags: PD_MM_*
 * @comm: the program's name, for people only; NUL-padded
 */
struct pd_req_mm_create {
	__le64 hole;
	__le64 hole_len;
	__le32 pid;
	__le32 flags;
	__u8 comm[16];
};

#define PD_HOLE_SIZE (64ull << 20)
#define PD_MM_KERNEL 1u /* not a program: buffers of the guest's kernel, placed where it likes */

/* PD_OP_CANCEL */
struct pd_req_cancel {
	__le64 tag;
	__le32 flags; /* PD_CANCEL_* */
	__le32 pad;
};

/* The process is gone: faults of the operation fail from now on, its answer is not awaited. */
#define PD_CANCEL_ABANDON 1u

/* PD_OP_RULES */
struct pd_req_rules {
	__le32 first; /* index of the first one wanted */
	__le32 pad;
};

/* PD_OP_OPEN; @oflags of the request holds the flags */
struct pd_req_open {
	__le32 device; /* pd_device.id */
	__le32 pad;
};

/* PD_OP_READ, PD_OP_WRITE: @nvecs vecs follow */
struct pd_req_rw {
	__le64 pos; /* position, as for pread; ignored where the open reply said PD_FILE_STREAM */
	__le32 rwf; /* RWF_* flags */
	__le32 pad;
};

/* PD_OP_LLSEEK; SEEK_CUR is never sent: the guest, who keeps the position, resolves it */
struct pd_req_seek {
	__le64 offset; /* signed */
	__le32 whence; /* SEEK_SET 0, SEEK_END 2, SEEK_DATA 3, SEEK_HOLE 4 */
	__le32 pad;
};

/* PD_OP_FSYNC */
struct pd_req_fsync {
	__le32 datasync;
	__le32 pad;
};

/* PD_OP_POLL */
struct pd_req_poll {
	__le32 events; /* EPOLL* bits that somebody waits for; all when 0 */
	__le32 flags; /* PD_POLL_* */
};

/*
 * Somebody waits for edges: until @file is released the host sends a PD_EV_POLL whenever the driver
 * wakes those who wait for any of @events, ready or not; for what is so watched, @armed is always 1.
 */
#define PD_POLL_EDGE 1u

/* PD_OP_IOCTL */
struct pd_req_ioctl {
	__le64 arg;
	__le32 cmd;
	__le32 flags; /* PD_IOCTL_* */
};

#define PD_IOCTL_COMPAT 1u /* a 32-bit program's */

/* PD_OP_FD_TAKE */
struct pd_req_take {
	__le32 number; /* as the driver told it */
	__le32 pad;
};

/* PD_OP_FASYNC */
struct pd_req_fasync {
	__le32 on;
	__le32 pad;
};

/**
 * struct pd_req_mmap - PD_OP_MMAP, PD_OP_MUNMAP
 * @map: handle; MUNMAP only
 * @addr: address in @mm
 * @len: bytes, a multiple of the page size
 * @offset: MMAP: file offset in bytes; MUNMAP: offset of @addr within the mapping
 * @prot: PROT_* bits; MMAP only
 * @flags: PD_MAP_*; MMAP only
 */
struct pd_req_mmap {
	__le64 map;
	__le64 addr;
	__le64 len;
	__le64 offset;
	__le32 prot;
	__le32 flags;
};

#define PD_MAP_PRIVATE 1u /* MAP_PRIVATE */

/* PD_OP_MREMAP: [old_addr, +old_len) is gone, [new_addr, +new_len) shows the mapping from @offset */
struct pd_req_mremap {
	__le64 map;
	__le64 old_addr;
	__le64 old_len;
	__le64 new_addr;
	__le64 new_len;
	__le64 offset;
};

/**
 * struct pd_req_window - PD_OP_WINDOW_MAP, PD_OP_WINDOW_UNMAP, PD_OP_MAP_RELEASE
 * @map: the mapping's handle
 * @offset: bytes from the mapping's begin, page-aligned; WINDOW_MAP only
 * @len: bytes, page-aligned
 * @window: offset in the window region, page-aligned
 */
struct pd_req_window {
	__le64 map;
	__le64 offset;
	__le64 len;
	__le64 window;
};

/**
 * struct pd_req_continue - PD_OP_CONTINUE; the request's pages, if any, answer the fault
 * @tag: the operation that faulted
 * @error: 0, or the negative errno that the driver's access shall meet (-EFAULT)
 * @map: when not 0 the address lies in this mapping: the host shows it in @mm's mirror
 * @map_addr: where the program's piece of the mapping begins
 * @map_len: its length
 * @map_offset: its offset within the mapping
 */
struct pd_req_continue {
	__le64 tag;
	__le32 error; /* signed */
	__le32 pad;
	__le64 map;
	__le64 map_addr;
	__le64 map_len;
	__le64 map_offset;
};

/**
 * struct pd_req - the head of every request
 * @op: enum pd_op
 * @flags: 0
 * @oflags: the file's present flags (PD_O_*) as fcntl may have changed them; 0 without a file
 * @tag: names the request among those of its VM under way; chosen by the guest, not 0
 * @mm: address space, chosen by the guest, never used twice; 0 when no memory is concerned
 * @file: handle, 0 without one
 * @ndrops: struct pd_range entries that follow: no longer valid in @mm
 * @npages: struct pd_pages entries that follow: valid in @mm from now on
 * @nvecs: struct pd_range entries that follow: READ's and WRITE's buffers
 * @nfds: struct pd_fd entries that follow: IOCTL's descriptors
 * @u: by @op
 */
struct pd_req {
	__le16 op;
	__le16 flags;
	__le32 oflags;
	__le64 tag;
	__le64 mm;
	__le64 file;
	__le32 ndrops;
	__le32 npages;
	__le32 nvecs;
	__le32 nfds;
	union {
		struct pd_req_hello hello;
		struct pd_req_device device;
		struct pd_req_rules rules;
		struct pd_req_identity identity;
		struct pd_req_mm_create mm_create;
		struct pd_req_cancel cancel;
		struct pd_req_open open;
		struct pd_req_rw rw;
		struct pd_req_seek seek;
		struct pd_req_fsync fsync;
		struct pd_req_poll poll;
		struct pd_req_ioctl ioctl;
		struct pd_req_take take;
		struct pd_req_fasync fasync;
		struct pd_req_mmap mmap;
		struct pd_req_mremap mremap;
		struct pd_req_window window;
		struct pd_req_continue cont;
		__u8 raw[64];
	} u;
};

/* struct pd_resp.status */
#define PD_ST_DONE 0u
#define PD_ST_FAULT 1u

/* PD_OP_OPEN's and PD_OP_FD_TAKE's answer; of OPEN's, @oflags, @size and @name are 0 */
struct pd_resp_open {
	__le64 file; /* handle, not 0, never used twice */
	__le32 flags; /* PD_FILE_* */
	__le32 oflags; /* PD_O_* */
	__le64 size; /* as fstat tells */
	__u8 name[16]; /* what kind of file it is, for people; NUL-terminated */
};

#define PD_FILE_STREAM 1u /* no position: pread and pwrite give ESPIPE */
#define PD_FILE_LSEEK 4u /* of FD_TAKE's answer: llseek works all the same */
#define PD_FILE_CLOEXEC 2u /* the driver made its descriptor with O_CLOEXEC */
#define PD_FILE_KEEPS_NOTHING 8u /* after an ioctl the driver uses no page of it */

/* PD_OP_MMAP's answer */
struct pd_resp_map {
	__le64 map; /* handle, not 0, never used twice */
	__le32 caching; /* PD_CACHE_* for the guest's page table entries */
	__le32 flags; /* PD_MAPRESP_* */
};

#define PD_CACHE_WB 0u
#define PD_CACHE_WC 1u
#define PD_CACHE_UC 2u

#define PD_MAPRESP_READONLY 1u /* may never be written, mprotect included */

/* status PD_ST_FAULT */
struct pd_resp_fault {
	__le64 addr; /* page-aligned */
	__le32 flags; /* PD_FAULT_* */
	__le32 pad;
};

#define PD_FAULT_WRITE 1u

/* PD_OP_IDENTITY's answer; the bytes follow struct pd_resp */
struct pd_resp_identity {
	__le32 total; /* size of the whole, at most PD_IDENTITY_MAX */
	__le32 pad;
};

/* PD_OP_LLSEEK's answer */
struct pd_resp_seek {
	__le64 pos;
};

/* PD_OP_POLL's answer */
struct pd_resp_poll {
	__le32 mask; /* EPOLL* bits */
	__le32 armed; /* 1: a PD_EV_POLL will come */
};

/**
 * struct pd_resp - the head of every answer
 * @tag: the request's (for PD_OP_CONTINUE: the CONTINUE request's own tag)
 * @status: PD_ST_*
 * @flags: 0
 * @result: what the system call returned: >= 0, or a negative errno (to -4095; restart codes
 *	-512 to -516 included)
 * @u: by operation and status
 */
struct pd_resp {
	__le64 tag;
	__le32 status;
	__le32 flags;
	__le64 result;
	union {
		struct pd_resp_open open;
		struct pd_resp_map map;
		struct pd_resp_fault fault;
		struct pd_resp_seek seek;
		struct pd_resp_poll poll;
		struct pd_resp_identity identity;
		__u8 raw[40];
	} u;
};

/**
 * struct pd_device - PD_OP_DEVICE's answer, after struct pd_resp
 * @id: names the device in OPEN; never used twice
 * @mode: permission bits for the node (0666 style)
 * @uid: its owner
 * @gid: its group
 * @major: the host's device number, for people only
 * @minor: likewise
 * @flags: PD_DEVICE_*
 * @pad: 0
 * @name: path below /dev, for example "dri/renderD128"; NUL-terminated
 * @subsystem: the host's class, for example "video4linux"; NUL-terminated, may be empty
 */
struct pd_device {
	__le32 id;
	__le32 mode;
	__le32 uid;
	__le32 gid;
	__le32 major;
	__le32 minor;
	__le32 flags;
	__le32 pad;
	__u8 name[64];
	__u8 subsystem[32];
};

#define PD_DEVICE_RO 1u /* opened for reading only; OPEN for writing gives -EACCES */
/* The driver is to see who opens it: OPEN names the caller's address space, @mm, where there is one */
#define PD_DEVICE_OPEN_MM 2u

/**
 * struct pd_rule - where an ioctl's argument holds a descriptor; PD_OP_RULES' answer is pd_resp and
 * an array of these
 * @cmd: the command
 * @flags: PD_RULE_*
 * @offset: of the descriptor, an s32, from the begin of the argument's structure, or of an element
 *	of the array
 * @array: offset in the structure of a pointer to an array whose elements hold one each; 0xffff
 *	without one
 * @count: offset of the u32 that counts the array's elements
 * @stride: bytes of an element
 * @nconds: entries of @cond, all of which must hold
 * @cond: the u32 at @cond.offset of the structure, masked with @cond.mask, is @cond.value; or, with
 *	@cond.flags 1, is not
 *
 * Several rules may have the same command. Made from the kernel's headers by tables/descriptors.py.
 */
struct pd_rule {
	__le32 cmd;
	__le16 flags;
	__le16 offset;
	__le16 array;
	__le16 count;
	__le16 stride;
	__le16 nconds;
	struct pd_rule_cond {
		__le16 offset;
		__le16 flags;
		__le32 mask;
		__le32 value;
	} cond[3];
};

#define PD_RULE_IN 1u /* the program passes it */
#define PD_RULE_OUT 2u /* the driver returns it, when the call succeeds */
#define PD_RULE_COMPAT 4u /* of 32-bit programs; else of 64-bit ones */
#define PD_RULE_RESULT 8u /* the call's result is it */
#define PD_RULE_ARGUMENT 16u /* the argument is it */
/* Whatever size @cmd says: the structure has grown over time; @offset may lie beyond an older one */
#define PD_RULE_GROWS 32u
#define PD_RULE_NO_ARRAY 0xffffu
#define PD_RULE_CONDS 3
#define PD_MAX_RULES 4096

/*
 * Identity: what the host's /sys says of a device and of its ancestors. A sequence of records:
 * for each object, the outermost ancestor first and the device itself last, a PD_ID_OBJECT
 * and then the records that tell of it, in any order. Strings are NUL-terminated. A guest
 * ignores records of unknown types, and does without the identity when it cannot use it.
 */
#define PD_IDENTITY_MAX 65536u /* bytes of a device's identity */
#define PD_IDENTITY_OBJECTS 8u /* the device and its ancestors, at most */
#define PD_IDENTITY_PATH 256u /* bytes of the last object's path, the NUL included */
#define PD_IDENTITY_PROPERTIES 1200u /* bytes of an object's properties, the NULs included */
#define PD_IDENTITY_ATTRIBUTES 256u /* attributes of an object */
#define PD_IDENTITY_VALUE 4095u /* bytes of an attribute's value */

/**
 * struct pd_identity_record - the head of a record; the next one follows its payload, unaligned
 * @type: PD_ID_*
 * @len: bytes of the payload
 */
struct pd_identity_record {
	__le16 type;
	__le16 len;
};

/*
 * Begins an object. Its path below /sys/devices as the guest shall show it, for example
 * "platform/vivid.0/video4linux/video0". It begins with that of the object before it, and a "/";
 * components between the two are plain directories.
 */
#define PD_ID_OBJECT 1u
#define PD_ID_CLASS 2u /* its subsystem, a class: "video4linux". This or the next, once */
#define PD_ID_BUS 3u /* its subsystem, a bus: "pci" */
#define PD_ID_DEVTYPE 4u /* its DEVTYPE; at most once */
#define PD_ID_PROPERTY 5u /* "KEY=value", a further property of its events */
/*
 * An attribute: its name, for example "name" or "capabilities/key" (one folder at most), with its
 * NUL, and its text, up to the payload's end.
 */
#define PD_ID_ATTRIBUTE 6u

/* struct pd_event.type */
#define PD_EV_POLL 1u /* @file may be ready: @arg holds EPOLL* bits */
#define PD_EV_SIGIO 2u /* @file's driver raised SIGIO: @arg holds EPOLL* bits, 0 when unknown */
#define PD_EV_DEVICE_ADD 3u /* the device with index @arg may be described */
#define PD_EV_DEVICE_REMOVE 4u /* the device with id @arg is gone: no new open */

/**
 * struct pd_event - an event, filled into a buffer that the guest posted
 * @type: PD_EV_*
 * @arg: by type
 * @file: handle, 0 without one
 * @lost: events that could not be sent before this one for want of buffers (wake everything)
 * @pad: 0
 */
struct pd_event {
	__le32 type;
	__le32 arg;
	__le64 file;
	__le32 lost;
	__le32 pad;
};

#ifndef __cplusplus
static_assert(sizeof(struct pd_config) == 64, "pd_config");
static_assert(sizeof(struct pd_range) == 16, "pd_range");
static_assert(sizeof(struct pd_pages) == 24, "pd_pages");
static_assert(sizeof(struct pd_fd) == 16, "pd_fd");
static_assert(sizeof(struct pd_rule) == 52, "pd_rule");
static_assert(sizeof(struct pd_req) == 112, "pd_req");
static_assert(sizeof(struct pd_resp) == 64, "pd_resp");
static_assert(sizeof(struct pd_device) == 128, "pd_device");
static_assert(sizeof(struct pd_event) == 24, "pd_event");
static_assert(sizeof(struct pd_identity_record) == 4, "pd_identity_record");
#endif

#endif
