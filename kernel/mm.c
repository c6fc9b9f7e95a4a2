// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces: made when a process first uses a host's file, ended with the process.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "core.h"

/* where a hole for the mirror is looked for, and in which steps */
#define PD_HOLE_FIRST 0x300000000000ul
#define PD_HOLE_LAST 0x700000000000ul
#define PD_HOLE_STEP 0x010000000000ul

/* how long a process without open files keeps its context */
#define PD_MM_IDLE (10 * HZ)

static LIST_HEAD(pd_mm_list);
static DEFINE_SPINLOCK(pd_mm_list_lock);

struct pd_mm *pd_mm_get(struct pd_mm *m)
{
	refcount_inc(&m->ref);
	return m;
}

/* may sleep */
void pd_mm_put(struct pd_mm *m)
{
	if (!refcount_dec_and_test(&m->ref))
		return;
	spin_lock(&pd_mm_list_lock);
	list_del(&m->link);
	spin_unlock(&pd_mm_list_lock);
	WARN_ON_ONCE(!list_empty(&m->warm) || !list_empty(&m->stale) ||
		     !list_empty(&m->dropping) || !list_empty(&m->kept));
	xa_destroy(&m->known);
	xa_destroy(&m->kept_pfns);
	if (m->mm)
		atomic_dec(&pd_stats.mms);
	pd_host_put(m->host);
	kfree(m);
}

/* the counted context of @mm with @host, NULL without one */
struct pd_mm *pd_mm_find(struct pd_host *host, struct mm_struct *mm)
{
	struct pd_mm *m;

	xa_lock(&host->mms);
	m = xa_load(&host->mms, (unsigned long)mm);
	if (m)
		pd_mm_get(m);
	xa_unlock(&host->mms);
	return m;
}

/* begins the end of @m, whose process may go on; m->lock held */
static void pd_mm_end(struct pd_mm *m)
{
	if (m->state != PD_MM_LIVE)
		return;
	m->state = PD_MM_DYING;
	queue_work(pd_wq, &m->destroy_work);
}

/* all files have been closed for a while: the process may live long without another */
static void pd_mm_idle_work(struct work_struct *work)
{
	struct pd_mm *m = container_of(to_delayed_work(work), struct pd_mm, idle_work);

	spin_lock(&m->lock);
	if (!m->files)
		pd_mm_end(m);
	spin_unlock(&m->lock);
}

/* a further file uses @m; false when it is ending */
bool pd_mm_use(struct pd_mm *m)
{
	bool live;

	spin_lock(&m->lock);
	live = m->state == PD_MM_LIVE;
	if (live)
		m->files++;
	spin_unlock(&m->lock);
	return live;
}

/* the opposite */
void pd_mm_unuse(struct pd_mm *m)
{
	spin_lock(&m->lock);
	if (!--m->files && m->state == PD_MM_LIVE)
		mod_delayed_work(pd_wq, &m->idle_work, PD_MM_IDLE);
	spin_unlock(&m->lock);
}

/* the pages of [range->start, range->end) change: nothing here sleeps */
static bool pd_mm_invalidate(struct mmu_interval_notifier *mni,
			     const struct mmu_notifier_range *range, unsigned long cur_seq)
{
	struct pd_mm *m = container_of(mni, struct pd_mm, notifier);

	/* fork write-protects; what is pinned stays where it is, and the child gets copies */
	if (range->event == MMU_NOTIFY_PROTECTION_PAGE)
		return true;

	spin_lock(&m->lock);
	mmu_interval_set_seq(mni, cur_seq);
	if (range->event == MMU_NOTIFY_RELEASE)
		pd_mm_end(m);
	else
		pd_mm_stale_range(m, range->start >> PAGE_SHIFT, (range->end - 1) >> PAGE_SHIFT);
	spin_unlock(&m->lock);
	return true;
}

static const struct mmu_interval_notifier_ops pd_mm_notifier_ops = {
	.invalidate = pd_mm_invalidate,
};

