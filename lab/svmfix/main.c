// SPDX-License-Identifier: GPL-2.0-only
/* For lab hosts whose SVM is QEMU's emulation: what makes KVM run its guests well there. */
#include <linux/kprobes.h>
#include <linux/module.h>

#include "svmfix.h"

static struct kprobe *probes[] = { &svmfix_instruction, &svmfix_injection };

static int __init svmfix_init(void)
{
	return register_kprobes(probes, ARRAY_SIZE(probes));
}

static void __exit svmfix_exit(void)
{
	unregister_kprobes(probes, ARRAY_SIZE(probes));
}

module_init(svmfix_init);
module_exit(svmfix_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Linux's KVM on QEMU's emulated SVM");
