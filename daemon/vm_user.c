// SPDX-License-Identifier: Apache-2.0
#include "vm_user.h"

#include <errno.h>
#include <unistd.h>

#include "locks.h"
#include "log.h"

/*
 * Each VM's processes have a user id of their own, from a range that no distribution gives out,
 * so that one VM's cannot touch another's. Its name says which, whatever daemon it is of.
 */
#define UID_BASE 0x70d10000u
#define UIDS (1u << 20)

/* Has none of this daemon's VMs that id? Those to come choose theirs later, if they were not given one. */
static bool is_free(const struct host *host, unsigned int index, uid_t uid)
{
	for (unsigned int i = 0; i < host->o->nvms; i++)
		if ((i < index && host->vms[i].uid == uid) ||
		    (host->o->vms[i].user_given && host->o->vms[i].uid == uid))
			return false;
	return true;
}

/* The first that is free from where its name points to (a FNV-1a hash). */
static void choose_user(const struct host *host, unsigned int index, struct vm *vm)
{
	uint32_t hash = 2166136261u;

	for (const char *p = vm->o->name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	for (uint32_t i = 0; i < UIDS; i++) {
		vm->uid = UID_BASE + (hash + i) % UIDS;
		if (!is_free(host, index, vm->uid))
			continue;
		vm->user_lock = locks_possible() ? locks_user(vm->uid) : -1;
		if (vm->user_lock != -EBUSY)
			break;
	}
	vm->gid = vm->uid;
}

int vm_user_setup(const struct host *host, unsigned int index)
{
	struct vm *vm = &host->vms[index];

	vm->user_lock = -1;
	vm->uid = vm->gid = (uid_t)-1;
	if (vm->o->user_given) {
		vm->uid = vm->o->uid;
		vm->gid = vm->o->gid;
	} else if (geteuid() == 0) {
		choose_user(host, index, vm);
	}
	if (vm->o->user_given && geteuid() != 0 && vm->uid != geteuid()) {
		log_error("VM '%s': --user needs paradiced to be started by root", vm->o->name);
		return -1;
	}
	return 0;
}
