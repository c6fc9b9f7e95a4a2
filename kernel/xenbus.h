/* SPDX-License-Identifier: GPL-2.0-only */
/* The Xen transport, where the kernel has what it needs. */
#ifndef PARADICE_KERNEL_XENBUS_H
#define PARADICE_KERNEL_XENBUS_H

#include <linux/kconfig.h>

#if IS_ENABLED(CONFIG_XEN_XENBUS_FRONTEND)
int pd_xenbus_init(void);
void pd_xenbus_exit(void);
#else
static inline int pd_xenbus_init(void)
{
	return 0;
}

static inline void pd_xenbus_exit(void)
{
}
#endif

#endif
