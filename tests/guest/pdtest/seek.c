// SPDX-License-Identifier: Apache-2.0
/* pdtest: llseek. */
#include "pdtest.h"

static void say_seek(int fd, const char *what, off_t off, int whence)
{
	off_t at = lseek(fd, off, whence);

	if (at < 0)
		say("%s: %s", what, result(-1));
	else
		say("%s: %lld", what, (long long)at);
}

static void run_whence(void)
{
	int fd = open_dev(O_RDWR);

	say_seek(fd, "loop", 0, SEEK_SET);
	set_mode(fd, TD_MODE_MEM);
	say_seek(fd, "set 100", 100, SEEK_SET);
	say_seek(fd, "cur 50", 50, SEEK_CUR);
	say_seek(fd, "cur -200", -200, SEEK_CUR);
	say_seek(fd, "end", 0, SEEK_END);
	say_seek(fd, "end -10", -10, SEEK_END);
	say_seek(fd, "end 10", 10, SEEK_END);
	say_seek(fd, "set -1", -1, SEEK_SET);
	say_seek(fd, "data", 5, SEEK_DATA);
	say_seek(fd, "hole", 5, SEEK_HOLE);
	say_seek(fd, "whence 9", 0, 9);
	say_seek(fd, "cur", 0, SEEK_CUR);
}

static void run_shared(void)
{
	int fd = open_dev(O_RDWR), other = dup(fd);
	char data[100];
	pid_t pid;

	set_mode(fd, TD_MODE_MEM);
	MUST(read(fd, data, 100) == 100);
	say_seek(other, "the duplicate", 0, SEEK_CUR);
	pid = pd_fork();
	if (!pid) {
		MUST(read(fd, data, 50) == 50);
		MUST(lseek(other, 1000, SEEK_CUR) == 1150);
		_exit(0);
	}
	say("child: %d", reap(pid));
	say_seek(fd, "after the child", 0, SEEK_CUR);
	/* A mapping must not move it. */
	MUST(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, TD_MAP_RAM * TD_MAP_SPAN) != MAP_FAILED);
	say_seek(fd, "after mmap", 0, SEEK_CUR);
}

static void run_large(void)
{
	int fd = open_dev(O_RDWR);

	set_mode(fd, TD_MODE_PATTERN);
	say_seek(fd, "40 GiB", 40LL << 30, SEEK_SET);
	say_seek(fd, "end", 0, SEEK_END);
	say_seek(fd, "more", 1, SEEK_CUR);
}

static const struct pd_case cases[] = {
	{ "whence", run_whence, 0 },
	{ "shared", run_shared, 0 },
	{ "large", run_large, 0 },
};

PD_GROUP(seek, "seek", "llseek", 0);
