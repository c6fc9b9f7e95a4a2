// SPDX-License-Identifier: GPL-2.0-only
/* testdev: jobs that an ioctl submits and a worker finishes later. */
#include <linux/slab.h>
#include <linux/uio.h>

#include "internal.h"

/**
 * struct td_job - one job, from submission to the read of its completion
 * @node: in f->jobs while under way, in f->done afterwards
 * @f: the file that submitted it
 * @work: runs it
 * @pins: the memory that it writes, NULL once it ended
 * @seed: the pattern that it writes
 * @done: what read() tells of it
 */
struct td_job {
	struct list_head node;
	struct td_file *f;
	struct delayed_work work;
	struct td_pinned *pins;
	u32 seed;
	struct td_done done;
};

/* Called with f->lock held: the caller may free the file after unlocking. */
static void td_job_finish(struct td_job *job, int result)
{
	struct td_file *f = job->f;

	job->done.result = result;
	td_unpin_pages(f, job->pins);
	job->pins = NULL;
	list_move_tail(&job->node, &f->done);
	td_count(f, TD_JOBS, -1);
	wake_up_interruptible_poll(&f->wait, EPOLLIN | EPOLLRDNORM);
	kill_fasync(&f->fasync, SIGIO, POLL_IN);
}

static void td_job_run(struct work_struct *work)
{
	struct td_job *job = container_of(to_delayed_work(work), struct td_job, work);
	struct td_file *f = job->f;

	mutex_lock(&f->lock);
	td_pin_fill(job->pins, 0, job->pins->len, job->seed);
	td_job_finish(job, job->pins->len);
	mutex_unlock(&f->lock);
}

/* The worker may still be about to unlock: wait for it. */
static void td_job_free(struct td_job *job)
{
	cancel_delayed_work_sync(&job->work);
	if (job->pins) {
		td_unpin_pages(job->f, job->pins);
		td_count(job->f, TD_JOBS, -1);
	}
	kfree(job);
}

/**
 * td_submit() - have the pattern written into the caller's memory later
 * @f: the file; read() in TD_MODE_DONE tells the end
 * @submit: where and when
 *
 * Return: 0, -EINVAL, -ENOMEM, or why the memory could not be pinned.
 */
long td_submit(struct td_file *f, const struct td_submit *submit)
{
	struct td_pin pin = {
		.addr = submit->addr,
		.len = submit->len,
		.flags = TD_PIN_WRITABLE,
	};
	struct td_job *job;

	if (submit->delay_ms > 60000)
		return -EINVAL;
	job = kzalloc(sizeof(*job), GFP_KERNEL);
	if (!job)
		return -ENOMEM;
	job->pins = td_pin_pages(f, &pin);
	if (IS_ERR(job->pins)) {
		long ret = PTR_ERR(job->pins);

		kfree(job);
		return ret;
	}
	job->f = f;
	job->seed = submit->seed;
	job->done.cookie = submit->cookie;
	INIT_DELAYED_WORK(&job->work, td_job_run);
	mutex_lock(&f->lock);
	list_add_tail(&job->node, &f->jobs);
	td_count(f, TD_JOBS, 1);
	schedule_delayed_work(&job->work, msecs_to_jiffies(submit->delay_ms));
	mutex_unlock(&f->lock);
	return 0;
}

/* A cancelled job completes with ECANCELED; -ENOENT when it ended before. */
long td_cancel(struct td_file *f, u64 cookie)
{
	struct td_job *job;
	long ret = -ENOENT;

	mutex_lock(&f->lock);
	list_for_each_entry(job, &f->jobs, node) {
		if (job->done.cookie != cookie)
			continue;
		/* False: the worker waits for our lock and will finish it. */
		if (cancel_delayed_work(&job->work)) {
			td_job_finish(job, -ECANCELED);
			ret = 0;
		}
		break;
	}
	mutex_unlock(&f->lock);
	return ret;
}

ssize_t td_done_read(struct td_file *f, struct iov_iter *to, bool nowait)
{
	struct td_job *job;
	ssize_t ret;

	if (iov_iter_count(to) < sizeof(struct td_done))
		return -EINVAL;
	for (;;) {
		mutex_lock(&f->lock);
		job = list_first_entry_or_null(&f->done, struct td_job, node);
		if (job)
			break;
		mutex_unlock(&f->lock);
		if (nowait)
			return -EAGAIN;
		ret = td_wait(f, f->wait, !list_empty_careful(&f->done));
		if (ret)
			return ret;
	}
	list_del(&job->node);
	mutex_unlock(&f->lock);
	ret = copy_to_iter(&job->done, sizeof(job->done), to);
	td_job_free(job);
	return ret == sizeof(struct td_done) ? ret : -EFAULT;
}

/* Only from release: nothing else may use the file any more. */
void td_jobs_free(struct td_file *f)
{
	struct td_job *job;

	for (;;) {
		mutex_lock(&f->lock);
		job = list_first_entry_or_null(&f->jobs, struct td_job, node);
		if (!job)
			job = list_first_entry_or_null(&f->done, struct td_job, node);
		if (job && cancel_delayed_work(&job->work))
			td_job_finish(job, -ECANCELED);
		if (job && !job->pins)
			list_del(&job->node);
		mutex_unlock(&f->lock);
		if (!job)
			return;
		/* With pins its worker is at the lock: meet it among the done. */
		if (job->pins)
			flush_delayed_work(&job->work);
		else
			td_job_free(job);
	}
}
