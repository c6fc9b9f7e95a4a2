// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files without a node: those that the host's drivers made in an ioctl. Each has an inode of its
 * own, since its mappings are found by it.
 */
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>

#include "core.h"
#include "weak.h"
#include "rules.h"

#define PD_ANON_MAGIC 0x70644658

static struct vfsmount *pd_anon_mnt;

/* what /proc/PID/fd shows */
static char *pd_anon_name(struct dentry *dentry, char *buffer, int len)
{
	char text[32];
	int n = scnprintf(text, sizeof(text), "anon_inode:%s", dentry->d_name.name) + 1;

	if (n > len)
		return ERR_PTR(-ENAMETOOLONG);
	return memcpy(buffer + len - n, text, n);
}

static const struct dentry_operations pd_anon_dentries = {
	.d_dname = pd_anon_name,
};

static int pd_anon_context(struct fs_context *fc)
{
	struct pseudo_fs_context *ctx = init_pseudo(fc, PD_ANON_MAGIC);

	if (!ctx)
		return -ENOMEM;
	ctx->dops = &pd_anon_dentries;
	return 0;
}

static struct file_system_type pd_anon_fs = {
	.name = PD_NAME,
	.init_fs_context = pd_anon_context,
	.kill_sb = kill_anon_super,
};

static struct file *pd_anon_alloc(struct pd_file *pf, const struct pd_resp_open *open)
{
	/* of what the host says only what a file may have at all */
	u32 theirs = le32_to_cpu(open->oflags);
	unsigned int flags = theirs & (PD_WEAK(FLAGS) ? ~0u : O_ACCMODE);
	char name[sizeof(open->name)];
	struct inode *inode;
	struct file *file;

	if (theirs & PD_O_NONBLOCK)
		flags |= O_NONBLOCK;
	strscpy(name, (const char *)open->name, sizeof(name));
	inode = alloc_anon_inode(pd_anon_mnt->mnt_sb);
	if (IS_ERR(inode))
		return ERR_CAST(inode);
	i_size_write(inode, min_t(u64, le64_to_cpu(open->size),
				  PD_WEAK(SIZES) ? U64_MAX : MAX_LFS_FILESIZE));
	file = alloc_file_pseudo(inode, pd_anon_mnt, name, flags, &pd_fops);
	if (IS_ERR(file)) {
		iput(inode);
		return file;
	}
	__module_get(THIS_MODULE); /* the file's end puts it */
	file->private_data = pf;
	file->f_mode |= FMODE_NOWAIT;
	if (pf->stream)
		file->f_mode |= FMODE_STREAM;
	else
		file->f_mode |= FMODE_PREAD | FMODE_PWRITE;
	if (!pf->stream || (le32_to_cpu(open->flags) & PD_FILE_LSEEK))
		file->f_mode |= FMODE_LSEEK;
	else
		file->f_mode &= ~FMODE_LSEEK;
	return file;
}

/**
 * pd_anon_file() - a file of ours for one that the host has just given us
 * @host: host
 * @open: what it said
 *
 * Return: the file, or an error, after which the host has it no more. May sleep.
 */
struct file *pd_anon_file(struct pd_host *host, const struct pd_resp_open *open)
{
	struct pd_file *pf = pd_file_new(host);
	struct file *file;
	int ret;

	if (!pf)
		return ERR_PTR(-ENOMEM);
	ret = pd_file_settle(pf, open);
	if (ret) {
		pd_file_free(pf);
		return ERR_PTR(ret);
	}
	file = pd_anon_alloc(pf, open);
	if (IS_ERR(file)) {
		pd_file_release_handle(host, pf->handle);
		pd_file_released(pf);
	}
	return file;
}

int pd_anon_init(void)
{
	pd_anon_mnt = kern_mount(&pd_anon_fs);
	return PTR_ERR_OR_ZERO(pd_anon_mnt);
}

void pd_anon_exit(void)
{
	kern_unmount(pd_anon_mnt);
}
