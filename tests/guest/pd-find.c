// SPDX-License-Identifier: Apache-2.0
/*
 * pd-find: is one file inside another, bit by bit?
 *
 *	pd-find NEEDLE HAYSTACK
 *
 * Says how many bytes were found, not where. When not: how much of the needle's beginning is
 * there at most, and whether the other file ends then, for who looks for the reason. Exit: 0 found, 1 not.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEED 64

static const char *map(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *at;

	if (fd < 0 || fstat(fd, &st) || !st.st_size)
		return NULL;
	*size = st.st_size;
	at = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

int main(int argc, char **argv)
{
	const char *needle, *hay, *at;
	size_t n, h, same = 0;

	if (argc != 3 || !(needle = map(argv[1], &n)) || !(hay = map(argv[2], &h))) {
		printf("nothing to compare\n");
		return 1;
	}
	if (n >= SEED && memmem(hay, h, needle, n)) {
		printf("%zu bytes found, bit by bit\n", n);
		return 0;
	}
	at = n >= SEED ? memmem(hay, h, needle, SEED) : NULL;
	while (at && same < n && at + same < hay + h && at[same] == needle[same])
		same++;
	printf("%zu of %zu bytes are the same%s\n", same, n,
	       at && at + same == hay + h ? ", and then the file ends" : "");
	return 1;
}
