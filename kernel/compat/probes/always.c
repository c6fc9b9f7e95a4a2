// SPDX-License-Identifier: GPL-2.0-only
/* Compiles on every kernel: shows that a probe's failure means something. */
#include <linux/module.h>
#include <linux/virtio.h>
