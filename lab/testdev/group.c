// SPDX-License-Identifier: GPL-2.0-only
/* testdev: groups of files, and the counters and tickets that they share. */
#include <linux/slab.h>

#include "internal.h"

static DEFINE_MUTEX(groups_lock);
static LIST_HEAD(groups);

atomic_t td_all[TD_COUNTS];

/**
 * td_group_new() - make a group
 * @id: its name, 0 for a private one
 *
 * Return: a group with one reference, NULL without memory.
 */
struct td_group *td_group_new(u64 id)
{
	struct td_group *g = kzalloc(sizeof(*g), GFP_KERNEL);

	if (!g)
		return NULL;
	kref_init(&g->ref);
	INIT_LIST_HEAD(&g->node);
	INIT_LIST_HEAD(&g->files);
	spin_lock_init(&g->lock);
	init_waitqueue_head(&g->wait);
	g->id = id;
	return g;
}

static void td_group_free(struct kref *ref)
{
	struct td_group *g = container_of(ref, struct td_group, ref);

	list_del(&g->node);
	if (g->shared)
		td_mapbuf_free(g->shared);
	kfree(g);
}

void td_group_put(struct td_group *g)
{
	mutex_lock(&groups_lock);
	kref_put(&g->ref, td_group_free);
	mutex_unlock(&groups_lock);
}

static struct td_group *td_group_get(u64 id)
{
	struct td_group *g;

	mutex_lock(&groups_lock);
	list_for_each_entry(g, &groups, node) {
		if (g->id == id) {
			kref_get(&g->ref);
			goto out;
		}
	}
	g = td_group_new(id);
	if (g)
		list_add(&g->node, &groups);
out:
	mutex_unlock(&groups_lock);
	return g;
}

/**
 * td_group_join() - move a file from its private group to a named one
 * @f: the file; nothing may be under way on it
 * @join: which, and how
 *
 * Return: 0, -EBUSY when it joined before, -EINVAL, -ENOMEM.
 */
int td_group_join(struct td_file *f, const struct td_join *join)
{
	struct td_group *g;

	if (!join->id || join->watcher > 1)
		return -EINVAL;
	g = td_group_get(join->id);
	if (!g)
		return -ENOMEM;

	mutex_lock(&f->lock);
	if (f->group != f->own) {
		mutex_unlock(&f->lock);
		td_group_put(g);
		return -EBUSY;
	}
	spin_lock(&f->own->lock);
	list_del(&f->in_group);
	spin_unlock(&f->own->lock);
	f->group = g;
	f->watcher = join->watcher;
	spin_lock(&g->lock);
	list_add(&f->in_group, &g->files);
	spin_unlock(&g->lock);
	if (!f->watcher)
		atomic_inc(&g->count[TD_FILES]);
	mutex_unlock(&f->lock);
	return 0;
}

/* The file ends: count it and let its groups go. */
void td_group_leave(struct td_file *f)
{
	spin_lock(&f->group->lock);
	list_del(&f->in_group);
	spin_unlock(&f->group->lock);
	if (!f->watcher) {
		atomic_dec(&f->group->count[TD_FILES]);
		atomic_inc(&f->group->count[TD_RELEASES]);
	}
	atomic_dec(&td_all[TD_FILES]);
	if (f->own != f->group)
		td_group_put(f->own);
	td_group_put(f->group);
}

/* Wake what sleeps or polls on any file of the group, once: an edge is an edge. */
void td_group_wake(struct td_group *g, __poll_t mask)
{
	if (mask)
		wake_up_poll(&g->wait, mask);
	else
		wake_up_all(&g->wait);
}

/**
 * td_group_take() - take a ticket if there is one
 * @g: the group
 * @value: gets the ticket's value; may be NULL
 */
bool td_group_take(struct td_group *g, u32 *value)
{
	bool taken = false;

	spin_lock(&g->lock);
	if (g->tickets) {
		g->tickets--;
		taken = true;
		if (value)
			*value = g->value;
	}
	spin_unlock(&g->lock);
	return taken;
}

void td_group_stat(struct td_file *f, struct td_stat *stat)
{
	int i;

	for (i = 0; i < TD_COUNTS; i++) {
		stat->count[i] = atomic_read(&f->group->count[i]);
		stat->all[i] = atomic_read(&td_all[i]);
	}
	stat->count[TD_TICKETS] = READ_ONCE(f->group->tickets);
	td_opens_stat(stat);
	td_fds_stat(stat);
}
