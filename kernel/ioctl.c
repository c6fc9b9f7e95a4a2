// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioctl, of 64-bit and 32-bit programs.
 */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/slab.h>

#include "core.h"
#include "rules.h"
#include "weak.h"

/* from now on pages that the host knows may be pinned by the driver */
static void pd_ioctl_begin(struct pd_mm *m)
{
	spin_lock(&m->lock);
	m->ioctls++;
	m->ioctls_now++;
	spin_unlock(&m->lock);
}

static void pd_ioctl_end(struct pd_mm *m)
{
	spin_lock(&m->lock);
	m->ioctls_now--;
	spin_unlock(&m->lock);
}

static void pd_ioctl_orphaned(struct pd_request *r)
{
	pd_ioctl_end(r->mm);
}

/* memory that goes ahead in messages of its own, as it is too much for one */
static int pd_send_ahead(struct pd_host *host, struct pd_mm *m, struct pd_range *range)
{
	const u64 step = (PD_MAX_PAGES - 2ull) << PAGE_SHIFT;
	u64 addr = le64_to_cpu(range->addr), len = le64_to_cpu(range->len);
	struct pd_request *r;
	long ret = 0;

	while (len > step && ret >= 0) {
		r = pd_req_new(host, PD_OP_DROP, m);
		if (!r)
			return -ENOMEM;
		r->ahead[0].addr = cpu_to_le64(addr);
		r->ahead[0].len = cpu_to_le64(step);
		r->nahead = 1;
		ret = pd_req_run(&r, PD_WAIT_KILL);
		pd_req_free(r);
		addr += step;
		len -= step;
	}
	range->addr = cpu_to_le64(addr);
	range->len = cpu_to_le64(len);
	return ret < 0 ? ret : 0;
}

static int pd_ioctl_ahead(struct pd_request *r, unsigned int cmd, u64 arg, bool compat)
{
	unsigned int i;
	int ret = 0;

	r->nahead = pd_guess(r->mm, cmd, arg, compat, r->ahead, PD_AHEAD);
	for (i = 0; i < r->nahead && !ret; i++)
		ret = pd_send_ahead(r->host, r->mm, &r->ahead[i]);
	return ret;
}

/* an ioctl that may pass descriptors; @fds is the caller's to free, also on failure */
static int pd_ioctl_fds(struct pd_request *r, const struct pd_rules *rules, unsigned int cmd,
			u64 arg, bool compat, struct pd_fds **fds)
{
	*fds = kzalloc(sizeof(**fds), GFP_KERNEL);
	if (!*fds)
		return -ENOMEM;
	(*fds)->rules = rules;
	(*fds)->arg = arg;
	(*fds)->size = _IOC_SIZE(cmd);
	(*fds)->compat = compat;
	return pd_fds_in(*fds, r);
}

/*
 * Would an ioctl of @m's on @pf bring too many pages that drivers may still use, of which none is given
 * back before they are done? What it has of them counts twice: so no program, and no file whose users
 * end one after the other, takes all, and the ioctls of others go on.
 */
static bool pd_ioctl_keeps_too_much(const struct pd_file *pf, const struct pd_mm *m)
{
	unsigned long all = atomic_read(&pd_stats.kept) + atomic_read(&pd_stats.held);
	unsigned long own = READ_ONCE(m->nkept) + READ_ONCE(pf->kept);

	if (pf->keeps_nothing || PD_WEAK(KEPT) || all + own < READ_ONCE(pd_kept_pages))
		return false;
	pr_warn_ratelimited(
		PD_NAME
		": an ioctl of %s[%d] fails with ENOMEM: drivers may still use %lu pages that are given up, %lu of this program or file, until their files are closed (parameter kept_pages)\n",
		current->comm, current->pid, all, own);
	return true;
}

static long pd_do_ioctl(struct file *file, unsigned int cmd, u64 arg, u32 flags)
{
	struct pd_file *pf = file->private_data;
	const struct pd_rules *rules = pd_rules_find(pf->host, cmd, flags & PD_IOCTL_COMPAT);
	struct pd_fds *fds = NULL;
	struct pd_request *r;
	struct pd_mm *m;
	long ret;

	m = pd_file_enter(pf, false, !pf->keeps_nothing);
	if (IS_ERR(m))
		return PTR_ERR(m);
	r = pd_ioctl_keeps_too_much(pf, m) ? NULL : pd_file_request(file, PD_OP_IOCTL, m);
	if (!r) {
		pd_mm_put(m);
		return -ENOMEM;
	}
	r->req.u.ioctl.cmd = cpu_to_le32(cmd);
	r->req.u.ioctl.arg = cpu_to_le64(arg);
	r->req.u.ioctl.flags = cpu_to_le32(flags);
	if (_IOC_DIR(cmd) != _IOC_NONE && _IOC_SIZE(cmd)) {
		r->hint.addr = cpu_to_le64(arg);
		r->hint.len = cpu_to_le64(_IOC_SIZE(cmd));
	}
	if (!pf->keeps_nothing)
		r->orphaned = pd_ioctl_orphaned;

	ret = rules ? pd_ioctl_fds(r, rules, cmd, arg, flags & PD_IOCTL_COMPAT, &fds) : 0;
	if (!ret)
		ret = pd_ioctl_ahead(r, cmd, arg, flags & PD_IOCTL_COMPAT);
	if (!ret) {
		if (!pf->keeps_nothing)
			pd_ioctl_begin(m);
		ret = pd_req_run(&r, PD_WAIT_INTR);
		if (r && !pf->keeps_nothing)
			pd_ioctl_end(m);
	}
	pd_req_free(r);
	pd_file_ran(pf);
	if (fds && ret >= 0)
		ret = pd_fds_out(fds, file, m, ret);
	if (fds)
		pd_fds_free(fds);
	pd_mm_put(m);
	return ret;
}

long pd_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return pd_do_ioctl(file, cmd, arg, 0);
}

long pd_compat_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return pd_do_ioctl(file, cmd, (u32)arg, PD_IOCTL_COMPAT);
}
