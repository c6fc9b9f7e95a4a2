// SPDX-License-Identifier: GPL-2.0-only
/* vfs_path_lookup() declared for modules: Linux 6.6, "fs: introduce vfs_path_lookup in namei.h"; exported always */
#include <linux/mount.h>
#include <linux/namei.h>

int probe(struct vfsmount *mnt, struct path *path);
int probe(struct vfsmount *mnt, struct path *path)
{
	return vfs_path_lookup(mnt->mnt_root, mnt, "x", 0, path);
}
