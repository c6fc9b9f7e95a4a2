// SPDX-License-Identifier: GPL-2.0-only
/* testdev: structures that point to structures, arrays and strings. */
#include <linux/ctype.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "internal.h"

static int native_get_mid(const struct td_top *top, u32 i, struct td_mid *mid)
{
	return copy_from_user(mid, &top->mids[i], sizeof(*mid)) ? -EFAULT : 0;
}

static int native_put_mid(const struct td_top *top, u32 i, const struct td_mid *mid)
{
	return copy_to_user(&top->mids[i], mid, sizeof(*mid)) ? -EFAULT : 0;
}

static int native_get_leaf(const struct td_mid *mid, u32 i, struct td_leaf *leaf)
{
	return copy_from_user(leaf, &mid->leaves[i], sizeof(*leaf)) ? -EFAULT : 0;
}

static int native_put_leaf(const struct td_mid *mid, u32 i, const struct td_leaf *leaf)
{
	return copy_to_user(&mid->leaves[i], leaf, sizeof(*leaf)) ? -EFAULT : 0;
}

const struct td_nest_layout td_nest_native = {
	.get_mid = native_get_mid,
	.put_mid = native_put_mid,
	.get_leaf = native_get_leaf,
	.put_leaf = native_put_leaf,
};

/* Reverse the text where the program keeps it; its sum becomes the value. */
static int td_nest_text(struct td_leaf *leaf)
{
	unsigned long i;
	char *text;
	int ret = 0;

	if (leaf->len > TD_TEXT_MAX)
		return -E2BIG;
	text = memdup_user(leaf->text, leaf->len);
	if (IS_ERR(text))
		return PTR_ERR(text);
	leaf->value = (u32)td_sum(0, text, leaf->len) & 0x7fffffff;
	for (i = 0; i < leaf->len / 2; i++)
		swap(text[i], text[leaf->len - 1 - i]);
	if (copy_to_user(leaf->text, text, leaf->len))
		ret = -EFAULT;
	kfree(text);
	return ret;
}

/**
 * td_nest() - walk a tree of three levels and write back into each
 * @top: the root, in kernel memory
 * @layout: how the program lays out the levels below
 *
 * Return: 0, -E2BIG beyond the bounds, -EFAULT.
 */
int td_nest(struct td_top *top, const struct td_nest_layout *layout)
{
	unsigned long leaves = 0, bytes = 0;
	struct td_leaf leaf;
	struct td_mid mid;
	char text[64];
	u32 m, i;
	int ret, len;

	if (top->count > TD_NEST_MAX)
		return -E2BIG;
	top->total = 0;
	for (m = 0; m < top->count; m++) {
		ret = layout->get_mid(top, m, &mid);
		if (ret)
			return ret;
		if (mid.count > TD_NEST_MAX)
			return -E2BIG;
		mid.sum = 0;
		for (i = 0; i < mid.count; i++) {
			ret = layout->get_leaf(&mid, i, &leaf);
			if (!ret)
				ret = td_nest_text(&leaf);
			if (!ret)
				ret = layout->put_leaf(&mid, i, &leaf);
			if (ret)
				return ret;
			mid.sum = (u32)(mid.sum + leaf.value) & 0x7fffffff;
			leaves++;
			bytes += leaf.len;
		}
		ret = layout->put_mid(top, m, &mid);
		if (ret)
			return ret;
		top->total = (u32)(top->total + mid.sum) & 0x7fffffff;
	}
	len = scnprintf(text, sizeof(text), "leaves=%lu bytes=%lu", leaves, bytes) + 1;
	if (top->out_len < len)
		return -ENOSPC;
	return copy_to_user(top->out, text, len) ? -EFAULT : 0;
}

/**
 * td_array() - square every item of an array of count items
 * @array: where it is; count and sum are answered
 *
 * Return: 0, -E2BIG, -ENOMEM, -EFAULT.
 */
int td_array(struct td_array *array)
{
	size_t size = (size_t)array->count * sizeof(u64);
	u32 i, odd = 0, sum = 0;
	u64 *items;
	int ret = 0;

	if (array->count > TD_ARRAY_MAX)
		return -E2BIG;
	items = kvmalloc(size + 1, GFP_KERNEL);
	if (!items)
		return -ENOMEM;
	if (copy_from_user(items, array->items, size)) {
		ret = -EFAULT;
		goto out;
	}
	for (i = 0; i < array->count; i++) {
		sum += items[i];
		odd += items[i] & 1;
		items[i] *= items[i];
	}
	if (copy_to_user(array->items, items, size))
		ret = -EFAULT;
	array->count = odd;
	array->sum = sum & 0x7fffffff;
out:
	kvfree(items);
	return ret;
}

/**
 * td_string() - give a string back in capitals
 * @string: where it is and where it goes
 *
 * Return: its length, -ENAMETOOLONG, -ENOSPC when out is too small, -EFAULT.
 */
int td_string(const struct td_string *string)
{
	char *text = kmalloc(TD_STRING_MAX, GFP_KERNEL);
	long len, i;

	if (!text)
		return -ENOMEM;
	len = strncpy_from_user(text, string->in, TD_STRING_MAX);
	if (len < 0)
		goto out;
	if (len == TD_STRING_MAX) {
		len = -ENAMETOOLONG;
		goto out;
	}
	for (i = 0; i < len; i++)
		text[i] = toupper(text[i]);
	if (string->out_len < len + 1)
		len = -ENOSPC;
	else if (copy_to_user(string->out, text, len + 1))
		len = -EFAULT;
out:
	kfree(text);
	return len;
}

/**
 * td_flex() - double the items that follow a header
 * @flex: the header; its number in the ioctl does not cover the items
 *
 * Return: 0, -E2BIG, -EFAULT.
 */
int td_flex(struct td_flex __user *flex)
{
	u32 __user *items = (u32 __user *)(flex + 1);
	struct td_flex head;
	u32 i, item;

	if (copy_from_user(&head, flex, sizeof(head)))
		return -EFAULT;
	if (head.count > TD_ARRAY_MAX)
		return -E2BIG;
	head.total = 0;
	for (i = 0; i < head.count; i++) {
		if (get_user(item, &items[i]))
			return -EFAULT;
		head.total += item;
		if (put_user(item * 2, &items[i]))
			return -EFAULT;
	}
	return copy_to_user(flex, &head, sizeof(head)) ? -EFAULT : 0;
}
