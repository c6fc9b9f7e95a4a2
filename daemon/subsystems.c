// SPDX-License-Identifier: Apache-2.0
#include "subsystems.h"

#include <string.h>

#include <paradice/protocol.h>

static const struct subsystem known[] = {
	/* frame buffers are written in bursts and read seldom: the kernel maps them so, too */
	{ "graphics", PD_CACHE_WC, false, false },
	/* only who opened it may become master again; root would be trusted with others' buffers */
	{ "drm", PD_CACHE_WB, true, false },
	/* belongs to the memory of the process that opened it */
	{ "kfd", PD_CACHE_WB, true, false },
	/* write() only with the credentials that it was opened with */
	{ "infiniband_verbs", PD_CACHE_WB, true, false },
	{ "scsi_generic", PD_CACHE_WB, true, false },
	/* copied, all of it; programs by the thousand may use one terminal while it is open */
	{ "tty", PD_CACHE_WB, false, true },
	{ "input", PD_CACHE_WB, false, true },
	{ "sound", PD_CACHE_WB, false, true },
	{ NULL, PD_CACHE_WB, false, false },
};

const struct subsystem *subsystem_find(const char *name)
{
	const struct subsystem *s = known;

	while (s->name && strcmp(s->name, name))
		s++;
	return s;
}
