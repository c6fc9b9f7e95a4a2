// SPDX-License-Identifier: GPL-2.0-only
/*
 * One page that the host may touch: pinned, shared, and let go. Where the transport can tell that
 * the host still has a page it is held, and asked for again, until the host has not.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "core.h"
#include "show.h"
#include "transport.h"

/* how soon, and how seldom, it is asked whether the host has let go */
#define PD_HELD_FIRST (HZ / 50 + 1)
#define PD_HELD_LAST HZ

static void pd_held_work(struct work_struct *work);

static struct kmem_cache *pd_pin_cache;

static DEFINE_SPINLOCK(pd_held_lock); /* protects the next three */
static LIST_HEAD(pd_held);
static unsigned long pd_held_delay = PD_HELD_FIRST;
static bool pd_held_ended;
static DECLARE_DELAYED_WORK(pd_held_retry, pd_held_work);

/**
 * pd_pin_new() - makes a pin of a page, which the host may touch from now on
 * @host: host
 * @page: pinned, or owned (PD_PIN_KERNEL); taken over on success
 * @index: its place in the address space
 * @flags: PD_PIN_*
 *
 * May sleep. Return: the pin, or an error: -ENOMEM, -ENOSPC when no more pages can be shared, -EIO.
 */
struct pd_pin *pd_pin_new(struct pd_host *host, struct page *page, unsigned long index, u32 flags)
{
	struct pd_pin *pin = kmem_cache_alloc(pd_pin_cache, GFP_KERNEL);
	int ret;

	if (!pin)
		return ERR_PTR(-ENOMEM);
	pin->host = host;
	pin->page = page;
	pin->index = index;
	pin->flags = flags;
	pin->seq = 0;
	INIT_LIST_HEAD(&pin->link);
	if (host->ops->share) {
		ret = host->ops->share(host, page, flags & PD_PIN_WRITE, &pin->frame);
		if (ret) {
			kmem_cache_free(pd_pin_cache, pin);
			return ERR_PTR(ret);
		}
	} else {
		pin->frame = page_to_pfn(page);
	}
	atomic_inc(flags & PD_PIN_KERNEL ? &pd_stats.bounce : &pd_stats.pins);
	return pin;
}

/* the host has let go of it */
static void pd_pin_release(struct pd_pin *pin)
{
	if (pin->flags & PD_PIN_KERNEL) {
		put_page(pin->page);
		atomic_dec(&pd_stats.bounce);
	} else {
		if (pin->flags & PD_PIN_WRITE)
			unpin_user_pages_dirty_lock(&pin->page, 1, true);
		else
			unpin_user_page(pin->page);
		atomic_dec(&pd_stats.pins);
	}
	kmem_cache_free(pd_pin_cache, pin);
}

/* asks once more in a while; pd_held_lock held */
static void pd_held_again(void)
{
	if (!pd_held_ended && !list_empty(&pd_held))
		queue_delayed_work(pd_wq, &pd_held_retry, pd_held_delay);
}

static void pd_pin_hold(struct pd_pin *pin)
{
	pd_host_get(pin->host);
	if (atomic_inc_return(&pd_stats.held) == pd_kept_pages)
		pr_warn(PD_NAME ": the host's drivers still use %u pages that programs gave up: further ioctls fail with ENOMEM until they let go (parameter kept_pages)\n",
			pd_kept_pages);
	spin_lock(&pd_held_lock);
	list_add_tail(&pin->link, &pd_held);
	pd_held_again();
	spin_unlock(&pd_held_lock);
}

static void pd_held_release(struct pd_pin *pin)
{
	struct pd_host *host = pin->host;

	atomic_dec(&pd_stats.held);
	pd_pin_release(pin);
	pd_host_put(host);
}

static void pd_held_work(struct work_struct *work)
{
	struct pd_pin *pin, *next;
	LIST_HEAD(asked);
	bool any = false;

	spin_lock(&pd_held_lock);
	list_splice_init(&pd_held, &asked);
	spin_unlock(&pd_held_lock);
	list_for_each_entry_safe(pin, next, &asked, link) {
		if (!pin->host->ops->unshare(pin->host, pin->frame, false))
			continue;
		list_del(&pin->link);
		pd_held_release(pin);
		any = true;
		cond_resched();
	}
	spin_lock(&pd_held_lock);
	list_splice(&asked, &pd_held);
	pd_held_delay = any ? PD_HELD_FIRST : min_t(unsigned long, pd_held_delay * 2, PD_HELD_LAST);
	pd_held_again();
	spin_unlock(&pd_held_lock);
}

/* the host shall not touch it any more: frees it now, or when the host has let go. May sleep */
void pd_pin_free(struct pd_pin *pin)
{
	const struct pd_transport_ops *ops = pin->host->ops;

	if (ops->unshare && !ops->unshare(pin->host, pin->frame, false))
		pd_pin_hold(pin);
	else
		pd_pin_release(pin);
}

/* leaves the page pinned for ever: nobody can tell whether the host still uses it */
void pd_pin_leak(struct pd_pin *pin)
{
	atomic_dec(pin->flags & PD_PIN_KERNEL ? &pd_stats.bounce : &pd_stats.pins);
	atomic_inc(&pd_stats.leaked);
	kmem_cache_free(pd_pin_cache, pin);
}

int pd_pins_init(void)
{
	pd_pin_cache = KMEM_CACHE(pd_pin, 0);
	return pd_pin_cache ? 0 : -ENOMEM;
}

/* nothing is put into pd_wq any more; before that is drained */
void pd_pins_stop(void)
{
	spin_lock(&pd_held_lock);
	pd_held_ended = true;
	spin_unlock(&pd_held_lock);
	cancel_delayed_work_sync(&pd_held_retry);
}

void pd_pins_exit(void)
{
	unsigned long left = 0;
	struct pd_pin *pin, *next;

	list_for_each_entry_safe(pin, next, &pd_held, link) {
		if (!pin->host->ops->unshare(pin->host, pin->frame, true))
			left++;
		pd_held_release(pin);
	}
	if (left)
		pr_warn(PD_NAME ": the host's drivers still use %lu pages: the kernel keeps those until they let go\n",
			left);
	kmem_cache_destroy(pd_pin_cache);
}
