// SPDX-License-Identifier: Apache-2.0
/* pdtest: memory of all kinds, and the pattern in it. */
#include "pdtest.h"

char *map_pages(size_t n)
{
	void *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED);
	return p;
}

char *map_edge(size_t n)
{
	char *p = map_pages(n + 1);

	MUST(munmap(p + n * PAGE, PAGE) == 0);
	return p;
}

void *map_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED);
	return p;
}

static void fill_file(int fd, unsigned int seed, size_t size)
{
	char *data = malloc(size + 1);

	MUST(data);
	fill(data, seed, 0, size);
	MUST(pwrite(fd, data, size, 0) == (ssize_t)size);
	free(data);
}

int temp_file(unsigned int seed, size_t size)
{
	char path[] = "/tmp/pdtest-XXXXXX";
	int fd = mkstemp(path);

	MUST(fd >= 0);
	unlink(path);
	fill_file(fd, seed, size);
	return fd;
}

int memory_file(unsigned int seed, size_t size)
{
	int fd = memfd_create("pdtest", MFD_CLOEXEC);

	MUST(fd >= 0);
	fill_file(fd, seed, size);
	return fd;
}

void *volatile nowhere;

void fill(void *data, unsigned int seed, uint64_t pos, size_t len)
{
	uint8_t *byte = data;

	for (; len && (pos & 7); len--)
		*byte++ = td_byte(seed, pos++);
	for (; len >= 8; len -= 8, pos += 8, byte += 8) {
		uint64_t word = td_word(seed, pos >> 3);

		memcpy(byte, &word, 8);
	}
	while (len--)
		*byte++ = td_byte(seed, pos++);
}

size_t matching(const void *data, unsigned int seed, uint64_t pos, size_t len)
{
	const uint8_t *byte = data;
	size_t i = 0;

	for (; i < len && (pos + i) & 7; i++)
		if (byte[i] != td_byte(seed, pos + i))
			return i;
	for (; i + 8 <= len; i += 8) {
		uint64_t word = td_word(seed, (pos + i) >> 3);

		if (memcmp(byte + i, &word, 8))
			break;
	}
	while (i < len && byte[i] == td_byte(seed, pos + i))
		i++;
	return i;
}