/* ends @m at the host, then lets go of its pages */
static void pd_mm_destroy_work(struct work_struct *work)
{
	struct pd_mm *m = container_of(work, struct pd_mm, destroy_work);
	struct pd_host *host = m->host;
	struct pd_request *r;
	bool leak = false;

	if (m->mm)
		mmu_interval_notifier_remove(&m->notifier);
	cancel_delayed_work_sync(&m->drop_work);
	cancel_delayed_work_sync(&m->idle_work);

	if (!m->error) {
		r = pd_req_new_sure(host, PD_OP_MM_DESTROY, NULL);
		r->req.mm = cpu_to_le64(m->id);
		pd_req_run(&r, PD_WAIT_HOST);
		/* unanswered: the host may still write to these frames */
		leak = !r || r->state != PD_REQ_ANSWERED || !r->len;
		pd_req_free(r);
	}
	pd_mm_free_pages(m, leak);
	xa_erase(&host->mms, (unsigned long)m->mm);

	spin_lock(&m->lock);
	m->state = PD_MM_GONE;
	spin_unlock(&m->lock);
	wake_up_all(&m->wait);
	pd_file_forget_mm(host, m);
	if (m->mm)
		mmdrop(m->mm);
	pd_mm_put(m);
}

/* an address range that the program does not use, 0 without one; mmap_lock held */
static unsigned long pd_mm_find_hole(struct mm_struct *mm)
{
	unsigned long addr;

	for (addr = PD_HOLE_FIRST; addr < PD_HOLE_LAST; addr += PD_HOLE_STEP)
		if (!find_vma_intersection(mm, addr - PAGE_SIZE, addr + PD_HOLE_SIZE + PAGE_SIZE))
			return addr;
	return 0;
}

/* the part of making a context that needs the mmap_lock; it waits for nobody */
static int pd_mm_watch(struct pd_mm *m, bool mmap_locked)
{
	struct mm_struct *mm = m->mm;
	int ret;

	if (!mmap_locked) {
		ret = mmap_read_lock_killable(mm);
		if (ret)
			return ret;
	}
	m->hole = pd_mm_find_hole(mm);
	if (!mmap_locked)
		mmap_read_unlock(mm);
	if (!m->hole)
		return -ENOMEM;
	if (mmap_locked)
		return mmu_interval_notifier_insert_locked(&m->notifier, mm, 0, ULONG_MAX,
							   &pd_mm_notifier_ops);
	return mmu_interval_notifier_insert(&m->notifier, mm, 0, ULONG_MAX, &pd_mm_notifier_ops);
}

static struct pd_mm *pd_mm_new(struct pd_host *host, struct mm_struct *mm, bool mmap_locked)
{
	struct pd_mm *m;
	int ret;

	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		return ERR_PTR(-ENOMEM);
	m->mm = mm;
	m->hole = PD_HOLE_FIRST;
	m->hole_len = PD_HOLE_SIZE;
	refcount_set(&m->ref, 1);
	init_waitqueue_head(&m->wait);
	spin_lock_init(&m->lock);
	xa_init(&m->known);
	xa_init(&m->kept_pfns);
	INIT_LIST_HEAD(&m->warm);
	INIT_LIST_HEAD(&m->stale);
	INIT_LIST_HEAD(&m->dropping);
	INIT_LIST_HEAD(&m->kept);
	INIT_DELAYED_WORK(&m->drop_work, pd_mm_drop_work);
	INIT_DELAYED_WORK(&m->idle_work, pd_mm_idle_work);
	INIT_WORK(&m->destroy_work, pd_mm_destroy_work);
	m->id = atomic64_inc_return(&host->next_mm);
	m->queue = PD_QUEUE_REQUEST +
		   (unsigned int)atomic_inc_return(&host->next_queue) % host->nqueues;
	if (mm) {
		ret = pd_mm_watch(m, mmap_locked);
		if (ret) {
			kfree(m);
			return ERR_PTR(ret);
		}
		mmgrab(mm);
	}
	m->host = pd_host_get(host);
	if (mm)
		atomic_inc(&pd_stats.mms);
	spin_lock(&pd_mm_list_lock);
	list_add_tail(&m->link, &pd_mm_list);
	spin_unlock(&pd_mm_list_lock);
	return m;
}

/* another thread was first with the same address space */
static void pd_mm_discard(struct pd_mm *m)
{
	if (m->mm) {
		mmu_interval_notifier_remove(&m->notifier);
		mmdrop(m->mm);
	}
	pd_mm_put(m);
}

