// SPDX-License-Identifier: GPL-2.0-only
/* For lab hosts whose SVM is QEMU's emulation: what makes KVM run its guests well there. */
#include <linux/kprobes.h>
#include <linux/module.h>

#include "svmfix.h"

static struct kprobe *probes[] = { &svmfix_instruction, &svmfix_injection };

static int __init svmfix_init(void)
{
	unsigned int i;
	int ret = 0;

	svmfix_injection_prepare();
	for (i = 0; i < ARRAY_SIZE(probes) && !ret; i++) {
		ret = register_kprobe(probes[i]);
		/* a KVM without the function has no need of that probe */
		if (ret == -ENOENT && probes[i] == &svmfix_instruction)
			ret = 0;
	}
	if (ret)
		unregister_kprobes(probes, ARRAY_SIZE(probes));
	return ret;
}

static void __exit svmfix_exit(void)
{
	unregister_kprobes(probes, ARRAY_SIZE(probes));
}

module_init(svmfix_init);
module_exit(svmfix_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Linux's KVM on QEMU's emulated SVM");
