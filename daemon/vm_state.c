// SPDX-License-Identifier: Apache-2.0
#include "vm_state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int vm_state_create(void)
{
	int fd = memfd_create("paradice-vm-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	/* no worker may make it shorter under the next one */
	if (ftruncate(fd, sizeof(struct vm_state)) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

struct vm_state *vm_state_map(int fd)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) || st.st_size != (off_t)sizeof(struct vm_state))
		return NULL;
	p = mmap(NULL, sizeof(struct vm_state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}
