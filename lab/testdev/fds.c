// SPDX-License-Identifier: GPL-2.0-only
/* testdev: descriptors that go in and out through ioctls. */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/slab.h>

#include "internal.h"

/* What a descriptor made by TD_FD_OUT stands for. */
struct td_object {
	struct mutex lock;
	wait_queue_head_t wait;
	struct page *page;
	u64 value;
};

static atomic_t objects = ATOMIC_INIT(0);

static ssize_t td_obj_read(struct file *filp, char __user *buf, size_t len, loff_t *pos)
{
	struct td_object *obj = filp->private_data;
	char text[24];
	int n;

	mutex_lock(&obj->lock);
	n = scnprintf(text, sizeof(text), "%llu\n", obj->value);
	mutex_unlock(&obj->lock);
	return simple_read_from_buffer(buf, len, pos, text, n);
}

static long td_obj_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct td_object *obj = filp->private_data;
	u64 __user *argp = (u64 __user *)arg;
	u64 value;

	switch (cmd) {
	case TD_OBJ_GET:
		return put_user(obj->value, argp);
	case TD_OBJ_SET:
		if (get_user(value, argp))
			return -EFAULT;
		mutex_lock(&obj->lock);
		obj->value = value;
		mutex_unlock(&obj->lock);
		if (value & 1)
			wake_up_poll(&obj->wait, EPOLLIN);
		return 0;
	default:
		return -ENOTTY;
	}
}

static __poll_t td_obj_poll(struct file *filp, struct poll_table_struct *table)
{
	struct td_object *obj = filp->private_data;

	poll_wait(filp, &obj->wait, table);
	return READ_ONCE(obj->value) & 1 ? EPOLLIN | EPOLLRDNORM : 0;
}

static int td_obj_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct td_object *obj = filp->private_data;

	if (vma_pages(vma) != 1 || vma->vm_pgoff)
		return -EINVAL;
	vm_flags_set(vma, VM_DONTEXPAND);
	return vm_insert_page(vma, vma->vm_start, obj->page);
}

static int td_obj_release(struct inode *inode, struct file *filp)
{
	struct td_object *obj = filp->private_data;

	__free_page(obj->page);
	kfree(obj);
	atomic_dec(&objects);
	return 0;
}

static const struct file_operations td_obj_fops = {
	.owner = THIS_MODULE,
	.read = td_obj_read,
	.unlocked_ioctl = td_obj_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = td_obj_poll,
	.mmap = td_obj_mmap,
	.release = td_obj_release,
};

/* Say what a descriptor of the caller is; -EBADF when it is none. */
long td_fd_in(struct td_fd_in *in)
{
	struct file *filp = fget(in->fd);

	if (!filp)
		return -EBADF;
	in->type = file_inode(filp)->i_mode & S_IFMT;
	in->access = filp->f_flags & O_ACCMODE;
	in->pos = filp->f_pos;
	in->ours = 0;
	in->value = 0;
	if (filp->f_op == &td_fops) {
		in->ours = 1;
	} else if (filp->f_op == &td_obj_fops) {
		in->ours = 2;
		in->value = ((struct td_object *)filp->private_data)->value;
	}
	fput(filp);
	return 0;
}

/* Make an object and install a descriptor for it in the caller. */
long td_fd_out(struct td_fd_out *out)
{
	struct td_object *obj = kzalloc(sizeof(*obj), GFP_KERNEL);
	int fd;

	if (!obj)
		return -ENOMEM;
	obj->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!obj->page) {
		kfree(obj);
		return -ENOMEM;
	}
	mutex_init(&obj->lock);
	init_waitqueue_head(&obj->wait);
	obj->value = out->value;
	fd = anon_inode_getfd("[testdev-object]", &td_obj_fops, obj,
			      O_RDWR | (out->cloexec ? O_CLOEXEC : 0));
	if (fd < 0) {
		__free_page(obj->page);
		kfree(obj);
		return fd;
	}
	atomic_inc(&objects);
	out->fd = fd;
	return 0;
}

/* Read from a descriptor of the caller into the caller's memory. */
long td_fd_pread(struct td_fd_pread *pread)
{
	loff_t pos = pread->pos;
	struct file *filp;
	ssize_t n;
	u8 *data;

	if (pread->len > 4096)
		return -EINVAL;
	filp = fget(pread->fd);
	if (!filp)
		return -EBADF;
	if (!(filp->f_mode & FMODE_READ)) {
		fput(filp);
		return -EBADF;
	}
	data = kmalloc(4096, GFP_KERNEL);
	if (!data) {
		fput(filp);
		return -ENOMEM;
	}
	n = kernel_read(filp, data, pread->len, &pos);
	if (n >= 0 && copy_to_user((void __user *)(unsigned long)pread->addr, data, n))
		n = -EFAULT;
	if (n >= 0)
		pread->len = n;
	kfree(data);
	fput(filp);
	return min_t(ssize_t, n, 0);
}

void td_fds_stat(struct td_stat *stat)
{
	stat->count[TD_OBJECTS] = atomic_read(&objects);
}
