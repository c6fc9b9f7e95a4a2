// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open files: open, release, flush, llseek, fsync, and who uses them.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/splice.h>

#include "compat/compat.h"
#include "core.h"
#include "weak.h"

/* the flags of an open file as the protocol has them */
u32 pd_oflags(const struct file *file)
{
	static const struct {
		unsigned int ours;
		u32 theirs;
	} map[] = {
		{ O_EXCL, PD_O_EXCL },	   { O_NOCTTY, PD_O_NOCTTY },	  { O_TRUNC, PD_O_TRUNC },
		{ O_APPEND, PD_O_APPEND }, { O_NONBLOCK, PD_O_NONBLOCK }, { O_DSYNC, PD_O_DSYNC },
		{ O_DIRECT, PD_O_DIRECT }, { O_SYNC, PD_O_SYNC },
	};
	unsigned int flags = READ_ONCE(file->f_flags), i;
	u32 ret = flags & O_ACCMODE;

	for (i = 0; i < ARRAY_SIZE(map); i++)
		if ((flags & map[i].ours) == map[i].ours)
			ret |= map[i].theirs;
	return ret;
}

/* a request that concerns @file; NULL without memory */
struct pd_request *pd_file_request(struct file *file, enum pd_op op, struct pd_mm *mm)
{
	struct pd_file *pf = file->private_data;
	struct pd_request *r = pd_req_new(pf->host, op, mm);

	if (r) {
		r->req.file = cpu_to_le64(pf->handle);
		r->req.oflags = cpu_to_le32(pd_oflags(file));
	}
	return r;
}

void pd_file_put(struct pd_file *pf)
{
	if (!refcount_dec_and_test(&pf->ref))
		return;
	pd_host_put(pf->host);
	atomic_dec(&pd_stats.files);
	kfree_rcu(pf, rcu);
}

/* ---- users ---- */

static int pd_file_use(struct pd_file *pf, struct pd_mm *m, bool ioctl)
{
	bool used;
	int ret;

	if (!pd_mm_use(m))
		return -ESTALE;
	xa_lock(&pf->users);
	ret = __xa_insert(&pf->users, m->id, m, GFP_KERNEL);
	if (!ret)
		pd_mm_get(m);
	used = !ret;
	if (ret == -EBUSY)
		ret = 0; /* it has used it before, or another thread was faster */
	if (!ret && ioctl && !xa_get_mark(&pf->users, m->id, PD_USED_IOCTL)) {
		__xa_set_mark(&pf->users, m->id, PD_USED_IOCTL);
		spin_lock(&m->lock);
		m->ioctl_files++;
		spin_unlock(&m->lock);
	}
	xa_unlock(&pf->users);
	if (!used)
		pd_mm_unuse(m);
	return ret;
}

/**
 * pd_file_enter() - the caller's address space, noted as a user of a file
 * @pf: file
 * @mmap_locked: the caller holds the mmap_lock for writing
 * @ioctl: it runs an ioctl whose driver may pin pages: those are kept until the file is released
 *
 * Return: the address space, counted, or an error.
 */
struct pd_mm *pd_file_enter(struct pd_file *pf, bool mmap_locked, bool ioctl)
{
	struct pd_mm *m;
	bool known;
	int ret;

	do {
		m = pd_mm_current(pf->host, mmap_locked);
		if (IS_ERR(m))
			return m;
		rcu_read_lock();
		known = xa_load(&pf->users, m->id) &&
			(!ioctl || xa_get_mark(&pf->users, m->id, PD_USED_IOCTL));
		rcu_read_unlock();
		ret = known ? 0 : pd_file_use(pf, m, ioctl);
		if (!ret)
			return m;
		/* it had no files and is ending: it gets a new one */
		if (ret == -ESTALE)
			pd_mm_wait_gone(m, PD_EXIT_WAIT);
		pd_mm_put(m);
	} while (ret == -ESTALE);
	return ERR_PTR(ret);
}

/*
 * @pf's user @id is one no more: who it was, or NULL. @last: of the files that it used for ioctls this
 * was the last; pf->users' lock held
 */
static struct pd_mm *pd_file_drop_user(struct pd_file *pf, unsigned long id, bool *last)
{
	bool marked = xa_get_mark(&pf->users, id, PD_USED_IOCTL);
	struct pd_mm *m = __xa_erase(&pf->users, id);

	*last = false;
	if (m && marked) {
		spin_lock(&m->lock);
		*last = !--m->ioctl_files;
		spin_unlock(&m->lock);
	}
	return m;
}

/* @m is gone; files forget it, but for those whose drivers may use its pages. @m is held */
void pd_file_forget_mm(struct pd_host *host, struct pd_mm *m)
{
	/* none is added any more, and none goes while such a file is open */
	unsigned long nkept = READ_ONCE(m->nkept);
	unsigned long handle;
	struct pd_file *pf;

	rcu_read_lock();
	xa_for_each(&host->files, handle, pf) {
		struct pd_mm *old = NULL;
		bool last;

		xa_lock(&pf->users);
		if (nkept && xa_get_mark(&pf->users, m->id, PD_USED_IOCTL))
			WRITE_ONCE(pf->kept, pf->kept + nkept);
		else
			old = pd_file_drop_user(pf, m->id, &last);
		xa_unlock(&pf->users);
		if (old) {
			pd_mm_unuse(old);
			pd_mm_put(old);
		}
	}
	rcu_read_unlock();
}

