// SPDX-License-Identifier: GPL-2.0-only
/* testdev: open, flush and release, and the table of file operations. */
#include <linux/module.h>
#include <linux/slab.h>

#include "internal.h"

static int td_open(struct inode *inode, struct file *filp)
{
	struct td_file *f;
	int ret;

	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return -ENOMEM;
	f->filp = filp;
	f->minor = iminor(inode);
	f->open_flags = filp->f_flags;
	f->opener = get_pid(task_tgid(current));
	f->group = td_group_new(0);
	if (!f->group) {
		ret = -ENOMEM;
		goto free;
	}
	f->own = f->group;
	list_add(&f->in_group, &f->group->files);
	td_count(f, TD_FILES, 1);
	mutex_init(&f->lock);
	init_waitqueue_head(&f->wait);
	INIT_LIST_HEAD(&f->packets);
	INIT_LIST_HEAD(&f->done);
	INIT_LIST_HEAD(&f->jobs);
	INIT_LIST_HEAD(&f->pins);
	td_poll_init(f);

	if (f->minor == TD_MINOR_OPEN) {
		ret = td_opens_enter(filp);
		if (ret)
			goto leave;
	}
	if (f->minor == TD_MINOR_HOT) {
		f->plug = td_plug_enter(f);
		if (!f->plug) {
			ret = -ENODEV;
			goto leave;
		}
	}
	filp->private_data = f;
	return 0;

leave:
	td_group_leave(f);
free:
	put_pid(f->opener);
	kfree(f);
	return ret;
}

static int td_flush(struct file *filp, fl_owner_t id)
{
	td_count(TD_FILE(filp), TD_FLUSHES, 1);
	return 0;
}

static int td_release(struct inode *inode, struct file *filp)
{
	struct td_file *f = TD_FILE(filp);

	td_poll_free(f);
	td_jobs_free(f);
	td_pins_free(f);
	td_rw_free(f);
	td_maps_free(f);
	td_large_free(f);
	if (f->minor == TD_MINOR_OPEN)
		td_opens_leave();
	td_plug_leave(f);
	td_group_leave(f);
	put_pid(f->opener);
	kfree(f);
	return 0;
}

const struct file_operations td_fops = {
	.owner = THIS_MODULE,
	.open = td_open,
	.flush = td_flush,
	.release = td_release,
	.llseek = td_llseek,
	.read_iter = td_read_iter,
	.write_iter = td_write_iter,
	.splice_read = TD_SPLICE_READ,
	.splice_write = iter_file_splice_write,
	.fsync = td_fsync,
	.poll = td_poll,
	.fasync = td_fasync,
	.unlocked_ioctl = td_ioctl,
	.compat_ioctl = td_compat_ioctl,
	.mmap = td_mmap,
};
