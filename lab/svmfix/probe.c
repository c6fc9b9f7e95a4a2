// SPDX-License-Identifier: GPL-2.0-only
/*
 * For lab hosts whose SVM is QEMU's emulation. That leaves the type of an exception which it has
 * delivered in EXITINTINFO at the next exit (without the valid bit, and real processors leave
 * nothing). KVM of Linux 6.14 and later looks at the type alone, believes that a delivery was
 * interrupted, and ends the VM ("KVM internal error. Suberror: 3") when that exit is an access to
 * a device's registers. Here it does not look.
 */
#include <linux/kprobes.h>
#include <linux/module.h>

#include "svmfix.h"

#define X86EMUL_CONTINUE 0

static int skip(struct kprobe *p, struct pt_regs *regs)
{
	regs->ax = X86EMUL_CONTINUE;
	regs->ip = (unsigned long)svmfix_return;
	return 1;
}

NOKPROBE_SYMBOL(skip);

/* without one, kprobes may not change where to go on */
static void after(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probe = {
	.symbol_name = "svm_check_emulate_instruction",
	.pre_handler = skip,
	.post_handler = after,
};

static int __init svmfix_init(void)
{
	return register_kprobe(&probe);
}

static void __exit svmfix_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(svmfix_init);
module_exit(svmfix_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Linux's KVM on QEMU's emulated SVM");