/* ---- open and release ---- */

void pd_file_free(struct pd_file *pf)
{
	struct pd_mm *m;
	unsigned long id;
	bool last;

	xa_for_each(&pf->users, id, m) {
		/* pd_file_forget_mm() may do the same */
		xa_lock(&pf->users);
		m = pd_file_drop_user(pf, id, &last);
		xa_unlock(&pf->users);
		if (!m)
			continue;
		if (last)
			pd_mm_release_kept(m);
		pd_mm_unuse(m);
		pd_mm_put(m);
	}
	xa_destroy(&pf->users);
	pd_file_put(pf);
}

/* the driver has released the file, or will never tell */
void pd_file_released(struct pd_file *pf)
{
	xa_erase_irq(&pf->host->files, pf->handle);
	pd_file_free(pf);
}

static void pd_release_orphaned(struct pd_request *r)
{
	pd_file_released(r->priv);
}

/* releases at the host a file that nobody has any more */
void pd_file_release_handle(struct pd_host *host, u64 handle)
{
	struct pd_request *r = pd_req_new_sure(host, PD_OP_RELEASE, NULL);

	r->req.file = cpu_to_le64(handle);
	pd_req_run(&r, PD_WAIT_HOST);
	pd_req_free(r);
}

/* who opened it was killed meanwhile */
void pd_open_orphaned(struct pd_request *r)
{
	if (r->result >= 0 && r->answer.u.open.file)
		pd_file_release_handle(r->host, le64_to_cpu(r->answer.u.open.file));
}

/* a file without a handle, to be settled or freed; NULL without memory */
struct pd_file *pd_file_new(struct pd_host *host)
{
	struct pd_file *pf = kzalloc(sizeof(*pf), GFP_KERNEL);

	if (!pf)
		return NULL;
	refcount_set(&pf->ref, 1);
	pf->host = pd_host_get(host);
	xa_init(&pf->users);
	mutex_init(&pf->asks);
	spin_lock_init(&pf->lock);
	init_waitqueue_head(&pf->wait);
	init_waitqueue_head(&pf->maps_wait);
	atomic_inc(&pd_stats.files);
	return pf;
}

/* gives @pf the handle that the host told; on failure the host has the file no more. May sleep */
int pd_file_settle(struct pd_file *pf, const struct pd_resp_open *open)
{
	struct pd_host *host = pf->host;
	int ret;

	pf->handle = le64_to_cpu(open->file);
	pf->stream = le32_to_cpu(open->flags) & PD_FILE_STREAM;
	pf->keeps_nothing = le32_to_cpu(open->flags) & PD_FILE_KEEPS_NOTHING;
	if (!pf->handle)
		return -EIO;
	ret = xa_insert_irq(&host->files, pf->handle, pf, GFP_KERNEL);
	if (ret == -EBUSY && PD_WEAK(HANDLES))
		return 0;
	if (ret == -EBUSY)
		return -EIO; /* the handle of another file: the host errs */
	if (ret)
		pd_file_release_handle(host, pf->handle);
	return ret;
}

/* a file whose mirror was killed is opened by a new one */
static void pd_open_renew(struct pd_host *host)
{
	if (current->mm)
		pd_mm_renew(host, current->mm);
	pd_mm_renew(host, NULL);
}

static int pd_open(struct inode *inode, struct file *file)
{
	struct pd_node *node = container_of(inode->i_cdev, struct pd_node, cdev);
	struct pd_host *host = node->host;
	struct pd_mm *m = NULL;
	struct pd_request *r;
	struct pd_file *pf;
	long ret;

	if (READ_ONCE(node->gone))
		return -ENODEV;
	pf = pd_file_new(host);
	if (!pf)
		return -ENOMEM;
	if (node->open_mm) {
		pd_open_renew(host);
		m = pd_file_enter(pf, false, false);
		if (IS_ERR(m)) {
			ret = PTR_ERR(m);
			m = NULL;
			goto err;
		}
	}
	ret = -ENOMEM;
	r = pd_req_new(host, PD_OP_OPEN, m);
	if (!r)
		goto err;
	r->req.oflags = cpu_to_le32(pd_oflags(file));
	r->req.u.open.device = cpu_to_le32(node->id);
	r->orphaned = pd_open_orphaned;
	ret = pd_req_run(&r, PD_WAIT_INTR);
	if (ret >= 0)
		ret = pd_file_settle(pf, &r->answer.u.open);
	pd_req_free(r);
	if (ret < 0)
		goto err;
	file->private_data = pf;
	if (m)
		pd_mm_put(m);
	else
		pd_open_renew(host);
	/* whether it waits is for the driver to decide */
	file->f_mode |= FMODE_NOWAIT;
	return pf->stream ? stream_open(inode, file) : 0;

err:
	if (m)
		pd_mm_put(m);
	pd_file_free(pf);
	return ret;
}

