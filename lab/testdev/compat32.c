// SPDX-License-Identifier: GPL-2.0-only
/* testdev: the calls of 32-bit programs whose structures are laid out otherwise. */
#include <linux/compat.h>

#include "internal.h"

struct td_leaf32 {
	compat_uptr_t text;
	compat_ulong_t len;
	compat_long_t value;
};

struct td_mid32 {
	compat_uptr_t leaves;
	__u32 count;
	compat_long_t sum;
};

struct td_top32 {
	compat_uptr_t mids;
	__u32 count;
	compat_uptr_t out;
	compat_ulong_t out_len;
	compat_long_t total;
};

struct td_array32 {
	compat_uptr_t items;
	__u32 count;
	compat_long_t sum;
};

struct td_string32 {
	compat_uptr_t in;
	compat_uptr_t out;
	compat_ulong_t out_len;
};

struct td_touch32 {
	compat_uptr_t addr;
	compat_ulong_t len;
	__u32 op;
	__u32 seed;
	compat_ulong_t done;
	compat_u64 sum;
};

struct td_align32 {
	compat_int_t a;
	compat_s64 b;
	compat_int_t c;
};

#define TD_NEST32 _IOWR(TD_MAGIC, 0x10, struct td_top32)
#define TD_ARRAY32 _IOWR(TD_MAGIC, 0x11, struct td_array32)
#define TD_STRING32 _IOW(TD_MAGIC, 0x12, struct td_string32)
#define TD_TOUCH32 _IOWR(TD_MAGIC, 0x13, struct td_touch32)
#define TD_ALIGN32 _IOWR(TD_MAGIC, 0x14, struct td_align32)

static int get_mid32(const struct td_top *top, u32 i, struct td_mid *mid)
{
	struct td_mid32 __user *mids = (struct td_mid32 __user *)top->mids;
	struct td_mid32 mid32;

	if (copy_from_user(&mid32, &mids[i], sizeof(mid32)))
		return -EFAULT;
	mid->leaves = compat_ptr(mid32.leaves);
	mid->count = mid32.count;
	mid->sum = mid32.sum;
	return 0;
}

static int put_mid32(const struct td_top *top, u32 i, const struct td_mid *mid)
{
	struct td_mid32 __user *mids = (struct td_mid32 __user *)top->mids;

	return put_user((compat_long_t)mid->sum, &mids[i].sum);
}

static int get_leaf32(const struct td_mid *mid, u32 i, struct td_leaf *leaf)
{
	struct td_leaf32 __user *leaves = (struct td_leaf32 __user *)mid->leaves;
	struct td_leaf32 leaf32;

	if (copy_from_user(&leaf32, &leaves[i], sizeof(leaf32)))
		return -EFAULT;
	leaf->text = compat_ptr(leaf32.text);
	leaf->len = leaf32.len;
	leaf->value = leaf32.value;
	return 0;
}

static int put_leaf32(const struct td_mid *mid, u32 i, const struct td_leaf *leaf)
{
	struct td_leaf32 __user *leaves = (struct td_leaf32 __user *)mid->leaves;

	return put_user((compat_long_t)leaf->value, &leaves[i].value);
}

static const struct td_nest_layout td_nest_compat = {
	.get_mid = get_mid32,
	.put_mid = put_mid32,
	.get_leaf = get_leaf32,
	.put_leaf = put_leaf32,
};

static long td_nest32(struct td_top32 __user *argp)
{
	struct td_top32 top32;
	struct td_top top;
	long ret;

	if (copy_from_user(&top32, argp, sizeof(top32)))
		return -EFAULT;
	top = (struct td_top){
		.mids = compat_ptr(top32.mids),
		.count = top32.count,
		.out = compat_ptr(top32.out),
		.out_len = top32.out_len,
	};
	ret = td_nest(&top, &td_nest_compat);
	return ret < 0 ? ret : put_user((compat_long_t)top.total, &argp->total);
}

static long td_array32(struct td_array32 __user *argp)
{
	struct td_array32 array32;
	struct td_array array;
	long ret;

	if (copy_from_user(&array32, argp, sizeof(array32)))
		return -EFAULT;
	array.items = compat_ptr(array32.items);
	array.count = array32.count;
	ret = td_array(&array);
	if (ret < 0)
		return ret;
	array32.count = array.count;
	array32.sum = array.sum;
	return copy_to_user(argp, &array32, sizeof(array32)) ? -EFAULT : 0;
}

static long td_string32(struct td_string32 __user *argp)
{
	struct td_string32 string32;
	struct td_string string;

	if (copy_from_user(&string32, argp, sizeof(string32)))
		return -EFAULT;
	string.in = compat_ptr(string32.in);
	string.out = compat_ptr(string32.out);
	string.out_len = string32.out_len;
	return td_string(&string);
}

static long td_touch32(struct td_touch32 __user *argp)
{
	struct td_touch32 touch32;
	struct td_touch touch;
	long ret;

	if (copy_from_user(&touch32, argp, sizeof(touch32)))
		return -EFAULT;
	touch.addr = compat_ptr(touch32.addr);
	touch.len = touch32.len;
	touch.op = touch32.op;
	touch.seed = touch32.seed;
	ret = td_touch(&touch);
	touch32.done = touch.done;
	touch32.sum = touch.sum;
	return copy_to_user(argp, &touch32, sizeof(touch32)) ? -EFAULT : ret;
}

static long td_align32(struct td_align32 __user *argp)
{
	struct td_align32 align32;

	if (copy_from_user(&align32, argp, sizeof(align32)))
		return -EFAULT;
	return put_user((compat_int_t)(align32.a + align32.b), &argp->c);
}

long td_compat_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	void __user *argp = compat_ptr(arg);

	if (td_gone(TD_FILE(filp)))
		return -ENODEV;
	switch (cmd) {
	case TD_NEST32:
		return td_nest32(argp);
	case TD_ARRAY32:
		return td_array32(argp);
	case TD_STRING32:
		return td_string32(argp);
	case TD_TOUCH32:
		return td_touch32(argp);
	case TD_ALIGN32:
		return td_align32(argp);
	default:
		return td_ioctl(filp, cmd, (unsigned long)argp);
	}
}
