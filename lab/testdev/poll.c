// SPDX-License-Identifier: GPL-2.0-only
/* testdev: poll and SIGIO, at once or by a timer. */
#include "internal.h"

__poll_t td_poll(struct file *filp, struct poll_table_struct *table)
{
	struct td_file *f = TD_FILE(filp);

	td_count(f, TD_POLLS, 1);
	poll_wait(filp, &f->wait, table);
	poll_wait(filp, &f->group->wait, table);
	if (td_gone(f))
		return EPOLLHUP | EPOLLERR;
	return READ_ONCE(f->group->mask) | td_rw_ready(f);
}

int td_fasync(int fd, struct file *filp, int on)
{
	struct td_file *f = TD_FILE(filp);
	int ret = fasync_helper(fd, filp, on, &f->fasync);

	if (ret > 0)
		td_count(f, TD_ASYNC_FILES, on ? 1 : -1);
	return min(ret, 0);
}

static void td_poll_now(struct td_group *g, u32 mask)
{
	WRITE_ONCE(g->mask, (__force __poll_t)mask);
	td_group_wake(g, (__force __poll_t)mask);
}

static void td_sigio_now(struct td_group *g, u32 band)
{
	struct td_file *f;

	spin_lock(&g->lock);
	list_for_each_entry(f, &g->files, in_group)
		kill_fasync(&f->fasync, SIGIO, band);
	spin_unlock(&g->lock);
}

static void td_poll_run(struct work_struct *work)
{
	struct td_file *f = container_of(to_delayed_work(work), struct td_file, poll_work);

	td_poll_now(f->group, f->poll_later);
}

static void td_sigio_run(struct work_struct *work)
{
	struct td_file *f = container_of(to_delayed_work(work), struct td_file, sigio_work);

	td_sigio_now(f->group, f->sigio_later);
}

void td_poll_init(struct td_file *f)
{
	INIT_DELAYED_WORK(&f->poll_work, td_poll_run);
	INIT_DELAYED_WORK(&f->sigio_work, td_sigio_run);
}

void td_poll_free(struct td_file *f)
{
	cancel_delayed_work_sync(&f->poll_work);
	cancel_delayed_work_sync(&f->sigio_work);
}

/**
 * td_poll_set() - set what poll says on every file of the group, and wake
 * @f: one of them, whose timer serves when it is to happen later
 * @poll: the mask and the delay
 *
 * Return: 0, -EINVAL.
 */
long td_poll_set(struct td_file *f, const struct td_poll *poll)
{
	if (poll->delay_ms > 10000 || poll->mask > 0xffff)
		return -EINVAL;
	if (poll->delay_ms) {
		f->poll_later = poll->mask;
		cancel_delayed_work(&f->poll_work);
		schedule_delayed_work(&f->poll_work, msecs_to_jiffies(poll->delay_ms));
	} else {
		td_poll_now(f->group, poll->mask);
	}
	return 0;
}

/* As td_poll_set(); the mask is one of POLL_IN .. POLL_HUP, 1 to 6. */
long td_sigio(struct td_file *f, const struct td_poll *poll)
{
	if (poll->delay_ms > 10000 || poll->mask < POLL_IN || poll->mask > POLL_HUP)
		return -EINVAL;
	if (poll->delay_ms) {
		f->sigio_later = poll->mask;
		cancel_delayed_work(&f->sigio_work);
		schedule_delayed_work(&f->sigio_work, msecs_to_jiffies(poll->delay_ms));
	} else {
		td_sigio_now(f->group, poll->mask);
	}
	return 0;
}