/* waits for the end of the processes that used @pf and are about to end */
static void pd_file_wait_users(struct pd_file *pf)
{
	unsigned long id = 0;
	struct pd_mm *m;

	for (;;) {
		xa_lock(&pf->users);
		m = xa_find(&pf->users, &id, ULONG_MAX, XA_PRESENT);
		if (m)
			pd_mm_get(m);
		xa_unlock(&pf->users);
		if (!m)
			return;
		pd_mm_wait_gone(m, PD_EXIT_WAIT);
		pd_mm_put(m);
		id++;
	}
}

/*
 * The last reference is gone. When this returns the driver's release has run, so that the device
 * is free for the next; natively the mappings and the pins of the process went before it, too.
 */
static int pd_release(struct inode *inode, struct file *file)
{
	struct pd_file *pf = file->private_data;
	struct pd_request *r;

	pd_file_wait_users(pf);
	wait_event_timeout(pf->maps_wait, !atomic_read(&pf->maps), PD_EXIT_WAIT);

	r = pd_req_new_sure(pf->host, PD_OP_RELEASE, NULL);
	r->req.file = cpu_to_le64(pf->handle);
	r->orphaned = pd_release_orphaned;
	r->priv = pf;
	pd_req_run(&r, PD_WAIT_EXIT);
	if (!r)
		return 0; /* it goes when the answer comes */
	pd_req_free(r);
	pd_file_released(pf);
	return 0;
}

/* ---- the simple operations ---- */

/* runs an operation that has no memory of its own */
static long pd_file_run(struct file *file, struct pd_request *r, enum pd_wait how)
{
	long ret;

	if (!r)
		return -ENOMEM;
	ret = pd_req_run(&r, how);
	pd_req_free(r);
	pd_file_ran(file->private_data);
	return ret;
}

/* a descriptor is closed: the driver's flush runs where this process has used the file */
static int pd_flush(struct file *file, fl_owner_t id)
{
	struct pd_file *pf = file->private_data;
	struct pd_mm *m;
	long ret = 0;

	if (!current->mm || pd_host_lost(pf->host))
		return 0;
	m = pd_mm_find(pf->host, current->mm);
	if (!m)
		return 0;
	if (xa_load(&pf->users, m->id))
		ret = pd_file_run(file, pd_file_request(file, PD_OP_FLUSH, m), PD_WAIT_INTR);
	pd_mm_put(m);
	return ret;
}

static loff_t pd_llseek(struct file *file, loff_t offset, int whence)
{
	struct pd_file *pf = file->private_data;
	struct pd_request *r;
	struct pd_mm *m;
	loff_t ret;

	if (whence == SEEK_CUR) {
		if (check_add_overflow(offset, file->f_pos, &offset))
			return -EOVERFLOW;
		whence = SEEK_SET;
	}
	m = pd_file_enter(pf, false, false);
	if (IS_ERR(m))
		return PTR_ERR(m);
	ret = -ENOMEM;
	r = pd_file_request(file, PD_OP_LLSEEK, m);
	if (r) {
		r->req.u.seek.offset = cpu_to_le64(offset);
		r->req.u.seek.whence = cpu_to_le32(whence);
		ret = pd_req_run(&r, PD_WAIT_INTR);
		if (ret >= 0) {
			ret = le64_to_cpu(r->answer.u.seek.pos);
			if (ret < 0 && !PD_WEAK(POSITIONS))
				ret = -EIO;
			else
				file->f_pos = ret;
		}
		pd_req_free(r);
		pd_file_ran(pf);
	}
	pd_mm_put(m);
	return ret;
}

static int pd_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct pd_file *pf = file->private_data;
	struct pd_request *r;
	struct pd_mm *m;
	long ret;

	m = pd_file_enter(pf, false, false);
	if (IS_ERR(m))
		return PTR_ERR(m);
	r = pd_file_request(file, PD_OP_FSYNC, m);
	if (r)
		r->req.u.fsync.datasync = cpu_to_le32(!!datasync);
	ret = pd_file_run(file, r, PD_WAIT_INTR);
	pd_mm_put(m);
	return ret;
}

const struct file_operations pd_fops = {
	.owner = THIS_MODULE,
	.open = pd_open,
	.release = pd_release,
	.flush = pd_flush,
	.llseek = pd_llseek,
	.read_iter = pd_read_iter,
	.write_iter = pd_write_iter,
	.splice_read = pd_splice_read,
	.splice_write = iter_file_splice_write,
	.fsync = pd_fsync,
	.poll = pd_poll,
	.fasync = pd_fasync,
	.unlocked_ioctl = pd_ioctl,
	.compat_ioctl = pd_compat_ioctl,
	.mmap = pd_mmap,
};
