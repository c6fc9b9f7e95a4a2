/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SVMFIX_H
#define SVMFIX_H

struct kprobe;

extern struct kprobe svmfix_instruction;
extern struct kprobe svmfix_injection;

void svmfix_injection_prepare(void);
void svmfix_return(void);

#endif
