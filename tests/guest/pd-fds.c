// SPDX-License-Identifier: Apache-2.0
/*
 * pd-fds: devices whose ioctls hand out files.
 *
 *	pd-fds pty NODE          a terminal through NODE (/dev/ptmx) and its peer by TIOCGPTPEER
 *	pd-fds dma-heap NODE     a buffer of a DMA heap: mapped, synchronised, imported nowhere
 *	pd-fds udmabuf NODE      a dma-buf made of the program's own memfd
 *
 * Prints what it saw. Exit: 0 when all was right, 1 when not, 2 for wrong arguments.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#define SIZE (256 * 1024)

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_node(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		die(path);
	return fd;
}

static int pty(const char *path)
{
	static const char line[] = "through the terminal";
	int main_end = open_node(path), unlock = 0, peer;
	struct termios t;
	char back[64] = "";

	if (ioctl(main_end, TIOCSPTLCK, &unlock))
		die("TIOCSPTLCK");
	peer = ioctl(main_end, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	if (peer < 0)
		die("TIOCGPTPEER");
	if (tcgetattr(peer, &t))
		die("tcgetattr of the peer");
	cfmakeraw(&t);
	if (tcsetattr(peer, TCSANOW, &t))
		die("tcsetattr of the peer");
	if (write(main_end, line, sizeof(line)) != sizeof(line))
		die("writing");
	if (read(peer, back, sizeof(back)) != sizeof(line) || strcmp(back, line))
		die("reading from the peer");
	if (write(peer, line, sizeof(line)) != sizeof(line))
		die("writing to the peer");
	memset(back, 0, sizeof(back));
	if (read(main_end, back, sizeof(back)) != sizeof(line) || strcmp(back, line))
		die("reading");
	close(peer);
	if (read(main_end, back, 1) >= 0 || errno != EIO)
		die("without a peer: not EIO but");
	printf("both ways, and EIO without the peer\n");
	return 0;
}

static void sync_buffer(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	if (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync))
		die("DMA_BUF_IOCTL_SYNC");
}

static uint32_t *map_buffer(int fd)
{
	uint32_t *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		die("mmap of the buffer");
	return at;
}

/* Writes through one mapping, reads through another. */
static void use_buffer(int fd)
{
	uint32_t *at = map_buffer(fd), *other = map_buffer(fd);

	printf("%lld bytes long\n", (long long)lseek(fd, 0, SEEK_END));
	sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	for (uint32_t i = 0; i < SIZE / 4; i++)
		at[i] = i * 2654435761u;
	sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	munmap(at, SIZE);
	for (uint32_t i = 0; i < SIZE / 4; i++)
		if (other[i] != i * 2654435761u) {
			printf("word %u is wrong\n", i);
			exit(1);
		}
	munmap(other, SIZE);
	printf("all words are right\n");
}

static int dma_heap(const char *path)
{
	struct dma_heap_allocation_data data = { .len = SIZE, .fd_flags = O_RDWR | O_CLOEXEC };
	char name[] = "pd-fds";

	if (ioctl(open_node(path), DMA_HEAP_IOCTL_ALLOC, &data))
		die("DMA_HEAP_IOCTL_ALLOC");
	if (ioctl(data.fd, DMA_BUF_SET_NAME_B, name))
		die("DMA_BUF_SET_NAME");
	use_buffer(data.fd);
	return 0;
}

static int udmabuf(const char *path)
{
	struct udmabuf_create create = { .size = SIZE };
	int memory = memfd_create("pd-fds", MFD_ALLOW_SEALING | MFD_CLOEXEC), fd;
	uint32_t *at;

	if (memory < 0 || ftruncate(memory, SIZE) || fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK))
		die("memfd");
	create.memfd = memory;
	fd = ioctl(open_node(path), UDMABUF_CREATE, &create);
	if (fd < 0)
		die("UDMABUF_CREATE");
	use_buffer(fd);
	at = map_buffer(memory);
	printf("the program's own memory: %s\n",
	       at[1] == 2654435761u ? "has what was written" : "does NOT have it");
	return at[1] != 2654435761u;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && !strcmp(argv[1], "pty"))
		return pty(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "dma-heap"))
		return dma_heap(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "udmabuf"))
		return udmabuf(argv[2]);
	fprintf(stderr, "pd-fds: see the head of its source\n");
	return 2;
}
