/* SPDX-License-Identifier: GPL-2.0-only */
/* testdev: what its files share. */
#ifndef TESTDEV_INTERNAL_H
#define TESTDEV_INTERNAL_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "testdev.h"

enum td_minor { TD_MINOR_MAIN, TD_MINOR_OPEN, TD_MINOR_HOT, TD_MINOR_CTL, TD_MINORS };

/**
 * struct td_group - what files that named the same id share (group.c)
 * @ref: held by each member
 * @node: in the list of all groups; empty for a file's private group
 * @lock: protects @files, @tickets and @value
 * @wait: woken by tickets and by changes of @mask
 * @shared: the TD_MAP_SHARED buffer, set once
 */
struct td_group {
	struct kref ref;
	struct list_head node;
	u64 id;
	spinlock_t lock;
	struct list_head files;
	wait_queue_head_t wait;
	u32 tickets;
	u32 value;
	__poll_t mask;
	atomic_t count[TD_COUNTS];
	struct td_mapbuf *shared;
};

/* One life of testdev-hot, from plug to unplug (node.c). */
struct td_plug {
	struct kref ref;
	struct list_head files;
	bool gone;
};

struct td_ring {
	u8 *data;
	u32 size, head, len;
};

/**
 * struct td_file - one open file
 * @group: where it belongs; @own is the private one it was opened with
 * @plug: the life of testdev-hot that it was opened in, NULL on other nodes
 * @lock: protects everything below
 * @wait: woken when the file becomes readable or writable
 */
struct td_file {
	struct file *filp;
	int minor;
	u32 open_flags;
	struct td_group *group, *own;
	bool watcher;
	struct list_head in_group;
	struct td_plug *plug;
	struct list_head in_plug;
	struct fasync_struct *fasync;
	struct delayed_work poll_work, sigio_work;
	u32 poll_later, sigio_later;
	wait_queue_head_t wait;

	struct mutex lock;
	struct td_mode mode;
	u32 segments;
	u64 last_count, last_pos;
	struct td_ring ring;
	u8 *mem;
	struct list_head packets;
	struct list_head done; /* finished jobs */
	struct list_head jobs;
	struct list_head pins;
	u32 next_pin;
	struct td_mapbuf *bufs[TD_MAP_KINDS];
	void *large; /* TD_MAP_LARGE's memory, or NULL */
	struct pid *opener;
};

#define TD_FILE(filp) ((struct td_file *)(filp)->private_data)

/* Counters of the whole driver (group.c). */
extern atomic_t td_all[TD_COUNTS];

static inline void td_count(struct td_file *f, enum td_count which, int delta)
{
	atomic_add(delta, &f->group->count[which]);
	atomic_add(delta, &td_all[which]);
}

static inline bool td_gone(const struct td_file *f)
{
	return f->plug && READ_ONCE(f->plug->gone);
}

/*
 * Sleep until @cond, counted as blocked. 0, -ERESTARTSYS, or -ENODEV when the
 * device went away. To be called without locks.
 */
#define td_wait(f, wq, cond)                                                 \
	({                                                                   \
		int td_ret;                                                  \
		td_count(f, TD_BLOCKED, 1);                                  \
		td_ret = wait_event_interruptible(wq, (cond) || td_gone(f)); \
		td_count(f, TD_BLOCKED, -1);                                 \
		if (td_ret)                                                  \
			td_count(f, TD_INTERRUPTED, 1);                      \
		else if (td_gone(f))                                         \
			td_ret = -ENODEV;                                    \
		td_ret;                                                      \
	})

/* core.c */
extern const struct file_operations td_fops;

/* group.c */
struct td_group *td_group_new(u64 id);
void td_group_put(struct td_group *g);
int td_group_join(struct td_file *f, const struct td_join *join);
void td_group_leave(struct td_file *f);
void td_group_wake(struct td_group *g, __poll_t mask);
bool td_group_take(struct td_group *g, u32 *value);
void td_group_stat(struct td_file *f, struct td_stat *stat);

/* node.c */
struct td_plug *td_plug_enter(struct td_file *f);
void td_plug_leave(struct td_file *f);
int td_plug(void);
int td_unplug(void);

/* opens.c */
int td_opens_enter(struct file *filp);
void td_opens_leave(void);
void td_opens_set(const struct td_open_set *set);
void td_opens_stat(struct td_stat *stat);

/* ioctl.c, compat32.c */
long td_ioctl(struct file *filp, unsigned int cmd, unsigned long arg);
long td_compat_ioctl(struct file *filp, unsigned int cmd, unsigned long arg);

