/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of paradiced. */
#ifndef PARADICE_OPTIONS_H
#define PARADICE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ioctl_policy.h"
#include "log.h"
#include "rules.h"

/* Who opens a device */
enum opener_choice {
	OPENER_DEFAULT, /* what is known of its subsystem decides */
	OPENER_MANAGER,
	OPENER_MIRROR,
};

/**
 * struct device_option - one --device
 * @path: on the host
 * @name: below /dev in the guest
 * @readonly: "ro"
 * @exclusive: "exclusive"
 * @caps: capabilities that "caps=" gives, a mask
 * @caching: PD_CACHE_*, or -1 when not given
 * @opener: "open=": enum opener_choice
 * @ioctls: "allow-ioctl=" and "deny-ioctl="
 */
struct device_option {
	char *path;
	char *name;
	bool readonly;
	bool exclusive;
	uint64_t caps;
	int caching;
	enum opener_choice opener;
	struct ioctl_policy ioctls;
};

/**
 * struct vm_option - one --vm with all that belongs to it
 * @socket: where its VMM connects; NULL for a domain of Xen's
 * @socket_group: whose processes may connect there, or -1
 * @xen: that domain, by name or number, else NULL
 * @rules: "fd-in=" and "fd-out=" of all its devices
 * @memory_max: bytes that its processes may use, 0: any
 * @allow_pv: serve a domain of Xen's though our own is PV
 * @user_given: @uid and @gid come from --user
 */
struct vm_option {
	char *name;
	char *socket;
	gid_t socket_group;
	char *xen;
	char *stats;
	uint32_t queues;
	uint32_t max_inflight;
	uint32_t spin_us;
	uint32_t max_files;
	uint32_t max_processes;
	uint64_t window_size;
	uint64_t memory_max;
	bool allow_pfnmap;
	bool allow_pv;
	bool user_given;
	uid_t uid;
	gid_t gid;
	struct device_option *devices;
	unsigned int ndevices;
	struct rules_given rules;
};

/**
 * struct options - the whole command line
 * @control: path of the control socket; NULL for none
 * @control_given: it was asked for, so not getting it is an error
 * @cgroup: path of the control group below which the VMs' are; NULL: our own
 * @mirror: path of the mirror program, NULL for the installed one
 * @once: end after the first VM has gone
 */
struct options {
	struct vm_option *vms;
	unsigned int nvms;
	char *control;
	bool control_given;
	char *cgroup;
	char *mirror;
	bool once;
	enum log_level level;
};

#define CONTROL_DEFAULT "/run/paradice/control"

/**
 * options_parse() - reads the command line
 *
 * --help and --version print and end the process; wrong usage ends it with status 2 and a message.
 */
void options_parse(int argc, char **argv, struct options *o);

#endif
