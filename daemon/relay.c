// SPDX-License-Identifier: Apache-2.0
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int relay_open(int ends[2])
{
	struct stat st;

	ends[0] = ends[1] = -1;
	if (fstat(STDERR_FILENO, &st) || S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode))
		return 0;
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	return 0;
}

bool relay_some(int fd, bool *end)
{
	/* lines are written whole, and come whole */
	char text[16384];
	ssize_t n = read(fd, text, sizeof(text));

	*end = !n || (n < 0 && errno != EAGAIN && errno != EINTR);
	if (n <= 0)
		return false;
	/* a terminal would obey */
	for (ssize_t i = 0; i < n; i++)
		if (((unsigned char)text[i] < ' ' && text[i] != '\n' && text[i] != '\t') ||
		    text[i] == '\177')
			text[i] = '?';
	for (ssize_t done = 0, k; done < n; done += k) {
		k = write(STDERR_FILENO, text + done, (size_t)(n - done));
		/* as for our own: nothing sensible can be done */
		if (k < 0)
			break;
	}
	return true;
}
