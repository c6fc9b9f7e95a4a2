/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mirror program: moves its one page of code into the hole of the guest program's address
 * space and makes there the system calls that the worker lists, forever.
 *
 * Assembly, since nothing of a C program (stack, writable data, vdso) may stay in an address
 * space whose every address a guest program can hand to a driver: all state is in registers.
 *
 *	r12 request slot	r13 result slot		rbp number of the list at hand
 *	r14 call at hand	r15 calls left		rsp first error in the list
 *	rbx what the last call returned
 */
#include <asm/unistd_64.h>

#include "abi.h"

#define PROT_READ 1
#define PROT_WRITE 2
#define MAP_SHARED 1
#define MAP_FIXED 0x10
#define MREMAP_MAYMOVE_FIXED 3
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1

	.section .text
	.globl _start
_start:
	/* where is the hole? slot 0 tells */
	xor	%edi, %edi
	mov	$MIRROR_REQ_SIZE, %esi
	mov	$PROT_READ, %edx
	mov	$MAP_SHARED, %r10d
	mov	$MIRROR_FD_REQ, %r8d
	xor	%r9d, %r9d
	mov	$__NR_mmap, %eax
	syscall
	test	%rax, %rax
	js	fail
	mov	MIRROR_REQ_HOLE(%rax), %r14
	mov	MIRROR_REQ_NSLOTS(%rax), %r15d

	lea	mirror_loop(%rip), %rdi
	mov	$0x1000, %esi
	mov	$0x1000, %edx
	mov	$MREMAP_MAYMOVE_FIXED, %r10d
	mov	%r14, %r8
	mov	$__NR_mremap, %eax
	syscall
	test	%rax, %rax
	js	fail

	lea	MIRROR_HOLE_REQ(%r14), %r12
	mov	%r12, %rdi
	imul	$MIRROR_REQ_SIZE, %r15, %rsi
	mov	$PROT_READ, %edx
	mov	$(MAP_SHARED | MAP_FIXED), %r10d
	mov	$MIRROR_FD_REQ, %r8d
	xor	%r9d, %r9d
	mov	$__NR_mmap, %eax
	syscall
	test	%rax, %rax
	js	fail

	lea	MIRROR_HOLE_RES(%r14), %r13
	mov	%r13, %rdi
	imul	$MIRROR_RES_SIZE, %r15, %rsi
	mov	$(PROT_READ | PROT_WRITE), %edx
	mov	$(MAP_SHARED | MAP_FIXED), %r10d
	mov	$MIRROR_FD_RES, %r8d
	xor	%r9d, %r9d
	mov	$__NR_mmap, %eax
	syscall
	test	%rax, %rax
	js	fail

	add	$(MIRROR_SLOT_SEED * MIRROR_REQ_SIZE), %r12
	add	$(MIRROR_SLOT_SEED * MIRROR_RES_SIZE), %r13
	xor	%ebp, %ebp
	jmp	*%r14

fail:
	mov	$1, %edi
	mov	$__NR_exit_group, %eax
	syscall
	ud2

	/* the page that moves: position-independent, read and executed only */
	.balign	0x1000
mirror_loop:
	mov	MIRROR_REQ_SEQ(%r12), %eax
	cmp	%ebp, %eax
	jne	begin
	lea	MIRROR_REQ_SEQ(%r12), %rdi
	mov	$FUTEX_WAIT, %esi
	mov	%ebp, %edx
	xor	%r10d, %r10d
	/* what the kernel does not look at, but shows to the worker */
	mov	%rbx, %r8
	mov	%rsp, %r9
	mov	$__NR_futex, %eax
	syscall
	jmp	mirror_loop

begin:
	mov	%eax, %ebp
	mov	MIRROR_REQ_COUNT(%r12), %r15d
	lea	MIRROR_REQ_CALLS(%r12), %r14
	xor	%esp, %esp

next:
	test	%r15d, %r15d
	jz	done
	testl	$MIRROR_CALL_COMPAT, MIRROR_CALL_FLAGS(%r14)
	jnz	compat
	mov	MIRROR_CALL_NR(%r14), %rax
	mov	%rax, %rbx
	mov	(MIRROR_CALL_ARGS + 0)(%r14), %rdi
	mov	(MIRROR_CALL_ARGS + 8)(%r14), %rsi
	mov	(MIRROR_CALL_ARGS + 16)(%r14), %rdx
	mov	(MIRROR_CALL_ARGS + 24)(%r14), %r10
	mov	(MIRROR_CALL_ARGS + 32)(%r14), %r8
	mov	(MIRROR_CALL_ARGS + 40)(%r14), %r9
	syscall
	test	%rax, %rax
	jnz	store
	/*
	 * The new thread: clone's sixth argument, which the kernel ignores, is its slot. It must
	 * not look at its parent's list, where the next one may be by now.
	 */
	cmp	$__NR_clone, %rbx
	jne	store
	mov	%r9, %r12
	mov	MIRROR_REQ_RESULT(%r12), %r13
	xor	%ebp, %ebp
	jmp	mirror_loop

compat:
	mov	MIRROR_CALL_NR(%r14), %eax
	mov	(MIRROR_CALL_ARGS + 0)(%r14), %ebx
	mov	(MIRROR_CALL_ARGS + 8)(%r14), %ecx
	mov	(MIRROR_CALL_ARGS + 16)(%r14), %edx
	mov	(MIRROR_CALL_ARGS + 24)(%r14), %esi
	mov	(MIRROR_CALL_ARGS + 32)(%r14), %edi
	int	$0x80
	movslq	%eax, %rax

store:
	mov	%rax, %rbx
	/* a call is 64 bytes and its result 8 */
	mov	%r14, %rcx
	sub	%r12, %rcx
	shr	$3, %rcx
	mov	%rax, (MIRROR_RES_VALUES - MIRROR_REQ_CALLS / 8)(%r13, %rcx)
	test	%rax, %rax
	jns	advance
	test	%rsp, %rsp
	cmovz	%rax, %rsp
	testl	$MIRROR_CALL_STOP, MIRROR_CALL_FLAGS(%r14)
	jnz	done
advance:
	add	$MIRROR_CALL_SIZE, %r14
	dec	%r15d
	jmp	next

done:
	mov	MIRROR_REQ_REPORT(%r12), %edi
	test	%edi, %edi
	jnz	report
wake:
	lea	MIRROR_REQ_DONE(%r12), %rdi
	mov	$FUTEX_WAKE, %esi
	mov	$1, %edx
	mov	$__NR_futex, %eax
	syscall
	cmp	$1, %eax
	je	mirror_loop
	/* the worker, which started the list, is about to wait */
	mov	$__NR_sched_yield, %eax
	syscall
	jmp	wake

report:
	/* through a descriptor that operations do not have: nobody else can say it */
	lea	MIRROR_REQ_OK(%r12), %rsi
	lea	MIRROR_REQ_ERR(%r12), %rcx
	test	%rsp, %rsp
	cmovnz	%rcx, %rsi
	mov	$8, %edx
	mov	$__NR_write, %eax
	syscall
	jmp	mirror_loop
	.balign	0x1000, 0xcc

	.section .note.GNU-stack, "", @progbits
