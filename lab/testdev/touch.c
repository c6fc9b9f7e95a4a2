// SPDX-License-Identifier: GPL-2.0-only
/* testdev: touch one range of the caller's memory, and say how far it went. */
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "internal.h"

static void td_touch_read(struct td_touch *touch, u8 *data)
{
	touch->done = touch->len - copy_from_user(data, touch->addr, touch->len);
	touch->sum = td_sum(0, data, touch->done);
}

static void td_touch_write(struct td_touch *touch, u8 *data)
{
	unsigned long i;

	for (i = 0; i < touch->len; i++)
		data[i] = td_byte(touch->seed, i);
	touch->done = touch->len - copy_to_user(touch->addr, data, touch->len);
}

/* As code that holds locks does: no faults, then fault in, then again. */
static void td_touch_atomic(struct td_touch *touch, u8 *data)
{
	unsigned long left;

	while (touch->done < touch->len) {
		pagefault_disable();
		left = __copy_from_user_inatomic(data + touch->done, touch->addr + touch->done,
						 touch->len - touch->done);
		pagefault_enable();
		touch->done = touch->len - left;
		if (left && fault_in_readable(touch->addr + touch->done, 1))
			break;
	}
	touch->sum = td_sum(0, data, touch->done);
}

static void td_touch_get(struct td_touch *touch)
{
	u8 b = 0;
	u16 h = 0;
	u32 w = 0;
	u64 q = 0;
	int ret;

	switch (touch->len) {
	case 1:
		ret = get_user(b, (u8 __user *)touch->addr);
		touch->sum = b;
		break;
	case 2:
		ret = get_user(h, (u16 __user *)touch->addr);
		touch->sum = h;
		break;
	case 4:
		ret = get_user(w, (u32 __user *)touch->addr);
		touch->sum = w;
		break;
	default:
		ret = get_user(q, (u64 __user *)touch->addr);
		touch->sum = q;
	}
	touch->done = ret ? 0 : touch->len;
}

static void td_touch_put(struct td_touch *touch)
{
	u64 value = td_word(touch->seed, 0);
	int ret;

	switch (touch->len) {
	case 1:
		ret = put_user((u8)value, (u8 __user *)touch->addr);
		break;
	case 2:
		ret = put_user((u16)value, (u16 __user *)touch->addr);
		break;
	case 4:
		ret = put_user((u32)value, (u32 __user *)touch->addr);
		break;
	default:
		ret = put_user(value, (u64 __user *)touch->addr);
	}
	touch->done = ret ? 0 : touch->len;
}

static int td_touch_bulk(struct td_touch *touch)
{
	u8 *data = kvmalloc(touch->len + 1, GFP_KERNEL);

	if (!data)
		return -ENOMEM;
	if (touch->op == TD_TOUCH_READ)
		td_touch_read(touch, data);
	else if (touch->op == TD_TOUCH_WRITE)
		td_touch_write(touch, data);
	else
		td_touch_atomic(touch, data);
	kvfree(data);
	return 0;
}

/**
 * td_touch() - read or write @touch->len bytes at @touch->addr of the caller
 * @touch: what to do; done and sum are answered, also with -EFAULT
 *
 * Return: 0, -EFAULT when a byte could not be touched, -EINVAL, -ENOMEM.
 */
int td_touch(struct td_touch *touch)
{
	long len;

	touch->done = 0;
	touch->sum = 0;
	if (touch->len > TD_TOUCH_MAX)
		return -EINVAL;

	switch (touch->op) {
	case TD_TOUCH_READ:
	case TD_TOUCH_WRITE:
	case TD_TOUCH_ATOMIC:
		if (td_touch_bulk(touch))
			return -ENOMEM;
		break;
	case TD_TOUCH_CLEAR:
		touch->done = touch->len - clear_user(touch->addr, touch->len);
		break;
	case TD_TOUCH_GET:
	case TD_TOUCH_PUT:
		if (touch->len != 1 && touch->len != 2 && touch->len != 4 && touch->len != 8)
			return -EINVAL;
		if (touch->op == TD_TOUCH_GET)
			td_touch_get(touch);
		else
			td_touch_put(touch);
		break;
	case TD_TOUCH_STRLEN:
		len = strnlen_user(touch->addr, touch->len);
		touch->done = len ? touch->len : 0;
		touch->sum = len;
		break;
	default:
		return -EINVAL;
	}
	return touch->done == touch->len ? 0 : -EFAULT;
}
