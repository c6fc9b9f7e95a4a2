// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors that ioctls pass. One that goes in is named to the host by the file behind it, and
 * the mirror has that file under the program's own number while the driver looks: nothing in the
 * argument changes. For one that comes out a file of ours is made, and its number takes the place
 * of the mirror's.
 *
 * A rule that is wrong for a driver does no harm: in, the mirror has a file that nobody asks for;
 * out, the host says that no such descriptor was made, and the argument stays as it is.
 */
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "core.h"
#include "rules.h"

static bool pd_conds_hold(const struct pd_fds *fds, const struct pd_fd_rule *rule)
{
	unsigned int i;
	u32 value;

	for (i = 0; i < rule->nconds; i++) {
		const struct pd_fd_cond *c = &rule->cond[i];

		if (get_user(value, (u32 __user *)(fds->arg + c->offset)))
			return false;
		if (((value & c->mask) == c->value) == c->negate)
			return false;
	}
	return true;
}

/* the array of @rule: where it is and how long; false without one that can be read */
static bool pd_rule_array(const struct pd_fds *fds, const struct pd_fd_rule *rule, u64 *array,
			  u32 *count)
{
	compat_uptr_t small;
	int err;

	if (fds->compat) {
		err = get_user(small, (compat_uptr_t __user *)(fds->arg + rule->array));
		*array = small;
	} else {
		err = get_user(*array, (u64 __user *)(fds->arg + rule->array));
	}
	return !err && !get_user(*count, (u32 __user *)(fds->arg + rule->count));
}

/*
 * Calls @each for every descriptor of @rule, with its place in the program's memory; the first
 * error ends it. What cannot be read is left to the driver, which will say so.
 */
static int pd_rule_each(struct pd_fds *fds, const struct pd_fd_rule *rule,
			int (*each)(struct pd_fds *fds, s32 __user *at, void *ctx), void *ctx)
{
	u64 array;
	u32 i, n;
	int ret;

	/* one that the program does not know yet: for the driver it is 0 */
	if (rule->flags & PD_RULE_GROWS && rule->offset + sizeof(s32) > fds->size)
		return 0;
	if (!pd_conds_hold(fds, rule))
		return 0;
	if (rule->array == PD_RULE_NO_ARRAY)
		return each(fds, (s32 __user *)(fds->arg + rule->offset), ctx);
	if (!pd_rule_array(fds, rule, &array, &n))
		return 0;
	for (i = 0; i < n && i < PD_MAX_FDS; i++) {
		ret = each(fds, (s32 __user *)(array + (u64)i * rule->stride + rule->offset), ctx);
		if (ret)
			return ret;
	}
	return 0;
}

/* the program's descriptor @number goes in */
static int pd_fd_add(struct pd_fds *fds, s32 number, struct pd_host *host)
{
	struct pd_file *pf;
	struct file *file;

	if (number < 0)
		return 0; /* for none, as a rule; the driver knows */
	if (number > PD_MAX_FD_NUMBER)
		return -EMFILE;
	if (fds->n == PD_MAX_FDS)
		return -E2BIG;
	fds->fd[fds->n].number = cpu_to_le32(number);
	file = fget(number);
	if (file && file->f_op == &pd_fops) {
		pf = file->private_data;
		if (pf->host == host)
			fds->fd[fds->n].file = cpu_to_le64(pf->handle);
	}
	fds->files[fds->n++] = file;
	return 0;
}

static int pd_fd_add_at(struct pd_fds *fds, s32 __user *at, void *ctx)
{
	s32 number;

	return get_user(number, at) ? 0 : pd_fd_add(fds, number, ctx);
}

/**
 * pd_fds_in() - finds the descriptors that an ioctl of the caller's passes, and adds them to it
 * @fds: zeroed but for @rules, @arg, @size and @compat; lives as long as @r
 * @r: the ioctl's request
 *
 * Return: 0; -EMFILE for a number that is too large, -E2BIG for too many. pd_fds_free() ends it.
 */
