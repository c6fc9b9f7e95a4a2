// SPDX-License-Identifier: Apache-2.0
/* pdtest: readv, writev and their kin; one writev is one record. */
#include "pdtest.h"

#include <limits.h>
#include <sys/uio.h>

static void say_last(int fd, const char *what, ssize_t ret)
{
	struct td_info info;
	const char *text = result(ret);

	MUST(ioctl(fd, TD_INFO, &info) == 0);
	say("%s: %s; the driver saw %u segments of %llu bytes", what, text, info.segments,
	    (unsigned long long)info.count);
}

static void run_records(void)
{
	int fd = open_dev(O_RDWR | O_NONBLOCK);
	char head[4] = "head", body[100], tail[3] = "end", in[200];
	struct iovec v[4] = { { head, 4 }, { body, 100 }, { NULL, 0 }, { tail, 3 } };

	set_mode(fd, TD_MODE_PACKET);
	fill(body, 1, 0, sizeof(body));
	say_last(fd, "writev", writev(fd, v, 4));
	say_last(fd, "write", write(fd, "second", 6));
	say_last(fd, "writev of one", writev(fd, v, 1));
	say("first record: %s", result(read(fd, in, sizeof(in))));
	CHECK(!memcmp(in, "head", 4) && filled(in + 4, 1, 100) && !memcmp(in + 104, "end", 3));
	v[0] = (struct iovec){ in, 1 };
	v[1] = (struct iovec){ in + 10, 2 };
	v[2] = (struct iovec){ in + 20, 100 };
	say_last(fd, "readv of the second", readv(fd, v, 3));
	CHECK(in[0] == 's' && in[10] == 'e' && in[11] == 'c' && !memcmp(in + 20, "ond", 3));
	v[0] = (struct iovec){ in, 2 };
	say_last(fd, "a record cut short", readv(fd, v, 1));
	say("no more: %s", result(readv(fd, v, 1)));
}

static void run_many(void)
{
	static struct iovec v[IOV_MAX + 1];
	char *data = map_pages(IOV_MAX), *back = map_pages(64);
	volatile int negative = -1;
	int fd = open_dev(O_RDWR | O_NONBLOCK), i;

	/* Odd pieces, each in a page of its own. */
	set_mode(fd, TD_MODE_PACKET);
	for (i = 0; i < IOV_MAX; i++) {
		v[i] = (struct iovec){ data + i * PAGE + i % 4000, 100 };
		fill(v[i].iov_base, 2, i * 100, 100);
	}
	say_last(fd, "writev of 1024", writev(fd, v, IOV_MAX));
	say("read: %s", result(read(fd, back, 64 * PAGE)));
	CHECK(filled(back, 2, IOV_MAX * 100));
	MUST(write(fd, back, IOV_MAX * 100) == IOV_MAX * 100);
	memset(data, 0, IOV_MAX * PAGE);
	say_last(fd, "readv of 1024", readv(fd, v, IOV_MAX));
	for (i = 0; i < IOV_MAX; i++)
		if (!CHECK(matching(v[i].iov_base, 2, i * 100, 100) == 100))
			break;
	say("of 1025: %s", result(writev(fd, v, IOV_MAX + 1)));
	say("of none: %s", result(writev(fd, v, 0)));
	say("of -1: %s", result(writev(fd, v, negative)));
}

static void run_positions(void)
{
	char a[100], b[200];
	struct iovec v[2] = { { a, 100 }, { b, 200 } };
	int fd = open_dev(O_RDWR);

	set_mode_seed(fd, TD_MODE_PATTERN, 3);
	say_last(fd, "preadv", preadv(fd, v, 2, 12345));
	CHECK(matching(a, 3, 12345, 100) == 100 && matching(b, 3, 12445, 200) == 200);
	say_last(fd, "pwritev", pwritev(fd, v, 2, 12345));
	say("position: %ld", (long)lseek(fd, 0, SEEK_CUR));
	say_last(fd, "readv", readv(fd, v, 2));
	CHECK(matching(a, 3, 0, 100) == 100);
	say("position: %ld", (long)lseek(fd, 0, SEEK_CUR));
	say_last(fd, "preadv2 at the position", preadv2(fd, v, 2, -1, 0));
	CHECK(matching(a, 3, 300, 100) == 100);
	say("position: %ld", (long)lseek(fd, 0, SEEK_CUR));
	say("RWF_NOWAIT: %s", result(preadv2(fd, v, 2, 0, RWF_NOWAIT)));
}

static void run_faulting(void)
{
	char *edge = map_edge(1), good[64];
	struct iovec v[3] = { { good, 64 }, { edge + PAGE - 30, 100 }, { good, 64 } };
	int fd = open_dev(O_RDWR | O_NONBLOCK);

	set_mode(fd, TD_MODE_PATTERN);
	say("read into a bad segment: %s", result(preadv(fd, v, 3, 0)));
	CHECK(filled(good, 0, 64));
	v[0].iov_base = NULL;
	say("first segment bad: %s", result(preadv(fd, v, 3, 0)));
	set_mode(fd, TD_MODE_PACKET);
	v[0].iov_base = good;
	say("record with a bad segment: %s", result(writev(fd, v, 3)));
	v[0].iov_base = (char *)-4096;
	say("segment in the kernel: %s", result(writev(fd, v, 3)));
	v[0] = (struct iovec){ good, -1 };
	say("negative length: %s", result(writev(fd, v, 3)));
	say("no record came of it: %s", result(read(fd, good, 64)));
}

static const struct pd_case cases[] = {
	{ "records", run_records, 0 },
	{ "many", run_many, 0 },
	{ "positions", run_positions, 0 },
	{ "faulting", run_faulting, 0 },
};

PD_GROUP(vectored, "vectored", "readv, writev, preadv, pwritev", 0);
