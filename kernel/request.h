/* SPDX-License-Identifier: GPL-2.0-only */
/* Between request.c, wait.c and orphan.c. */
#ifndef PARADICE_REQUEST_H
#define PARADICE_REQUEST_H

#include "core.h"

int pd_req_try_reserve(struct pd_request *r);
int pd_req_send(struct pd_request *r, enum pd_wait how);
bool pd_req_answered(const struct pd_request *r);
void pd_req_decode(struct pd_request *r);
void pd_req_make_continue(struct pd_request *r);
void pd_req_kick(struct pd_request *r);
void pd_req_spin(struct pd_request *r);
void pd_req_spun(struct pd_request *r);
void pd_req_orphan_work(struct work_struct *work);

#endif
