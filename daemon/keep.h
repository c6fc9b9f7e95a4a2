/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMM's words that the manager keeps for a worker to come: how the device is set up, with the
 * descriptors, so that the VMM need not notice that a worker has died.
 */
#ifndef PARADICE_KEEP_H
#define PARADICE_KEEP_H

#include <stdbool.h>

#include "vhost_proto.h"

struct keep;

struct keep *keep_create(void);
void keep_destroy(struct keep *k);

/* True for messages that are to be kept. */
bool keep_wants(uint32_t request);
/* Keeps a message instead of the one that it replaces; @fds are taken over. */
void keep_store(struct keep *k, const struct vhost_message *msg, int *fds, unsigned int nfds);
/* True when there is enough to go on with. */
bool keep_any(const struct keep *k);
/* Sends all, in the order in which a device is set up. Returns 0 or a negative errno. */
int keep_replay(const struct keep *k, int channel);

#endif