/* tells the host of @m, which is in the table and new */
static int pd_mm_announce(struct pd_mm *m)
{
	struct pd_req_mm_create *c;
	struct pd_request *r;
	long ret;

	if (READ_ONCE(m->host->stopping))
		return -EIO;
	r = pd_req_new(m->host, PD_OP_MM_CREATE, NULL);
	if (!r)
		return -ENOMEM;
	r->req.mm = cpu_to_le64(m->id);
	c = &r->req.u.mm_create;
	c->hole = cpu_to_le64(m->hole);
	c->hole_len = cpu_to_le64(m->hole_len);
	c->flags = cpu_to_le32(m->mm ? 0 : PD_MM_KERNEL);
	if (m->mm) {
		c->pid = cpu_to_le32(task_tgid_nr(current));
		get_task_comm(c->comm, current);
	} else {
		strscpy((char *)c->comm, "kernel", sizeof(c->comm));
	}
	ret = pd_req_run(&r, PD_WAIT_KILL);
	if (!r)
		ret = -EINTR; /* the host may have it: it is destroyed like any other */
	pd_req_free(r);
	return ret < 0 ? ret : 0;
}

static void pd_mm_settle(struct pd_mm *m, int error)
{
	spin_lock(&m->lock);
	if (!error) {
		m->state = PD_MM_LIVE;
	} else {
		m->state = PD_MM_FAILED;
		/* after -EINTR the host may know of it, else it does not */
		m->error = error == -EINTR ? 0 : error;
		queue_work(pd_wq, &m->destroy_work);
	}
	spin_unlock(&m->lock);
	wake_up_all(&m->wait);
}

/*
 * Waits until @m is not new any more; takes over the caller's reference where it fails, with
 * -ESTALE when it has ended, while the process goes on
 */
static struct pd_mm *pd_mm_settled(struct pd_mm *m)
{
	enum pd_mm_state state;
	int error;

	if (wait_event_killable(m->wait, READ_ONCE(m->state) != PD_MM_NEW)) {
		pd_mm_put(m);
		return ERR_PTR(-EINTR);
	}
	spin_lock(&m->lock);
	state = m->state;
	error = m->error;
	spin_unlock(&m->lock);
	if (state == PD_MM_LIVE)
		return m;
	if (state == PD_MM_FAILED || READ_ONCE(m->host->stopping) || pd_host_lost(m->host))
		error = error ?: -EIO;
	else if (wait_event_killable(m->wait, READ_ONCE(m->state) == PD_MM_GONE))
		error = -EINTR;
	else
		error = -ESTALE;
	pd_mm_put(m);
	return ERR_PTR(error);
}

/* the counted context of @mm (NULL: the kernel's), made where there is none; -ESTALE: once more */
static struct pd_mm *pd_mm_obtain_once(struct pd_host *host, struct mm_struct *mm, bool mmap_locked)
{
	struct pd_mm *m, *old;
	int ret;

	m = pd_mm_find(host, mm);
	if (m)
		return pd_mm_settled(m);
	if (pd_host_lost(host))
		return ERR_PTR(-EIO);

	m = pd_mm_new(host, mm, mmap_locked);
	if (IS_ERR(m))
		return m;
	xa_lock(&host->mms);
	old = __xa_cmpxchg(&host->mms, (unsigned long)mm, NULL, m, GFP_KERNEL);
	if (!old)
		pd_mm_get(m); /* the first reference is the table's */
	else if (!xa_is_err(old))
		pd_mm_get(old);
	xa_unlock(&host->mms);
	if (old) {
		pd_mm_discard(m);
		return xa_is_err(old) ? ERR_PTR(xa_err(old)) : pd_mm_settled(old);
	}
	ret = pd_mm_announce(m);
	pd_mm_settle(m, ret);
	if (ret) {
		pd_mm_put(m);
		return ERR_PTR(ret);
	}
	return m;
}

static struct pd_mm *pd_mm_obtain(struct pd_host *host, struct mm_struct *mm, bool mmap_locked)
{
	struct pd_mm *m;

	do {
		m = pd_mm_obtain_once(host, mm, mmap_locked);
	} while (m == ERR_PTR(-ESTALE));
	return m;
}

/**
 * pd_mm_current() - the context of the caller's address space, made where there is none
 * @host: with this host
 * @mmap_locked: the caller holds the mmap_lock for writing
 *
 * Return: the context, counted; the kernel's own for a kernel thread; or an error: -EINTR,
 * -ENOMEM, -EIO, or the host's own.
 */
