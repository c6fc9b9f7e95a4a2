/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SVMFIX_H
#define SVMFIX_H

void svmfix_return(void);

#endif