/* nested.c: how a program of either width lays out the nested structures */
struct td_nest_layout {
	int (*get_mid)(const struct td_top *top, u32 i, struct td_mid *mid);
	int (*put_mid)(const struct td_top *top, u32 i, const struct td_mid *mid);
	int (*get_leaf)(const struct td_mid *mid, u32 i, struct td_leaf *leaf);
	int (*put_leaf)(const struct td_mid *mid, u32 i, const struct td_leaf *leaf);
};
extern const struct td_nest_layout td_nest_native;
int td_nest(struct td_top *top, const struct td_nest_layout *layout);
int td_array(struct td_array *array);
int td_string(const struct td_string *string);
int td_flex(struct td_flex __user *flex);

/* touch.c */
int td_touch(struct td_touch *touch);

/* numbers.c */
long td_numbers(unsigned int cmd, unsigned long arg);

/* rw.c */
ssize_t td_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t td_write_iter(struct kiocb *iocb, struct iov_iter *from);
loff_t td_llseek(struct file *filp, loff_t offset, int whence);
int td_fsync(struct file *filp, loff_t start, loff_t end, int datasync);
int td_set_mode(struct td_file *f, const struct td_mode *mode);
__poll_t td_rw_ready(struct td_file *f);
void td_rw_free(struct td_file *f);

/* loop.c */
ssize_t td_loop_read(struct td_file *f, struct iov_iter *to, bool nowait);
ssize_t td_loop_write(struct td_file *f, struct iov_iter *from, bool nowait);

/* packet.c */
ssize_t td_packet_read(struct td_file *f, struct iov_iter *to, bool nowait);
ssize_t td_packet_write(struct td_file *f, struct iov_iter *from);
void td_packets_free(struct td_file *f);

/* pins.c */
struct td_pinned {
	struct list_head node;
	u32 id;
	u32 offset; /* of the first byte in the first page */
	unsigned long len;
	long n;
	bool writable;
	struct page **pages;
};
struct td_pinned *td_pin_pages(struct td_file *f, const struct td_pin *pin);
void td_unpin_pages(struct td_file *f, struct td_pinned *p);
void td_pin_fill(struct td_pinned *p, unsigned long offset, unsigned long len, u32 seed);
long td_pin(struct td_file *f, struct td_pin *pin);
long td_pin_io(struct td_file *f, struct td_pin_io *io, bool write);
long td_pin_free(struct td_file *f, u32 id);
void td_pins_free(struct td_file *f);

/* block.c */
long td_block(struct td_file *f, struct td_block *block);
long td_wake(struct td_file *f, const struct td_wake *wake);

/* async.c */
long td_submit(struct td_file *f, const struct td_submit *submit);
long td_cancel(struct td_file *f, u64 cookie);
ssize_t td_done_read(struct td_file *f, struct iov_iter *to, bool nowait);
void td_jobs_free(struct td_file *f);

/* poll.c */
void td_poll_init(struct td_file *f);
void td_poll_free(struct td_file *f);
__poll_t td_poll(struct file *filp, struct poll_table_struct *table);
int td_fasync(int fd, struct file *filp, int on);
long td_poll_set(struct td_file *f, const struct td_poll *poll);
long td_sigio(struct td_file *f, const struct td_poll *poll);

/* map.c, mapbuf.c */
int td_mmap(struct file *filp, struct vm_area_struct *vma);
struct td_mapbuf {
	struct page *bank[2][TD_MAP_PAGES];
	void *vmalloc; /* of TD_MAP_VMALLOC, the pages are its */
	unsigned int order; /* when bank[0] is one allocation */
	int current_bank;
	struct mutex lock; /* orders faults and switches */
	atomic_t maps;
};
struct td_mapbuf *td_mapbuf_get(struct td_file *f, u32 kind);
void td_mapbuf_free(struct td_mapbuf *buf);
long td_map_io(struct td_file *f, struct td_map_io *io, bool write);
long td_map_switch(struct td_file *f);
long td_map_free(struct td_file *f, u32 kind);
void td_maps_free(struct td_file *f);

/* large.c */
int td_large_map(struct td_file *f, struct vm_area_struct *vma);
void td_large_free(struct td_file *f);

/* fds.c */
long td_fd_in(struct td_fd_in *in);
long td_fd_out(struct td_fd_out *out);
long td_fd_pread(struct td_fd_pread *pread);
void td_fds_stat(struct td_stat *stat);

#endif