int pd_fds_in(struct pd_fds *fds, struct pd_request *r)
{
	const struct pd_fd_rule *rule;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < fds->rules->n && !ret; i++) {
		rule = &fds->rules->rule[i];
		if (!(rule->flags & PD_RULE_IN))
			continue;
		if (rule->flags & PD_RULE_ARGUMENT)
			ret = pd_fd_add(fds, (s32)fds->arg, r->host);
		else
			ret = pd_rule_each(fds, rule, pd_fd_add_at, r->host);
	}
	if (fds->n) {
		r->fds = kmemdup(fds->fd, fds->n * sizeof(*fds->fd), GFP_KERNEL);
		if (!r->fds)
			return -ENOMEM;
		r->nfds = fds->n;
	}
	return ret;
}

void pd_fds_free(struct pd_fds *fds)
{
	unsigned int i;

	for (i = 0; i < fds->n; i++)
		if (fds->files[i])
			fput(fds->files[i]);
	kfree(fds);
}

/* ---- out ---- */

struct pd_taking {
	struct file *file;
	struct pd_mm *m;
};

/* takes over the file that the mirror of @t->m has as @number; ours, or an error */
static struct file *pd_fd_take(const struct pd_taking *t, s32 number, bool *cloexec)
{
	struct pd_request *r = pd_file_request(t->file, PD_OP_FD_TAKE, t->m);
	struct pd_file *pf = t->file->private_data;
	struct pd_resp_open open;
	long ret;

	if (!r)
		return ERR_PTR(-ENOMEM);
	r->req.u.take.number = cpu_to_le32(number);
	r->orphaned = pd_open_orphaned;
	ret = pd_req_run(&r, PD_WAIT_KILL);
	if (ret >= 0)
		open = r->answer.u.open;
	pd_req_free(r);
	if (ret < 0)
		return ERR_PTR(ret);
	*cloexec = le32_to_cpu(open.flags) & PD_FILE_CLOEXEC;
	return pd_anon_file(pf->host, &open);
}

/* a descriptor of the caller's for what the mirror has as @number; or a negative errno */
static int pd_fd_install(const struct pd_taking *t, s32 number, int (*tell)(void *at, int fd),
			 void *at)
{
	struct file *file;
	bool cloexec;
	int fd, ret;

	file = pd_fd_take(t, number, &cloexec);
	if (IS_ERR(file))
		return PTR_ERR(file);
	fd = get_unused_fd_flags(cloexec ? O_CLOEXEC : 0);
	ret = fd < 0 ? fd : tell(at, fd);
	if (ret) {
		if (fd >= 0)
			put_unused_fd(fd);
		fput(file);
		return ret;
	}
	fd_install(fd, file);
	return 0;
}

static int pd_tell_field(void *at, int fd)
{
	return put_user(fd, (s32 __user *)at);
}

static int pd_tell_result(void *at, int fd)
{
	*(long *)at = fd;
	return 0;
}

static int pd_fd_out_at(struct pd_fds *fds, s32 __user *at, void *ctx)
{
	s32 number;
	int ret;

	if (get_user(number, at) || number < 0)
		return 0;
	ret = pd_fd_install(ctx, number, pd_tell_field, (__force void *)at);
	return ret == -EBADF ? 0 : ret;
}

/**
 * pd_fds_out() - makes descriptors of the caller's for those that an ioctl returned
 * @fds: its
 * @file: on which it ran
 * @m: the caller's address space
 * @result: the call's, not negative
 *
 * Return: what the program is to be told as the result: as a rule @result.
 */
long pd_fds_out(struct pd_fds *fds, struct file *file, struct pd_mm *m, long result)
{
	struct pd_taking t = { .file = file, .m = m };
	const struct pd_fd_rule *rule;
	unsigned int i;
	int ret;

	for (i = 0; i < fds->rules->n; i++) {
		rule = &fds->rules->rule[i];
		if (!(rule->flags & PD_RULE_OUT))
			continue;
		if (rule->flags & PD_RULE_RESULT)
			ret = pd_fd_install(&t, result, pd_tell_result, &result);
		else
			ret = pd_rule_each(fds, rule, pd_fd_out_at, &t);
		if (ret && ret != -EBADF)
			return ret;
	}
	return result;
}
