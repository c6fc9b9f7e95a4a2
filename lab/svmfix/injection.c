// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU's emulated VMRUN delivers an interrupt given in EVENTINJ, and leaves its vector where its
 * processor's loop looks for an exception to deliver. Until the guest's next exit, whatever calls
 * that loop's thread without an interrupt for it (the refresh of an emulated display does, for
 * the pages written since) has the interrupt delivered again, as an exception: also to a guest
 * with interrupts off, which then waits for ever for a lock that it holds itself. An interrupt of
 * our own that is pending at VMRUN makes the guest exit before anything else is looked at.
 */
#include <linux/irq_work.h>
#include <linux/kprobes.h>
#include <linux/kvm_host.h>
#include <linux/percpu.h>

#include <asm/svm.h>

#include "svmfix.h"

static void nothing(struct irq_work *work)
{
}

static DEFINE_PER_CPU(struct irq_work, interrupt);

/* KVM's, which is nowhere in its headers */
struct vcpu_svm_begin {
	struct kvm_vcpu vcpu;
	struct vmcb *vmcb;
};

/* interrupts are off here, and stay so until VMRUN */
static int before_run(struct kprobe *p, struct pt_regs *regs)
{
	struct vcpu_svm_begin *svm = (void *)regs->di;
	u32 event = svm->vmcb->control.event_inj;

	if ((event & SVM_EVTINJ_VALID) && (event & SVM_EVTINJ_TYPE_MASK) == SVM_EVTINJ_TYPE_INTR)
		irq_work_queue(this_cpu_ptr(&interrupt));
	return 0;
}

NOKPROBE_SYMBOL(before_run);

/* Linux 6.1 leaves pointers in a module's initial per-CPU data as they are in its file: null */
void svmfix_injection_prepare(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		*per_cpu_ptr(&interrupt, cpu) = IRQ_WORK_INIT_HARD(nothing);
}

struct kprobe svmfix_injection = {
	.symbol_name = "svm_vcpu_run",
	.pre_handler = before_run,
};
