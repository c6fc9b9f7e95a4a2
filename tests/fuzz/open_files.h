/* SPDX-License-Identifier: Apache-2.0 */
/* How many descriptors this process has: what stays open after an input is a leak. */
#ifndef PARADICE_FUZZ_OPEN_FILES_H
#define PARADICE_FUZZ_OPEN_FILES_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* @say_which: on stderr */
static inline unsigned int open_files(bool say_which)
{
	unsigned int n = 0;
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	if (!dir)
		abort();
	while ((e = readdir(dir))) {
		char to[64] = "";

		if (say_which && readlinkat(dirfd(dir), e->d_name, to, sizeof(to) - 1) > 0)
			dprintf(STDERR_FILENO, "%s: %s\n", e->d_name, to);
		n++;
	}
	closedir(dir);
	return n;
}

#endif
