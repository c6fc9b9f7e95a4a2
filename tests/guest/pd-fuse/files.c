// SPDX-License-Identifier: Apache-2.0
/* A file system of three files in one folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "fuse.h"

#define PATTERN (1 << 20)
#define NOTE 65536

enum { ROOT = FUSE_ROOT_ID, HELLO, THE_PATTERN, THE_NOTE, END };

static const char *const names[END] = {
	[HELLO] = "hello",
	[THE_PATTERN] = "pattern",
	[THE_NOTE] = "note",
};
static char content[END][PATTERN];
static size_t sizes[END] = { [THE_PATTERN] = PATTERN };

static struct fuse_attr attributes(uint64_t node)
{
	struct fuse_attr attr = {
		.ino = node,
		.size = node == ROOT ? 0 : sizes[node],
		.mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0644,
		.nlink = 1,
		.blksize = 4096,
	};

	attr.blocks = (attr.size + 511) / 512;
	return attr;
}

static void attr_answer(int fd, const struct fuse_in_header *in)
{
	struct fuse_attr_out out = { .attr = attributes(in->nodeid) };

	answer(fd, in, 0, &out, sizeof(out));
}

static void lookup(int fd, const struct fuse_in_header *in, const char *name)
{
	for (uint64_t node = HELLO; node < END; node++) {
		struct fuse_entry_out out = { .nodeid = node, .attr = attributes(node) };

		if (strcmp(name, names[node]))
			continue;
		answer(fd, in, 0, &out, sizeof(out));
		return;
	}
	answer(fd, in, -ENOENT, NULL, 0);
}

static void folder(int fd, const struct fuse_in_header *in, const struct fuse_read_in *rd)
{
	char room[512] __attribute__((aligned(8)));
	size_t used = 0;

	memset(room, 0, sizeof(room));
	for (uint64_t node = HELLO + rd->offset; node < END; node++) {
		struct fuse_dirent *entry = (void *)(room + used);

		entry->ino = node;
		entry->off = node - HELLO + 1;
		entry->type = DT_REG;
		entry->namelen = strlen(names[node]);
		memcpy(entry->name, names[node], entry->namelen);
		used += FUSE_DIRENT_SIZE(entry);
	}
	answer(fd, in, 0, room, used);
}

static void set_attr(int fd, const struct fuse_in_header *in, const struct fuse_setattr_in *set)
{
	if (set->valid & FATTR_SIZE) {
		if (in->nodeid != THE_NOTE || set->size > NOTE) {
			answer(fd, in, -EFBIG, NULL, 0);
			return;
		}
		sizes[in->nodeid] = set->size;
	}
	attr_answer(fd, in);
}

static void init(int fd, const struct fuse_in_header *in)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = 31,
		.max_readahead = MAX_WRITE,
		.max_background = 16,
		.congestion_threshold = 12,
		.max_write = MAX_WRITE,
		.time_gran = 1,
	};

	answer(fd, in, 0, &out, sizeof(out));
	printf("mounted\n");
}

static void handle(int fd, struct fuse_in_header *in, void *arg)
{
	const struct fuse_read_in *rd = arg;
	const struct fuse_write_in *wr = arg;
	uint64_t node = in->nodeid;
	struct fuse_open_out opened = { 0 };
	struct fuse_write_out written = { 0 };
	size_t at, n;

	if (in->opcode != FUSE_INIT && (node < ROOT || node >= END)) {
		answer(fd, in, -ESTALE, NULL, 0);
		return;
	}
	switch (in->opcode) {
	case FUSE_INIT:
		init(fd, in);
		break;
	case FUSE_LOOKUP:
		lookup(fd, in, arg);
		break;
	case FUSE_GETATTR:
		attr_answer(fd, in);
		break;
	case FUSE_SETATTR:
		set_attr(fd, in, arg);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		answer(fd, in, 0, &opened, sizeof(opened));
		break;
	case FUSE_READDIR:
		folder(fd, in, rd);
		break;
	case FUSE_READ:
		at = rd->offset < sizes[node] ? rd->offset : sizes[node];
		n = rd->size < sizes[node] - at ? rd->size : sizes[node] - at;
		answer(fd, in, 0, content[node] + at, n);
		break;
	case FUSE_WRITE:
		if (node != THE_NOTE || wr->offset + wr->size > NOTE) {
			answer(fd, in, -EFBIG, NULL, 0);
			break;
		}
		memcpy(content[node] + wr->offset, wr + 1, wr->size);
		if (wr->offset + wr->size > sizes[node])
			sizes[node] = wr->offset + wr->size;
		written.size = wr->size;
		answer(fd, in, 0, &written, sizeof(written));
		break;
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
	case FUSE_FSYNC:
		answer(fd, in, 0, NULL, 0);
		break;
	default:
		answer(fd, in, -ENOSYS, NULL, 0);
	}
}

int files_serve(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char *at = content[THE_PATTERN];

	if (fd < 0)
		die(path);
	sizes[HELLO] = (size_t)sprintf(content[HELLO], "hello from behind the device\n");
	for (int i = 0; i < PATTERN / 8; i++)
		memcpy(at + (size_t)i * 8, &(uint64_t){ i * 0x9e3779b97f4a7c15ULL }, 8);
	printf("ready\n");
	/* until it is mounted there is nobody who could ask */
	for (;;) {
		char nothing[ROOM];

		if (read(fd, nothing, 0) >= 0 || errno != EPERM)
			break;
		usleep(50000);
	}
	serve(fd, handle);
	printf("unmounted\n");
	return 0;
}