struct pd_mm *pd_mm_current(struct pd_host *host, bool mmap_locked)
{
	return pd_mm_obtain(host, current->mm, mmap_locked);
}

/* the same for buffers of the kernel's */
struct pd_mm *pd_mm_kernel(struct pd_host *host)
{
	return pd_mm_obtain(host, NULL, false);
}

/* waits for at most @timeout until the host is done with @m, if it is ending at all */
void pd_mm_wait_gone(struct pd_mm *m, unsigned long timeout)
{
	enum pd_mm_state state;

	spin_lock(&m->lock);
	state = m->state;
	spin_unlock(&m->lock);
	if (state == PD_MM_DYING || state == PD_MM_FAILED)
		wait_event_timeout(m->wait, READ_ONCE(m->state) == PD_MM_GONE, timeout);
}

/**
 * pd_mm_renew() - ends @mm's context where the host knows it no longer
 * @host: host
 * @mm: address space, NULL for the kernel's own
 *
 * A mirror may have been killed, or the host may have started anew: a process that opens a file
 * then gets a new one. May sleep.
 */
void pd_mm_renew(struct pd_host *host, struct mm_struct *mm)
{
	struct pd_mm *m = pd_mm_find(host, mm);
	struct pd_request *r;

	if (!m)
		return;
	if (READ_ONCE(m->suspect) && !pd_host_lost(host)) {
		WRITE_ONCE(m->suspect, false);
		r = pd_req_new(host, PD_OP_DROP, m);
		if (r && pd_req_run(&r, PD_WAIT_KILL) == -EIO && r) {
			spin_lock(&m->lock);
			pd_mm_end(m);
			spin_unlock(&m->lock);
			pd_mm_wait_gone(m, PD_EXIT_WAIT);
		}
		pd_req_free(r);
	}
	pd_mm_put(m);
}

/* ends all of a host's address spaces, while programs that have them may go on; may sleep */
void pd_mm_destroy_all(struct pd_host *host)
{
	struct pd_mm *m;
	unsigned long index;

	for (;;) {
		index = 0;
		xa_lock(&host->mms);
		m = xa_find(&host->mms, &index, ULONG_MAX, XA_PRESENT);
		if (m)
			pd_mm_get(m);
		xa_unlock(&host->mms);
		if (!m)
			return;
		wait_event(m->wait, READ_ONCE(m->state) != PD_MM_NEW);
		spin_lock(&m->lock);
		pd_mm_end(m);
		spin_unlock(&m->lock);
		wait_event(m->wait, READ_ONCE(m->state) == PD_MM_GONE);
		pd_mm_put(m);
	}
}

/* ---- memory pressure ---- */

static struct pd_shrinker pd_mm_shrinker;

static unsigned long pd_mm_shrink_count(struct shrinker *s, struct shrink_control *sc)
{
	return atomic_read(&pd_stats.known) ?: SHRINK_EMPTY;
}

/* takes up to @pages that the host may touch, of all address spaces in turn; how many */
unsigned long pd_mm_shrink_all(unsigned long pages)
{
	unsigned long freed = 0;
	unsigned int i, n = atomic_read(&pd_stats.mms) + 1; /* the kernel's */
	struct pd_mm *m;

	spin_lock(&pd_mm_list_lock);
	for (i = 0; i < n && freed < pages; i++) {
		m = list_first_entry_or_null(&pd_mm_list, struct pd_mm, link);
		if (!m)
			break;
		list_move_tail(&m->link, &pd_mm_list);
		freed += pd_mm_shrink(m, pages - freed);
	}
	spin_unlock(&pd_mm_list_lock);
	return freed;
}

static unsigned long pd_mm_shrink_scan(struct shrinker *s, struct shrink_control *sc)
{
	return pd_mm_shrink_all(sc->nr_to_scan) ?: SHRINK_STOP;
}

int pd_mm_shrinker_init(void)
{
	return pd_shrinker_register(&pd_mm_shrinker, PD_NAME, pd_mm_shrink_count,
				    pd_mm_shrink_scan);
}

void pd_mm_shrinker_exit(void)
{
	pd_shrinker_unregister(&pd_mm_shrinker);
}
