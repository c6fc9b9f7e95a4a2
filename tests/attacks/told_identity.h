/* SPDX-License-Identifier: Apache-2.0 */
/* The identities of devices that paradiced-hostile tells (lies.h). Any thread; no locks. */
#ifndef PARADICE_TOLD_IDENTITY_H
#define PARADICE_TOLD_IDENTITY_H

#include <stdint.h>

#include "lies.h"

/**
 * struct told_identity - a part of one
 * @lie: which of those from LIE_PROPERTY to LIE_TOTALS
 * @id: the device's
 * @len: bytes of it
 * @result: how many that are said to be
 * @total: and how many there are to be of the whole
 */
struct told_identity {
	enum lie lie;
	uint32_t id;
	uint32_t len;
	int64_t result;
	uint32_t total;
};

/* Makes the part from @offset on at @bytes, which have @room; 0 or a negative errno. */
int told_identity(struct told_identity *t, uint32_t offset, uint8_t *bytes, uint32_t room);

#endif
