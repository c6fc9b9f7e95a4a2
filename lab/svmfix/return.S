/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/linkage.h>
#include <asm/ibt.h>

/* back to who called the function that is not to run */
SYM_FUNC_START(svmfix_return)
	ENDBR
	RET
SYM_FUNC_END(svmfix_return)
