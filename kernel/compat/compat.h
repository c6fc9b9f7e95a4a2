/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that the module is built for. Nothing else in the module looks
 * at versions; the PD_HAVE_* come from the probes beside this file.
 */
#ifndef PARADICE_COMPAT_H
#define PARADICE_COMPAT_H

#include <linux/device.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/namei.h>
#include <linux/shrinker.h>
#include <linux/uio.h>
#include <linux/virtio_config.h>

#include "config.h"

/**
 * pd_find_vqs() - finds a device's virtqueues
 * @vdev: the device
 * @n: how many
 * @vqs: where they are put
 * @callbacks: of each, may be NULL
 * @names: of each
 *
 * Return: 0 or a negative errno.
 */
static inline int pd_find_vqs(struct virtio_device *vdev, unsigned int n, struct virtqueue **vqs,
			      vq_callback_t **callbacks, const char *const *names)
{
#ifdef PD_HAVE_VIRTQUEUE_INFO
	struct virtqueue_info *info;
	unsigned int i;
	int ret;

	info = kcalloc(n, sizeof(*info), GFP_KERNEL);
	if (!info)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		info[i].name = names[i];
		info[i].callback = callbacks[i];
	}
	ret = virtio_find_vqs(vdev, n, vqs, info, NULL);
	kfree(info);
	return ret;
#else
	return virtio_find_vqs(vdev, n, vqs, callbacks, names, NULL);
#endif
}

#ifndef PD_HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#ifndef PD_HAVE_VFS_PATH_LOOKUP
int vfs_path_lookup(struct dentry *dentry, struct vfsmount *mnt, const char *name,
		    unsigned int flags, struct path *path);
#endif

#ifdef PD_HAVE_COPY_SPLICE_READ
#define pd_splice_read copy_splice_read
#else
#define pd_splice_read generic_file_splice_read
#endif

#ifdef PD_HAVE_ITER_IOV
#define pd_iter_iov(i) iter_iov(i)
#else
#define pd_iter_iov(i) ((i)->iov)
#endif

/**
 * pd_iter_segment() - a segment of a user-backed iterator
 * @i: iterator
 * @n: which; below nr_segs
 * @before: bytes in the segments before it
 */
static inline struct iovec pd_iter_segment(const struct iov_iter *i, unsigned int n, size_t before)
{
	size_t left = iov_iter_count(i) - before;
	struct iovec v;

	if (iter_is_ubuf(i)) {
		v.iov_base = i->ubuf + i->iov_offset;
		v.iov_len = left;
		return v;
	}
	v = pd_iter_iov(i)[n];
	if (!n) {
		v.iov_base += i->iov_offset;
		v.iov_len -= i->iov_offset;
	}
	v.iov_len = min(v.iov_len, left);
	return v;
}

#ifdef PD_HAVE_DEVNODE_CONST
#define PD_DEVNODE_DEV const struct device
#else
#define PD_DEVNODE_DEV struct device
#endif

#ifdef PD_HAVE_UEVENT_CONST
#define PD_UEVENT_DEV const struct device
#else
#define PD_UEVENT_DEV struct device
#endif

/**
 * pd_shrinker_register() - gives the kernel a way to ask for memory back
 * @holder: where the shrinker is kept
 * @name: of it
 * @count: see struct shrinker
 * @scan: likewise
 *
 * Return: 0 or a negative errno.
 */
struct pd_shrinker {
#ifdef PD_HAVE_SHRINKER_ALLOC
	struct shrinker *s;
#else
	struct shrinker s;
#endif
};

static inline int
pd_shrinker_register(struct pd_shrinker *holder, const char *name,
		     unsigned long (*count)(struct shrinker *, struct shrink_control *),
		     unsigned long (*scan)(struct shrinker *, struct shrink_control *))
{
#ifdef PD_HAVE_SHRINKER_ALLOC
	holder->s = shrinker_alloc(0, "%s", name);
	if (!holder->s)
		return -ENOMEM;
	holder->s->count_objects = count;
	holder->s->scan_objects = scan;
	shrinker_register(holder->s);
	return 0;
#else
	holder->s.count_objects = count;
	holder->s.scan_objects = scan;
	holder->s.seeks = DEFAULT_SEEKS;
	return register_shrinker(&holder->s, "%s", name);
#endif
}

static inline void pd_shrinker_unregister(struct pd_shrinker *holder)
{
#ifdef PD_HAVE_SHRINKER_ALLOC
	shrinker_free(holder->s);
#else
	unregister_shrinker(&holder->s);
#endif
}

/* of a bus that was allocated: lockdep must know its lock's class before bus_register() */
static inline void pd_bus_register_key(struct bus_type *bus)
{
#ifdef PD_HAVE_BUS_LOCK_KEY
	lockdep_register_key(&bus->lock_key);
#endif
}

/* after bus_unregister() */
static inline void pd_bus_unregister_key(struct bus_type *bus)
{
#ifdef PD_HAVE_BUS_LOCK_KEY
	lockdep_unregister_key(&bus->lock_key);
#endif
}

#endif
