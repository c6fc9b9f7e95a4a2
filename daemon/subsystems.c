// SPDX-License-Identifier: Apache-2.0
#include "subsystems.h"

#include <string.h>

#include <paradice/protocol.h>

static const struct subsystem known[] = {
	/* frame buffers are written in bursts and read seldom: the kernel maps them so, too */
	{ "graphics", PD_CACHE_WC, false },
	/* only who opened it may become master again; root would be trusted with others' buffers */
	{ "drm", PD_CACHE_WB, true },
	/* belongs to the memory of the process that opened it */
	{ "kfd", PD_CACHE_WB, true },
	/* write() only with the credentials that it was opened with */
	{ "infiniband_verbs", PD_CACHE_WB, true },
	{ "scsi_generic", PD_CACHE_WB, true },
	{ NULL, PD_CACHE_WB, false },
};

const struct subsystem *subsystem_find(const char *name)
{
	const struct subsystem *s = known;

	while (s->name && strcmp(s->name, name))
		s++;
	return s;
}
