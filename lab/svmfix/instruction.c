// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's emulated SVM leaves the type of an exception which it has delivered in EXITINTINFO at
 * the next exit (without the valid bit, and real processors leave nothing). KVM of Linux 6.14
 * and later looks at the type alone, believes that a delivery was interrupted, and ends the VM
 * ("KVM internal error. Suberror: 3") when that exit is an access to a device's registers. Here
 * it does not look.
 */
#include <linux/kprobes.h>

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

struct kprobe svmfix_instruction = {
	.symbol_name = "svm_check_emulate_instruction",
	.pre_handler = skip,
	.post_handler = after,
};
